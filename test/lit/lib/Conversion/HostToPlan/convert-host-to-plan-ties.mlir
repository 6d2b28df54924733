// RUN: tessera-opt %s --convert-host-to-plan --split-input-file | FileCheck %s

dist.mesh @mesh <[tp = 2]>
tile.kernel @sub grid [2] inputs 2 {
^bb0(%p: memref<2x3xf32>, %g: memref<2x3xf32>, %z: memref<2x3xf32>):
  %c0 = arith.constant 0 : index
  %i = tile.program_id 0
  %0 = tile.load %p[%i, %c0] : memref<2x3xf32> -> tensor<1x3xf32>
  %1 = tile.load %g[%i, %c0] : memref<2x3xf32> -> tensor<1x3xf32>
  %2 = arith.subf %0, %1 : tensor<1x3xf32>
  tile.store %2, %z[%i, %c0] : tensor<1x3xf32>, memref<2x3xf32>
}

// CHECK-LABEL: plan.program @main
func.func @main(%p: tensor<2x3xf32> {dist.layout = #dist.layout<@mesh, [{tp}, {}]>, dist.global_type = tensor<4x3xf32>, tessera.name = "p", tessera.tied = 0 : i64},
                %g: tensor<2x3xf32> {dist.layout = #dist.layout<@mesh, [{tp}, {}]>, dist.global_type = tensor<4x3xf32>, tessera.name = "g"})
    -> (tensor<2x3xf32> {dist.layout = #dist.layout<@mesh, [{tp}, {}]>, dist.global_type = tensor<4x3xf32>}) {
  // CHECK-NEXT: %[[P:.*]] = plan.input "p" donated
  // CHECK-NEXT: %[[G:.*]] = plan.input "g" :
  // CHECK-NEXT: plan.tied_output "result0" : tensor<4x3xf32> as tensor<2x3xf32> layout <@mesh, [{tp}, {}]> in %[[P]]
  // CHECK-NEXT: plan.launch @sub grid [2](%[[P]], %[[G]]) to(%[[P]])
  // CHECK-NEXT: }
  %0 = tile.launch @sub(%p, %g) : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// -----

dist.mesh @mesh <[tp = 2]>
tile.kernel @sub grid [1] inputs 2 {
^bb0(%p: memref<2x3xf32>, %g: memref<2x3xf32>, %z: memref<2x3xf32>):
  %c0 = arith.constant 0 : index
  %0 = tile.load %p[%c0, %c0] : memref<2x3xf32> -> tensor<2x3xf32>
  %1 = tile.load %g[%c0, %c0] : memref<2x3xf32> -> tensor<2x3xf32>
  %2 = arith.subf %0, %1 : tensor<2x3xf32>
  tile.store %2, %z[%c0, %c0] : tensor<2x3xf32>, memref<2x3xf32>
}

// An argument that is read after the result is written keeps its memory until
// the end, and what else is returned of it is copied before.
// CHECK-LABEL: plan.program @main
func.func @main(%p: tensor<2x3xf32> {dist.layout = #dist.layout<@mesh, [{tp}, {}]>, dist.global_type = tensor<4x3xf32>, tessera.tied = 0 : i64},
                %g: tensor<2x3xf32> {dist.layout = #dist.layout<@mesh, [{tp}, {}]>, dist.global_type = tensor<4x3xf32>})
    -> (tensor<2x3xf32> {dist.layout = #dist.layout<@mesh, [{tp}, {}]>, dist.global_type = tensor<4x3xf32>},
        tensor<2x3xf32> {dist.layout = #dist.layout<@mesh, [{tp}, {}]>, dist.global_type = tensor<4x3xf32>}) {
  // CHECK: %[[P:.*]] = plan.input "arg0" donated
  // CHECK: %[[G:.*]] = plan.input "arg1" :
  // CHECK: plan.tied_output "result0"
  // CHECK: %[[Y:.*]] = plan.output "result1"
  // CHECK-NEXT: %[[T:.*]] = plan.allocate
  // CHECK-NEXT: plan.launch @sub grid [1](%[[P]], %[[G]]) to(%[[T]])
  // CHECK-NEXT: plan.copy %[[P]] to %[[Y]]
  // CHECK-NEXT: plan.copy %[[T]] to %[[P]]
  %0 = tile.launch @sub(%p, %g) : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  return %0, %p : tensor<2x3xf32>, tensor<2x3xf32>
}

// -----

dist.mesh @mesh <[tp = 2]>

// Arguments that change places.
// CHECK-LABEL: plan.program @main
func.func @main(%a: tensor<2xf32> {dist.layout = #dist.layout<@mesh, [{}]>, dist.global_type = tensor<2xf32>, tessera.tied = 0 : i64},
                %b: tensor<2xf32> {dist.layout = #dist.layout<@mesh, [{}]>, dist.global_type = tensor<2xf32>, tessera.tied = 1 : i64})
    -> (tensor<2xf32> {dist.layout = #dist.layout<@mesh, [{}]>, dist.global_type = tensor<2xf32>},
        tensor<2xf32> {dist.layout = #dist.layout<@mesh, [{}]>, dist.global_type = tensor<2xf32>}) {
  // CHECK: %[[A:.*]] = plan.input "arg0" donated
  // CHECK: %[[B:.*]] = plan.input "arg1" donated
  // CHECK: plan.tied_output "result0" {{.*}} in %[[A]]
  // CHECK: plan.tied_output "result1" {{.*}} in %[[B]]
  // CHECK-NEXT: %[[SB:.*]] = plan.allocate
  // CHECK-NEXT: plan.copy %[[B]] to %[[SB]]
  // CHECK-NEXT: %[[SA:.*]] = plan.allocate
  // CHECK-NEXT: plan.copy %[[A]] to %[[SA]]
  // CHECK-NEXT: plan.copy %[[SB]] to %[[A]]
  // CHECK-NEXT: plan.copy %[[SA]] to %[[B]]
  return %b, %a : tensor<2xf32>, tensor<2xf32>
}
