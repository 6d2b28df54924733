// RUN: tessera-opt %s --tessera-insert-reshards | FileCheck %s

dist.mesh @mesh <[tp = 2]>

// Terms are rounded to the type that the constraint names, and moved in it; a
// whole value is not.
// CHECK-LABEL: @terms_move_in_bf16
// CHECK: %[[SUM:.*]] = tessera.reduce sum %arg0
// CHECK: %[[TERM:.*]] = tessera.convert %[[SUM]] {tessera.rounds_terms} : {{.*}}f32, @mesh, [{}], partial = sum{tp}> -> {{.*}}bf16, @mesh, [{}], partial = sum{tp}>
// CHECK: %[[MOVED:.*]] = tessera.reshard %[[TERM]]
// CHECK: %[[WIDE:.*]] = tessera.convert %[[MOVED]] : {{.*}}bf16, @mesh, [{}]> -> {{.*}}f32, @mesh, [{}]>
// CHECK: return %[[WIDE]], %arg1
func.func @terms_move_in_bf16(%x: !tessera.mesh_tensor<3x4xf32, @mesh, [{}, {tp}]>, %y: !tessera.mesh_tensor<3xf32, @mesh, [{}]>) -> (!tessera.mesh_tensor<3xf32, @mesh, [{}]>, !tessera.mesh_tensor<3xf32, @mesh, [{}]>) {
  %0 = tessera.reduce sum %x dims [1] : !tessera.mesh_tensor<3x4xf32, @mesh, [{}, {tp}]> -> !tessera.mesh_tensor<3xf32, @mesh, [{}]>
  %1 = tessera.constrain %0 to <@mesh, [{?}]> reduce bf16 : !tessera.mesh_tensor<3xf32, @mesh, [{}]> -> !tessera.mesh_tensor<3xf32, @mesh, [{}]>
  %2 = tessera.constrain %y to <@mesh, [{?}]> reduce bf16 : !tessera.mesh_tensor<3xf32, @mesh, [{}]> -> !tessera.mesh_tensor<3xf32, @mesh, [{}]>
  return %1, %2 : !tessera.mesh_tensor<3xf32, @mesh, [{}]>, !tessera.mesh_tensor<3xf32, @mesh, [{}]>
}
