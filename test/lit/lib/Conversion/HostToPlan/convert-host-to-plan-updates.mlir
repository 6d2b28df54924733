// RUN: tessera-opt %s --convert-host-to-plan --split-input-file | FileCheck %s

dist.mesh @mesh <[tp = 1]>
tile.kernel @make grid [1] inputs 1 {
^bb0(%x: memref<6xf32>, %y: memref<6xf32>):
}
tile.kernel @update grid [1] inputs 2 initial [0] {
^bb0(%before: memref<6xf32>, %x: memref<6xf32>, %y: memref<6xf32>):
}

// A value that is dead afterwards is updated in place.
// CHECK-LABEL: plan.program @main on @mesh
func.func @main(%x: tensor<6xf32> {dist.layout = #dist.layout<@mesh, [{}]>, dist.global_type = tensor<6xf32>})
    -> (tensor<6xf32> {dist.layout = #dist.layout<@mesh, [{}]>, dist.global_type = tensor<6xf32>}) {
  // CHECK: %[[X:.*]] = plan.input
  // CHECK: %[[Y:.*]] = plan.output
  // CHECK-NEXT: plan.launch @make grid [1](%[[X]]) to(%[[Y]])
  %0 = tile.launch @make(%x) : (tensor<6xf32>) -> tensor<6xf32>
  // CHECK-NEXT: plan.launch @update grid [1](%[[Y]], %[[X]]) to(%[[Y]])
  %1 = tile.launch @update(%0, %x) : (tensor<6xf32>, tensor<6xf32>) -> tensor<6xf32>
  // CHECK-NOT: plan.copy
  return %1 : tensor<6xf32>
}

// -----

dist.mesh @mesh <[tp = 1]>
tile.kernel @make grid [1] inputs 1 {
^bb0(%x: memref<6xf32>, %y: memref<6xf32>):
}
tile.kernel @update grid [1] inputs 2 initial [0] {
^bb0(%before: memref<6xf32>, %x: memref<6xf32>, %y: memref<6xf32>):
}

// An input is copied, and a value that is used again.
// CHECK-LABEL: plan.program @main on @mesh
func.func @main(%x: tensor<6xf32> {dist.layout = #dist.layout<@mesh, [{}]>, dist.global_type = tensor<6xf32>})
    -> (tensor<6xf32> {dist.layout = #dist.layout<@mesh, [{}]>, dist.global_type = tensor<6xf32>}) {
  // CHECK: %[[X:.*]] = plan.input
  // CHECK: %[[Y:.*]] = plan.output
  // CHECK-NEXT: plan.copy %[[X]] to %[[Y]]
  // CHECK-NEXT: plan.launch @update grid [1](%[[X]], %[[X]]) to(%[[Y]])
  %0 = tile.launch @update(%x, %x) : (tensor<6xf32>, tensor<6xf32>) -> tensor<6xf32>
  // CHECK-NEXT: %[[B:.*]] = plan.allocate
  // CHECK-NEXT: plan.copy %[[Y]] to %[[B]]
  // CHECK-NEXT: plan.launch @update grid [1](%[[Y]], %[[X]]) to(%[[B]])
  %1 = tile.launch @update(%0, %x) : (tensor<6xf32>, tensor<6xf32>) -> tensor<6xf32>
  // CHECK-NEXT: plan.launch @update grid [1](%[[Y]], %[[B]]) to(%[[Y]])
  %2 = tile.launch @update(%0, %1) : (tensor<6xf32>, tensor<6xf32>) -> tensor<6xf32>
  return %2 : tensor<6xf32>
}

// -----

dist.mesh @mesh <[tp = 1]>
tile.kernel @update grid [1] inputs 2 initial [0] {
^bb0(%before: memref<6xf32>, %x: memref<6xf32>, %y: memref<6xf32>):
}

// The entries of a donated sequence are updated in place, of one window.
// CHECK-LABEL: plan.program @main on @mesh
func.func @main(%x: tensor<6xf32> {dist.layout = #dist.layout<@mesh, [{}]>, dist.global_type = tensor<6xf32>},
                %xs: tensor<5x6xf32> {dist.layout = #dist.layout<@mesh, [{}, {}]>, dist.global_type = tensor<5x6xf32>, tessera.tied = 0})
    -> (tensor<5x6xf32> {dist.layout = #dist.layout<@mesh, [{}, {}]>, dist.global_type = tensor<5x6xf32>}) {
  // CHECK-DAG: %[[X:.*]] = plan.input {{.*}}<24>
  // CHECK-DAG: %[[XS:.*]] = plan.input {{.*}}<120>
  // CHECK: plan.loop 5 over(%[[XS]] : !plan.buffer<120>)
  // CHECK-NEXT: ^bb0(%[[ENTRY:.*]]: !plan.buffer<24>):
  // CHECK-NEXT: plan.launch @update grid [1](%[[ENTRY]], %[[X]]) to(%[[ENTRY]])
  // CHECK-NOT: plan.copy
  %ys = tessera.scan () over (%xs) length 5 : () over (tensor<5x6xf32>) -> (tensor<5x6xf32>) {
  ^bb0(%i: tensor<i32>, %entry: tensor<6xf32>):
    %0 = tile.launch @update(%entry, %x) : (tensor<6xf32>, tensor<6xf32>) -> tensor<6xf32>
    tessera.yield %0 : tensor<6xf32>
  }
  return %ys : tensor<5x6xf32>
}
