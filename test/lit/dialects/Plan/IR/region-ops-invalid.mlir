// RUN: tessera-opt %s --split-input-file --verify-diagnostics

plan.program @loops_run_some_times on @mesh {
  // expected-error @below {{runs -1 times; expected 0 to 2147483647}}
  plan.loop -1 over () carry () to () {
  }
}

// -----

plan.program @an_index_is_an_i32 on @mesh {
  %i = plan.allocate -> !plan.buffer<8>
  // expected-error @below {{writes its index, one i32, into a buffer of 8 bytes}}
  plan.loop 2 index %i : !plan.buffer<8> over () carry () to () {
  }
}

// -----

plan.program @windows_have_bases on @mesh {
  // expected-error @below {{has 1 windows over 0 buffers}}
  plan.loop 2 over () carry () to () {
  ^bb0(%w: !plan.buffer<8>):
  }
}

// -----

plan.program @windows_fit on @mesh {
  %x = plan.allocate -> !plan.buffer<20>
  // expected-error @below {{moves a window of 8 bytes 3 times over a buffer of 20}}
  plan.loop 3 over (%x : !plan.buffer<20>) carry () to () {
  ^bb0(%w: !plan.buffer<8>):
  }
}

// -----

plan.program @carried_values_keep_their_size on @mesh {
  // expected-note @below {{the value is read here}}
  %x = plan.allocate -> !plan.buffer<8>
  // expected-note @below {{and written here}}
  %y = plan.allocate -> !plan.buffer<4>
  // expected-error @below {{exchanges buffers of 8 and 4 bytes}}
  plan.loop 3 over () carry (%x : !plan.buffer<8>) to (%y : !plan.buffer<4>) {
  }
}

// -----

plan.program @carried_values_have_two_buffers on @mesh {
  %x = plan.allocate -> !plan.buffer<8>
  %p = plan.allocate -> !plan.buffer<1>
  // expected-error @below {{exchanges a buffer with itself}}
  plan.while %p : !plan.buffer<1> carry (%x : !plan.buffer<8>) to (%x : !plan.buffer<8>) {
  } do {
  }
}

// -----

plan.program @a_predicate_is_an_i1 on @mesh {
  %p = plan.allocate -> !plan.buffer<4>
  // expected-error @below {{tests a predicate of 4 bytes; expected one i1}}
  plan.while %p : !plan.buffer<4> carry () to () {
  } do {
  }
}

// -----

plan.program @an_i1_selects_one_of_two on @mesh {
  %p = plan.allocate -> !plan.buffer<1>
  // expected-error @below {{has 3 branches; an i1 selects one of two}}
  plan.if %p : !plan.buffer<1> {
  }, {
  }, {
  }
}

// -----

plan.program @selectors_are_scalars on @mesh {
  %p = plan.allocate -> !plan.buffer<8>
  // expected-error @below {{selects by 8 bytes; expected one i1 or one i32}}
  plan.if %p : !plan.buffer<8> {
  }
}

// -----

plan.program @ties_are_to_donated_inputs on @mesh {
  %p = plan.input "p" : tensor<4xf32> as tensor<2xf32> layout <@mesh, [{tp}]> -> !plan.buffer<8>
  // expected-error @below {{is in a buffer that is not a donated plan.input}}
  plan.tied_output "q" : tensor<4xf32> as tensor<2xf32> layout <@mesh, [{tp}]> in %p : !plan.buffer<8>
}

// -----

plan.program @ties_keep_the_layout on @mesh {
  // expected-note @below {{the input is here}}
  %p = plan.input "p" donated : tensor<4xf32> as tensor<2xf32> layout <@mesh, [{tp}]> -> !plan.buffer<8>
  // expected-error @below {{is 'tensor<2xf32>' as [{}], but the input whose memory it is in is 'tensor<4xf32>' as [{tp}]}}
  plan.tied_output "q" : tensor<2xf32> as tensor<2xf32> layout <@mesh, [{}]> in %p : !plan.buffer<8>
}

// -----

plan.program @buffer_of_a_loop_used_outside on @mesh {
  %x = plan.allocate -> !plan.buffer<24>
  // expected-note @below {{used here}}
  plan.copy %x to %y : !plan.buffer<24>, !plan.buffer<24>
  // expected-error @below {{a value that is defined in this region is used outside of it}}
  plan.loop 2 over () carry () to () {
    %y = plan.allocate -> !plan.buffer<24>
  }
}
