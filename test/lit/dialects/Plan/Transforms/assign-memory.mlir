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
