// RUN: tessera-opt %s | tessera-opt | FileCheck %s
// RUN: tessera-opt %s --mlir-print-op-generic | tessera-opt | FileCheck %s

dist.mesh @mesh <[tp = 2]>

// CHECK-LABEL: plan.program @buffers_of_every_kind on @mesh {
plan.program @buffers_of_every_kind on @mesh {
  // CHECK: plan.input "x" : tensor<4x3xf32> as tensor<2x3xf32> layout <@mesh, [{tp}, {}]> -> <24>
  %x = plan.input "x" : tensor<4x3xf32> as tensor<2x3xf32> layout <@mesh, [{tp}, {}]> -> !plan.buffer<24>
  // CHECK: plan.output "y" : tensor<5xbf16> as tensor<5xbf16> layout <@mesh, [{}]> -> <10>
  %y = plan.output "y" : tensor<5xbf16> as tensor<5xbf16> layout <@mesh, [{}]> -> !plan.buffer<10>
  // CHECK: plan.constant dense<[1, 2, 3]> : tensor<3xi32> -> <12>
  %c = plan.constant dense<[1, 2, 3]> : tensor<3xi32> -> !plan.buffer<12>
  // CHECK: plan.allocate -> <24>
  %t = plan.allocate -> !plan.buffer<24>
}

// CHECK-LABEL: plan.program @memory_is_assigned on @mesh arena 128 {
plan.program @memory_is_assigned on @mesh arena 128 {
  // CHECK: plan.allocate at 64 -> <24>
  %t = plan.allocate at 64 -> !plan.buffer<24>
}
