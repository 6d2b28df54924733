// RUN: tessera-opt %s --tessera-vectorize="function=f size=4" | FileCheck %s
// RUN: tessera-opt %s --tessera-vectorize="function=f size=4 axes=dp" | FileCheck %s --check-prefix=SPLIT

// CHECK-LABEL: func.func @f.batched(%arg0: !tessera.mesh_tensor<4x6xf32, @mesh, [{?}, {tp}]>)
// CHECK: tessera.constrain %{{.*}} to <@mesh, [{?}, {tp}]>
// CHECK: tessera.reshard %{{.*}} -> <4x6xf32, @mesh, [{?}, {}]>
// SPLIT-LABEL: func.func @f.batched(%arg0: !tessera.mesh_tensor<4x6xf32, @mesh, [{?}, {tp}]>)
// SPLIT: tessera.constrain %{{.*}} to <@mesh, [{dp}, {tp}]>
// SPLIT: tessera.reshard %{{.*}} -> <4x6xf32, @mesh, [{dp}, {}]>
dist.mesh @mesh <[dp = 2, tp = 2]>
func.func @f(%x: !tessera.mesh_tensor<6xf32, @mesh, [{tp}]>) -> !tessera.mesh_tensor<6xf32, @mesh, [{}]> {
  %1 = tessera.constrain %x to <@mesh, [{tp}]> : !tessera.mesh_tensor<6xf32, @mesh, [{tp}]> -> !tessera.mesh_tensor<6xf32, @mesh>
  %2 = tessera.reshard %1 : !tessera.mesh_tensor<6xf32, @mesh> -> !tessera.mesh_tensor<6xf32, @mesh, [{}]>
  return %2 : !tessera.mesh_tensor<6xf32, @mesh, [{}]>
}
