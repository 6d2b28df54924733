// RUN: tessera-opt %s --split-input-file --verify-diagnostics

// expected-error @below {{has a grid of 4 dimensions; expected 1 to 3}}
tile.kernel @grids_have_up_to_three_dimensions grid [1, 2, 3, 4] inputs 0 {
}

// -----

// expected-error @below {{has 0 blocks along grid dimension 1; expected at least 1}}
tile.kernel @grids_are_not_empty grid [2, 0] inputs 0 {
}

// -----

// expected-error @below {{has 1 arguments, but 2 inputs; expected 0 to 1}}
tile.kernel @inputs_are_arguments grid [1] inputs 2 {
^bb0(%x: memref<5xf32>):
}

// -----

// expected-error @below {{argument 0 has type 'tensor<5xf32>'; expected a memref of static shape}}
tile.kernel @arguments_are_memory grid [1] inputs 1 {
^bb0(%x: tensor<5xf32>):
}

// -----

// expected-error @below {{argument 0 has type 'memref<f32>'; expected a memref of static shape, rank 1 or more}}
tile.kernel @scalars_have_a_dimension_in_memory grid [1] inputs 1 {
^bb0(%x: memref<f32>):
}

// -----

// expected-error @below {{argument 1 has type 'memref<5xi1>'; expected a memref of static shape, rank 1 or more, and elements of f64, f32, bf16, f16, i8, i32 or i64; booleans are stored as i8}}
tile.kernel @booleans_are_bytes_in_memory grid [1] inputs 1 {
^bb0(%x: memref<5xi32>, %y: memref<5xi1>):
}

// -----

// expected-error @below {{argument 0 has type 'memref<?xf32>'; expected a memref of static shape}}
tile.kernel @arguments_have_static_shapes grid [1] inputs 1 {
^bb0(%x: memref<?xf32>):
}

// -----

// expected-error @below {{arguments are row-major and contiguous; take a view of one with memref.reinterpret_cast}}
tile.kernel @arguments_are_row_major grid [1] inputs 1 {
^bb0(%x: memref<2x3xf32, strided<[4, 1]>>):
}

// -----

// expected-error @below {{arguments are in global memory, which has no memory space attribute}}
tile.kernel @arguments_are_in_global_memory grid [1] inputs 1 {
^bb0(%x: memref<2x3xf32, 3>):
}

// -----

// expected-note @below {{the kernel has 1 inputs, which come first}}
tile.kernel @inputs_are_not_written grid [1] inputs 1 {
^bb0(%x: memref<5xf32>, %y: memref<5xf32>):
  %c0 = arith.constant 0 : index
  %0 = tile.load %x[%c0] : memref<5xf32> -> tensor<5xf32>
  // expected-error @below {{writes an input, argument 0}}
  // expected-note @below {{other blocks may read it; write to an output}}
  tile.store %0, %x[%c0] : tensor<5xf32>, memref<5xf32>
}

// -----

// expected-note @below {{the kernel has 1 inputs, which come first}}
tile.kernel @outputs_are_not_read grid [1] inputs 1 {
^bb0(%x: memref<6xf32>, %y: memref<6xf32>):
  %c0 = arith.constant 0 : index
  %view = memref.reinterpret_cast %y to offset: [0], sizes: [3], strides: [2]
    : memref<6xf32> to memref<3xf32, strided<[2]>>
  // expected-error @below {{reads an output, argument 1}}
  // expected-note @below {{its elements have no value before they are written; keep the tile that was stored}}
  %0 = tile.load %view[%c0] : memref<3xf32, strided<[2]>> -> tensor<3xf32>
}

// -----

tile.kernel @memory_comes_from_arguments grid [1] inputs 0 {
  %c0 = arith.constant 0 : index
  // expected-note @below {{the memory is defined here}}
  %m = memref.alloc() : memref<5xf32>
  // expected-error @below {{works on memory that is not an argument of the kernel}}
  // expected-note @below {{kernels see memory through their arguments, and views of them by memref.reinterpret_cast}}
  %0 = tile.load %m[%c0] : memref<5xf32> -> tensor<5xf32>
}

// -----

tile.kernel @views_stay_inside grid [1] inputs 1 {
// expected-note @below {{the memory has type 'memref<2x3xf32>'}}
^bb0(%x: memref<2x3xf32>):
  // expected-error @below {{reaches elements 1 to 6 of memory of 6}}
  %view = memref.reinterpret_cast %x to offset: [1], sizes: [2, 3], strides: [3, 1]
    : memref<2x3xf32> to memref<2x3xf32, strided<[3, 1], offset: 1>>
}

// -----

tile.kernel @views_are_static grid [2] inputs 1 {
^bb0(%x: memref<2x3xf32>):
  %i = tile.program_id 0
  // expected-error @below {{needs static sizes, strides and offset in a kernel}}
  // expected-note @below {{what depends on the block goes into the offsets of tile.load and tile.store}}
  %view = memref.reinterpret_cast %x to offset: [%i], sizes: [3], strides: [1]
    : memref<2x3xf32> to memref<3xf32, strided<[1], offset: ?>>
}

// -----

tile.kernel @constant_tiles_are_splats grid [1] inputs 0 {
^bb0(%y: memref<2xi32>):
  %c0 = arith.constant 0 : index
  // expected-error @below {{holds different elements in a kernel}}
  // expected-note @below {{only splats are made inside of kernels; load others from an input}}
  %0 = arith.constant dense<[1, 2]> : tensor<2xi32>
  tile.store %0, %y[%c0] : tensor<2xi32>, memref<2xi32>
}

// -----

func.func @launches_name_a_kernel() {
  // expected-error @below {{launches @nowhere, which is not defined}}
  tile.launch @nowhere() : () -> ()
  return
}

// -----

// expected-note @below {{@host is a func.func}}
func.func private @host()
func.func @launches_are_of_kernels() {
  // expected-error @below {{launches @host, which is no tile.kernel}}
  tile.launch @host() : () -> ()
  return
}

// -----

// expected-note @below {{@k has 1 inputs and 1 outputs}}
tile.kernel @k grid [1] inputs 1 {
^bb0(%x: memref<5xf32>, %y: memref<5xf32>):
}
func.func @launches_give_every_argument(%x: tensor<5xf32>) {
  // expected-error @below {{has 1 operands and 0 results}}
  tile.launch @k(%x) : (tensor<5xf32>) -> ()
  return
}

// -----

// expected-note @below {{@k is here}}
tile.kernel @k grid [1] inputs 1 {
^bb0(%x: memref<5xf32>, %y: memref<5xf32>):
}
func.func @tensors_have_the_size_of_their_memory(%x: tensor<5xf32>) {
  // expected-error @below {{result 0 has type 'tensor<6xf32>', the kernel's memory is 'memref<5xf32>'}}
  // expected-note @below {{both have the same number of elements of one type; booleans are stored as i8}}
  %0 = tile.launch @k(%x) : (tensor<5xf32>) -> tensor<6xf32>
  return
}

// -----

// expected-note @below {{@k is here}}
tile.kernel @k grid [1] inputs 1 {
^bb0(%x: memref<5xf32>, %y: memref<5xf32>):
}
func.func @tensors_have_the_elements_of_their_memory(%x: tensor<5xi1>) {
  // expected-error @below {{operand 0 has type 'tensor<5xi1>', the kernel's memory is 'memref<5xf32>'}}
  // expected-note @below {{both have the same number of elements of one type; booleans are stored as i8}}
  %0 = tile.launch @k(%x) : (tensor<5xi1>) -> tensor<5xf32>
  return
}

// -----

// expected-error @below {{stands outside of a tile.kernel; only the blocks of a kernel have an index}}
%0 = tile.program_id 0

// -----

// expected-note @below {{the grid is [2, 3]}}
tile.kernel @program_ids_are_of_the_grid grid [2, 3] inputs 0 {
  // expected-error @below {{names grid dimension 2 of a grid of 2 dimensions}}
  %0 = tile.program_id 2
}

// -----

tile.kernel @loads_have_an_offset_per_dimension grid [1] inputs 1 {
// expected-note @below {{the memory has type 'memref<2x3xf32>'}}
^bb0(%x: memref<2x3xf32>):
  %c0 = arith.constant 0 : index
  // expected-error @below {{has 1 offsets for 2 dimensions}}
  %0 = tile.load %x[%c0] : memref<2x3xf32> -> tensor<2x3xf32>
}

// -----

tile.kernel @loads_keep_the_rank grid [1] inputs 1 {
^bb0(%x: memref<2x3xf32>):
  %c0 = arith.constant 0 : index
  // expected-error @below {{expects a result of rank 2, got rank 1}}
  %0 = tile.load %x[%c0, %c0] : memref<2x3xf32> -> tensor<3xf32>
}

// -----

tile.kernel @loads_keep_the_element_type grid [1] inputs 1 {
^bb0(%x: memref<2x3xbf16>):
  %c0 = arith.constant 0 : index
  // expected-error @below {{expects a result of element type 'bf16', got 'f32'}}
  // expected-note @below {{elements are never converted silently; use arith.extf, arith.truncf or their like}}
  %0 = tile.load %x[%c0, %c0] : memref<2x3xbf16> -> tensor<2x3xf32>
}

// -----

tile.kernel @pads_are_elements grid [1] inputs 1 {
^bb0(%x: memref<3xf32>):
  %c0 = arith.constant 0 : index
  // expected-error @below {{pads with a value of type 'i32', the elements have type 'f32'}}
  %0 = tile.load %x[%c0] pad 1 : i32 : memref<3xf32> -> tensor<3xf32>
}

// -----

tile.kernel @stores_keep_the_element_type grid [1] inputs 0 {
^bb0(%y: memref<3xbf16>):
  %c0 = arith.constant 0 : index
  // expected-note @below {{the value has type 'tensor<3xf32>'}}
  %0 = arith.constant dense<1.0> : tensor<3xf32>
  // expected-error @below {{expects the value of element type 'bf16', got 'f32'}}
  // expected-note @below {{elements are never converted silently}}
  tile.store %0, %y[%c0] : tensor<3xf32>, memref<3xbf16>
}

// -----

tile.kernel @tiles_have_elements grid [1] inputs 1 {
^bb0(%x: memref<3xf32>):
  %c0 = arith.constant 0 : index
  // expected-error @below {{must be statically shaped tensor of rank 1 or more with elements of f64, f32, bf16, f16, i1, i8, i32 or i64, but got 'tensor<0xf32>'}}
  %0 = tile.load %x[%c0] : memref<3xf32> -> tensor<0xf32>
}

// -----

tile.kernel @a_gather_reads_a_row_per_index grid [1] inputs 1 {
^bb0(%x: memref<7x5xf32>):
  %c0 = arith.constant 0 : index
  %at = arith.constant dense<1> : tensor<3xi32>
  // expected-error @below {{expects a result of shape [3, 5], got [2, 5]}}
  %0 = tile.gather %x[%at][%c0] : memref<7x5xf32>, tensor<3xi32> -> tensor<2x5xf32>
}

// -----

tile.kernel @gathers_have_offsets_of_the_other_dimensions grid [1] inputs 1 {
// expected-note @below {{the memory has type 'memref<7x5xf32>'}}
^bb0(%x: memref<7x5xf32>):
  %c0 = arith.constant 0 : index
  %at = arith.constant dense<1> : tensor<3xi32>
  // expected-error @below {{has 2 offsets for 1 dimensions after the indexed one}}
  %0 = tile.gather %x[%at][%c0, %c0] : memref<7x5xf32>, tensor<3xi32> -> tensor<3x5xf32>
}

// -----

tile.kernel @gathers_have_indices_of_rank_1 grid [1] inputs 1 {
^bb0(%x: memref<7x5xf32>):
  %c0 = arith.constant 0 : index
  // expected-note @below {{indices has type 'tensor<3x1xi32>'}}
  %at = arith.constant dense<1> : tensor<3x1xi32>
  // expected-error @below {{expects indices of rank 1, got rank 2}}
  %0 = tile.gather %x[%at][%c0] : memref<7x5xf32>, tensor<3x1xi32> -> tensor<3x5xf32>
}

// -----

tile.kernel @views_do_not_run_backwards grid [1] inputs 1 {
^bb0(%x: memref<6xf32>):
  // expected-error @below {{has a stride of -1; expected 0 or more}}
  %0 = memref.reinterpret_cast %x to offset: [5], sizes: [6], strides: [-1] : memref<6xf32> to memref<6xf32, strided<[-1], offset: 5>>
}

// -----

// expected-error @below {{has a grid of more than 281474976710656 blocks, [9223372036854775807, 65536]}}
tile.kernel @blocks_can_be_counted grid [9223372036854775807, 65536] inputs 0 {
  tile.return
}

// -----

tile.kernel @views_can_be_measured grid [1] inputs 1 {
^bb0(%x: memref<4xf32>):
  // expected-error @below {{of 3 elements with a stride of 4611686018427387904 reaches beyond 64 bits}}
  %0 = memref.reinterpret_cast %x to offset: [0], sizes: [3, 2], strides: [4611686018427387904, 1] : memref<4xf32> to memref<3x2xf32, strided<[4611686018427387904, 1]>>
}
