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
