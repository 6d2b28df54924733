// RUN: tessera-opt %s --convert-host-to-plan --split-input-file | FileCheck %s

dist.mesh @mesh <[tp = 2]>
tile.kernel @k grid [2] inputs 1 {
^bb0(%x: memref<2x3xf32>, %y: memref<2x3xf32>):
}

// CHECK-LABEL: plan.program @main on @mesh
func.func @main(%x: tensor<2x3xf32> {dist.layout = #dist.layout<@mesh, [{tp}, {}]>, dist.global_type = tensor<4x3xf32>, tessera.name = "x"})
    -> (tensor<6xf32> {dist.layout = #dist.layout<@mesh, [{}]>, dist.global_type = tensor<6xf32>}) {
  // CHECK-NEXT: %[[X:.*]] = plan.input "x" : tensor<4x3xf32> as tensor<2x3xf32> layout <@mesh, [{tp}, {}]> -> <24>
  // CHECK-NEXT: %[[Y:.*]] = plan.output "result0" : tensor<6xf32> as tensor<6xf32>
  // CHECK-NEXT: %[[T:.*]] = plan.allocate -> <24>
  // CHECK-NEXT: plan.launch @k grid [2](%[[X]]) to(%[[T]])
  %0 = tile.launch @k(%x) : (tensor<2x3xf32>) -> tensor<2x3xf32>
  // The sum is formed in the output, which the launch writes; %0 has a later use.
  // CHECK-NEXT: plan.launch @k grid [2](%[[T]]) to(%[[Y]])
  %1 = tile.launch @k(%0) : (tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK-NEXT: plan.collective all_reduce %[[Y]] to %[[Y]] over {tp}
  %2 = dist.all_reduce sum %1 over @mesh {tp} : tensor<2x3xf32>
  %3 = tessera.reshape %2 : tensor<2x3xf32> -> tensor<6xf32>
  // CHECK-NOT: plan.copy
  return %3 : tensor<6xf32>
}

// -----

dist.mesh @mesh <[tp = 2]>
tile.kernel @k grid [2] inputs 1 {
^bb0(%x: memref<2x3xf32>, %y: memref<2x3xf32>):
}

// An operand that is read again is not overwritten.
// CHECK-LABEL: plan.program @main on @mesh
func.func @main(%x: tensor<2x3xf32> {dist.layout = #dist.layout<@mesh, [{tp}, {}]>, dist.global_type = tensor<4x3xf32>})
    -> (tensor<2x3xf32> {dist.layout = #dist.layout<@mesh, [{}, {}]>, dist.global_type = tensor<2x3xf32>},
        tensor<2x3xf32> {dist.layout = #dist.layout<@mesh, [{tp}, {}]>, dist.global_type = tensor<4x3xf32>},
        tensor<2x3xf32> {dist.layout = #dist.layout<@mesh, [{tp}, {}]>, dist.global_type = tensor<4x3xf32>}) {
  // CHECK: %[[X:.*]] = plan.input
  // CHECK: %[[SUM:.*]] = plan.output "result0"
  // CHECK: %[[TERM:.*]] = plan.output "result1"
  // CHECK: %[[COPY:.*]] = plan.output "result2"
  // CHECK-NEXT: plan.launch @k grid [2](%[[X]]) to(%[[TERM]])
  %0 = tile.launch @k(%x) : (tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK-NEXT: plan.collective all_reduce %[[TERM]] to %[[SUM]] over {tp}
  %1 = dist.all_reduce sum %0 over @mesh {tp} : tensor<2x3xf32>
  // An input that is returned is copied.
  // CHECK-NEXT: plan.copy %[[X]] to %[[COPY]]
  return %1, %0, %x : tensor<2x3xf32>, tensor<2x3xf32>, tensor<2x3xf32>
}

// -----

dist.mesh @mesh <[tp = 2]>

// CHECK-LABEL: plan.program @main on @mesh
func.func @main() -> (tensor<2xi32> {dist.layout = #dist.layout<@mesh, [{}]>, dist.global_type = tensor<2xi32>},
                      tensor<2048xf32> {dist.layout = #dist.layout<@mesh, [{tp}]>, dist.global_type = tensor<4096xf32>},
                      tensor<i32> {dist.layout = #dist.layout<@mesh, []>, dist.global_type = tensor<i32>}) {
  // CHECK: %[[A:.*]] = plan.output "result0"
  // CHECK: %[[B:.*]] = plan.output "result1"
  // CHECK: %[[C:.*]] = plan.output "result2"
  // CHECK-NEXT: %[[CST:.*]] = plan.constant dense<[1, 2]> : tensor<2xi32> -> <8>
  %0 = tessera.constant dense<[1, 2]> : tensor<2xi32> : tensor<2xi32>
  // Large splats are filled.
  // CHECK-NEXT: plan.fill %[[B]] with 1.000000e+00 : f32
  %1 = tessera.constant dense<1.0> : tensor<2048xf32> : tensor<2048xf32>
  // CHECK-NEXT: plan.device_value valid_extent {tp} of 7 to %[[C]]
  %2 = dist.valid_extent @mesh {tp} of 7 : tensor<i32>
  // CHECK-NEXT: plan.copy %[[CST]] to %[[A]]
  return %0, %1, %2 : tensor<2xi32>, tensor<2048xf32>, tensor<i32>
}
