// RUN: tessera-opt %s --test-factor-rules --verify-diagnostics

dist.mesh @mesh <[tp = 2]>

func.func @elementwise_ops_split_every_dimension(%x: tensor<2x3xf32>, %y: tensor<2x3xf32>, %i: tensor<2x3xi32>, %p: tensor<2x3xi1>, %h: tensor<2x3xf16>) {
  // expected-remark @below {{([d0,d1])->([d0,d1]) {d0=2,d1=3} linear={0:sum} flops=6}}
  %0 = tessera.neg %x : tensor<2x3xf32>
  // expected-remark @below {{([d0,d1])->([d0,d1]) {d0=2,d1=3} flops=6}}
  %1 = tessera.abs %x : tensor<2x3xf32>
  // expected-remark @below {{([d0,d1],[d0,d1])->([d0,d1]) {d0=2,d1=3} linear={0,1:sum} flops=6}}
  %2 = tessera.add %x, %y : tensor<2x3xf32>
  // expected-remark @below {{([d0,d1],[d0,d1])->([d0,d1]) {d0=2,d1=3} linear={0,1:sum} flops=6}}
  %3 = tessera.sub %x, %y : tensor<2x3xf32>
  // expected-remark @below {{([d0,d1],[d0,d1])->([d0,d1]) {d0=2,d1=3} linear={0:sum}{1:sum} flops=6}}
  %4 = tessera.mul %x, %y : tensor<2x3xf32>
  // expected-remark @below {{([d0,d1],[d0,d1])->([d0,d1]) {d0=2,d1=3} linear={0:sum} flops=6}}
  %5 = tessera.div %x, %y : tensor<2x3xf32>
  // expected-remark @below {{([d0,d1],[d0,d1])->([d0,d1]) {d0=2,d1=3} flops=6}}
  %6 = tessera.div %i, %i : tensor<2x3xi32>
  // expected-remark @below {{([d0,d1],[d0,d1])->([d0,d1]) {d0=2,d1=3} linear={0,1:max} flops=6}}
  %7 = tessera.max %x, %y : tensor<2x3xf32>
  // expected-remark @below {{([d0,d1],[d0,d1])->([d0,d1]) {d0=2,d1=3} linear={0,1:min} flops=6}}
  %8 = tessera.min %x, %y : tensor<2x3xf32>
  // expected-remark @below {{([d0,d1])->([d0,d1]) {d0=2,d1=3} flops=6}}
  %9 = tessera.exp %x : tensor<2x3xf32>
  // expected-remark @below {{([d0,d1])->([d0,d1]) {d0=2,d1=3} flops=6}}
  %sign = tessera.sign %x : tensor<2x3xf32>
  // expected-remark @below {{([d0,d1])->([d0,d1]) {d0=2,d1=3} flops=6}}
  %logistic = tessera.logistic %x : tensor<2x3xf32>
  // expected-remark @below {{([d0,d1])->([d0,d1]) {d0=2,d1=3} flops=6}}
  %sin = tessera.sin %x : tensor<2x3xf32>
  // expected-remark @below {{([d0,d1])->([d0,d1]) {d0=2,d1=3} flops=6}}
  %cos = tessera.cos %x : tensor<2x3xf32>
  // expected-remark @below {{([d0,d1],[d0,d1])->([d0,d1]) {d0=2,d1=3} flops=6}}
  %pow = tessera.pow %x, %y : tensor<2x3xf32>
  // expected-remark @below {{([d0,d1],[d0,d1])->([d0,d1]) {d0=2,d1=3} flops=6}}
  %10 = tessera.compare lt %x, %y : tensor<2x3xf32>, tensor<2x3xf32> -> tensor<2x3xi1>
  // expected-remark @below {{([d0,d1],[d0,d1],[d0,d1])->([d0,d1]) {d0=2,d1=3} linear={1,2:sum} flops=6}}
  %11 = tessera.select %p, %x, %y : tensor<2x3xi1>, tensor<2x3xf32>, tensor<2x3xf32> -> tensor<2x3xf32>
  // expected-remark @below {{([d0,d1])->([d0,d1]) {d0=2,d1=3} flops=6}}
  %12 = tessera.convert %x : tensor<2x3xf32> -> tensor<2x3xbf16>
  // expected-remark @below {{([d0,d1])->([d0,d1]) {d0=2,d1=3} linear={0:sum} flops=6}}
  %wider = tessera.convert %h : tensor<2x3xf16> -> tensor<2x3xf32>
  // expected-remark @below {{([d0,d1])->([d0,d1]) {d0=2,d1=3} flops=6}}
  %other = tessera.convert %h : tensor<2x3xf16> -> tensor<2x3xbf16>
  // expected-remark @below {{([d0,d1])->([d0,d1]) {d0=2,d1=3} flops=6}}
  %13 = tessera.convert %h : tensor<2x3xf16> -> tensor<2x3xi32>
  // expected-remark @below {{([d0,d1])->([d0,d1]) {d0=2,d1=3} flops=6}}
  %14 = tessera.convert %x : tensor<2x3xf32> -> tensor<2x3xi32>
  // expected-remark @below {{([d0,d1])->([d0,d1]) {d0=2,d1=3} flops=6}}
  %15 = tessera.gelu %x approximation none : tensor<2x3xf32> -> tensor<2x3xf32>
  // expected-remark @below {{([d0,d1])->([d0,d1]) {d0=2,d1=3} flops=6}}
  %16 = tessera.silu %x : tensor<2x3xf32>
  return
}

func.func @contract_sums_over_letters_absent_from_the_result(%l3: tensor<2x3x5xf32>, %r57: tensor<5x7xf32>) {
  // expected-remark @below {{([b,s,k],[k,n])->([b,s,n]) {b=2,s=3,k=5,n=7} reduce={k} linear={0:sum}{1:sum} flops=420}}
  %0 = tessera.contract %l3, %r57 "bsk,kn->bsn" : tensor<2x3x5xf32>, tensor<5x7xf32> -> tensor<2x3x7xf32>
  return
}

func.func @reduced_dimensions_reduce_by_their_kind(%l3: tensor<2x3x5xf32>) {
  // expected-remark @below {{([d0,d1,d2])->([d0,d2]) {d0=2,d1=3,d2=5} reduce={d1} linear={0:sum} flops=30}}
  %0 = tessera.reduce sum %l3 dims [1] : tensor<2x3x5xf32> -> tensor<2x5xf32>
  // expected-remark @below {{([d0,d1,d2])->([d1]) {d0=2,d1=3,d2=5} reduce={d0,d2} linear={0:max} flops=30}}
  %1 = tessera.reduce max %l3 dims [0, 2] : tensor<2x3x5xf32> -> tensor<3xf32>
  // expected-remark @below {{([d0,d1,d2])->([d0,d1,d2]) {d0=2,d1=3,d2=5} replicate={d1} linear={0:sum} flops=30}}
  %2 = tessera.cumulative sum %l3 dim 1 exclusive : tensor<2x3x5xf32> -> tensor<2x3x5xf32>
  // expected-remark @below {{([d0,d1,d2])->([d0,d1,d2]) {d0=2,d1=3,d2=5} linear={0:sum} flops=30}}
  %by_parts = tessera.cumulative sum %l3 dim 1 exclusive by_parts : tensor<2x3x5xf32> -> tensor<2x3x5xf32>
  return
}

func.func @reshape_finds_common_factors(%l3: tensor<2x3x5xf32>, %z: tensor<6x5xf32>, %r57: tensor<5x7xf32>) {
  // expected-remark @below {{([d0,d1,d2])->([d0d1,d2]) {d0=2,d1=3,d2=5} linear={0:sum} flops=0}}
  %0 = tessera.reshape %l3 : tensor<2x3x5xf32> -> tensor<6x5xf32>
  // expected-remark @below {{([d0d1,d2])->([d0,*,d1,d2]) {d0=2,d1=3,d2=5} linear={0:sum} flops=0}}
  %1 = tessera.reshape %z : tensor<6x5xf32> -> tensor<2x1x3x5xf32>
  // expected-remark @below {{([r0,r2])->([r1,r3]) {r0=5,r1=7,r2=7,r3=5} replicate={r0,r1,r2,r3} linear={0:sum} flops=0}}
  %2 = tessera.reshape %r57 : tensor<5x7xf32> -> tensor<7x5xf32>
  return
}

func.func @shape_ops_keep_whole_what_they_cut(%l3: tensor<2x3x5xf32>, %o: tensor<2x1xf32>, %x: tensor<2x3xf32>) {
  // expected-remark @below {{([d0,d1,d2])->([d2,d0,d1]) {d0=2,d1=3,d2=5} linear={0:sum} flops=0}}
  %0 = tessera.transpose %l3 [2, 0, 1] : tensor<2x3x5xf32> -> tensor<5x2x3xf32>
  // expected-remark @below {{([d1,*])->([d0,d1,d2]) {d0=7,d1=2,d2=3} linear={0:sum} flops=0}}
  %1 = tessera.broadcast %o dims [1, 2] : tensor<2x1xf32> -> tensor<7x2x3xf32>
  // expected-remark @below {{([d0,i1,i2])->([d0,o1,o2]) {d0=2,i1=3,o1=2,i2=5,o2=3} replicate={i1,o1,i2,o2} linear={0:sum} flops=0}}
  %2 = tessera.slice %l3 [0, 1, 0] to [2, 3, 5] by [1, 1, 2] : tensor<2x3x5xf32> -> tensor<2x2x3xf32>
  // expected-remark @below {{([d0,i0],[d0,i1])->([d0,d1]) {d0=2,d1=4,i0=3,i1=1} replicate={d1,i0,i1} linear={0,1:sum} flops=0}}
  %3 = tessera.concatenate %x, %o dim 1 : (tensor<2x3xf32>, tensor<2x1xf32>) -> tensor<2x4xf32>
  // expected-remark @below {{([d0,i1])->([d0,o1]) {d0=2,i1=3,o1=6} replicate={i1,o1} linear={0:sum} flops=0}}
  %4 = tessera.pad %x low [0, 1] high [0, 2] value 0.0 : f32 : tensor<2x3xf32> -> tensor<2x6xf32>
  // expected-remark @below {{([d0,i1])->([d0,o1]) {d0=2,i1=3,o1=6} replicate={i1,o1} flops=0}}
  %5 = tessera.pad %x low [0, 1] high [0, 2] value 1.0 : f32 : tensor<2x3xf32> -> tensor<2x6xf32>
  return
}

func.func @gather_sums_lookups_in_a_split_source(%s: tensor<7x2x5xf32>, %i: tensor<2x3xi32>, %k: tensor<2xi32>, %sb: tensor<7x2xi1>) {
  // expected-remark @below {{([n0,s1,s2],[i0,i1])->([i0,i1,s1,s2]) {n0=7,s1=2,s2=5,i0=2,i1=3} reduce={n0} linear={0:sum} flops=0}}
  %0 = tessera.gather %s [%i] dims [0] : (tensor<7x2x5xf32>, tensor<2x3xi32>) -> tensor<2x3x2x5xf32>
  // expected-remark @below {{([s0,n1,s2],[i0])->([s0,i0,s2]) {s0=7,n1=2,s2=5,i0=2} reduce={n1} linear={0:sum} flops=0}}
  %1 = tessera.gather %s [%k] dims [1] : (tensor<7x2x5xf32>, tensor<2xi32>) -> tensor<7x2x5xf32>
  // expected-remark @below {{([n0,s1],[i0])->([i0,s1]) {n0=7,s1=2,i0=2} replicate={n0} linear={0:sum} flops=0}}
  %2 = tessera.gather %sb [%k] dims [0] : (tensor<7x2xi1>, tensor<2xi32>) -> tensor<2x2xi1>
  // expected-remark @below {{([n0,s1,n2],[i0],[i0])->([i0,s1]) {n0=7,s1=2,n2=5,i0=2} reduce={n0,n2} linear={0:sum} flops=0}}
  %3 = tessera.gather %s [%k, %k] dims [0, 2] : (tensor<7x2x5xf32>, tensor<2xi32>, tensor<2xi32>) -> tensor<2x2xf32>
  // expected-remark @below {{([n0,s1,s2],[s1,i1])->([i1,s1,s2]) {n0=7,s1=2,s2=5,i1=3} reduce={n0} linear={0:sum} flops=0}}
  %4 = tessera.gather %s [%i] dims [0] batch [1] = [0] : (tensor<7x2x5xf32>, tensor<2x3xi32>) -> tensor<3x2x5xf32>
  return
}

func.func @scatter_keeps_what_a_device_has(%s: tensor<7x2xf32>, %i: tensor<3xi32>, %j: tensor<2x3xi32>, %u: tensor<3x2xf32>) {
  // expected-remark @below {{([n0,s1],[i0],[i0,s1])->([n0,s1]) {n0=7,s1=2,i0=3} replicate={i0} linear={0,2:sum} flops=0}}
  %0 = tessera.scatter set %s [%i] = %u dims [0] : (tensor<7x2xf32>, tensor<3xi32>, tensor<3x2xf32>) -> tensor<7x2xf32>
  // expected-remark @below {{([n0,s1],[i0],[i0,s1])->([n0,s1]) {n0=7,s1=2,i0=3} reduce={i0} linear={0,2:sum} flops=6}}
  %1 = tessera.scatter add %s [%i] = %u dims [0] : (tensor<7x2xf32>, tensor<3xi32>, tensor<3x2xf32>) -> tensor<7x2xf32>
  // expected-remark @below {{([n0,s1],[s1,i1],[i1,s1])->([n0,s1]) {n0=7,s1=2,i1=3} reduce={i1} linear={0,2:max} flops=6}}
  %2 = tessera.scatter max %s [%j] = %u dims [0] batch [1] = [0] : (tensor<7x2xf32>, tensor<2x3xi32>, tensor<3x2xf32>) -> tensor<7x2xf32>
  return
}

func.func @a_sorted_dimension_stays_whole(%x: tensor<2x3xf32>) {
  // expected-remark @below {{([d0,d1])->([d0,d1]) {d0=2,d1=3} replicate={d1} flops=12}}
  %0 = tessera.argsort %x dim 1 : tensor<2x3xf32> -> tensor<2x3xi32>
  return
}

func.func @boxes_of_whole_dimensions_split(%x: tensor<2x3xf32>, %i: tensor<i32>, %u: tensor<2x1xf32>) {
  // expected-remark @below {{([d0,i1],[],[])->([d0,o1]) {d0=2,i1=3,o1=1} replicate={i1,o1} linear={0:sum} flops=0}}
  %0 = tessera.dynamic_slice %x [%i, %i] : (tensor<2x3xf32>, tensor<i32>, tensor<i32>) -> tensor<2x1xf32>
  // expected-remark @below {{([d0,i1],[],[],[d0,o1])->([d0,i1]) {d0=2,i1=3,o1=1} replicate={i1,o1} linear={0,3:sum} flops=0}}
  %1 = tessera.dynamic_update_slice %x [%i, %i] = %u : (tensor<2x3xf32>, tensor<i32>, tensor<i32>, tensor<2x1xf32>) -> tensor<2x3xf32>
  return
}

func.func @normalised_dimensions_stay_whole(%l3: tensor<2x3x5xf32>, %x: tensor<2x3xf32>, %r: tensor<3xf32>) {
  // expected-remark @below {{([d0,d1,d2])->([d0,d1,d2]) {d0=2,d1=3,d2=5} replicate={d1} flops=150}}
  %0 = tessera.softmax %l3 dim 1 : tensor<2x3x5xf32> -> tensor<2x3x5xf32>
  // expected-remark @below {{([d0,d1],[d1],[d1])->([d0,d1]) {d0=2,d1=3} replicate={d1} flops=48}}
  %1 = tessera.layer_norm %x, %r, %r epsilon 1.0e-5 : tensor<2x3xf32>, tensor<3xf32>, tensor<3xf32> -> tensor<2x3xf32>
  // expected-remark @below {{([d0,d1],[d1])->([d0,d1]) {d0=2,d1=3} replicate={d1} flops=24}}
  %2 = tessera.rms_norm %x, %r epsilon 1.0e-5 : tensor<2x3xf32>, tensor<3xf32> -> tensor<2x3xf32>
  // expected-remark @below {{([d0,d1],[d0,d1])->([d0,d1]) {d0=2,d1=3} replicate={d1} linear={0:sum} flops=72}}
  %3 = tessera.norm_tangent %x at %x epsilon 1.0e-5 : tensor<2x3xf32>, tensor<2x3xf32> -> tensor<2x3xf32>
  return
}

func.func @rows_that_come_to_one_value_stay_whole(%l3: tensor<2x3x5xf32>, %y: tensor<2x3xi32>) {
  // expected-remark @below {{([d0,d1,d2])->([d0,d2]) {d0=2,d1=3,d2=5} replicate={d1} flops=120}}
  %0 = tessera.logsumexp %l3 dim 1 : tensor<2x3x5xf32> -> tensor<2x5xf32>
  // expected-remark @below {{([d0,d1,d2],[d0,d1])->([d0,d1]) {d0=2,d1=3,d2=5} replicate={d2} flops=180}}
  %1 = tessera.cross_entropy %l3, %y smoothing 0.0 z_loss 0.0 : tensor<2x3x5xf32>, tensor<2x3xi32> -> tensor<2x3xf32>
  return
}

func.func @attention_splits_heads_in_groups(%q: tensor<2x3x4x5xf32>, %kk: tensor<2x7x2x5xf32>, %vv: tensor<2x7x2x6xf32>, %b: tensor<2x1x3x7xf32>, %k4: tensor<2x7x4x5xf32>, %b2: tensor<1x4x1x7xf32>) {
  // expected-remark @below {{([b,s,hg,d],[b,t,h,d],[b,t,h,e])->([b,s,hg,e]) {b=2,s=3,h=2,t=7,d=5,e=6,g=2} replicate={t,d} linear={2:sum} flops=4536}}
  %0 = tessera.attention %q, %kk, %vv scale 0.5 : tensor<2x3x4x5xf32>, tensor<2x7x2x5xf32>, tensor<2x7x2x6xf32> -> tensor<2x3x4x6xf32>
  // expected-remark @below {{([b,s,hg,d],[b,t,h,d],[b,t,h,e],[b,*,s,t])->([b,s,hg,e]) {b=2,s=3,h=2,t=7,d=5,e=6,g=2} replicate={t,d} linear={2:sum} flops=4536}}
  %1 = tessera.attention %q, %kk, %vv bias %b scale 0.5 : tensor<2x3x4x5xf32>, tensor<2x7x2x5xf32>, tensor<2x7x2x6xf32>, tensor<2x1x3x7xf32> -> tensor<2x3x4x6xf32>
  // expected-remark @below {{([b,s,h,d],[b,t,h,d],[b,t,h,e],[*,h,*,t])->([b,s,h,e]) {b=2,s=3,h=4,t=7,d=5,e=5} replicate={s,t,d} linear={2:sum} flops=3600}}
  %2 = tessera.attention %q, %k4, %k4 bias %b2 scale 0.5 causal : tensor<2x3x4x5xf32>, tensor<2x7x4x5xf32>, tensor<2x7x4x5xf32>, tensor<1x4x1x7xf32> -> tensor<2x3x4x5xf32>
  return
}

func.func @gradients_of_attention_are_sums_over_queries(%q: tensor<2x3x4x5xf32>, %k: tensor<2x7x2x5xf32>, %v: tensor<2x7x2x6xf32>, %r: tensor<2x4x3xf32>, %c: tensor<2x3x4x6xf32>, %b: tensor<2x1x3x7xf32>) {
  // expected-remark @below {{([b,s,hg,d],[b,t,h,d],[b,*,s,t])->([b,hg,s]) {b=2,s=3,h=2,t=7,d=5,g=2} replicate={t,d} flops=48}}
  %0 = tessera.attention_logsumexp %q, %k bias %b scale 0.5 : tensor<2x3x4x5xf32>, tensor<2x7x2x5xf32>, tensor<2x1x3x7xf32> -> tensor<2x4x3xf32>
  // expected-remark @below {{([b,s,hg,d],[b,t,h,d],[b,t,h,e],[b,hg,s],[b,hg,s],[b,s,hg,e])->([b,s,hg,d]) {b=2,s=3,h=2,t=7,d=5,e=6,g=2} replicate={t,d,e} linear={4,5:sum} flops=1680}}
  %1 = tessera.attention_gradient of query %q, %k, %v, %r, %r, %c scale 0.5 : tensor<2x3x4x5xf32>, tensor<2x7x2x5xf32>, tensor<2x7x2x6xf32>, tensor<2x4x3xf32>, tensor<2x4x3xf32>, tensor<2x3x4x6xf32> -> tensor<2x3x4x5xf32>
  // expected-remark @below {{([b,s,hg,d],[b,t,h,d],[b,t,h,e],[b,hg,s],[b,hg,s],[b,s,hg,e])->([b,t,h,d]) {b=2,s=3,h=2,t=7,d=5,e=6,g=2} reduce={s,g} replicate={t,d,e} linear={4,5:sum} flops=4200}}
  %2 = tessera.attention_gradient of key %q, %k, %v, %r, %r, %c scale 0.5 : tensor<2x3x4x5xf32>, tensor<2x7x2x5xf32>, tensor<2x7x2x6xf32>, tensor<2x4x3xf32>, tensor<2x4x3xf32>, tensor<2x3x4x6xf32> -> tensor<2x7x2x5xf32>
  // A causal mask needs all queries.
  // expected-remark @below {{([b,s,hg,d],[b,t,h,d],[b,t,h,e],[b,hg,s],[b,hg,s],[b,s,hg,e],[b,*,s,t])->([b,t,h,e]) {b=2,s=3,h=2,t=7,d=5,e=6,g=2} reduce={g} replicate={s,t,d,e} linear={4,5:sum} flops=3600}}
  %3 = tessera.attention_gradient of value %q, %k, %v, %r, %r, %c bias %b scale 0.5 causal : tensor<2x3x4x5xf32>, tensor<2x7x2x5xf32>, tensor<2x7x2x6xf32>, tensor<2x4x3xf32>, tensor<2x4x3xf32>, tensor<2x3x4x6xf32>, tensor<2x1x3x7xf32> -> tensor<2x7x2x6xf32>
  return
}

func.func @created_values_split_every_dimension(%off: tensor<i32>, %k: tensor<2xi32>) {
  // expected-remark @below {{()->([d0,d1]) {d0=2,d1=3} flops=0}}
  %0 = tessera.iota dim 1 : tensor<2x3xi32>
  // expected-remark @below {{([])->([d0,d1]) {d0=2,d1=3} flops=0}}
  %1 = tessera.iota dim 1 offset %off : tensor<i32> : tensor<2x3xi32>
  // expected-remark @below {{()->([d0,d1]) {d0=2,d1=3} flops=0}}
  %2 = tessera.constant dense<1.0> : tensor<2x3xf32> : tensor<2x3xf32>
  // expected-remark @below {{([key])->([d0,d1]) {key=2,d0=2,d1=3} replicate={key} flops=6}}
  %3 = tessera.rng uniform %k [2, 3] : tensor<2xi32> -> tensor<2x3xf32>
  // expected-remark @below {{([key],[],[])->([d0,d1]) {key=2,d0=2,d1=3} replicate={key} flops=6}}
  %4 = tessera.rng uniform %k [4, 3] offsets %off, %off : tensor<i32>, tensor<i32> : tensor<2xi32> -> tensor<2x3xf32>
  %keys = tessera.constant dense<1> : tensor<2x2xi32> : tensor<2x2xi32>  // expected-remark {{flops=0}}
  // expected-remark @below {{([d0,key])->([d0,d1]) {key=2,d0=2,d1=3} replicate={key} flops=6}}
  %5 = tessera.rng uniform %keys [2, 3] : tensor<2x2xi32> -> tensor<2x3xf32>
  return
}

func.func @constrain_splits_every_dimension(%m: !tessera.mesh_tensor<2x3xf32, @mesh>) {
  // expected-remark @below {{([d0,d1])->([d0,d1]) {d0=2,d1=3} flops=0}}
  %0 = tessera.constrain %m to <@mesh, [{tp}, {?}]> : !tessera.mesh_tensor<2x3xf32, @mesh> -> !tessera.mesh_tensor<2x3xf32, @mesh>
  return
}

func.func @functions_of_single_elements_are_not_linear(%x: tensor<2x3xf32>, %y: tensor<2x3xf32>, %p: tensor<2x3xi1>) {
  // expected-remark @below {{([d0,d1])->([d0,d1]) {d0=2,d1=3} flops=6}}
  %log = tessera.log %x : tensor<2x3xf32>
  // expected-remark @below {{([d0,d1])->([d0,d1]) {d0=2,d1=3} flops=6}}
  %sqrt = tessera.sqrt %x : tensor<2x3xf32>
  // expected-remark @below {{([d0,d1])->([d0,d1]) {d0=2,d1=3} flops=6}}
  %rsqrt = tessera.rsqrt %x : tensor<2x3xf32>
  // expected-remark @below {{([d0,d1])->([d0,d1]) {d0=2,d1=3} flops=6}}
  %tanh = tessera.tanh %x : tensor<2x3xf32>
  // expected-remark @below {{([d0,d1])->([d0,d1]) {d0=2,d1=3} flops=6}}
  %erf = tessera.erf %x : tensor<2x3xf32>
  // expected-remark @below {{([d0,d1])->([d0,d1]) {d0=2,d1=3} flops=6}}
  %floor = tessera.floor %x : tensor<2x3xf32>
  // expected-remark @below {{([d0,d1])->([d0,d1]) {d0=2,d1=3} flops=6}}
  %not = tessera.not %p : tensor<2x3xi1>
  // expected-remark @below {{([d0,d1],[d0,d1])->([d0,d1]) {d0=2,d1=3} flops=6}}
  %and = tessera.and %p, %p : tensor<2x3xi1>
  // expected-remark @below {{([d0,d1],[d0,d1])->([d0,d1]) {d0=2,d1=3} flops=6}}
  %or = tessera.or %p, %p : tensor<2x3xi1>
  // expected-remark @below {{([d0,d1],[d0,d1])->([d0,d1]) {d0=2,d1=3} flops=6}}
  %xor = tessera.xor %p, %p : tensor<2x3xi1>
  // expected-remark @below {{([d0,d1],[d0,d1])->([d0,d1]) {d0=2,d1=3} flops=6}}
  %rem = tessera.rem %x, %y : tensor<2x3xf32>
  return
}
