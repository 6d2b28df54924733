// RUN: not tessera-compile %s --emit=plan '--entry=a}b' 2>&1 | FileCheck %s

dist.mesh @mesh <[tp = 2]>

// CHECK: compile-entry-invalid.mlir:[[#@LINE+1]]:{{.*}}error: cannot be the entry: its name has characters other than letters, digits
func.func @"a}b"(%x: !tessera.mesh_tensor<2x3xf32, @mesh>)
    -> !tessera.mesh_tensor<2x3xf32, @mesh> {
  return %x : !tessera.mesh_tensor<2x3xf32, @mesh>
}
