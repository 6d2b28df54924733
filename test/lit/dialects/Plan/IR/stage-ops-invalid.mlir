// RUN: tessera-opt %s --split-input-file --verify-diagnostics

// Form.

// expected-error @below {{'plan.stage' op expects parent op 'plan.program'}}
plan.stage @alone where {pp = 0} {
}

// -----

dist.mesh @mesh <[pp = 2, tp = 2]>
plan.program @a_stage_names_an_axis on @mesh {
  // expected-error @below {{names no axis, and would be for all devices; put its steps into the program itself}}
  plan.stage @all where {} {
  }
}

// -----

dist.mesh @mesh <[pp = 2, tp = 2]>
plan.program @each_axis_has_a_coordinate on @mesh {
  // expected-error @below {{names 2 axes and 1 coordinates}}
  "plan.stage"() <{name = "first", axes = #dist<axes{pp, tp}>, coordinates = array<i64: 0>}> ({
  ^bb0:
  }) : () -> ()
}

// -----

dist.mesh @mesh <[pp = 4]>
plan.program @stages_are_told_apart_by_whole_axes on @mesh {
  // expected-error @below {{names the sub-axis pp:(1)2; stages are told apart by whole axes of the mesh: make an axis of it}}
  "plan.stage"() <{name = "first", axes = #dist<axes{pp:(1)2}>, coordinates = array<i64: 0>}> ({
  ^bb0:
  }) : () -> ()
}

// -----

dist.mesh @mesh <[pp = 2, tp = 2]>
plan.program @steps_are_in_stages on @mesh {
  %y = plan.output "y" : tensor<4xf32> as tensor<4xf32> layout <@mesh, [{}]> -> !plan.buffer<16>
  // expected-error @below {{'plan.fill' op stands beside stages; no device would run it}}
  plan.fill %y with 0.0 : f32 : !plan.buffer<16>
  // expected-note @below {{a program with stages, of which this is the first, holds inputs, outputs and constants beside them: put the rest into each stage that needs it}}
  plan.stage @first where {pp = 0} {
  }
}

// -----

dist.mesh @mesh <[pp = 2, tp = 2]>
// expected-note @below {{put it at the beginning of this program}}
plan.program @inputs_are_those_of_the_program on @mesh {
  plan.stage @first where {pp = 0} {
    // expected-error @below {{'plan.input' op is inside a 'plan.stage'; inputs and outputs are those of the whole program}}
    %x = plan.input "x" : tensor<4xf32> as tensor<4xf32> layout <@mesh, [{}]> -> !plan.buffer<16>
  }
}

// -----

// Which devices.

// expected-error @below {{has stages on mesh @mesh, which does not exist; declare it, such as: dist.mesh @mesh <[pp = 2, tp = 2]>}}
plan.program @the_mesh_is_declared on @mesh {
  plan.stage @first where {pp = 0} {
  }
}

// -----

dist.mesh @mesh <[pp = 2, tp = 2]>
plan.program @axes_are_those_of_the_mesh on @mesh {
  // expected-error @below {{'dp'}}
  plan.stage @first where {dp = 0} {
  }
}

// -----

dist.mesh @mesh <[pp = 2, tp = 2]>
plan.program @coordinates_exist on @mesh {
  // expected-error @below {{is for coordinate 2 of axis 'pp', which has 2 devices; expected 0 to 1}}
  plan.stage @first where {pp = 2} {
  }
}

// -----

dist.mesh @mesh <[pp = 2, tp = 2]>
plan.program @stages_name_the_same_axes on @mesh {
  // expected-note @below {{the first stage is here}}
  plan.stage @first where {pp = 0} {
  }
  // expected-error @below {{is told apart by other axes than the first stage, which names 'pp'; all stages name the same axes in the same order}}
  plan.stage @second where {tp = 1} {
  }
}

// -----

dist.mesh @mesh <[pp = 2, tp = 2]>
plan.program @a_device_runs_one_stage on @mesh {
  // expected-note @below {{that stage is here}}
  plan.stage @first where {pp = 0} {
  }
  // expected-error @below {{is for the devices that run @first; a device runs one stage}}
  plan.stage @second where {pp = 0} {
  }
}

// -----

dist.mesh @mesh <[pp = 2, tp = 2]>
plan.program @names_are_different on @mesh {
  // expected-note @below {{that stage is here}}
  plan.stage @first where {pp = 0} {
  }
  // expected-error @below {{has the name @first of another stage; give it one of its own}}
  plan.stage @first where {pp = 1} {
  }
}

// -----

dist.mesh @mesh <[pp = 2, tp = 2]>
// expected-error @below {{has no stage for the devices where pp = 0, tp = 1}}
// expected-note @below {{every device runs one stage; add one: plan.stage @name where {pp = 0, tp = 1}}}
plan.program @every_device_runs_a_stage on @mesh {
  plan.stage @first where {pp = 0, tp = 0} {
  }
  plan.stage @second where {pp = 1, tp = 0} {
  }
}

// -----

// Outputs.

dist.mesh @mesh <[pp = 2, tp = 2]>
plan.program @every_stage_writes_what_it_holds on @mesh {
  // expected-note @below {{the output is [{tp}]; send it to the stage by a joint collective, such as a sum over 'pp' to which the other stages add zeros, or give it a dimension that is split along 'pp'}}
  %y = plan.output "y" : tensor<4xf32> as tensor<2xf32> layout <@mesh, [{tp}]> -> !plan.buffer<8>
  // expected-error @below {{@first does not write output "y", of which its devices hold a part}}
  plan.stage @first where {pp = 0} {
  }
  plan.stage @second where {pp = 1} {
    plan.fill %y with 0.0 : f32 : !plan.buffer<8>
  }
}

// -----

// Joint steps.

dist.mesh @mesh <[pp = 2, tp = 2]>
plan.program @all_stages_take_part on @mesh {
  %x = plan.input "x" donated : tensor<4xf32> as tensor<4xf32> layout <@mesh, [{}]> -> !plan.buffer<16>
  plan.stage @first where {pp = 0} {
    // expected-error @below {{joins devices of several stages, but stage @second has no step that meets it}}
    plan.collective all_reduce %x to %x over {pp} {reduction = #dist<reduction sum>} : tensor<4xf32> -> tensor<4xf32>, !plan.buffer<16>, !plan.buffer<16>
  }
  // expected-note @below {{stages are told apart by 'pp'; put the same collective here, as all stages take part in it, or leave these axes out of those of the one in @first}}
  plan.stage @second where {pp = 1} {
    plan.collective all_reduce %x to %x over {tp} {reduction = #dist<reduction sum>} : tensor<4xf32> -> tensor<4xf32>, !plan.buffer<16>, !plan.buffer<16>
  }
}

// -----

dist.mesh @mesh <[pp = 2, tp = 2]>
plan.program @a_loop_with_a_joint_step_is_in_all_stages on @mesh {
  %x = plan.input "x" donated : tensor<4xf32> as tensor<4xf32> layout <@mesh, [{}]> -> !plan.buffer<16>
  // expected-note @below {{put the same collective here}}
  plan.stage @first where {pp = 0} {
  }
  plan.stage @second where {pp = 1} {
    // expected-note @below {{it is inside this loop, which all stages need as well}}
    plan.loop 3 over () carry () to () {
      // expected-error @below {{joins devices of several stages, but stage @first has no step that meets it}}
      plan.collective all_reduce %x to %x over {pp, tp} {reduction = #dist<reduction sum>} : tensor<4xf32> -> tensor<4xf32>, !plan.buffer<16>, !plan.buffer<16>
    }
  }
}

// -----

dist.mesh @mesh <[pp = 2, tp = 2]>
plan.program @loops_that_meet_run_equally_often on @mesh {
  %x = plan.input "x" donated : tensor<4xf32> as tensor<4xf32> layout <@mesh, [{}]> -> !plan.buffer<16>
  plan.stage @first where {pp = 0} {
    // expected-note @below {{the step of stage @first is here; stages meet in each iteration, so that both run equally often}}
    plan.loop 3 over () carry () to () {
      plan.collective all_reduce %x to %x over {pp} {reduction = #dist<reduction sum>} : tensor<4xf32> -> tensor<4xf32>, !plan.buffer<16>, !plan.buffer<16>
    }
  }
  plan.stage @second where {pp = 1} {
    // expected-error @below {{runs 4 times, but meets a loop that runs 3 times}}
    plan.loop 4 over () carry () to () {
      plan.collective all_reduce %x to %x over {pp} {reduction = #dist<reduction sum>} : tensor<4xf32> -> tensor<4xf32>, !plan.buffer<16>, !plan.buffer<16>
    }
  }
}

// -----

dist.mesh @mesh <[pp = 2, tp = 2]>
plan.program @a_loop_meets_a_loop on @mesh {
  %x = plan.input "x" donated : tensor<4xf32> as tensor<4xf32> layout <@mesh, [{}]> -> !plan.buffer<16>
  plan.stage @first where {pp = 0} {
    // expected-note @below {{the step of stage @first is here; one is inside a loop and one is not}}
    plan.loop 1 over () carry () to () {
      plan.collective all_reduce %x to %x over {pp} {reduction = #dist<reduction sum>} : tensor<4xf32> -> tensor<4xf32>, !plan.buffer<16>, !plan.buffer<16>
    }
  }
  plan.stage @second where {pp = 1} {
    // expected-error @below {{joins devices of several stages, but meets a step of another kind}}
    plan.collective all_reduce %x to %x over {pp} {reduction = #dist<reduction sum>} : tensor<4xf32> -> tensor<4xf32>, !plan.buffer<16>, !plan.buffer<16>
  }
}

// -----

dist.mesh @mesh <[pp = 2, tp = 2]>
plan.program @joint_steps_are_in_one_order on @mesh {
  %x = plan.input "x" donated : tensor<4xf32> as tensor<4xf32> layout <@mesh, [{}]> -> !plan.buffer<16>
  plan.stage @first where {pp = 0} {
    %0 = plan.allocate -> !plan.buffer<16>
    // expected-note @below {{the step of stage @first is here; they are one collective, and differ in their buffers alone; stages have such steps in the same order}}
    plan.collective all_reduce %x to %x over {pp} {reduction = #dist<reduction sum>} : tensor<4xf32> -> tensor<4xf32>, !plan.buffer<16>, !plan.buffer<16>
    plan.collective permute %x to %0 over {pp} {targets = array<i64: 2, 3, 0, 1>} : tensor<4xf32> -> tensor<4xf32>, !plan.buffer<16>, !plan.buffer<16>
  }
  plan.stage @second where {pp = 1} {
    %0 = plan.allocate -> !plan.buffer<16>
    // expected-error @below {{joins devices of several stages, but has another kind than the step that it meets}}
    plan.collective permute %x to %0 over {pp} {targets = array<i64: 2, 3, 0, 1>} : tensor<4xf32> -> tensor<4xf32>, !plan.buffer<16>, !plan.buffer<16>
    plan.collective all_reduce %x to %x over {pp} {reduction = #dist<reduction sum>} : tensor<4xf32> -> tensor<4xf32>, !plan.buffer<16>, !plan.buffer<16>
  }
}

// -----

dist.mesh @mesh <[pp = 2, tp = 2]>
plan.program @types_are_the_same on @mesh {
  %x = plan.input "x" donated : tensor<4xf32> as tensor<4xf32> layout <@mesh, [{}]> -> !plan.buffer<16>
  plan.stage @first where {pp = 0} {
    // expected-note @below {{the step of stage @first is here}}
    plan.collective all_reduce %x to %x over {pp} {reduction = #dist<reduction sum>} : tensor<4xf32> -> tensor<4xf32>, !plan.buffer<16>, !plan.buffer<16>
  }
  plan.stage @second where {pp = 1} {
    // expected-error @below {{joins devices of several stages, but has another type than the step that it meets}}
    plan.collective all_reduce %x to %x over {pp} {reduction = #dist<reduction sum>} : tensor<4xi32> -> tensor<4xi32>, !plan.buffer<16>, !plan.buffer<16>
  }
}

// -----

dist.mesh @mesh <[pp = 2, tp = 2]>
plan.program @groups_are_the_same on @mesh {
  %x = plan.input "x" donated : tensor<4xf32> as tensor<4xf32> layout <@mesh, [{}]> -> !plan.buffer<16>
  plan.stage @first where {pp = 0} {
    // expected-note @below {{the step of stage @first is here}}
    plan.collective all_reduce %x to %x over {pp} {reduction = #dist<reduction sum>} : tensor<4xf32> -> tensor<4xf32>, !plan.buffer<16>, !plan.buffer<16>
  }
  plan.stage @second where {pp = 1} {
    // expected-error @below {{joins devices of several stages, but has another group than the step that it meets}}
    plan.collective all_reduce %x to %x over {pp, tp} {reduction = #dist<reduction sum>} : tensor<4xf32> -> tensor<4xf32>, !plan.buffer<16>, !plan.buffer<16>
  }
}

// -----

dist.mesh @mesh <[pp = 2, tp = 2]>
plan.program @receivers_are_the_same on @mesh {
  %x = plan.input "x" donated : tensor<4xf32> as tensor<4xf32> layout <@mesh, [{}]> -> !plan.buffer<16>
  plan.stage @first where {pp = 0} {
    %0 = plan.allocate -> !plan.buffer<16>
    // expected-note @below {{the step of stage @first is here}}
    plan.collective permute %x to %0 over {pp} {targets = array<i64: 2, 3, 0, 1>} : tensor<4xf32> -> tensor<4xf32>, !plan.buffer<16>, !plan.buffer<16>
  }
  plan.stage @second where {pp = 1} {
    %0 = plan.allocate -> !plan.buffer<16>
    // expected-error @below {{joins devices of several stages, but has another receiver than the step that it meets}}
    plan.collective permute %x to %0 over {pp} {targets = array<i64: 3, 2, 1, 0>} : tensor<4xf32> -> tensor<4xf32>, !plan.buffer<16>, !plan.buffer<16>
  }
}

// -----

dist.mesh @mesh <[pp = 2, tp = 2]>
plan.program @dimensions_are_the_same on @mesh {
  %x = plan.input "x" : tensor<2x2xf32> as tensor<2x2xf32> layout <@mesh, [{}, {}]> -> !plan.buffer<16>
  plan.stage @first where {pp = 0} {
    %0 = plan.allocate -> !plan.buffer<16>
    // expected-note @below {{the step of stage @first is here}}
    plan.collective all_gather %x to %0 over {pp} {dim = 1 : i64} : tensor<2x2xf32> -> tensor<2x2xf32>, !plan.buffer<16>, !plan.buffer<16>
  }
  plan.stage @second where {pp = 1} {
    %0 = plan.allocate -> !plan.buffer<16>
    // expected-error @below {{joins devices of several stages, but has another dimension than the step that it meets}}
    plan.collective all_gather %x to %0 over {pp} {dim = 0 : i64} : tensor<2x2xf32> -> tensor<2x2xf32>, !plan.buffer<16>, !plan.buffer<16>
  }
}

// -----

dist.mesh @mesh <[pp = 2, tp = 2]>
plan.program @reductions_are_the_same on @mesh {
  %x = plan.input "x" donated : tensor<4xf32> as tensor<4xf32> layout <@mesh, [{}]> -> !plan.buffer<16>
  plan.stage @first where {pp = 0} {
    // expected-note @below {{the step of stage @first is here}}
    plan.collective all_reduce %x to %x over {pp} {reduction = #dist<reduction sum>} : tensor<4xf32> -> tensor<4xf32>, !plan.buffer<16>, !plan.buffer<16>
  }
  plan.stage @second where {pp = 1} {
    // expected-error @below {{joins devices of several stages, but has another reduction than the step that it meets}}
    plan.collective all_reduce %x to %x over {pp} {reduction = #dist<reduction max>} : tensor<4xf32> -> tensor<4xf32>, !plan.buffer<16>, !plan.buffer<16>
  }
}

// -----

dist.mesh @mesh <[pp = 2, tp = 2]>
plan.program @whether_a_joint_step_runs_is_known_to_all on @mesh {
  %x = plan.input "x" donated : tensor<4xf32> as tensor<4xf32> layout <@mesh, [{}]> -> !plan.buffer<16>
  %s = plan.input "s" : tensor<i1> as tensor<i1> layout <@mesh, []> -> !plan.buffer<1>
  plan.stage @first where {pp = 0} {
    // expected-note @below {{it is inside this plan.if; put it in front of or behind it, or into a plan.loop, which all stages run equally often}}
    plan.if %s : !plan.buffer<1> {
    }, {
      plan.loop 2 over () carry () to () {
        // expected-error @below {{joins devices of several stages, but whether it runs is known to this stage alone}}
        plan.collective all_reduce %x to %x over {pp} {reduction = #dist<reduction sum>} : tensor<4xf32> -> tensor<4xf32>, !plan.buffer<16>, !plan.buffer<16>
      }
    }
  }
  plan.stage @second where {pp = 1} {
  }
}
