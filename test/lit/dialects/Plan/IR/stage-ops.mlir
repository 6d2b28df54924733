// RUN: tessera-opt %s | tessera-opt | FileCheck %s
// RUN: tessera-opt %s --mlir-print-op-generic | tessera-opt | FileCheck %s

dist.mesh @mesh <[pp = 2, tp = 2]>
dist.mesh @grid <[a = 2, tp = 2, b = 3]>

// CHECK-LABEL: plan.program @steps_of_one_stage_alone on @mesh {
plan.program @steps_of_one_stage_alone on @mesh {
  %x = plan.input "x" : tensor<4xf32> as tensor<4xf32> layout <@mesh, [{}]> -> !plan.buffer<16>
  %c = plan.constant dense<[1, 2, 3, 4]> : tensor<4xi32> -> !plan.buffer<16>
  // CHECK: plan.stage @first where {pp = 0} {
  plan.stage @first where {pp = 0} {
    // CHECK-NEXT: plan.allocate
    %0 = plan.allocate -> !plan.buffer<16>
    // CHECK-NEXT: plan.collective all_reduce {{.*}} over {tp}
    plan.collective all_reduce %x to %0 over {tp} {reduction = #dist<reduction sum>} : tensor<4xf32> -> tensor<4xf32>, !plan.buffer<16>, !plan.buffer<16>
    // What is sent along tp stays in the stage, whatever devices of others do.
    plan.collective permute %x to %0 over {tp} {targets = array<i64: 1, 0, 2, 3>} : tensor<4xf32> -> tensor<4xf32>, !plan.buffer<16>, !plan.buffer<16>
  }
  // CHECK: plan.stage @second where {pp = 1} arena 64 {
  plan.stage @second where {pp = 1} arena 64 {
    %0 = plan.allocate at 0 -> !plan.buffer<16>
    %p = plan.allocate at 0 -> !plan.buffer<1>
    plan.copy %c to %0 : !plan.buffer<16>, !plan.buffer<16>
    plan.while %p : !plan.buffer<1> carry () to () {
      plan.launch @far grid [1] (%x) to (%p) : (!plan.buffer<16>) -> !plan.buffer<1>
    } do {
      plan.collective all_reduce %x to %0 over {tp} {reduction = #dist<reduction sum>} : tensor<4xf32> -> tensor<4xf32>, !plan.buffer<16>, !plan.buffer<16>
    }
  }
}

// Buffers, tokens and the order of other steps may differ.
// CHECK-LABEL: plan.program @joint_steps_in_a_loop
plan.program @joint_steps_in_a_loop on @mesh {
  %x = plan.input "x" : tensor<3x4xf32> as tensor<3x4xf32> layout <@mesh, [{}, {}]> -> !plan.buffer<48>
  %y = plan.output "y" : tensor<3x4xf32> as tensor<3x4xf32> layout <@mesh, [{}, {}]> -> !plan.buffer<48>
  plan.stage @first where {pp = 0} {
    %t = plan.allocate -> !plan.buffer<16>
    plan.loop 3 over (%x : !plan.buffer<48>) carry () to () {
    ^bb0(%xi: !plan.buffer<16>):
      plan.collective permute %xi to %t over {pp} {targets = array<i64: 2, 3, 0, 1>} : tensor<4xf32> -> tensor<4xf32>, !plan.buffer<16>, !plan.buffer<16>
    }
    %0 = plan.allocate -> !plan.buffer<48>
    plan.fill %0 with 0.0 : f32 : !plan.buffer<48>
    plan.collective all_reduce %0 to %y over {pp} {reduction = #dist<reduction sum>, token = 1 : i32} : tensor<3x4xf32> -> tensor<3x4xf32>, !plan.buffer<48>, !plan.buffer<48>
    plan.await 1
  }
  plan.stage @second where {pp = 1} {
    // The other loop is this stage's alone.
    plan.loop 5 over () carry () to () {
      plan.fill %y with 0.0 : f32 : !plan.buffer<48>
    }
    plan.loop 3 over (%y, %x : !plan.buffer<48>, !plan.buffer<48>) carry () to () {
    ^bb0(%yi: !plan.buffer<16>, %xi: !plan.buffer<16>):
      plan.collective permute %xi to %yi over {pp} {targets = array<i64: 2, 3, 0, 1>} : tensor<4xf32> -> tensor<4xf32>, !plan.buffer<16>, !plan.buffer<16>
    }
    plan.collective all_reduce %y to %y over {pp} {reduction = #dist<reduction sum>} : tensor<3x4xf32> -> tensor<3x4xf32>, !plan.buffer<48>, !plan.buffer<48>
  }
}

// CHECK-LABEL: plan.program @stages_along_two_axes
// CHECK: plan.stage @s00 where {b = 0, a = 0} {
// CHECK: plan.stage @s21 where {b = 2, a = 1} {
plan.program @stages_along_two_axes on @grid {
  plan.stage @s00 where {b = 0, a = 0} {
  }
  plan.stage @s01 where {b = 0, a = 1} {
  }
  plan.stage @s11 where {b = 1, a = 1} {
  }
  plan.stage @s10 where {b = 1, a = 0} {
  }
  plan.stage @s20 where {b = 2, a = 0} {
  }
  plan.stage @s21 where {b = 2, a = 1} {
  }
}

// Of one row that is split along pp, the second stage has nothing.
// CHECK-LABEL: plan.program @a_stage_without_a_part_writes_nothing
plan.program @a_stage_without_a_part_writes_nothing on @mesh {
  %y = plan.output "y" : tensor<1x4xf32> as tensor<1x2xf32> layout <@mesh, [{pp}, {tp}]> -> !plan.buffer<8>
  plan.stage @first where {pp = 0} {
    plan.fill %y with 0.0 : f32 : !plan.buffer<8>
  }
  plan.stage @second where {pp = 1} {
  }
}

// CHECK-LABEL: plan.program @a_tied_output_keeps_what_nobody_writes
plan.program @a_tied_output_keeps_what_nobody_writes on @mesh {
  %p = plan.input "p" donated : tensor<4xf32> as tensor<2xf32> layout <@mesh, [{pp}]> -> !plan.buffer<8>
  plan.tied_output "p" : tensor<4xf32> as tensor<2xf32> layout <@mesh, [{pp}]> in %p : !plan.buffer<8>
  plan.stage @first where {pp = 0} {
    plan.fill %p with 0.0 : f32 : !plan.buffer<8>
  }
  plan.stage @second where {pp = 1} {
  }
}
