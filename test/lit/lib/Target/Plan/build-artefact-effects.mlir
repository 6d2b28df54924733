// Prints and checks happen where the program gets to them, on both targets.
// RUN: rm -rf %t && mkdir %t
// RUN: tessera-compile %s -o %t/cpu.tsa
// RUN: tessera-compile %s --target=emulated -o %t/emulated.tsa
// RUN: tessera-run %t/cpu.tsa | FileCheck %s
// RUN: tessera-run %t/emulated.tsa | FileCheck %s
// RUN: sed 's/dense<1.0>/dense<7.0>/' %s | tessera-compile - -o %t/fails.tsa
// RUN: not tessera-run %t/fails.tsa 2>&1 | FileCheck %s --check-prefix=FAILS

// CHECK: {x} is {{\[\[}}1, 1, 1], [1, 1, 1]]
// CHECK-NEXT: row 0 sums to 3
// CHECK-NEXT: row 1 sums to 3
// FAILS: row 1 sums to 21
// FAILS-NEXT: step {{[0-9]+}} (check: <stdin>:[[# @LINE + 16]]): 21 is too much
dist.mesh @mesh <[tp = 2]>
func.func @main() -> !tessera.mesh_tensor<f32, @mesh> {
  %ones = tessera.constant dense<1.0> : tensor<2x3xf32> : !tessera.mesh_tensor<2x3xf32, @mesh>
  %x = tessera.constrain %ones to <@mesh, [{}, {tp}]> : !tessera.mesh_tensor<2x3xf32, @mesh> -> !tessera.mesh_tensor<2x3xf32, @mesh>
  tessera.debug_print "{{x}} is {}" (%x) : !tessera.mesh_tensor<2x3xf32, @mesh>
  %zero = tessera.constant dense<0.0> : tensor<f32> : !tessera.mesh_tensor<f32, @mesh>
  %total = tessera.scan (%zero) over (%x) length 2 : (!tessera.mesh_tensor<f32, @mesh>) over (!tessera.mesh_tensor<2x3xf32, @mesh>)
      -> (!tessera.mesh_tensor<f32, @mesh>) {
  ^bb0(%i: !tessera.mesh_tensor<i32, @mesh>, %last: !tessera.mesh_tensor<f32, @mesh>, %row: !tessera.mesh_tensor<3xf32, @mesh>):
    %sum = tessera.reduce sum %row dims [0] : !tessera.mesh_tensor<3xf32, @mesh> -> !tessera.mesh_tensor<f32, @mesh>
    tessera.debug_print "row {} sums to {}" (%i, %sum) ordered : !tessera.mesh_tensor<i32, @mesh>, !tessera.mesh_tensor<f32, @mesh>
    tessera.yield %sum : !tessera.mesh_tensor<f32, @mesh>
  }
  %limit = tessera.constant dense<9.0> : tensor<f32> : !tessera.mesh_tensor<f32, @mesh>
  %holds = tessera.compare lt %total, %limit : !tessera.mesh_tensor<f32, @mesh>, !tessera.mesh_tensor<f32, @mesh> -> !tessera.mesh_tensor<i1, @mesh>
  tessera.debug_check %holds "{} is too much" (%total) : !tessera.mesh_tensor<i1, @mesh>, (!tessera.mesh_tensor<f32, @mesh>)
  return %total : !tessera.mesh_tensor<f32, @mesh>
}
