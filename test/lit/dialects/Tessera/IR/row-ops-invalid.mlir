// RUN: tessera-opt %s --split-input-file --verify-diagnostics

// expected-note @below {{the input has type 'tensor<2x3xf32>'}}
func.func @logsumexp_runs_along_a_dimension(%x: tensor<2x3xf32>) -> tensor<2xf32> {
  // expected-error @below {{has dimension 2, but the tensor has rank 2; dimensions count from 0}}
  // expected-note @below {{the input has dimensions 0 to 1}}
  %0 = tessera.logsumexp %x dim 2 : tensor<2x3xf32> -> tensor<2xf32>
  return %0 : tensor<2xf32>
}

// -----

// expected-note @below {{the first operand has type 'tensor<2x3xf32>'}}
func.func @logsumexp_drops_the_dimension(%x: tensor<2x3xf32>) -> tensor<2x1xf32> {
  // expected-error @below {{expects a result of shape [2], got [2, 1]}}
  // expected-note @below {{the dimension is dropped}}
  %0 = tessera.logsumexp %x dim 1 : tensor<2x3xf32> -> tensor<2x1xf32>
  return %0 : tensor<2x1xf32>
}

// -----

func.func @logsumexp_of_narrow_floats_is_wide(%x: tensor<2x3xbf16>) -> tensor<2xbf16> {
  // expected-error @below {{expects a result of element type 'f32', got 'bf16'}}
  // expected-note @below {{element types are never converted silently; use tessera.convert}}
  %0 = tessera.logsumexp %x dim 1 : tensor<2x3xbf16> -> tensor<2xbf16>
  return %0 : tensor<2xbf16>
}

// -----

// expected-note @below {{the logits has type 'tensor<f32>'}}
func.func @logits_have_classes(%x: tensor<f32>, %y: tensor<i32>) -> tensor<f32> {
  // expected-error @below {{expects logits [..., V] of a class at least, got []}}
  // expected-note @below {{their last dimension has a logit for each class}}
  %0 = tessera.cross_entropy %x, %y smoothing 0.0 z_loss 0.0 : tensor<f32>, tensor<i32> -> tensor<f32>
  return %0 : tensor<f32>
}

// -----

// expected-note @below {{labels has type 'tensor<3xi32>'}}
func.func @every_row_has_a_label(%x: tensor<2x3xf32>, %y: tensor<3xi32>) -> tensor<2xf32> {
  // expected-error @below {{expects labels of shape [2], got [3]}}
  // expected-note @below {{there is a label for each row of the logits}}
  %0 = tessera.cross_entropy %x, %y smoothing 0.0 z_loss 0.0 : tensor<2x3xf32>, tensor<3xi32> -> tensor<2xf32>
  return %0 : tensor<2xf32>
}

// -----

func.func @smoothing_is_a_part(%x: tensor<2x3xf32>, %y: tensor<2xi32>) -> tensor<2xf32> {
  // expected-error @below {{has smoothing 1.500000e+00; expected a number from 0 to 1}}
  // expected-note @below {{0 wants all weight on the label's class}}
  %0 = tessera.cross_entropy %x, %y smoothing 1.5 z_loss 0.0 : tensor<2x3xf32>, tensor<2xi32> -> tensor<2xf32>
  return %0 : tensor<2xf32>
}

// -----

func.func @z_loss_is_finite(%x: tensor<2x3xf32>, %y: tensor<2xi32>) -> tensor<2xf32> {
  // expected-error @below {{has z_loss INF; expected a finite number}}
  // expected-note @below {{0 leaves the term out}}
  %0 = tessera.cross_entropy %x, %y smoothing 0.0 z_loss 0x7FF0000000000000 : tensor<2x3xf32>, tensor<2xi32> -> tensor<2xf32>
  return %0 : tensor<2xf32>
}

// -----

// expected-note @below {{the labels has type 'tensor<2xi32>'}}
func.func @an_ignored_label_is_of_the_type(%x: tensor<2x3xf32>, %y: tensor<2xi32>) -> tensor<2xf32> {
  // expected-error @below {{ignores the label 4294967295, which is no number of 'i32'}}
  // expected-note @below {{leave it out where no label is ignored}}
  %0 = tessera.cross_entropy %x, %y smoothing 0.0 z_loss 0.0 ignore 4294967295 : tensor<2x3xf32>, tensor<2xi32> -> tensor<2xf32>
  return %0 : tensor<2xf32>
}

// -----

// expected-note @below {{rows has type 'tensor<3x2xf32>'}}
func.func @a_change_has_the_shape_of_the_rows(%d: tensor<2x3xf32>, %x: tensor<3x2xf32>) -> tensor<2x3xf32> {
  // expected-error @below {{expects rows of shape [2, 3], got [3, 2]}}
  // expected-note @below {{there is a change of each element}}
  %0 = tessera.norm_tangent %d at %x epsilon 1.0e-5 : tensor<2x3xf32>, tensor<3x2xf32> -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// -----

func.func @rows_are_no_wider_than_their_change(%d: tensor<2x3xf32>, %x: tensor<2x3xf64>) -> tensor<2x3xf32> {
  // expected-error @below {{expects rows of element type 'f32', got 'f64'}}
  // expected-note @below {{element types are never converted silently; use tessera.convert}}
  %0 = tessera.norm_tangent %d at %x epsilon 1.0e-5 : tensor<2x3xf32>, tensor<2x3xf64> -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}
