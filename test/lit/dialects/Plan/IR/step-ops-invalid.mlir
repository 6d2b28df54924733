// RUN: tessera-opt %s --split-input-file --verify-diagnostics

plan.program @copies_are_whole on @mesh {
  // expected-note @below {{this buffer has 24 bytes}}
  %0 = plan.allocate -> !plan.buffer<24>
  // expected-note @below {{this buffer has 12 bytes}}
  %1 = plan.allocate -> !plan.buffer<12>
  // expected-error @below {{copies 24 bytes into a buffer of 12}}
  plan.copy %0 to %1 : !plan.buffer<24>, !plan.buffer<12>
}

// -----

plan.program @a_grid_has_blocks on @mesh {
  %0 = plan.allocate -> !plan.buffer<24>
  // expected-error @below {{has a grid of [2, 0]; expected 1 to 3 dimensions of 1 block or more}}
  plan.launch @k grid [2, 0] (%0) to (%0) : (!plan.buffer<24>) -> !plan.buffer<24>
}

// -----

plan.program @a_launch_writes on @mesh {
  %0 = plan.allocate -> !plan.buffer<24>
  // expected-error @below {{writes nothing}}
  "plan.launch"(%0) <{grid = array<i64: 1>, kernel = @k, operandSegmentSizes = array<i32: 1, 0>}> : (!plan.buffer<24>) -> ()
}

// -----

plan.program @elements_fill_a_buffer on @mesh {
  // expected-note @below {{this buffer has 10 bytes}}
  %0 = plan.allocate -> !plan.buffer<10>
  // expected-error @below {{fills a buffer of 10 bytes with elements of 4}}
  plan.fill %0 with 1.0 : f32 : !plan.buffer<10>
}

// -----

plan.program @device_values_take_four_bytes on @mesh {
  // expected-note @below {{this buffer has 8 bytes}}
  %0 = plan.allocate -> !plan.buffer<8>
  // expected-error @below {{writes one i32, 4 bytes, into a buffer of 8}}
  plan.device_value axis_index {tp} of 0 to %0 : !plan.buffer<8>
}

// -----

plan.program @extents_are_of_a_size on @mesh {
  %0 = plan.allocate -> !plan.buffer<4>
  // expected-error @below {{asks for valid_extent of size 0; expected the logical size}}
  plan.device_value valid_extent {tp} of 0 to %0 : !plan.buffer<4>
}

// -----

plan.program @collectives_read_whole_buffers on @mesh {
  // expected-note @below {{this buffer has 24 bytes}}
  %0 = plan.allocate -> !plan.buffer<24>
  // expected-error @below {{reads 'tensor<2x2xf32>' of 16 bytes in a buffer of 24}}
  plan.collective all_reduce %0 to %0 over {tp} {reduction = #dist<reduction sum>} : tensor<2x2xf32> -> tensor<2x3xf32>, !plan.buffer<24>, !plan.buffer<24>
}

// -----

plan.program @sums_are_said_to_be_sums on @mesh {
  %0 = plan.allocate -> !plan.buffer<24>
  // expected-error @below {{is an all_reduce and needs 'reduction'}}
  plan.collective all_reduce %0 to %0 over {tp} : tensor<2x3xf32> -> tensor<2x3xf32>, !plan.buffer<24>, !plan.buffer<24>
}

// -----

plan.program @gathers_do_not_reduce on @mesh {
  %0 = plan.allocate -> !plan.buffer<24>
  // expected-error @below {{is an all_gather and has no 'reduction'}}
  plan.collective all_gather %0 to %0 over {tp} {dim = 0 : i64, reduction = #dist<reduction sum>} : tensor<2x3xf32> -> tensor<2x3xf32>, !plan.buffer<24>, !plan.buffer<24>
}

// -----

plan.program @permutations_have_targets on @mesh {
  %0 = plan.allocate -> !plan.buffer<24>
  // expected-error @below {{is a permute and needs 'targets'}}
  plan.collective permute %0 to %0 over {} : tensor<2x3xf32> -> tensor<2x3xf32>, !plan.buffer<24>, !plan.buffer<24>
}

// -----

plan.program @dimensions_exist on @mesh {
  %0 = plan.allocate -> !plan.buffer<24>
  // expected-error @below {{names dimension 2 of 'tensor<2x3xf32>'}}
  plan.collective all_slice %0 to %0 over {tp} {dim = 2 : i64} : tensor<2x3xf32> -> tensor<2x3xf32>, !plan.buffer<24>, !plan.buffer<24>
}

// -----

plan.program @a_buffer_is_filled_with_numbers on @mesh {
  %0 = plan.allocate -> !plan.buffer<24>
  // expected-error @below {{fills with 0 : index; expected a number}}
  plan.fill %0 with 0 : index : !plan.buffer<24>
}

// -----

plan.program @collectives_move_tensors_of_static_shape on @mesh {
  %0 = plan.allocate -> !plan.buffer<24>
  // expected-error @below {{expects a tensor of static shape, got 'tensor<?x3xf32>'}}
  plan.collective all_reduce %0 to %0 over {tp} {reduction = #dist<reduction sum>} : tensor<?x3xf32> -> tensor<?x3xf32>, !plan.buffer<24>, !plan.buffer<24>
}

// -----

plan.program @dimensions_count_from_0 on @mesh {
  %0 = plan.allocate -> !plan.buffer<24>
  // expected-error @below {{names dimension -1 of 'tensor<2x3xf32>'; dimensions count from 0}}
  plan.collective all_gather %0 to %0 over {tp} {dim = -1 : i64} : tensor<2x3xf32> -> tensor<2x3xf32>, !plan.buffer<24>, !plan.buffer<24>
}

// -----

plan.program @each_place_of_a_print_has_a_value on @mesh {
  // expected-error @below {{has 1 places {} in "a {}", but 0 values}}
  plan.print "a {}" () of []
}

// -----

plan.program @a_format_has_no_single_brace on @mesh {
  // expected-error @below {{has a single brace in "a {"; {} stands for a value, {{ and }} for braces}}
  plan.print "a {" () of []
}

// -----

plan.program @each_operand_of_a_check_has_a_type on @mesh {
  %0 = plan.allocate -> !plan.buffer<1>
  // expected-error @below {{has 1 operands, but 0 types}}
  plan.check %0 "no" () of [] : !plan.buffer<1>
}

// -----

plan.program @a_printed_tensor_has_the_size_of_its_buffer on @mesh {
  // expected-note @below {{this buffer has 8 bytes}}
  %0 = plan.allocate -> !plan.buffer<8>
  // expected-error @below {{reads 'tensor<2x3xf32>' of 24 bytes in a buffer of 8}}
  plan.print "a {}" (%0) of [tensor<2x3xf32>] : !plan.buffer<8>
}

// -----

plan.program @a_check_is_of_booleans on @mesh {
  %0 = plan.allocate -> !plan.buffer<4>
  // expected-error @below {{expects a predicate of i1, got 'tensor<f32>'}}
  plan.check %0 "no" () of [tensor<f32>] : !plan.buffer<4>
}

// -----

plan.program @a_step_with_a_token_is_waited_for on @mesh {
  %0 = plan.allocate -> !plan.buffer<8>
  %1 = plan.allocate -> !plan.buffer<8>
  // expected-error @below {{has token 3, which no plan.await behind it in its block waits for}}
  plan.copy %0 to %1 {token = 3 : i32} : !plan.buffer<8>, !plan.buffer<8>
}

// -----

plan.program @a_stream_is_of_steps_with_tokens on @mesh {
  %0 = plan.allocate -> !plan.buffer<8>
  %1 = plan.allocate -> !plan.buffer<8>
  // expected-error @below {{is in stream 1 but has no token}}
  plan.copy %0 to %1 {stream = 1 : i32} : !plan.buffer<8>, !plan.buffer<8>
}

// -----

plan.program @a_token_is_of_a_step_before on @mesh {
  // expected-error @below {{waits for token 3, which no step before it in its block has}}
  plan.await 3
}

// -----

plan.program @a_token_is_of_one_step on @mesh {
  %0 = plan.allocate -> !plan.buffer<8>
  %1 = plan.allocate -> !plan.buffer<8>
  // expected-note @below {{that step is here}}
  plan.copy %0 to %1 {token = 3 : i32} : !plan.buffer<8>, !plan.buffer<8>
  // expected-error @below {{has token 3, which a step that is not yet waited for has}}
  plan.copy %0 to %1 {token = 3 : i32} : !plan.buffer<8>, !plan.buffer<8>
  plan.await 3
}

// -----

plan.program @what_an_asynchronous_step_writes_is_not_used on @mesh {
  %0 = plan.allocate -> !plan.buffer<8>
  %1 = plan.allocate -> !plan.buffer<8>
  %2 = plan.allocate -> !plan.buffer<8>
  // expected-note @below {{that step is here}}
  plan.copy %0 to %1 {token = 3 : i32} : !plan.buffer<8>, !plan.buffer<8>
  plan.loop 2 over () carry () to () {
    // expected-error @below {{uses what the step of token 3 writes, before that step is waited for}}
    plan.copy %1 to %2 : !plan.buffer<8>, !plan.buffer<8>
  }
  // expected-note @below {{it is waited for here}}
  plan.await 3
}

// -----

plan.program @what_an_asynchronous_step_reads_is_not_written on @mesh {
  %0 = plan.allocate -> !plan.buffer<8>
  %1 = plan.allocate -> !plan.buffer<8>
  // expected-note @below {{that step is here}}
  plan.copy %0 to %1 {token = 3 : i32} : !plan.buffer<8>, !plan.buffer<8>
  // expected-error @below {{writes what the step of token 3 reads, before that step is waited for}}
  plan.fill %0 with 1.0 : f32 : !plan.buffer<8>
  // expected-note @below {{it is waited for here}}
  plan.await 3
}

// -----

plan.program @windows_over_one_base_are_one_memory on @mesh {
  %0 = plan.allocate -> !plan.buffer<32>
  %1 = plan.allocate -> !plan.buffer<8>
  %2 = plan.allocate -> !plan.buffer<8>
  plan.loop 4 over (%0, %0 : !plan.buffer<32>, !plan.buffer<32>) carry () to () {
  ^bb0(%a: !plan.buffer<8>, %b: !plan.buffer<8>):
    // expected-note @below {{that step is here}}
    plan.copy %1 to %a {token = 1 : i32} : !plan.buffer<8>, !plan.buffer<8>
    // expected-error @below {{uses what the step of token 1 writes, before that step is waited for}}
    plan.copy %b to %2 : !plan.buffer<8>, !plan.buffer<8>
    // expected-note @below {{it is waited for here}}
    plan.await 1
  }
}

// -----

plan.program @streams_are_few on @mesh {
  %0 = plan.allocate -> !plan.buffer<8>
  %1 = plan.allocate -> !plan.buffer<8>
  // expected-error @below {{attribute 'stream' failed to satisfy constraint: 32-bit signless integer attribute whose value is non-negative whose maximum value is 63}}
  plan.copy %0 to %1 {token = 1 : i32, stream = 64 : i32} : !plan.buffer<8>, !plan.buffer<8>
  plan.await 1
}

// -----

dist.mesh @mesh <[tp = 2]>
plan.program @a_gathered_dimension_grows_by_the_group on @mesh {
  %t = plan.allocate -> !plan.buffer<24>
  %u = plan.allocate -> !plan.buffer<60>
  // expected-error @below {{turns size 2 of dimension 0 into 5 in groups of 2 devices; expected 4 or less}}
  plan.collective all_gather %t to %u over {tp} {dim = 0 : i64} : tensor<2x3xf32> -> tensor<5x3xf32>, !plan.buffer<24>, !plan.buffer<60>
}

// -----

dist.mesh @mesh <[tp = 2]>
plan.program @a_cut_dimension_has_a_part_for_each_device on @mesh {
  %t = plan.allocate -> !plan.buffer<24>
  %u = plan.allocate -> !plan.buffer<8>
  // expected-error @below {{turns size 3 of dimension 1 into 1 in groups of 2 devices; expected 2}}
  plan.collective all_slice %t to %u over {tp} {dim = 1 : i64} : tensor<2x3xf32> -> tensor<2x1xf32>, !plan.buffer<24>, !plan.buffer<8>
}

// -----

dist.mesh @mesh <[tp = 2]>
plan.program @other_dimensions_stay on @mesh {
  %t = plan.allocate -> !plan.buffer<24>
  %u = plan.allocate -> !plan.buffer<8>
  // expected-error @below {{turns size 3 of dimension 1 into 2 in groups of 2 devices; expected 3}}
  plan.collective reduce_scatter %t to %u over {tp} {dim = 0 : i64, reduction = #dist<reduction sum>} : tensor<2x3xf32> -> tensor<1x2xf32>, !plan.buffer<24>, !plan.buffer<8>
}

// -----

dist.mesh @mesh <[tp = 2]>
plan.program @all_to_all_has_two_dimensions on @mesh {
  %t = plan.allocate -> !plan.buffer<24>
  %u = plan.allocate -> !plan.buffer<24>
  // expected-error @below {{cuts and joins dimension 0; expected two dimensions}}
  plan.collective all_to_all %t to %u over {tp} {dim = 0 : i64, concat_dim = 0 : i64} : tensor<2x3xf32> -> tensor<2x3xf32>, !plan.buffer<24>, !plan.buffer<24>
}

// -----

dist.mesh @mesh <[tp = 2]>
plan.program @sums_have_the_shape_of_their_terms on @mesh {
  %t = plan.allocate -> !plan.buffer<24>
  // expected-error @below {{turns 'tensor<2x3xf32>' into 'tensor<3x2xf32>'; expected one element type and shape}}
  plan.collective all_reduce %t to %t over {tp} {reduction = #dist<reduction sum>} : tensor<2x3xf32> -> tensor<3x2xf32>, !plan.buffer<24>, !plan.buffer<24>
}

// -----

dist.mesh @mesh <[tp = 2]>
plan.program @elements_keep_their_type on @mesh {
  %t = plan.allocate -> !plan.buffer<24>
  %u = plan.allocate -> !plan.buffer<48>
  // expected-error @below {{turns 'tensor<2x3xf32>' into 'tensor<4x3xi32>'; expected one element type and rank}}
  plan.collective all_gather %t to %u over {tp} {dim = 0 : i64} : tensor<2x3xf32> -> tensor<4x3xi32>, !plan.buffer<24>, !plan.buffer<48>
}

// -----

dist.mesh @mesh <[tp = 2]>
plan.program @only_sums_are_in_place on @mesh {
  // expected-note @below {{the memory is here}}
  %t = plan.allocate -> !plan.buffer<24>
  // expected-error @below {{writes the memory that it reads; only an all_reduce may, if both are one buffer: give it another output}}
  plan.collective permute %t to %t over {tp} {targets = array<i64: 1, 0>} : tensor<2x3xf32> -> tensor<2x3xf32>, !plan.buffer<24>, !plan.buffer<24>
}

// -----

dist.mesh @mesh <[tp = 2]>
plan.program @booleans_are_not_summed on @mesh {
  %t = plan.allocate -> !plan.buffer<6>
  // expected-error @below {{sums booleans; the reductions of i1 are max (or), min and prod (and)}}
  plan.collective all_reduce %t to %t over {tp} {reduction = #dist<reduction sum>} : tensor<2x3xi1> -> tensor<2x3xi1>, !plan.buffer<6>, !plan.buffer<6>
}

// -----

dist.mesh @mesh <[tp = 2]>
plan.program @what_is_stored_is_not_reduced on @mesh {
  %t = plan.allocate -> !plan.buffer<6>
  // expected-error @below {{reduces 'f8E4M3FN', which is a type of storage only; reduce f32}}
  plan.collective all_reduce %t to %t over {tp} {reduction = #dist<reduction max>} : tensor<2x3xf8E4M3FN> -> tensor<2x3xf8E4M3FN>, !plan.buffer<6>, !plan.buffer<6>
}
