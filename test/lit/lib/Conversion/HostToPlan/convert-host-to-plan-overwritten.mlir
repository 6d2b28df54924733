// RUN: tessera-opt %s --convert-host-to-plan | FileCheck %s

dist.mesh @mesh <[tp = 1]>
tile.kernel @sub grid [2] inputs 2 {
^bb0(%p: memref<2x3xf32>, %g: memref<2x3xf32>, %z: memref<2x3xf32>):
  %c0 = arith.constant 0 : index
  %i = tile.program_id 0
  %0 = tile.load %p[%i, %c0] : memref<2x3xf32> -> tensor<1x3xf32>
  %1 = tile.load %g[%i, %c0] : memref<2x3xf32> -> tensor<1x3xf32>
  %2 = arith.subf %0, %1 : tensor<1x3xf32>
  tile.store %2, %z[%i, %c0] : tensor<1x3xf32>, memref<2x3xf32>
}

// A value is written over an operand that nothing reads later, but not over arguments, or two operands at once.
// CHECK-LABEL: plan.program @main
func.func @main(%x: tensor<2x3xf32> {dist.layout = #dist.layout<@mesh, [{}, {}]>, dist.global_type = tensor<2x3xf32>},
                %y: tensor<2x3xf32> {dist.layout = #dist.layout<@mesh, [{}, {}]>, dist.global_type = tensor<2x3xf32>})
    -> (tensor<2x3xf32> {dist.layout = #dist.layout<@mesh, [{}, {}]>, dist.global_type = tensor<2x3xf32>}) {
  // CHECK: %[[X:.*]] = plan.input "arg0"
  // CHECK: %[[Y:.*]] = plan.input "arg1"
  // CHECK: %[[Z:.*]] = plan.output "result0"
  // CHECK-NEXT: %[[A:.*]] = plan.allocate
  // CHECK-NEXT: plan.launch @sub grid [2](%[[X]], %[[Y]]) to(%[[A]])
  %0 = tile.launch @sub(%x, %y) : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  // Read later.
  // CHECK-NEXT: %[[B:.*]] = plan.allocate
  // CHECK-NEXT: plan.launch @sub grid [2](%[[A]], %[[Y]]) to(%[[B]])
  %1 = tile.launch @sub(%0, %y) : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK-NEXT: plan.launch @sub grid [2](%[[B]], %[[A]]) to(%[[B]])
  %2 = tile.launch @sub(%1, %0) : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK-NEXT: %[[C:.*]] = plan.allocate
  // CHECK-NEXT: plan.launch @sub grid [2](%[[B]], %[[B]]) to(%[[C]])
  %3 = tile.launch @sub(%2, %2) : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK-NEXT: plan.launch @sub grid [2](%[[C]], %[[Y]]) to(%[[Z]])
  %4 = tile.launch @sub(%3, %y) : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  return %4 : tensor<2x3xf32>
}
