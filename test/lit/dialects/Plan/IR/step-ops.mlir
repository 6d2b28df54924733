// RUN: tessera-opt %s | tessera-opt | FileCheck %s
// RUN: tessera-opt %s --mlir-print-op-generic | tessera-opt | FileCheck %s

dist.mesh @mesh <[dp = 2, tp = 3]>

// CHECK-LABEL: plan.program @steps_on_one_device
plan.program @steps_on_one_device on @mesh {
  %a = plan.allocate -> !plan.buffer<24>
  %b = plan.allocate -> !plan.buffer<24>
  %i = plan.allocate -> !plan.buffer<4>
  // CHECK: plan.launch @k grid [2, 3](%{{.*}}, %{{.*}}) to(%{{.*}}) : (!plan.buffer<24>, !plan.buffer<4>) -> !plan.buffer<24>
  plan.launch @k grid [2, 3] (%a, %i) to (%b) : (!plan.buffer<24>, !plan.buffer<4>) -> !plan.buffer<24>
  // A kernel of constants reads nothing.
  // CHECK: plan.launch @k grid [1]() to(%{{.*}}) : () -> !plan.buffer<24>
  plan.launch @k grid [1] () to (%b) : () -> !plan.buffer<24>
  // CHECK: plan.copy %{{.*}} to %{{.*}} : <24>, <24>
  plan.copy %a to %b : !plan.buffer<24>, !plan.buffer<24>
  // CHECK: plan.fill %{{.*}} with 1.000000e+00 : f32 : <24>
  plan.fill %a with 1.0 : f32 : !plan.buffer<24>
  // CHECK: plan.device_value axis_index {tp} of 0 to %{{.*}} : <4>
  plan.device_value axis_index {tp} of 0 to %i : !plan.buffer<4>
  // CHECK: plan.device_value local_offset {dp, tp} of 7 to %{{.*}} : <4>
  plan.device_value local_offset {dp, tp} of 7 to %i : !plan.buffer<4>
  // CHECK: plan.device_value valid_extent {dp} of 7 to %{{.*}} : <4>
  plan.device_value valid_extent {dp} of 7 to %i : !plan.buffer<4>
}

// CHECK-LABEL: plan.program @collectives
plan.program @collectives on @mesh {
  %a = plan.allocate -> !plan.buffer<24>
  %b = plan.allocate -> !plan.buffer<24>
  %c = plan.allocate -> !plan.buffer<72>
  // CHECK: plan.collective all_reduce %{{.*}} to %{{.*}} over {tp} {reduction = #dist<reduction sum>} : tensor<2x3xf32> -> tensor<2x3xf32>, <24>, <24>
  plan.collective all_reduce %a to %b over {tp} {reduction = #dist<reduction sum>} : tensor<2x3xf32> -> tensor<2x3xf32>, !plan.buffer<24>, !plan.buffer<24>
  // CHECK: plan.collective all_gather %{{.*}} to %{{.*}} over {tp} {dim = 1 : i64} : tensor<2x3xf32> -> tensor<2x9xf32>, <24>, <72>
  plan.collective all_gather %a to %c over {tp} {dim = 1 : i64} : tensor<2x3xf32> -> tensor<2x9xf32>, !plan.buffer<24>, !plan.buffer<72>
  // CHECK: plan.collective all_slice
  plan.collective all_slice %c to %a over {tp} {dim = 1 : i64} : tensor<2x9xf32> -> tensor<2x3xf32>, !plan.buffer<72>, !plan.buffer<24>
  // CHECK: plan.collective reduce_scatter %{{.*}} to %{{.*}} over {tp} {dim = 1 : i64, reduction = #dist<reduction max>}
  plan.collective reduce_scatter %c to %a over {tp} {dim = 1 : i64, reduction = #dist<reduction max>} : tensor<2x9xf32> -> tensor<2x3xf32>, !plan.buffer<72>, !plan.buffer<24>
  // CHECK: plan.collective all_to_all %{{.*}} to %{{.*}} over {tp} {concat_dim = 1 : i64, dim = 0 : i64}
  plan.collective all_to_all %a to %b over {tp} {concat_dim = 1 : i64, dim = 0 : i64} : tensor<3x2xf32> -> tensor<1x6xf32>, !plan.buffer<24>, !plan.buffer<24>
  // CHECK: plan.collective permute %{{.*}} to %{{.*}} over {} {targets = array<i64: 1, 2, 3, 4, 5, 0>}
  plan.collective permute %a to %b over {} {targets = array<i64: 1, 2, 3, 4, 5, 0>} : tensor<2x3xf32> -> tensor<2x3xf32>, !plan.buffer<24>, !plan.buffer<24>
  // CHECK: plan.collective permute %{{.*}} to %{{.*}} over {dp, tp} {to = #dist<axes{tp, dp}>}
  plan.collective permute %a to %b over {dp, tp} {to = #dist<axes{tp, dp}>} : tensor<2x3xf32> -> tensor<2x3xf32>, !plan.buffer<24>, !plan.buffer<24>
}

// CHECK-LABEL: plan.program @effects
plan.program @effects on @mesh {
  %p = plan.allocate -> !plan.buffer<1>
  %a = plan.allocate -> !plan.buffer<24>
  // CHECK: plan.print "done" () of []
  plan.print "done" () of []
  // CHECK: plan.print "a {{[{]}}} {{[{][{]}}" (%{{.*}}) ordered of [tensor<2x3xf32>] : !plan.buffer<24>
  plan.print "a {} {{" (%a) ordered of [tensor<2x3xf32>] : !plan.buffer<24>
  // CHECK: plan.check %{{.*}} "a is {{[{]}}}" (%{{.*}}) of [tensor<i1>, tensor<2x3xf32>] : <1>, !plan.buffer<24>
  plan.check %p "a is {}" (%a) of [tensor<i1>, tensor<2x3xf32>] : !plan.buffer<1>, !plan.buffer<24>
  // CHECK: plan.check %{{.*}} "no" () ordered of [tensor<i1>] : <1>
  plan.check %p "no" () ordered of [tensor<i1>] : !plan.buffer<1>
}

// CHECK-LABEL: plan.program @asynchronous
plan.program @asynchronous on @mesh {
  %a = plan.allocate -> !plan.buffer<24>
  %b = plan.allocate -> !plan.buffer<24>
  %c = plan.allocate -> !plan.buffer<24>
  // CHECK: plan.collective all_reduce %{{.*}} to %{{.*}} over {tp} {reduction = #dist<reduction sum>, stream = 1 : i32, token = 7 : i32}
  plan.collective all_reduce %a to %b over {tp} {reduction = #dist<reduction sum>, stream = 1 : i32, token = 7 : i32} : tensor<2x3xf32> -> tensor<2x3xf32>, !plan.buffer<24>, !plan.buffer<24>
  // What the collective reads may be read.
  // CHECK-NEXT: plan.copy %{{.*}} to %{{.*}} {token = 8 : i32}
  plan.copy %a to %c {token = 8 : i32} : !plan.buffer<24>, !plan.buffer<24>
  // CHECK-NEXT: plan.await 8
  plan.await 8
  // CHECK-NEXT: plan.await 7
  plan.await 7
  plan.copy %b to %c : !plan.buffer<24>, !plan.buffer<24>
}
