// An axis of one device may stand at one operand's heads and not at another's.
// RUN: tessera-opt %s --tessera-layouts-to-reshards | FileCheck %s

dist.mesh @mesh <[x = 1, y = 2]>

// CHECK: tessera.attention
func.func @main(%q: !tessera.mesh_tensor<1x4x3x2xf32, @mesh, [{}, {}, {}, {}]>,
                %k: !tessera.mesh_tensor<1x5x1x2xf32, @mesh, [{}, {}, {}, {}]>,
                %v: !tessera.mesh_tensor<1x5x1x6xf32, @mesh, [{}, {}, {x}, {}]>)
    -> !tessera.mesh_tensor<1x4x3x6xf32, @mesh, [{}, {}, {}, {}]> {
  %0 = tessera.attention %q, %k, %v scale 0.5
      : !tessera.mesh_tensor<1x4x3x2xf32, @mesh, [{}, {}, {}, {}]>,
        !tessera.mesh_tensor<1x5x1x2xf32, @mesh, [{}, {}, {}, {}]>,
        !tessera.mesh_tensor<1x5x1x6xf32, @mesh, [{}, {}, {x}, {}]>
      -> !tessera.mesh_tensor<1x4x3x6xf32, @mesh, [{}, {}, {}, {}]>
  return %0 : !tessera.mesh_tensor<1x4x3x6xf32, @mesh, [{}, {}, {}, {}]>
}
