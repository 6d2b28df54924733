// RUN: tessera-opt %s -tessera-propagate-layouts -tessera-insert-reshards -tessera-partition | FileCheck %s
// RUN: sed 's/tp = 2/tp = 4/' %s | tessera-opt -tessera-propagate-layouts -tessera-insert-reshards -tessera-partition | FileCheck %s --check-prefix=FOUR
// RUN: tessera-opt %s '--tessera-check-equivalence=pipeline=tessera-propagate-layouts,tessera-insert-reshards,tessera-partition' -o /dev/null
// RUN: sed 's/tp = 2/tp = 4/' %s | tessera-opt '--tessera-check-equivalence=pipeline=tessera-propagate-layouts,tessera-insert-reshards,tessera-partition' -o /dev/null

// An encoder layer of which the query weight and the first MLP weight alone are
// annotated is split as Megatron-LM splits it: all heads and all MLP columns on
// their device, one all-reduce after the attention and one after the MLP.

// CHECK-LABEL: func.func @main
// CHECK-NOT: = dist.
// CHECK: tessera.attention {{.*}} : tensor<2x8x2x3xf32>, tensor<2x8x2x3xf32>, tensor<2x8x2x3xf32> -> tensor<2x8x2x3xf32>
// CHECK-NOT: = dist.
// CHECK: dist.all_reduce sum
// CHECK-SAME: annotated: dimension 0 of argument 'l0_wq' is split by 'tp'
// CHECK-NOT: = dist.
// CHECK: tessera.gelu {{.*}} : tensor<2x8x10xf32>
// CHECK-NOT: = dist.
// CHECK: dist.all_reduce sum
// CHECK-SAME: annotated: dimension 0 of argument 'l0_w1' is split by 'tp'
// CHECK-NOT: = dist.
// CHECK: return

// FOUR-NOT: = dist.
// FOUR: tessera.attention {{.*}} -> tensor<2x8x1x3xf32>
// FOUR-NOT: = dist.
// FOUR: dist.all_reduce sum
// FOUR-NOT: = dist.
// FOUR: tessera.gelu {{.*}} : tensor<2x8x5xf32>
// FOUR-NOT: = dist.
// FOUR: dist.all_reduce sum
// FOUR-NOT: = dist.
// FOUR: return

dist.mesh @mesh <[tp = 2]>
func.func @main(%x: !tessera.mesh_tensor<2x8x12xf32, @mesh> {tessera.name = "x"}, %l0_wq: !tessera.mesh_tensor<12x12xf32, @mesh, [{tp, ?}, {?}]> {tessera.name = "l0_wq"}, %l0_bq: !tessera.mesh_tensor<12xf32, @mesh> {tessera.name = "l0_bq"}, %l0_wk: !tessera.mesh_tensor<12x12xf32, @mesh> {tessera.name = "l0_wk"}, %l0_bk: !tessera.mesh_tensor<12xf32, @mesh> {tessera.name = "l0_bk"}, %l0_wv: !tessera.mesh_tensor<12x12xf32, @mesh> {tessera.name = "l0_wv"}, %l0_bv: !tessera.mesh_tensor<12xf32, @mesh> {tessera.name = "l0_bv"}, %l0_wo: !tessera.mesh_tensor<12x12xf32, @mesh> {tessera.name = "l0_wo"}, %l0_bo: !tessera.mesh_tensor<12xf32, @mesh> {tessera.name = "l0_bo"}, %l0_n1g: !tessera.mesh_tensor<12xf32, @mesh> {tessera.name = "l0_n1g"}, %l0_n1b: !tessera.mesh_tensor<12xf32, @mesh> {tessera.name = "l0_n1b"}, %l0_w1: !tessera.mesh_tensor<20x12xf32, @mesh, [{tp, ?}, {?}]> {tessera.name = "l0_w1"}, %l0_b1: !tessera.mesh_tensor<20xf32, @mesh> {tessera.name = "l0_b1"}, %l0_w2: !tessera.mesh_tensor<12x20xf32, @mesh> {tessera.name = "l0_w2"}, %l0_b2: !tessera.mesh_tensor<12xf32, @mesh> {tessera.name = "l0_b2"}, %l0_n2g: !tessera.mesh_tensor<12xf32, @mesh> {tessera.name = "l0_n2g"}, %l0_n2b: !tessera.mesh_tensor<12xf32, @mesh> {tessera.name = "l0_n2b"}) -> !tessera.mesh_tensor<2x8x12xf32, @mesh> {
  %v1 = tessera.contract %x, %l0_wq "bsk,nk->bsn" : !tessera.mesh_tensor<2x8x12xf32, @mesh>, !tessera.mesh_tensor<12x12xf32, @mesh, [{tp, ?}, {?}]> -> !tessera.mesh_tensor<2x8x12xf32, @mesh>
  %v2 = tessera.broadcast %l0_bq dims [2] : !tessera.mesh_tensor<12xf32, @mesh> -> !tessera.mesh_tensor<2x8x12xf32, @mesh>
  %v3 = tessera.add %v1, %v2 : !tessera.mesh_tensor<2x8x12xf32, @mesh>
  %v4 = tessera.contract %x, %l0_wk "bsk,nk->bsn" : !tessera.mesh_tensor<2x8x12xf32, @mesh>, !tessera.mesh_tensor<12x12xf32, @mesh> -> !tessera.mesh_tensor<2x8x12xf32, @mesh>
  %v5 = tessera.broadcast %l0_bk dims [2] : !tessera.mesh_tensor<12xf32, @mesh> -> !tessera.mesh_tensor<2x8x12xf32, @mesh>
  %v6 = tessera.add %v4, %v5 : !tessera.mesh_tensor<2x8x12xf32, @mesh>
  %v7 = tessera.contract %x, %l0_wv "bsk,nk->bsn" : !tessera.mesh_tensor<2x8x12xf32, @mesh>, !tessera.mesh_tensor<12x12xf32, @mesh> -> !tessera.mesh_tensor<2x8x12xf32, @mesh>
  %v8 = tessera.broadcast %l0_bv dims [2] : !tessera.mesh_tensor<12xf32, @mesh> -> !tessera.mesh_tensor<2x8x12xf32, @mesh>
  %v9 = tessera.add %v7, %v8 : !tessera.mesh_tensor<2x8x12xf32, @mesh>
  %v10 = tessera.reshape %v3 : !tessera.mesh_tensor<2x8x12xf32, @mesh> -> !tessera.mesh_tensor<2x8x4x3xf32, @mesh>
  %v11 = tessera.reshape %v6 : !tessera.mesh_tensor<2x8x12xf32, @mesh> -> !tessera.mesh_tensor<2x8x4x3xf32, @mesh>
  %v12 = tessera.reshape %v9 : !tessera.mesh_tensor<2x8x12xf32, @mesh> -> !tessera.mesh_tensor<2x8x4x3xf32, @mesh>
  %v13 = tessera.attention %v10, %v11, %v12 scale 0.25 : !tessera.mesh_tensor<2x8x4x3xf32, @mesh>, !tessera.mesh_tensor<2x8x4x3xf32, @mesh>, !tessera.mesh_tensor<2x8x4x3xf32, @mesh> -> !tessera.mesh_tensor<2x8x4x3xf32, @mesh>
  %v14 = tessera.reshape %v13 : !tessera.mesh_tensor<2x8x4x3xf32, @mesh> -> !tessera.mesh_tensor<2x8x12xf32, @mesh>
  %v15 = tessera.contract %v14, %l0_wo "bsk,nk->bsn" : !tessera.mesh_tensor<2x8x12xf32, @mesh>, !tessera.mesh_tensor<12x12xf32, @mesh> -> !tessera.mesh_tensor<2x8x12xf32, @mesh>
  %v16 = tessera.broadcast %l0_bo dims [2] : !tessera.mesh_tensor<12xf32, @mesh> -> !tessera.mesh_tensor<2x8x12xf32, @mesh>
  %v17 = tessera.add %v15, %v16 : !tessera.mesh_tensor<2x8x12xf32, @mesh>
  %v18 = tessera.add %v17, %x : !tessera.mesh_tensor<2x8x12xf32, @mesh>
  %v19 = tessera.layer_norm %v18, %l0_n1g, %l0_n1b epsilon 1.0e-12 : !tessera.mesh_tensor<2x8x12xf32, @mesh>, !tessera.mesh_tensor<12xf32, @mesh>, !tessera.mesh_tensor<12xf32, @mesh> -> !tessera.mesh_tensor<2x8x12xf32, @mesh>
  %v20 = tessera.contract %v19, %l0_w1 "bsk,nk->bsn" : !tessera.mesh_tensor<2x8x12xf32, @mesh>, !tessera.mesh_tensor<20x12xf32, @mesh, [{tp, ?}, {?}]> -> !tessera.mesh_tensor<2x8x20xf32, @mesh>
  %v21 = tessera.broadcast %l0_b1 dims [2] : !tessera.mesh_tensor<20xf32, @mesh> -> !tessera.mesh_tensor<2x8x20xf32, @mesh>
  %v22 = tessera.add %v20, %v21 : !tessera.mesh_tensor<2x8x20xf32, @mesh>
  %v23 = tessera.gelu %v22 approximation none : !tessera.mesh_tensor<2x8x20xf32, @mesh> -> !tessera.mesh_tensor<2x8x20xf32, @mesh>
  %v24 = tessera.contract %v23, %l0_w2 "bsk,nk->bsn" : !tessera.mesh_tensor<2x8x20xf32, @mesh>, !tessera.mesh_tensor<12x20xf32, @mesh> -> !tessera.mesh_tensor<2x8x12xf32, @mesh>
  %v25 = tessera.broadcast %l0_b2 dims [2] : !tessera.mesh_tensor<12xf32, @mesh> -> !tessera.mesh_tensor<2x8x12xf32, @mesh>
  %v26 = tessera.add %v24, %v25 : !tessera.mesh_tensor<2x8x12xf32, @mesh>
  %v27 = tessera.add %v26, %v19 : !tessera.mesh_tensor<2x8x12xf32, @mesh>
  %v28 = tessera.layer_norm %v27, %l0_n2g, %l0_n2b epsilon 1.0e-12 : !tessera.mesh_tensor<2x8x12xf32, @mesh>, !tessera.mesh_tensor<12xf32, @mesh>, !tessera.mesh_tensor<12xf32, @mesh> -> !tessera.mesh_tensor<2x8x12xf32, @mesh>
  return %v28 : !tessera.mesh_tensor<2x8x12xf32, @mesh>
}
