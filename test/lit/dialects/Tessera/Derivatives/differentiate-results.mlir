// RUN: tessera-opt %s --tessera-differentiate="function=loss mode=vjp of=0" 2>/dev/null | FileCheck %s --check-prefixes=VJP,ALL
// RUN: tessera-opt %s --tessera-differentiate="function=loss mode=linearize of=0" 2>/dev/null | FileCheck %s --check-prefixes=LIN,ALL
// RUN: tessera-opt %s --tessera-differentiate="function=loss mode=jvp of=0" | FileCheck %s --check-prefixes=JVP,ALL
// RUN: tessera-opt %s --tessera-differentiate="function=loss" | FileCheck %s --check-prefixes=GRAD,ALL
// RUN: not tessera-opt %s --tessera-differentiate="function=loss mode=vjp of=1" 2>&1 | FileCheck %s --check-prefix=INT
// RUN: not tessera-opt %s --tessera-differentiate="function=loss mode=vjp of=3" 2>&1 | FileCheck %s --check-prefix=MANY

// Results beside the first have no tangents and no cotangents, and nothing is
// computed for them; mode grad takes the first one only.

// INT: error: cannot differentiate result 1, of type {{.*}}; expected elements of a float type
// MANY: error: cannot differentiate result 3; function @loss has 3

// VJP-LABEL: func.func private @loss.bwd(%arg0: !tessera.mesh_tensor<f64, @mesh>)
// VJP-NEXT: tessera.broadcast %arg0
// VJP-NEXT: return

// LIN-LABEL: func.func private @loss.lin(%arg0: !tessera.mesh_tensor<3xf64, @mesh>) -> !tessera.mesh_tensor<f64, @mesh>
// LIN-NEXT: tessera.reduce sum %arg0
// LIN-NEXT: return

// JVP-LABEL: func.func private @loss.jvp(
// JVP: return %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} : !tessera.mesh_tensor<f64, @mesh>, !tessera.mesh_tensor<3xi32, @mesh>, !tessera.mesh_tensor<3xf64, @mesh>, !tessera.mesh_tensor<f64, @mesh>

// GRAD-LABEL: func.func @loss.grad(
// GRAD: tessera.broadcast
// GRAD-NOT: tessera.mul
// GRAD: return

// ALL-NOT: tessera.cos
dist.mesh @mesh <[tp = 2]>
func.func @loss(%x: !tessera.mesh_tensor<3xf64, @mesh>) -> (!tessera.mesh_tensor<f64, @mesh>, !tessera.mesh_tensor<3xi32, @mesh>, !tessera.mesh_tensor<3xf64, @mesh>) {
  %0 = tessera.reduce sum %x dims [0] : !tessera.mesh_tensor<3xf64, @mesh> -> !tessera.mesh_tensor<f64, @mesh>
  %1 = tessera.iota dim 0 : !tessera.mesh_tensor<3xi32, @mesh>
  %2 = tessera.sin %x : !tessera.mesh_tensor<3xf64, @mesh>
  return %0, %1, %2 : !tessera.mesh_tensor<f64, @mesh>, !tessera.mesh_tensor<3xi32, @mesh>, !tessera.mesh_tensor<3xf64, @mesh>
}
