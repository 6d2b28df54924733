// RUN: tessera-opt %s --tessera-propagate-layouts | FileCheck %s

dist.mesh @mesh <[dp = 2, tp = 2]>

// The split of the first weights reaches the second ones through the body: from
// the sequence to its slice, and from a slice to its sequence.
// CHECK-LABEL: @layers
// CHECK-SAME: %arg2: !tessera.mesh_tensor<3x8x6xf32, @mesh, [{}, {tp}, {}]> {tessera.origins = {tp = ["sequence 1 of tessera.scan at {{.*}} ties it to dimension 0 of sequence 1 of tessera.scan at
// CHECK: = tessera.scan
// CHECK-SAME: "sequence 0" = {tp = ["sequence 0 of tessera.scan at {{.*}} ties it to dimension 2 of argument 1"
// CHECK-NEXT: ^bb0(%{{.*}}: !tessera.mesh_tensor<i32, @mesh>, %{{.*}}: !tessera.mesh_tensor<4x6xf32, @mesh, [{}, {}]>, %{{.*}}: !tessera.mesh_tensor<6x8xf32, @mesh, [{}, {tp}]>, %{{.*}}: !tessera.mesh_tensor<8x6xf32, @mesh, [{tp}, {}]>):
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

// The leading dimension is split outside of the loop only.
// CHECK-LABEL: @split_sequence
// CHECK: = tessera.scan (%{{.*}}) over (%{{.*}}) length 4 reverse
// CHECK-SAME: over (!tessera.mesh_tensor<4x5xf32, @mesh, [{tp}, {dp}]>) -> (!tessera.mesh_tensor<5xf32, @mesh, [{dp}]>, !tessera.mesh_tensor<4x5xf32, @mesh, [{}, {dp}]>)
// CHECK-NEXT: ^bb0(%{{.*}}, %{{.*}}: !tessera.mesh_tensor<5xf32, @mesh, [{dp}]>, %{{.*}}: !tessera.mesh_tensor<5xf32, @mesh, [{dp}]>):
func.func @split_sequence(%xs: !tessera.mesh_tensor<4x5xf32, @mesh, [{tp}, {dp}]>, %init: !tessera.mesh_tensor<5xf32, @mesh>) -> (!tessera.mesh_tensor<4x5xf32, @mesh>, !tessera.mesh_tensor<5xf32, @mesh>) {
  %r:2 = tessera.scan (%init) over (%xs) length 4 reverse : (!tessera.mesh_tensor<5xf32, @mesh>) over (!tessera.mesh_tensor<4x5xf32, @mesh, [{tp}, {dp}]>) -> (!tessera.mesh_tensor<5xf32, @mesh>, !tessera.mesh_tensor<4x5xf32, @mesh>) {
  ^bb0(%i: !tessera.mesh_tensor<i32, @mesh>, %c: !tessera.mesh_tensor<5xf32, @mesh>, %x: !tessera.mesh_tensor<5xf32, @mesh>):
    %0 = tessera.mul %c, %x : !tessera.mesh_tensor<5xf32, @mesh>
    tessera.yield %0, %0 : !tessera.mesh_tensor<5xf32, @mesh>, !tessera.mesh_tensor<5xf32, @mesh>
  }
  return %r#1, %r#0 : !tessera.mesh_tensor<4x5xf32, @mesh>, !tessera.mesh_tensor<5xf32, @mesh>
}

// From the initial value to both regions and the result.
// CHECK-LABEL: @until_small
// CHECK: = tessera.while
// CHECK-SAME: -> (!tessera.mesh_tensor<7xf32, @mesh, [{tp}]>, !tessera.mesh_tensor<i32, @mesh>) cond {
// CHECK-NEXT: ^bb0(%{{.*}}: !tessera.mesh_tensor<7xf32, @mesh, [{tp}]>,
// CHECK: } do {
// CHECK-NEXT: ^bb0(%{{.*}}: !tessera.mesh_tensor<7xf32, @mesh, [{tp}]>,
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
