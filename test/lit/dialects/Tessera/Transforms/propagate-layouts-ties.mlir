// RUN: tessera-opt %s --tessera-propagate-layouts | FileCheck %s
// RUN: tessera-opt %s --tessera-check-equivalence="pipeline=tessera-propagate-layouts,tessera-insert-reshards,tessera-partition"

dist.mesh @mesh <[tp = 2]>

// The result takes the argument's layout, though nothing computes it from it.
// CHECK-LABEL: @result_follows_its_argument
// CHECK-SAME: -> !tessera.mesh_tensor<4x6xf32, @mesh, [{tp}, {}]>
func.func @result_follows_its_argument(%p: !tessera.mesh_tensor<4x6xf32, @mesh, [{tp}, {}]> {tessera.tied = 0 : i64}, %x: !tessera.mesh_tensor<4x6xf32, @mesh>) -> !tessera.mesh_tensor<4x6xf32, @mesh> {
  %0 = tessera.exp %x : !tessera.mesh_tensor<4x6xf32, @mesh>
  return %0 : !tessera.mesh_tensor<4x6xf32, @mesh>
}

// CHECK-LABEL: @argument_follows_its_result
// CHECK-SAME: %arg0: !tessera.mesh_tensor<4x6xf32, @mesh, [{}, {tp}]>
func.func @argument_follows_its_result(%p: !tessera.mesh_tensor<4x6xf32, @mesh> {tessera.tied = 0 : i64}, %x: !tessera.mesh_tensor<4x6xf32, @mesh, [{}, {tp}]>) -> !tessera.mesh_tensor<4x6xf32, @mesh> {
  %0 = tessera.exp %x : (!tessera.mesh_tensor<4x6xf32, @mesh, [{}, {tp}]>) -> !tessera.mesh_tensor<4x6xf32, @mesh>
  return %0 : !tessera.mesh_tensor<4x6xf32, @mesh>
}

// Of two annotations that differ, the argument's is that of the memory.
// CHECK-LABEL: @annotations_that_differ
// CHECK-SAME: -> !tessera.mesh_tensor<4x6xf32, @mesh, [{tp}, {}]>
// CHECK: %[[R:.*]] = tessera.reshard %{{.*}} : <4x6xf32, @mesh, [{}, {tp}]> -> <4x6xf32, @mesh, [{tp}, {}]>
// CHECK: return %[[R]]
func.func @annotations_that_differ(%p: !tessera.mesh_tensor<4x6xf32, @mesh, [{tp}, {}]> {tessera.tied = 0 : i64}, %x: !tessera.mesh_tensor<4x6xf32, @mesh, [{}, {tp}]>) -> !tessera.mesh_tensor<4x6xf32, @mesh, [{}, {tp}]> {
  %0 = tessera.exp %x : !tessera.mesh_tensor<4x6xf32, @mesh, [{}, {tp}]>
  return %0 : !tessera.mesh_tensor<4x6xf32, @mesh, [{}, {tp}]>
}

// A whole result is not taken apart into the terms that its argument is of.
// CHECK-LABEL: @partial_argument
// CHECK-SAME: -> !tessera.mesh_tensor<4x6xf32, @mesh, [{}, {}]>
// CHECK-NOT: tessera.reshard
func.func @partial_argument(%p: !tessera.mesh_tensor<4x6xf32, @mesh, [{}, {}], partial = sum{tp}> {tessera.tied = 0 : i64}, %x: !tessera.mesh_tensor<4x6xf32, @mesh>) -> !tessera.mesh_tensor<4x6xf32, @mesh> {
  %0 = tessera.exp %x : !tessera.mesh_tensor<4x6xf32, @mesh>
  return %0 : !tessera.mesh_tensor<4x6xf32, @mesh>
}
