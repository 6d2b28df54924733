// RUN: tessera-opt %s --tessera-propagate-layouts --tessera-insert-reshards --tessera-partition | FileCheck %s
// RUN: tessera-opt %s --tessera-check-equivalence="pipeline=tessera-propagate-layouts,tessera-insert-reshards,tessera-partition runs=2"

dist.mesh @mesh <[dp = 2, tp = 2]>

// Padding of the uneven microbatches is masked in the loop.
// CHECK-LABEL: @accumulate
// CHECK: = tessera.scan (%{{.*}}) over (%{{.*}}) length 8 : (tensor<6x6xf32>) over (tensor<8x3x6xf32>) -> (tensor<6x6xf32>) {
// CHECK-NEXT: ^bb0(%{{.*}}: tensor<i32>, %[[C:.*]]: tensor<6x6xf32>, %[[X:.*]]: tensor<3x6xf32>):
// CHECK: = dist.valid_extent @mesh {dp} of 5
// CHECK: %[[M:.*]] = tessera.select %{{.*}}, %[[X]]
// CHECK: %[[P:.*]] = tessera.contract
// CHECK: %[[S:.*]] = tessera.add %[[C]], %[[P]]
// CHECK-NEXT: tessera.yield %[[S]]
// CHECK: = dist.all_reduce sum
func.func @accumulate(%xs: !tessera.mesh_tensor<8x5x6xf32, @mesh, [{}, {dp}, {}]>) -> !tessera.mesh_tensor<6x6xf32, @mesh> {
  %zero = tessera.constant dense<0.0> : tensor<6x6xf32> : !tessera.mesh_tensor<6x6xf32, @mesh>
  %r = tessera.scan (%zero) over (%xs) length 8 : (!tessera.mesh_tensor<6x6xf32, @mesh>) over (!tessera.mesh_tensor<8x5x6xf32, @mesh, [{}, {dp}, {}]>) -> (!tessera.mesh_tensor<6x6xf32, @mesh>) {
  ^bb0(%i: !tessera.mesh_tensor<i32, @mesh>, %c: !tessera.mesh_tensor<6x6xf32, @mesh>, %x: !tessera.mesh_tensor<5x6xf32, @mesh>):
    %0 = tessera.contract %x, %x "bm,bn->mn" : !tessera.mesh_tensor<5x6xf32, @mesh>, !tessera.mesh_tensor<5x6xf32, @mesh> -> !tessera.mesh_tensor<6x6xf32, @mesh>
    %1 = tessera.add %c, %0 : !tessera.mesh_tensor<6x6xf32, @mesh>
    tessera.yield %1 : !tessera.mesh_tensor<6x6xf32, @mesh>
  }
  return %r : !tessera.mesh_tensor<6x6xf32, @mesh>
}

// CHECK-LABEL: @layers
// CHECK: = tessera.scan
// CHECK: = dist.all_reduce sum %{{.*}} over @mesh {tp}
// CHECK-NOT: = dist.
// CHECK: return
func.func @layers(%x: !tessera.mesh_tensor<4x6xf32, @mesh>, %w1s: !tessera.mesh_tensor<3x6x8xf32, @mesh, [{}, {}, {tp}]>, %w2s: !tessera.mesh_tensor<3x8x6xf32, @mesh>) -> !tessera.mesh_tensor<4x6xf32, @mesh> {
  %r = tessera.scan (%x) over (%w1s, %w2s) length 3 : (!tessera.mesh_tensor<4x6xf32, @mesh>) over (!tessera.mesh_tensor<3x6x8xf32, @mesh, [{}, {}, {tp}]>, !tessera.mesh_tensor<3x8x6xf32, @mesh>) -> (!tessera.mesh_tensor<4x6xf32, @mesh>) {
  ^bb0(%i: !tessera.mesh_tensor<i32, @mesh>, %c: !tessera.mesh_tensor<4x6xf32, @mesh>, %w1: !tessera.mesh_tensor<6x8xf32, @mesh>, %w2: !tessera.mesh_tensor<8x6xf32, @mesh>):
    %0 = tessera.contract %c, %w1 "mk,kn->mn" : !tessera.mesh_tensor<4x6xf32, @mesh>, !tessera.mesh_tensor<6x8xf32, @mesh> -> !tessera.mesh_tensor<4x8xf32, @mesh>
    %1 = tessera.gelu %0 approximation none : !tessera.mesh_tensor<4x8xf32, @mesh> -> !tessera.mesh_tensor<4x8xf32, @mesh>
    %2 = tessera.contract %1, %w2 "mk,kn->mn" : !tessera.mesh_tensor<4x8xf32, @mesh>, !tessera.mesh_tensor<8x6xf32, @mesh> -> !tessera.mesh_tensor<4x6xf32, @mesh>
    %3 = tessera.add %c, %2 : !tessera.mesh_tensor<4x6xf32, @mesh>
    tessera.yield %3 : !tessera.mesh_tensor<4x6xf32, @mesh>
  }
  return %r : !tessera.mesh_tensor<4x6xf32, @mesh>
}

// CHECK-LABEL: @until_small
// CHECK: = tessera.while (%{{.*}}, %{{.*}}) : (tensor<4xf32>, tensor<i32>) -> (tensor<4xf32>, tensor<i32>) cond {
// CHECK: = dist.all_reduce sum %{{.*}} over @mesh {tp} {{.*}} : tensor<f32>
// CHECK: } do {
func.func @until_small(%x: !tessera.mesh_tensor<7xf32, @mesh, [{tp}]>) -> (!tessera.mesh_tensor<7xf32, @mesh>, !tessera.mesh_tensor<i32, @mesh>) {
  %half = tessera.constant dense<0.5> : tensor<7xf32> : !tessera.mesh_tensor<7xf32, @mesh>
  %one = tessera.constant dense<1> : tensor<i32> : !tessera.mesh_tensor<i32, @mesh>
  %zero = tessera.constant dense<0> : tensor<i32> : !tessera.mesh_tensor<i32, @mesh>
  %limit = tessera.constant dense<0.01> : tensor<f32> : !tessera.mesh_tensor<f32, @mesh>
  %r:2 = tessera.while (%x, %zero) : (!tessera.mesh_tensor<7xf32, @mesh, [{tp}]>, !tessera.mesh_tensor<i32, @mesh>) -> (!tessera.mesh_tensor<7xf32, @mesh>, !tessera.mesh_tensor<i32, @mesh>) cond {
  ^bb0(%c: !tessera.mesh_tensor<7xf32, @mesh>, %n: !tessera.mesh_tensor<i32, @mesh>):
    %a = tessera.abs %c : !tessera.mesh_tensor<7xf32, @mesh>
    %s = tessera.reduce sum %a dims [0] : !tessera.mesh_tensor<7xf32, @mesh> -> !tessera.mesh_tensor<f32, @mesh>
    %p = tessera.compare gt %s, %limit : !tessera.mesh_tensor<f32, @mesh>, !tessera.mesh_tensor<f32, @mesh> -> !tessera.mesh_tensor<i1, @mesh>
    tessera.yield %p : !tessera.mesh_tensor<i1, @mesh>
  } do {
  ^bb0(%c: !tessera.mesh_tensor<7xf32, @mesh>, %n: !tessera.mesh_tensor<i32, @mesh>):
    %d = tessera.mul %c, %half : !tessera.mesh_tensor<7xf32, @mesh>
    %m = tessera.add %n, %one : !tessera.mesh_tensor<i32, @mesh>
    tessera.yield %d, %m : !tessera.mesh_tensor<7xf32, @mesh>, !tessera.mesh_tensor<i32, @mesh>
  }
  return %r#0, %r#1 : !tessera.mesh_tensor<7xf32, @mesh>, !tessera.mesh_tensor<i32, @mesh>
}

// CHECK-LABEL: @branches
// CHECK: = tessera.cond %{{.*}} : tensor<i32> -> (tensor<2x3xf32>) {
func.func @branches(%x: !tessera.mesh_tensor<4x6xf32, @mesh, [{dp}, {}]>, %w: !tessera.mesh_tensor<6x6xf32, @mesh, [{tp}, {}]>, %k: !tessera.mesh_tensor<i32, @mesh>) -> !tessera.mesh_tensor<4x6xf32, @mesh> {
  %y = tessera.contract %x, %w "mk,kn->mn" : !tessera.mesh_tensor<4x6xf32, @mesh, [{dp}, {}]>, !tessera.mesh_tensor<6x6xf32, @mesh, [{tp}, {}]> -> !tessera.mesh_tensor<4x6xf32, @mesh>
  %r = tessera.cond %k : !tessera.mesh_tensor<i32, @mesh> -> (!tessera.mesh_tensor<4x6xf32, @mesh>) {
    %0 = tessera.contract %y, %w "mk,kn->mn" : !tessera.mesh_tensor<4x6xf32, @mesh>, !tessera.mesh_tensor<6x6xf32, @mesh, [{tp}, {}]> -> !tessera.mesh_tensor<4x6xf32, @mesh>
    tessera.yield %0 : !tessera.mesh_tensor<4x6xf32, @mesh>
  }, {
    tessera.yield %y : !tessera.mesh_tensor<4x6xf32, @mesh>
  }, {
    %0 = tessera.constant dense<0.0> : tensor<4x6xf32> : !tessera.mesh_tensor<4x6xf32, @mesh>
    tessera.yield %0 : !tessera.mesh_tensor<4x6xf32, @mesh>
  }
  return %r : !tessera.mesh_tensor<4x6xf32, @mesh>
}
