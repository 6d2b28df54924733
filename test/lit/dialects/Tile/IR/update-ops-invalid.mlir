// RUN: tessera-opt %s --split-input-file --verify-diagnostics

// expected-error @below {{says of 2 outputs how they begin, but has 1}}
tile.kernel @each_output_has_an_entry grid [1] inputs 1 initial [0, -1] {
^bb0(%x: memref<5xf32>, %y: memref<5xf32>):
}

// -----

// expected-error @below {{output 0 begins as a copy of argument 1; expected an input, 0 to 0, or -1}}
tile.kernel @outputs_begin_as_inputs grid [1] inputs 1 initial [1] {
^bb0(%x: memref<5xf32>, %y: memref<5xf32>):
}

// -----

// expected-error @below {{output 0 of type 'memref<5xf32>' cannot begin as a copy of input 0 of type 'memref<6xf32>'}}
tile.kernel @copies_have_one_type grid [1] inputs 1 initial [0] {
^bb0(%x: memref<6xf32>, %y: memref<5xf32>):
}

// -----

// expected-error @below {{input 0, which output 0 begins as a copy of, is used}}
// expected-note @below {{the output may share its memory; pass the value that is read as another input}}
tile.kernel @the_copied_input_is_not_read grid [1] inputs 1 initial [0] {
^bb0(%x: memref<5xf32>, %y: memref<5xf32>):
  %c0 = arith.constant 0 : index
  %0 = tile.load %x[%c0] : memref<5xf32> -> tensor<5xf32>
  tile.store %0, %y[%c0] : tensor<5xf32>, memref<5xf32>
}

// -----

// expected-note @below {{name the input that it begins as a copy of: initial [...]}}
tile.kernel @a_scatter_updates_what_is_there grid [1] inputs 0 {
^bb0(%y: memref<5xf32>):
  %i = arith.constant dense<1> : tensor<3xi32>
  %v = arith.constant dense<1.0> : tensor<3xf32>
  // expected-error @below {{updates output 0, whose elements have no value before}}
  tile.scatter add %v, %y[%i][] : tensor<3xf32>, memref<5xf32>, tensor<3xi32>
}

// -----

tile.kernel @a_row_for_each_index grid [1] inputs 1 initial [0] {
^bb0(%x: memref<5xf32>, %y: memref<5xf32>):
  %i = arith.constant dense<1> : tensor<3xi32>
  %v = arith.constant dense<1.0> : tensor<2xf32>
  // expected-error @below {{expects rows of shape [3], got [2]}}
  // expected-note @-2 {{rows has type 'tensor<2xf32>'}}
  tile.scatter set %v, %y[%i][] : tensor<2xf32>, memref<5xf32>, tensor<3xi32>
}

// -----

tile.kernel @floats_have_a_sign grid [1] inputs 1 initial [0] {
^bb0(%x: memref<5xf32>, %y: memref<5xf32>):
  %i = arith.constant dense<1> : tensor<2xi32>
  %v = arith.constant dense<1.0> : tensor<2xf32>
  // expected-error @below {{compares 'f32' as unsigned integers; use max or min}}
  tile.scatter umax %v, %y[%i][] : tensor<2xf32>, memref<5xf32>, tensor<2xi32>
}

// -----

tile.kernel @keys_differ_in_bits_they_have grid [1] inputs 0 {
^bb0(%y: memref<5xi32>, %k0: memref<1x5xi32>, %k1: memref<1x5xi32>, %i0: memref<1x5xi32>, %i1: memref<1x5xi32>):
  %c0 = arith.constant 0 : index
  %k = arith.constant dense<1> : tensor<5xi32>
  // expected-error @below {{has keys of 32 bits that differ in bits 0 to 64; expected 0 <= low < high <= 32}}
  tile.argsort %k, %y[%c0] dim 0 bits 0 to 64 scratch(%k0, %k1, %i0, %i1)[%c0] : tensor<5xi32>, memref<5xi32>, memref<1x5xi32>, memref<1x5xi32>
}

// -----

tile.kernel @whole_rows_are_sorted grid [1] inputs 0 {
^bb0(%y: memref<6xi32>, %k0: memref<1x5xi32>, %k1: memref<1x5xi32>, %i0: memref<1x5xi32>, %i1: memref<1x5xi32>):
  %c0 = arith.constant 0 : index
  %k = arith.constant dense<1> : tensor<5xi32>
  // expected-error @below {{sorts 5 keys into dimension 0 of size 6; expected a whole row}}
  tile.argsort %k, %y[%c0] dim 0 bits 0 to 32 scratch(%k0, %k1, %i0, %i1)[%c0] : tensor<5xi32>, memref<6xi32>, memref<1x5xi32>, memref<1x5xi32>
}

// -----

tile.kernel @one_element_is_extracted grid [1] inputs 0 {
^bb0(%y: memref<6xi32>):
  // expected-note @below {{the tile has type 'tensor<2xi32>'}}
  %k = arith.constant dense<1> : tensor<2xi32>
  // expected-error @below {{takes the only element of a tile, got shape [2]}}
  // expected-note @below {{combine its elements by tile.reduce, or load one}}
  %0 = tile.extract %k : tensor<2xi32> -> i32
}
