// RUN: tessera-opt %s --pass-pipeline='builtin.module(plan.program(plan-assign-memory))' | FileCheck %s

dist.mesh @mesh <[pp = 2, tp = 2]>

// Devices of the two stages have other memory: the pieces of each begin at 0.
// CHECK: plan.program @each_stage_has_an_arena on @mesh arena 192
plan.program @each_stage_has_an_arena on @mesh {
  // CHECK: plan.stage @first where {pp = 0} arena 64 {
  plan.stage @first where {pp = 0} {
    // CHECK-NEXT: plan.allocate at 0 -> <40>
    %0 = plan.allocate -> !plan.buffer<40>
    plan.fill %0 with 1.0 : f32 : !plan.buffer<40>
  }
  // CHECK: plan.stage @second where {pp = 1} arena 192 {
  plan.stage @second where {pp = 1} {
    // CHECK-NEXT: plan.allocate at 128 -> <40>
    %0 = plan.allocate -> !plan.buffer<40>
    plan.fill %0 with 1.0 : f32 : !plan.buffer<40>
    plan.loop 2 over () carry () to () {
      // CHECK: plan.allocate at 0 -> <96>
      %1 = plan.allocate -> !plan.buffer<96>
      plan.fill %1 with 1.0 : f32 : !plan.buffer<96>
      plan.launch @k grid [1] (%1) to (%0) : (!plan.buffer<96>) -> !plan.buffer<40>
    }
  }
}

// CHECK: plan.program @a_stage_without_pieces_has_an_empty_arena on @mesh arena 0
plan.program @a_stage_without_pieces_has_an_empty_arena on @mesh {
  // CHECK: plan.stage @first where {pp = 0} arena 0 {
  plan.stage @first where {pp = 0} {
  }
  // CHECK: plan.stage @second where {pp = 1} arena 0 {
  plan.stage @second where {pp = 1} {
  }
}
