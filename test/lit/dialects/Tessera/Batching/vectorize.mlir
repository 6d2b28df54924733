// RUN: tessera-opt %s --split-input-file --tessera-vectorize="function=f size=4 batched=0" | FileCheck %s

// What all entries share is computed once; one product has them as a dimension.
// CHECK-LABEL: func.func @f.batched(%arg0: tensor<4x3xf32>, %arg1: tensor<3x5xf32>) -> tensor<4x5xf32>
// CHECK: %[[W:.*]] = tessera.exp %arg1 : tensor<3x5xf32>
// CHECK: tessera.contract %arg0, %[[W]] "ak,kn->an"
func.func @f(%x: tensor<3xf32>, %w: tensor<3x5xf32>) -> tensor<5xf32> {
  %0 = tessera.exp %w : tensor<3x5xf32>
  %1 = tessera.contract %x, %0 "k,kn->n" : tensor<3xf32>, tensor<3x5xf32> -> tensor<5xf32>
  return %1 : tensor<5xf32>
}

// -----

// A lookup by other indices for each entry moves nothing.
// CHECK-LABEL: func.func @f.batched
// CHECK-NEXT: %[[R:.*]] = tessera.gather %arg1[%arg0] dims [0] : (tensor<7x5xf32>, tensor<4x3xi32>) -> tensor<4x3x5xf32>
// CHECK-NEXT: return %[[R]]
func.func @f(%i: tensor<3xi32>, %table: tensor<7x5xf32>) -> tensor<3x5xf32> {
  %0 = tessera.gather %table [%i] dims [0] : (tensor<7x5xf32>, tensor<3xi32>) -> tensor<3x5xf32>
  return %0 : tensor<3x5xf32>
}

// -----

// A box at a place of each entry: the shared place is cut first, the others are
// clamped indices.
// CHECK-LABEL: func.func @f.batched
// CHECK: %[[CUT:.*]] = tessera.dynamic_slice %arg1[%{{.*}}, %arg2] : (tensor<7x5xf32>, tensor<i32>, tensor<i32>) -> tensor<7x2xf32>
// CHECK: %[[LAST:.*]] = tessera.constant dense<4> : tensor<4xi32>
// CHECK: tessera.min %arg0, %[[LAST]]
// CHECK: tessera.gather %[[CUT]][%{{.*}}] dims [0] : (tensor<7x2xf32>, tensor<4x3xi32>) -> tensor<4x3x2xf32>
func.func @f(%i: tensor<i32>, %x: tensor<7x5xf32>, %j: tensor<i32>) -> tensor<3x2xf32> {
  %0 = tessera.dynamic_slice %x [%i, %j] : (tensor<7x5xf32>, tensor<i32>, tensor<i32>) -> tensor<3x2xf32>
  return %0 : tensor<3x2xf32>
}

// -----

// Keys have a batch of their own.
// CHECK-LABEL: func.func @f.batched
// CHECK-NEXT: tessera.rng uniform %arg0 [4, 3] : tensor<4x2xi32> -> tensor<4x3xf32>
func.func @f(%key: tensor<2xi32>) -> tensor<3xf32> {
  %0 = tessera.rng uniform %key [3] : tensor<2xi32> -> tensor<3xf32>
  return %0 : tensor<3xf32>
}

// -----

// Entries that share keys and values are further queries of these.
// CHECK-LABEL: func.func @f.batched
// CHECK: tessera.attention %{{.*}}, %arg1, %arg1 scale 5.000000e-01 : tensor<2x12x6x5xf32>, tensor<2x7x3x5xf32>, tensor<2x7x3x5xf32> -> tensor<2x12x6x5xf32>
func.func @f(%q: tensor<2x3x6x5xf32>, %k: tensor<2x7x3x5xf32>) -> tensor<2x3x6x5xf32> {
  %0 = tessera.attention %q, %k, %k scale 0.5 : tensor<2x3x6x5xf32>, tensor<2x7x3x5xf32>, tensor<2x7x3x5xf32> -> tensor<2x3x6x5xf32>
  return %0 : tensor<2x3x6x5xf32>
}

// -----

// Of two carried values one depends on the entry. Iterations come before entries
// in what a loop goes over and stacks.
// CHECK-LABEL: func.func @f.batched(%arg0: tensor<4x5x3xf32>, %arg1: tensor<3xf32>)
// CHECK: %[[XS:.*]] = tessera.transpose %arg0 [1, 0, 2]
// CHECK: %[[S:.*]]:3 = tessera.scan (%{{.*}}, %arg1) over (%[[XS]]) length 5 : (tensor<4x3xf32>, tensor<3xf32>) over (tensor<5x4x3xf32>) -> (tensor<4x3xf32>, tensor<3xf32>, tensor<5x4x3xf32>)
// CHECK: tessera.exp %{{.*}} : tensor<3xf32>
// CHECK: tessera.transpose %[[S]]#2 [1, 0, 2]
func.func @f(%xs: tensor<5x3xf32>, %c: tensor<3xf32>) -> (tensor<3xf32>, tensor<3xf32>, tensor<5x3xf32>) {
  %r:3 = tessera.scan (%c, %c) over (%xs) length 5 : (tensor<3xf32>, tensor<3xf32>) over (tensor<5x3xf32>) -> (tensor<3xf32>, tensor<3xf32>, tensor<5x3xf32>) {
  ^bb0(%i: tensor<i32>, %a: tensor<3xf32>, %b: tensor<3xf32>, %x: tensor<3xf32>):
    %0 = tessera.add %a, %x : tensor<3xf32>
    %1 = tessera.exp %b : tensor<3xf32>
    tessera.yield %0, %1, %0 : tensor<3xf32>, tensor<3xf32>, tensor<3xf32>
  }
  return %r#0, %r#1, %r#2 : tensor<3xf32>, tensor<3xf32>, tensor<5x3xf32>
}

// -----

// The loop goes on while one entry does; what has ended stays.
// CHECK-LABEL: func.func @f.batched
// CHECK: %[[FIRST:.*]] = tessera.compare lt %arg0
// CHECK: tessera.while (%arg0, %[[FIRST]]) : (tensor<4xi32>, tensor<4xi1>)
// CHECK: cond {
// CHECK: tessera.reduce max
// CHECK: } do {
// CHECK: ^bb0(%[[N:.*]]: tensor<4xi32>, %[[P:.*]]: tensor<4xi1>):
// CHECK: %[[NEXT:.*]] = tessera.add %[[N]], %{{.*}}
// CHECK: %[[KEPT:.*]] = tessera.select %{{.*}}, %[[NEXT]], %[[N]]
// CHECK: %[[AGAIN:.*]] = tessera.compare lt %[[KEPT]]
// CHECK: tessera.yield %[[KEPT]], %[[AGAIN]]
func.func @f(%first: tensor<i32>, %limit: tensor<i32>) -> tensor<i32> {
  %last = tessera.while (%first) : (tensor<i32>) -> (tensor<i32>) cond {
  ^bb0(%n: tensor<i32>):
    %p = tessera.compare lt %n, %limit : tensor<i32>, tensor<i32> -> tensor<i1>
    tessera.yield %p : tensor<i1>
  } do {
  ^bb0(%n: tensor<i32>):
    %one = tessera.constant dense<1> : tensor<i32> : tensor<i32>
    %next = tessera.add %n, %one : tensor<i32>
    tessera.yield %next : tensor<i32>
  }
  return %last : tensor<i32>
}

// -----

// All branches, of which each entry selects. What entries share has a derivative
// through a branch only if one takes it.
// CHECK-LABEL: func.func @f.batched
// CHECK-NOT: tessera.cond
// CHECK: %[[STOPPED:.*]] = tessera.stop_gradient %arg1 : tensor<3xf32>
// CHECK: tessera.select %{{.*}}, %arg1, %[[STOPPED]]
// CHECK: %[[STOPPED:.*]] = tessera.stop_gradient %arg1 : tensor<3xf32>
// CHECK: %[[X:.*]] = tessera.select %{{.*}}, %arg1, %[[STOPPED]]
// CHECK: tessera.neg %[[X]] : tensor<3xf32>
// CHECK: tessera.select
// CHECK: return
func.func @f(%p: tensor<i1>, %x: tensor<3xf32>) -> tensor<3xf32> {
  %0 = tessera.cond %p : tensor<i1> -> (tensor<3xf32>) {
    tessera.yield %x : tensor<3xf32>
  }, {
    %1 = tessera.neg %x : tensor<3xf32>
    tessera.yield %1 : tensor<3xf32>
  }
  return %0 : tensor<3xf32>
}

// -----

// One branch, for all entries.
// CHECK-LABEL: func.func @f.batched
// CHECK: tessera.cond %arg1 : tensor<i1> -> (tensor<4x3xf32>, tensor<3xf32>)
func.func @f(%x: tensor<3xf32>, %p: tensor<i1>, %y: tensor<3xf32>) -> (tensor<3xf32>, tensor<3xf32>) {
  %0:2 = tessera.cond %p : tensor<i1> -> (tensor<3xf32>, tensor<3xf32>) {
    tessera.yield %x, %y : tensor<3xf32>, tensor<3xf32>
  }, {
    tessera.yield %y, %y : tensor<3xf32>, tensor<3xf32>
  }
  return %0#0, %0#1 : tensor<3xf32>, tensor<3xf32>
}

// -----

// Calls that say how they are differentiated stay; the cotangent of what all
// entries share is summed.
// CHECK-LABEL: func.func @f.batched
// CHECK: tessera.call @f.batched.1(%arg0, %arg1) fwd @f.batched.2 bwd @f.batched.3
// CHECK: tessera.call @f.batched.4(%{{.*}}) checkpoint "dots"
// CHECK-LABEL: func.func private @f.batched.3(
// CHECK-SAME: tensor<4x3xf32>, {{.*}}tensor<4x3xf32>) -> (tensor<4x3xf32>, tensor<3xf32>)
// CHECK: tessera.reduce sum
func.func private @g(%x: tensor<3xf32>, %w: tensor<3xf32>) -> tensor<3xf32> {
  %0 = tessera.mul %x, %w : tensor<3xf32>
  return %0 : tensor<3xf32>
}
func.func private @fwd(%x: tensor<3xf32>, %w: tensor<3xf32>) -> (tensor<3xf32>, tensor<3xf32>) {
  %0 = tessera.mul %x, %w : tensor<3xf32>
  return %0, %x : tensor<3xf32>, tensor<3xf32>
}
func.func private @bwd(%x: tensor<3xf32>, %ct: tensor<3xf32>) -> (tensor<3xf32>, tensor<3xf32>) {
  %0 = tessera.mul %x, %ct : tensor<3xf32>
  return %ct, %0 : tensor<3xf32>, tensor<3xf32>
}
func.func private @sin(%x: tensor<3xf32>) -> tensor<3xf32> {
  %0 = tessera.sin %x : tensor<3xf32>
  return %0 : tensor<3xf32>
}
func.func @f(%x: tensor<3xf32>, %w: tensor<3xf32>) -> tensor<3xf32> {
  %0 = tessera.call @g(%x, %w) fwd @fwd bwd @bwd : (tensor<3xf32>, tensor<3xf32>) -> (tensor<3xf32>)
  %1 = tessera.call @sin(%0) checkpoint "dots" : (tensor<3xf32>) -> (tensor<3xf32>)
  return %1 : tensor<3xf32>
}

// -----

// Identities, phases, and what is printed and checked: the whole batch.
// CHECK-LABEL: func.func @f.batched
// CHECK: tessera.stop_gradient %arg0 {tessera.phase = "backward"} : tensor<4x3xf32>
// CHECK: tessera.checkpoint_name %{{.*}} "kept" : tensor<4x3xf32>
// CHECK: tessera.barrier %{{.*}}, %arg1 : (tensor<4x3xf32>, tensor<3xf32>)
// CHECK: %[[M:.*]] = tessera.mul {{.*}} {tessera.phase = "backward"} : tensor<4x3xf32>
// CHECK: tessera.debug_print "{}" (%[[M]]) : tensor<4x3xf32>
// CHECK: tessera.debug_check %{{.*}} "no {}" (%arg1) : tensor<4x3xi1>, (tensor<3xf32>)
func.func @f(%x: tensor<3xf32>, %y: tensor<3xf32>) -> tensor<3xf32> {
  %0 = tessera.stop_gradient %x {tessera.phase = "backward"} : tensor<3xf32> -> tensor<3xf32>
  %1 = tessera.checkpoint_name %0 "kept" : tensor<3xf32> -> tensor<3xf32>
  %2, %3 = tessera.barrier %1, %y : (tensor<3xf32>, tensor<3xf32>) -> (tensor<3xf32>, tensor<3xf32>)
  %4 = tessera.mul %2, %3 {tessera.phase = "backward"} : tensor<3xf32>
  tessera.debug_print "{}" (%4) : tensor<3xf32>
  %5 = tessera.compare lt %4, %3 : tensor<3xf32>, tensor<3xf32> -> tensor<3xi1>
  tessera.debug_check %5 "no {}" (%y) : tensor<3xi1>, (tensor<3xf32>)
  return %4 : tensor<3xf32>
}

// -----

// A loop may be there for what it prints alone.
// CHECK-LABEL: func.func @f.batched
// CHECK: tessera.scan () over () length 2
// CHECK: tessera.debug_print "{}" (%arg0) : tensor<4x3xf32>
func.func @f(%x: tensor<3xf32>) {
  tessera.scan () over () length 2 : () over () -> () {
  ^bb0(%i: tensor<i32>):
    tessera.debug_print "{}" (%x) : tensor<3xf32>
    tessera.yield
  }
  return
}

// -----

// A condition that has a loop of its own, the same for all entries, is computed
// before the loop and in it.
// CHECK-LABEL: func.func @f.batched
// CHECK: tessera.scan (%{{.*}}) over () length 2
// CHECK-NEXT: ^bb0(%{{.*}}: tensor<i32>, %[[OUTER:.*]]: tensor<i32>):
// CHECK-NEXT: tessera.add %[[OUTER]], %[[OUTER]]
// CHECK: tessera.while
// CHECK: } do {
// CHECK: tessera.scan (%{{.*}}) over () length 2
// CHECK-NEXT: ^bb0(%{{.*}}: tensor<i32>, %[[INNER:.*]]: tensor<i32>):
// CHECK-NEXT: tessera.add %[[INNER]], %[[INNER]]
func.func @f(%first: tensor<i32>) -> tensor<i32> {
  %one = tessera.constant dense<1> : tensor<i32> : tensor<i32>
  %last = tessera.while (%first) : (tensor<i32>) -> (tensor<i32>) cond {
  ^bb0(%n: tensor<i32>):
    %limit = tessera.scan (%one) over () length 2 : (tensor<i32>) over () -> (tensor<i32>) {
    ^bb0(%i: tensor<i32>, %c: tensor<i32>):
      %twice = tessera.add %c, %c : tensor<i32>
      tessera.yield %twice : tensor<i32>
    }
    %p = tessera.compare lt %n, %limit : tensor<i32>, tensor<i32> -> tensor<i1>
    tessera.yield %p : tensor<i1>
  } do {
  ^bb0(%n: tensor<i32>):
    %next = tessera.add %n, %one : tensor<i32>
    tessera.yield %next : tensor<i32>
  }
  return %last : tensor<i32>
}
