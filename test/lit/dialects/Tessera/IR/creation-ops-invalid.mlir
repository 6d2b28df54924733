// RUN: tessera-opt %s --split-input-file --verify-diagnostics

func.func @a_constant_has_the_shape_of_its_elements() -> tensor<3x2xf32> {
  // expected-error @below {{expects a result of shape [2, 3], got [3, 2]}}
  // expected-note @below {{the constant's elements have that shape}}
  %0 = tessera.constant dense<1.0> : tensor<2x3xf32> : tensor<3x2xf32>
  return %0 : tensor<3x2xf32>
}

// -----

func.func @a_constant_has_the_type_of_its_elements() -> tensor<2x3xbf16> {
  // expected-error @below {{expects a result of element type 'f32', got 'bf16'}}
  // expected-note @below {{use tessera.convert}}
  %0 = tessera.constant dense<1.0> : tensor<2x3xf32> : tensor<2x3xbf16>
  return %0 : tensor<2x3xbf16>
}

// -----

func.func @iota_runs_along_a_dimension() -> tensor<2x3xi32> {
  // expected-error @below {{has dimension -1, but the tensor has rank 2; dimensions count from 0}}
  // expected-note @below {{the result has dimensions 0 to 1}}
  %0 = tessera.iota dim -1 : tensor<2x3xi32>
  return %0 : tensor<2x3xi32>
}

// -----

// expected-note @below {{a key has type 'tensor<3xi32>'}}
func.func @a_key_is_two_words(%k: tensor<3xi32>) -> tensor<2x3xf32> {
  // expected-error @below {{expects a key of shape [2], got [3]}}
  // expected-note @below {{a key is two words}}
  %0 = tessera.rng uniform %k [2, 3] : tensor<3xi32> -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// -----

// expected-note @below {{a key has type 'tensor<3x2xi32>'}}
func.func @a_batch_of_keys_has_the_leading_dimensions(%k: tensor<3x2xi32>) -> tensor<2x3xf32> {
  // expected-error @below {{expects a key of shape [2, 2], got [3, 2]}}
  // expected-note @below {{a batch of keys has the result's leading dimensions before them}}
  %0 = tessera.rng uniform %k [2, 3] : tensor<3x2xi32> -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// -----

// expected-note @below {{a key has type 'tensor<i32>'}}
func.func @a_key_has_words(%k: tensor<i32>) -> tensor<2x3xf32> {
  // expected-error @below {{expects a key of shape [2], got []}}
  // expected-note @below {{a key is two words}}
  %0 = tessera.rng uniform %k [2, 3] : tensor<i32> -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// -----

func.func @logical_shape_and_result_have_one_rank(%k: tensor<2xi32>) -> tensor<2x3xf32> {
  // expected-error @below {{logical shape [6] has rank 1, the result has 2}}
  // expected-note @below {{the result is this shape, or with offsets a part of it}}
  %0 = tessera.rng uniform %k [6] : tensor<2xi32> -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// -----

// expected-note @below {{the first operand has type 'tensor<2xi32>'}}
func.func @without_offsets_the_result_is_whole(%k: tensor<2xi32>) -> tensor<2x3xf32> {
  // expected-error @below {{expects a result of shape [4, 3], got [2, 3]}}
  // expected-note @below {{a part of the logical shape needs offsets}}
  %0 = tessera.rng uniform %k [4, 3] : tensor<2xi32> -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// -----

func.func @each_dimension_has_an_offset(%k: tensor<2xi32>, %o: tensor<i32>) -> tensor<2x3xf32> {
  // expected-error @below {{expects one offset per dimension (2), got 1}}
  // expected-note @below {{without offsets the result is the whole logical shape}}
  %0 = tessera.rng uniform %k [4, 3] offsets %o : tensor<i32> : tensor<2xi32> -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// -----

func.func @uniform_numbers_are_floats(%k: tensor<2xi32>) -> tensor<2x3xi32> {
  // expected-error @below {{uniform and normal numbers are floats, bits are integers; got element type 'i32'}}
  // expected-note @below {{use 'bits', or float elements and then tessera.convert}}
  %0 = tessera.rng uniform %k [2, 3] : tensor<2xi32> -> tensor<2x3xi32>
  return %0 : tensor<2x3xi32>
}

// -----

func.func @random_bits_are_words(%k: tensor<2xi32>) -> tensor<2x3xi64> {
  // expected-error @below {{gives words of 32 bits; expected element type i32 or ui32, got 'i64'}}
  // expected-note @below {{use tessera.convert on the words}}
  %0 = tessera.rng bits %k [2, 3] : tensor<2xi32> -> tensor<2x3xi64>
  return %0 : tensor<2x3xi64>
}

// -----

func.func @a_resource_has_all_elements() -> tensor<2x3xf32> {
  // expected-error @below {{takes 24 bytes from resource 'short', which has 8}}
  // expected-note @below {{behind 4 that give the alignment, or write the elements as dense<...>}}
  %0 = tessera.constant dense_resource<short> : tensor<2x3xf32> : tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}
{-# dialect_resources: { builtin: { short: "0x040000000000803F00000040" } } #-}

// -----

func.func @a_resource_exists() -> tensor<2x3xf32> {
  // expected-error @below {{takes 24 bytes from resource 'missing', which does not exist}}
  // expected-note @below {{put its bytes into the file's dialect_resources}}
  %0 = tessera.constant dense_resource<missing> : tensor<2x3xf32> : tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}
