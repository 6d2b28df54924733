// RUN: tessera-opt %s --pass-pipeline='builtin.module(plan.program(plan-assign-memory))' | FileCheck %s

dist.mesh @mesh <[tp = 2]>

// %a is used in every iteration, so that %t, which is used behind its last use
// in the text, may not lie there. %t and %u are free between iterations.
// CHECK-LABEL: plan.program @what_a_loop_uses_lives_through_it on @mesh arena 256
plan.program @what_a_loop_uses_lives_through_it on @mesh {
  %x = plan.input "x" : tensor<16xf32> as tensor<16xf32> layout <@mesh, [{}]> -> !plan.buffer<64>
  // CHECK: plan.allocate at 0 -> <64>
  %a = plan.allocate -> !plan.buffer<64>
  // CHECK: plan.allocate at 64 -> <64>
  %b = plan.allocate -> !plan.buffer<64>
  plan.copy %x to %a : !plan.buffer<64>, !plan.buffer<64>
  // CHECK: plan.loop
  plan.loop 3 over () carry () to () {
    // CHECK-NEXT: plan.allocate at 128 -> <64>
    %t = plan.allocate -> !plan.buffer<64>
    // CHECK-NEXT: plan.allocate at 192 -> <64>
    %u = plan.allocate -> !plan.buffer<64>
    // CHECK-NEXT: plan.allocate at 128 -> <64>
    %v = plan.allocate -> !plan.buffer<64>
    plan.launch @k grid [1] (%a) to (%t) : (!plan.buffer<64>) -> !plan.buffer<64>
    plan.launch @k grid [1] (%t) to (%u) : (!plan.buffer<64>) -> !plan.buffer<64>
    plan.launch @k grid [1] (%u) to (%v) : (!plan.buffer<64>) -> !plan.buffer<64>
    plan.launch @k grid [1] (%v) to (%b) : (!plan.buffer<64>) -> !plan.buffer<64>
  }
  // Behind the loop all but %b is free.
  // CHECK: plan.allocate at 0 -> <64>
  %c = plan.allocate -> !plan.buffer<64>
  plan.launch @k grid [1] (%b) to (%c) : (!plan.buffer<64>) -> !plan.buffer<64>
}

// One branch or the other runs, behind the selector's last use.
// CHECK-LABEL: plan.program @branches_share_memory on @mesh arena 128
plan.program @branches_share_memory on @mesh {
  %s = plan.allocate -> !plan.buffer<1>
  %y = plan.allocate -> !plan.buffer<64>
  // CHECK: plan.if
  plan.if %s : !plan.buffer<1> {
    // CHECK-NEXT: plan.allocate at [[AT:[0-9]+]] -> <64>
    %t = plan.allocate -> !plan.buffer<64>
    plan.launch @k grid [1] (%t) to (%y) : (!plan.buffer<64>) -> !plan.buffer<64>
  }, {
    // CHECK: plan.allocate at [[AT]] -> <64>
    %t = plan.allocate -> !plan.buffer<64>
    plan.launch @k grid [1] (%t) to (%y) : (!plan.buffer<64>) -> !plan.buffer<64>
  }
  plan.copy %y to %y : !plan.buffer<64>, !plan.buffer<64>
}
