// RUN: tessera-opt %s --split-input-file --verify-diagnostics

func.func @barrier_without_a_result_for_a_value(%x: tensor<2xf32>, %y: tensor<i32>) {
  // expected-error @below {{expects a result for each of its 2 values, got 1}}
  // expected-note @below {{result i is value i}}
  %0 = tessera.barrier %x, %y : (tensor<2xf32>, tensor<i32>) -> (tensor<2xf32>)
  return
}

// -----

func.func @barrier_changes_a_type(%x: tensor<2xf32>) {
  // expected-error @below {{value 0 is an operand of type 'tensor<2xf32>', but a result of type 'tensor<2xi32>'}}
  // expected-note @below {{element type and mesh stay the same, and so does the shape}}
  %0 = tessera.barrier %x : (tensor<2xf32>) -> (tensor<2xi32>)
  return
}

// -----

func.func @place_without_a_value(%x: tensor<2xf32>) {
  // expected-error @below {{has 2 places {} in "{} and {}", but 1 values}}
  // expected-note @below {{each {} stands for one value, in order}}
  tessera.debug_print "{} and {}" (%x) : tensor<2xf32>
  return
}

// -----

func.func @single_brace(%x: tensor<2xf32>) {
  // expected-error @below {{has a single brace in "a { b"}}
  // expected-note @below {{{} stands for a value, {{ and }} for braces}}
  tessera.debug_print "a { b" ()
  return
}

// -----

func.func @predicate_of_numbers(%x: tensor<2xf32>) {
  // expected-error @below {{operand #0 must be mesh tensor or statically shaped tensor of i1}}
  tessera.debug_check %x "x" () : tensor<2xf32>, ()
  return
}
