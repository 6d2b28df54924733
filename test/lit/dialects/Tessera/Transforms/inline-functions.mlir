// RUN: tessera-opt %s --split-input-file --tessera-inline-functions | FileCheck %s

dist.mesh @mesh <[tp = 2]>

// Of a module of one function nothing is inlined; what is computed twice is
// computed once.
// CHECK-LABEL: func.func @alone
// CHECK-NEXT: %[[EXP:.*]] = tessera.exp %{{.*}}
// CHECK-NEXT: %[[SUM:.*]] = tessera.add %[[EXP]], %[[EXP]]
// CHECK-NEXT: return %[[SUM]]
func.func @alone(%x: !tessera.mesh_tensor<4xf32, @mesh>) -> !tessera.mesh_tensor<4xf32, @mesh> {
  %0 = tessera.exp %x : !tessera.mesh_tensor<4xf32, @mesh>
  %1 = tessera.exp %x : !tessera.mesh_tensor<4xf32, @mesh>
  %2 = tessera.add %0, %1 : !tessera.mesh_tensor<4xf32, @mesh>
  return %2 : !tessera.mesh_tensor<4xf32, @mesh>
}

// -----

// Nothing can call a private function but what is in the module.
// CHECK-NOT: @unused
dist.mesh @mesh <[tp = 2]>
func.func private @unused(%x: !tessera.mesh_tensor<4xf32, @mesh>) -> !tessera.mesh_tensor<4xf32, @mesh> {
  return %x : !tessera.mesh_tensor<4xf32, @mesh>
}

// -----

dist.mesh @mesh <[tp = 2]>

// CHECK-LABEL: func.func @caller
// CHECK-SAME: (%[[X:.*]]: !tessera.mesh_tensor<4xf32, @mesh>)
// CHECK-NEXT: return %[[X]]
// CHECK-NOT: @callee
func.func @caller(%x: !tessera.mesh_tensor<4xf32, @mesh>) -> !tessera.mesh_tensor<4xf32, @mesh> {
  %0 = func.call @callee(%x) : (!tessera.mesh_tensor<4xf32, @mesh>) -> !tessera.mesh_tensor<4xf32, @mesh>
  return %0 : !tessera.mesh_tensor<4xf32, @mesh>
}

func.func private @callee(%x: !tessera.mesh_tensor<4xf32, @mesh>) -> !tessera.mesh_tensor<4xf32, @mesh> {
  return %x : !tessera.mesh_tensor<4xf32, @mesh>
}
