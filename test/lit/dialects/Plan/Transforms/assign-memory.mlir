// RUN: tessera-opt %s --pass-pipeline='builtin.module(plan.program(plan-assign-memory))' | FileCheck %s

dist.mesh @mesh <[tp = 2]>

// Three pieces in a row: the third may lie where the first was.
// CHECK: plan.program @pieces_that_never_meet_share_memory on @mesh arena 192
plan.program @pieces_that_never_meet_share_memory on @mesh {
  %x = plan.input "x" : tensor<24xf32> as tensor<24xf32> layout <@mesh, [{}]> -> !plan.buffer<96>
  // CHECK: %[[A:.*]] = plan.allocate at 0 -> <96>
  // CHECK: %[[B:.*]] = plan.allocate at 128 -> <40>
  // CHECK: %[[C:.*]] = plan.allocate at 0 -> <96>
  %a = plan.allocate -> !plan.buffer<96>
  %b = plan.allocate -> !plan.buffer<40>
  %c = plan.allocate -> !plan.buffer<96>
  plan.launch @k grid [1] (%x) to (%a) : (!plan.buffer<96>) -> !plan.buffer<96>
  plan.launch @k grid [1] (%a) to (%b) : (!plan.buffer<96>) -> !plan.buffer<40>
  plan.launch @k grid [1] (%b) to (%c) : (!plan.buffer<40>) -> !plan.buffer<96>
}

// What an asynchronous step reads and writes is in use until it is waited for.
// CHECK: plan.program @asynchronous_steps_end_where_they_are_waited_for on @mesh arena 256
plan.program @asynchronous_steps_end_where_they_are_waited_for on @mesh {
  // CHECK: plan.allocate at 0
  // CHECK: plan.allocate at 64
  // CHECK: plan.allocate at 128
  // CHECK: plan.allocate at 192
  // CHECK: plan.allocate at 0
  %a = plan.allocate -> !plan.buffer<64>
  %b = plan.allocate -> !plan.buffer<64>
  %c = plan.allocate -> !plan.buffer<64>
  %d = plan.allocate -> !plan.buffer<64>
  %e = plan.allocate -> !plan.buffer<64>
  plan.fill %a with 1.0 : f32 : !plan.buffer<64>
  plan.copy %a to %b {token = 1 : i32} : !plan.buffer<64>, !plan.buffer<64>
  plan.fill %c with 1.0 : f32 : !plan.buffer<64>
  plan.copy %c to %d : !plan.buffer<64>, !plan.buffer<64>
  plan.await 1
  plan.fill %e with 1.0 : f32 : !plan.buffer<64>
  plan.copy %d to %b : !plan.buffer<64>, !plan.buffer<64>
}
