// RUN: tessera-opt %s --split-input-file --verify-diagnostics

plan.program @a_buffer_has_the_bytes_of_its_tensor on @mesh {
  // expected-error @below {{gives a buffer of 20 bytes, but 'tensor<2x3xf32>' takes 24}}
  %0 = plan.input "x" : tensor<4x3xf32> as tensor<2x3xf32> layout <@mesh, [{tp}, {}]> -> !plan.buffer<20>
}

// -----

plan.program @whole_and_local_tensor_are_alike on @mesh {
  // expected-error @below {{expects tensors of one rank and element type, got 'tensor<4x3xf32>' and 'tensor<2x3xf16>'}}
  %0 = plan.output "x" : tensor<4x3xf32> as tensor<2x3xf16> layout <@mesh, [{tp}, {}]> -> !plan.buffer<12>
}

// -----

plan.program @a_layout_has_the_rank_of_the_tensor on @mesh {
  // expected-error @below {{has a layout of 1 dimensions for a tensor of 2}}
  %0 = plan.input "x" : tensor<4x3xf32> as tensor<2x3xf32> layout <@mesh, [{tp}]> -> !plan.buffer<24>
}

// -----

plan.program @pieces_are_aligned on @mesh {
  // expected-error @below {{is at offset 40; offsets are multiples of 64}}
  %0 = plan.allocate at 40 -> !plan.buffer<24>
}

// -----

plan.program @inputs_have_static_shape on @mesh {
  // expected-error @below {{expects a tensor of static shape, got 'tensor<?xf32>'}}
  %0 = plan.input "x" : tensor<4xf32> as tensor<?xf32> layout <@mesh, [{tp}]> -> !plan.buffer<8>
}

// -----

plan.program @buffers_have_no_negative_size on @mesh {
  // expected-error @below {{a buffer has -8 bytes; expected 0 or more}}
  %0 = plan.allocate -> !plan.buffer<-8>
}

// -----

plan.program @constants_have_the_bytes_of_their_elements on @mesh {
  // expected-error @below {{gives a buffer of 8 bytes, but 'tensor<3xi32>' takes 12}}
  %0 = plan.constant dense<[1, 2, 3]> : tensor<3xi32> -> !plan.buffer<8>
}

// -----

plan.program @resources_have_the_bytes_of_their_elements on @mesh {
  // expected-error @below {{takes 12 bytes from resource 'short', which has 8}}
  %0 = plan.constant dense_resource<short> : tensor<3xf32> -> !plan.buffer<12>
}
{-# dialect_resources: { builtin: { short: "0x040000000000803F00000040" } } #-}

// -----

plan.program @resources_exist on @mesh {
  // expected-error @below {{takes 12 bytes from resource 'absent', which does not exist}}
  %0 = plan.constant dense_resource<absent> : tensor<3xf32> -> !plan.buffer<12>
}

// -----

plan.program @constants_are_not_written on @mesh {
  // expected-note @below {{the constant is here; copy it to a plan.allocate and write that}}
  %0 = plan.constant dense<[1, 2, 3]> : tensor<3xi32> -> !plan.buffer<12>
  // expected-error @below {{writes a constant}}
  plan.fill %0 with 1 : i32 : !plan.buffer<12>
}

// -----

plan.program @inputs_are_not_written on @mesh {
  // expected-note @below {{the input is here; write a plan.allocate with a copy of it, or make it 'donated'}}
  %x = plan.input "x" : tensor<3x4xf32> as tensor<3x4xf32> layout <@mesh, [{}, {}]> -> !plan.buffer<48>
  plan.loop 3 over (%x : !plan.buffer<48>) carry () to () {
  ^bb0(%window: !plan.buffer<16>):
    // expected-error @below {{writes an input that is not donated}}
    plan.fill %window with 1.0 : f32 : !plan.buffer<16>
  }
}

// -----

plan.program @inputs_do_not_carry_values on @mesh {
  // expected-note @below {{the input is here}}
  %x = plan.input "x" : tensor<4xf32> as tensor<4xf32> layout <@mesh, [{}]> -> !plan.buffer<16>
  %t = plan.allocate -> !plan.buffer<16>
  // expected-error @below {{writes an input that is not donated}}
  plan.loop 3 over () carry (%x : !plan.buffer<16>) to (%t : !plan.buffer<16>) {
  }
}

// -----

// expected-note @below {{put it at the beginning of this program}}
plan.program @outputs_are_those_of_the_program on @mesh {
  plan.loop 3 over () carry () to () {
    // expected-error @below {{'plan.output' op is inside a 'plan.loop'; inputs and outputs are those of the whole program}}
    %y = plan.output "y" : tensor<4xf32> as tensor<4xf32> layout <@mesh, [{}]> -> !plan.buffer<16>
  }
}

// -----

plan.program @an_input_has_one_tied_output on @mesh {
  %p = plan.input "p" donated : tensor<4xf32> as tensor<2xf32> layout <@mesh, [{tp}]> -> !plan.buffer<8>
  // expected-note @below {{that output is here; make one of them a plan.output and copy it there}}
  plan.tied_output "a" : tensor<4xf32> as tensor<2xf32> layout <@mesh, [{tp}]> in %p : !plan.buffer<8>
  // expected-error @below {{is in the memory of an input that has another output already}}
  plan.tied_output "b" : tensor<4xf32> as tensor<2xf32> layout <@mesh, [{tp}]> in %p : !plan.buffer<8>
}

// -----

dist.mesh @mesh <[tp = 2]>
plan.program @axes_are_those_of_the_mesh on @mesh {
  %t = plan.allocate -> !plan.buffer<4>
  // expected-error @below {{'dp'}}
  plan.device_value axis_index {dp} of 0 to %t : !plan.buffer<4>
}

// -----

dist.mesh @mesh <[tp = 2]>
plan.program @groups_are_along_axes_of_the_mesh on @mesh {
  %t = plan.allocate -> !plan.buffer<4>
  // expected-error @below {{'dp'}}
  plan.collective all_reduce %t to %t over {dp} {reduction = #dist<reduction sum>} : tensor<f32> -> tensor<f32>, !plan.buffer<4>, !plan.buffer<4>
}

// -----

dist.mesh @mesh <[tp = 2]>
plan.program @every_device_has_a_receiver on @mesh {
  %t = plan.allocate -> !plan.buffer<4>
  %u = plan.allocate -> !plan.buffer<4>
  // expected-error @below {{names 3 receivers; expected one for each of the 2 devices of the mesh}}
  plan.collective permute %t to %u over {tp} {targets = array<i64: 1, 0, 2>} : tensor<f32> -> tensor<f32>, !plan.buffer<4>, !plan.buffer<4>
}

// -----

dist.mesh @mesh <[tp = 2]>
plan.program @receivers_exist on @mesh {
  %t = plan.allocate -> !plan.buffer<4>
  %u = plan.allocate -> !plan.buffer<4>
  // expected-error @below {{sends from device 0 to 2, which does not exist; every device of 0 to 1 receives once}}
  plan.collective permute %t to %u over {tp} {targets = array<i64: 2, 0>} : tensor<f32> -> tensor<f32>, !plan.buffer<4>, !plan.buffer<4>
}

// -----

dist.mesh @mesh <[tp = 2]>
plan.program @receivers_receive_once on @mesh {
  %t = plan.allocate -> !plan.buffer<4>
  %u = plan.allocate -> !plan.buffer<4>
  // expected-error @below {{sends from device 1 to 0, which receives from another device already; every device of 0 to 1 receives once}}
  plan.collective permute %t to %u over {tp} {targets = array<i64: 0, 0>} : tensor<f32> -> tensor<f32>, !plan.buffer<4>, !plan.buffer<4>
}

// -----

dist.mesh @mesh <[dp = 2, tp = 2]>
plan.program @senders_are_receivers on @mesh {
  %t = plan.allocate -> !plan.buffer<4>
  %u = plan.allocate -> !plan.buffer<4>
  // expected-error @below {{sends along {dp}, which are not the devices of {tp}}}
  plan.collective permute %t to %u over {tp} {to = #dist<axes{dp}>} : tensor<f32> -> tensor<f32>, !plan.buffer<4>, !plan.buffer<4>
}
