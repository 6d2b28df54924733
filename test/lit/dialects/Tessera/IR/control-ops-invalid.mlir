// RUN: tessera-opt %s --split-input-file --verify-diagnostics

func.func @scan_without_a_result_for_a_carried_value(%x: tensor<2xf32>) {
  // expected-error @below {{has 1 carried values, but 0 results; expected a result for each}}
  tessera.scan (%x) over () length 3 : (tensor<2xf32>) over () -> () {
  ^bb0(%i: tensor<i32>, %c: tensor<2xf32>):
    tessera.yield %c : tensor<2xf32>
  }
  return
}

// -----

func.func @scan_of_negative_length(%x: tensor<2xf32>) {
  // expected-error @below {{expects a length of 0 or more, got -1}}
  %0 = tessera.scan (%x) over () length -1 : (tensor<2xf32>) over () -> (tensor<2xf32>) {
  ^bb0(%i: tensor<i32>, %c: tensor<2xf32>):
    tessera.yield %c : tensor<2xf32>
  }
  return
}

// -----

func.func @stacked_result_of_no_iterations(%x: tensor<2xf32>) {
  // expected-error @below {{has length 0 and stacked results, which would have no elements}}
  // expected-note @below {{a loop that never runs gives its initial values}}
  %0 = tessera.scan () over () length 0 : () over () -> (tensor<0x2xf32>) {
  ^bb0(%i: tensor<i32>):
    tessera.yield %x : tensor<2xf32>
  }
  return
}

// -----

func.func @sequence_of_no_iterations(%x: tensor<0x2xf32>) {
  // expected-error @below {{has length 0 and sequences, which would have no elements}}
  // expected-note @below {{a loop that never runs gives its initial values}}
  tessera.scan () over (%x) length 0 : () over (tensor<0x2xf32>) -> () {
  ^bb0(%i: tensor<i32>, %slice: tensor<2xf32>):
    tessera.yield
  }
  return
}

// -----

func.func @scan_without_index(%x: tensor<2xf32>) {
  // expected-error @below {{expects its body to have 2 arguments (the index, carried values, slices of sequences), got 1}}
  %0 = tessera.scan (%x) over () length 3 : (tensor<2xf32>) over () -> (tensor<2xf32>) {
  ^bb0(%c: tensor<2xf32>):
    tessera.yield %c : tensor<2xf32>
  }
  return
}

// -----

func.func @index_of_another_type(%x: tensor<2xf32>) {
  // expected-error @below {{expects the body's first argument to be the index, an i32 scalar, got type 'tensor<i64>'}}
  %0 = tessera.scan (%x) over () length 3 : (tensor<2xf32>) over () -> (tensor<2xf32>) {
  ^bb0(%i: tensor<i64>, %c: tensor<2xf32>):
    tessera.yield %c : tensor<2xf32>
  }
  return
}

// -----

func.func @argument_of_a_type_that_programs_do_not_have(%x: tensor<2xf32>) {
  // expected-error @below {{has a block argument of type 'index'; expected a mesh tensor or a statically shaped tensor}}
  %0 = tessera.scan (%x) over () length 3 : (tensor<2xf32>) over () -> (tensor<2xf32>) {
  ^bb0(%i: index, %c: tensor<2xf32>):
    tessera.yield %c : tensor<2xf32>
  }
  return
}

// -----

func.func @too_few_yielded(%x: tensor<2xf32>) {
  // expected-error @below {{expects its body to yield 2 values (carried values, then what is stacked), got 1}}
  %0:2 = tessera.scan (%x) over () length 3 : (tensor<2xf32>) over () -> (tensor<2xf32>, tensor<3x2xf32>) {
  ^bb0(%i: tensor<i32>, %c: tensor<2xf32>):
    // expected-note @below {{the values are yielded here}}
    tessera.yield %c : tensor<2xf32>
  }
  return
}

// -----

func.func @body_without_yield(%x: tensor<2xf32>) {
  // expected-error @below {{expects its body to end with tessera.yield}}
  %0 = tessera.scan (%x) over () length 3 : (tensor<2xf32>) over () -> (tensor<2xf32>) {
  ^bb0(%i: tensor<i32>, %c: tensor<2xf32>):
    llvm.unreachable
  }
  return
}

// -----

func.func @sequence_of_another_length(%xs: tensor<4x2xf32>) {
  // expected-error @below {{expects a sequence with a leading dimension of its length, 3, got type 'tensor<4x2xf32>'}}
  tessera.scan () over (%xs) length 3 : () over (tensor<4x2xf32>) -> () {
  ^bb0(%i: tensor<i32>, %x: tensor<2xf32>):
    tessera.yield
  }
  return
}

// -----

func.func @scalar_sequence(%xs: tensor<f32>) {
  // expected-error @below {{expects a sequence with a leading dimension of its length, 1, got type 'tensor<f32>'}}
  tessera.scan () over (%xs) length 1 : () over (tensor<f32>) -> () {
  ^bb0(%i: tensor<i32>, %x: tensor<f32>):
    tessera.yield
  }
  return
}

// -----

func.func @stack_of_another_length(%x: tensor<2xf32>) {
  // expected-error @below {{expects a stacked result with a leading dimension of its length, 3, got type 'tensor<2x2xf32>'}}
  %0 = tessera.scan () over () length 3 : () over () -> (tensor<2x2xf32>) {
  ^bb0(%i: tensor<i32>):
    tessera.yield %x : tensor<2xf32>
  }
  return
}

// -----

func.func @carried_value_changes_its_type(%x: tensor<2xf32>) {
  // expected-error @below {{carried value 0 is an operand of type 'tensor<2xf32>', but a yielded value of type 'tensor<3xf32>'}}
  // expected-note @below {{element type and mesh stay the same, and so does the shape}}
  %0 = tessera.scan (%x) over () length 3 : (tensor<2xf32>) over () -> (tensor<2xf32>) {
  ^bb0(%i: tensor<i32>, %c: tensor<2xf32>):
    %1 = tessera.pad %c low [1] high [0] value 0.0 : f32 : tensor<2xf32> -> tensor<3xf32>
    tessera.yield %1 : tensor<3xf32>
  }
  return
}

// -----

func.func @slice_of_another_type(%xs: tensor<3x2xf32>) {
  // expected-error @below {{sequence 0 is an operand of type 'tensor<3x2xf32>', but a block argument of type 'tensor<2xi32>'}}
  // expected-note @below {{the shape behind the sequence's leading dimension}}
  tessera.scan () over (%xs) length 3 : () over (tensor<3x2xf32>) -> () {
  ^bb0(%i: tensor<i32>, %x: tensor<2xi32>):
    tessera.yield
  }
  return
}

// -----

func.func @stack_of_another_shape(%x: tensor<2xf32>) {
  // expected-error @below {{stacked result 0 is a yielded value of type 'tensor<2xf32>', but a result of type 'tensor<3x4xf32>'}}
  // expected-note @below {{the shape behind the stacked result's leading dimension}}
  %0 = tessera.scan () over () length 3 : () over () -> (tensor<3x4xf32>) {
  ^bb0(%i: tensor<i32>):
    tessera.yield %x : tensor<2xf32>
  }
  return
}

// -----

dist.mesh @mesh <[tp = 2]>
dist.mesh @other <[tp = 2]>
func.func @carried_value_changes_its_mesh(%x: !tessera.mesh_tensor<2xf32, @mesh>) {
  // expected-error @below {{carried value 0 is an operand of type '!tessera.mesh_tensor<2xf32, @mesh>', but a block argument of type '!tessera.mesh_tensor<2xf32, @other>'}}
  // expected-note @below {{element type and mesh stay the same, and so does the shape}}
  %0 = tessera.scan (%x) over () length 3 : (!tessera.mesh_tensor<2xf32, @mesh>) over () -> (!tessera.mesh_tensor<2xf32, @mesh>) {
  ^bb0(%i: !tessera.mesh_tensor<i32, @mesh>, %c: !tessera.mesh_tensor<2xf32, @other>):
    tessera.yield %x : !tessera.mesh_tensor<2xf32, @mesh>
  }
  return
}

// -----

func.func @while_without_a_predicate(%x: tensor<i32>) {
  // expected-error @below {{expects its condition to yield 1 values (the predicate), got 0}}
  %0 = tessera.while (%x) : (tensor<i32>) -> (tensor<i32>) cond {
  ^bb0(%c: tensor<i32>):
    // expected-note @below {{the values are yielded here}}
    tessera.yield
  } do {
  ^bb0(%c: tensor<i32>):
    tessera.yield %c : tensor<i32>
  }
  return
}

// -----

func.func @predicate_of_another_type(%x: tensor<i32>) {
  // expected-error @below {{expects its condition to yield the predicate, an i1 scalar, got type 'tensor<i32>'}}
  %0 = tessera.while (%x) : (tensor<i32>) -> (tensor<i32>) cond {
  ^bb0(%c: tensor<i32>):
    // expected-note @below {{it is yielded here}}
    tessera.yield %c : tensor<i32>
  } do {
  ^bb0(%c: tensor<i32>):
    tessera.yield %c : tensor<i32>
  }
  return
}

// -----

func.func @while_without_a_result(%x: tensor<i32>, %p: tensor<i1>) {
  // expected-error @below {{has 1 carried values, but 0 results; expected a result for each}}
  tessera.while (%x) : (tensor<i32>) -> () cond {
  ^bb0(%c: tensor<i32>):
    tessera.yield %p : tensor<i1>
  } do {
  ^bb0(%c: tensor<i32>):
    tessera.yield %c : tensor<i32>
  }
  return
}

// -----

func.func @condition_without_arguments(%x: tensor<i32>, %p: tensor<i1>) {
  // expected-error @below {{expects its condition to have 1 arguments (the carried values), got 0}}
  %0 = tessera.while (%x) : (tensor<i32>) -> (tensor<i32>) cond {
    tessera.yield %p : tensor<i1>
  } do {
  ^bb0(%c: tensor<i32>):
    tessera.yield %c : tensor<i32>
  }
  return
}

// -----

func.func @selector_of_another_type(%s: tensor<2xi1>, %x: tensor<2xf32>) {
  // expected-error @below {{expects a selector that is an i1 or i32 scalar, got type 'tensor<2xi1>'}}
  // expected-note @below {{tessera.convert changes the element type; tessera.select chooses element by element}}
  %0 = tessera.cond %s : tensor<2xi1> -> (tensor<2xf32>) {
    tessera.yield %x : tensor<2xf32>
  }, {
    tessera.yield %x : tensor<2xf32>
  }
  return
}

// -----

func.func @three_branches_for_a_truth_value(%s: tensor<i1>) {
  // expected-error @below {{has an i1 selector and 3 branches; expected 2, for false and true}}
  tessera.cond %s : tensor<i1> -> () {
    tessera.yield
  }, {
    tessera.yield
  }, {
    tessera.yield
  }
  return
}

// -----

func.func @no_branches(%s: tensor<i32>) {
  // expected-error @below {{expects at least one branch}}
  "tessera.cond"(%s) : (tensor<i32>) -> ()
  return
}

// -----

func.func @branches_of_two_types(%s: tensor<i1>, %x: tensor<2xf32>, %y: tensor<3xf32>) {
  // expected-error @below {{result 0 is a yielded value of type 'tensor<2xf32>', but a yielded value of type 'tensor<3xf32>'}}
  // expected-note @below {{element type and mesh stay the same, and so does the shape}}
  %0 = tessera.cond %s : tensor<i1> -> (tensor<2xf32>) {
    tessera.yield %x : tensor<2xf32>
  }, {
    tessera.yield %y : tensor<3xf32>
  }
  return
}

// -----

func.func @branch_with_an_argument(%s: tensor<i1>) {
  // expected-error @below {{expects its branches to have 0 arguments (they use values from outside), got 1}}
  tessera.cond %s : tensor<i1> -> () {
    tessera.yield
  }, {
  ^bb0(%x: tensor<2xf32>):
    tessera.yield
  }
  return
}

// -----

func.func @yield_outside_of_a_region(%x: tensor<2xf32>) {
  // expected-error @below {{'tessera.yield' op expects parent op to be one of}}
  tessera.yield %x : tensor<2xf32>
}

// -----

// A name that is used before it is defined, in a region that is left; the op
// has a later error, too.
func.func @value_of_a_condition_used_outside(%x: tensor<i32>) {
  // expected-note @below {{used here; a region's values leave it as results of the op around it}}
  %0 = tessera.not %p : tensor<i1>
  // expected-error @below {{a value that is defined in this region is used outside of it}}
  %1 = tessera.while (%x) : (tensor<i32>) -> (tensor<i32>) cond {
  ^bb0(%n: tensor<i32>):
    %p = tessera.compare lt %n, %n : tensor<i32>, tensor<i32> -> tensor<i1>
    tessera.yield %p : tensor<i1>
  } do {
  ^bb0(%n: tensor<i32>):
    tessera.yield %unknown : tensor<
  }
  return
}

// -----

func.func @value_of_a_branch_used_in_the_other(%s: tensor<i1>, %x: tensor<3xf32>) {
  %0 = tessera.cond %s : tensor<i1> -> (tensor<3xf32>) {
    // expected-note @below {{used here}}
    tessera.yield %y : tensor<3xf32>
  // expected-error @below {{a value that is defined in this region is used outside of it}}
  }, {
    %y = tessera.neg %x : tensor<3xf32>
    tessera.yield %y : tensor<3xf32>
  }
  return
}

// -----

// Reading it wrote to freed memory.
func.func @value_of_a_branch_of_two_blocks_used_outside(%s: tensor<i1>, %x: tensor<3xf32>) {
  %0 = tessera.neg %y : tensor<3xf32>
  tessera.cond %s : tensor<i1> -> () {
    %y = tessera.neg %x : tensor<3xf32>
    tessera.yield
  ^bb1:
    // expected-error @below {{expected operand}}
    %z = tessera.neg tensor<3xf32>
  }, {
    tessera.yield
  }
  return
}
