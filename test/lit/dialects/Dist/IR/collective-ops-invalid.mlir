// RUN: tessera-opt %s --split-input-file --verify-diagnostics

func.func @mesh_does_not_exist(%arg0: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // expected-error @below {{'dist.all_reduce' op refers to mesh @mesh, which does not exist}}
  // expected-note @below {{declare a mesh in the module, such as: dist.mesh @mesh <[tp = 2]>}}
  %0 = dist.all_reduce sum %arg0 over @mesh {tp} : tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// -----

// expected-note @below {{@other is defined here}}
func.func private @other()
func.func @mesh_is_another_symbol(%arg0: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // expected-error @below {{expects a mesh, but @other is a 'func.func'}}
  // expected-note @below {{declare a mesh in the module}}
  %0 = dist.permute %arg0 over @other to [0] : tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// -----

// expected-note @below {{the mesh is declared here}}
dist.mesh @mesh <[dp = 2, tp = 4]>
func.func @axis_is_unknown(%arg0: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // expected-error @below {{unknown axis 'pp'; mesh 'mesh' has axes: 'dp', 'tp'}}
  %0 = dist.all_reduce sum %arg0 over @mesh {pp} : tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// -----

// expected-note @below {{the mesh is declared here}}
dist.mesh @mesh <[dp = 2, tp = 4]>
func.func @axes_overlap(%arg0: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // expected-error @below {{axis 'tp:(2)2' overlaps axis 'tp'; each device digit is used at most once}}
  %0 = dist.all_reduce sum %arg0 over @mesh {tp, tp:(2)2} : tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// -----

// expected-note @below {{the mesh is declared here}}
dist.mesh @mesh <[tp = 4]>
func.func @sub_axis_does_not_divide(%arg0: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // expected-error @below {{sub-axis tp:(1)3 does not divide axis 'tp' of size 4}}
  %0 = dist.all_reduce sum %arg0 over @mesh {tp:(1)3} : tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// -----

dist.mesh @mesh <[tp = 4]>
func.func @no_axis(%arg0: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // expected-error @below {{acts along no axis}}
  // expected-note @below {{drop the op: its result would be its input}}
  %0 = dist.all_reduce sum %arg0 over @mesh {} : tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// -----

dist.mesh @mesh <[tp = 4]>
func.func @truth_values_have_no_sum(%arg0: tensor<2x3xi1>) -> tensor<2x3xi1> {
  // expected-error @below {{cannot form the sum of i1 values}}
  // expected-note @below {{use max for 'any' and min for 'all', or convert the value to i32 first}}
  %0 = dist.all_reduce sum %arg0 over @mesh {tp} : tensor<2x3xi1>
  return %0 : tensor<2x3xi1>
}

// -----

dist.mesh @mesh <[tp = 2]>
// expected-note @below {{input has type 'tensor<2x3xf32>'}}
func.func @gathered_size_does_not_fit(%arg0: tensor<2x3xf32>) -> tensor<2x7xf32> {
  // expected-error @below {{cuts dimension 1 of size 7 into 2 chunks along}}
  // expected-note @below {{a chunk has ceil(n/k) elements}}
  %0 = dist.all_gather %arg0 dim 1 over @mesh {tp} : tensor<2x3xf32> -> tensor<2x7xf32>
  return %0 : tensor<2x7xf32>
}

// -----

dist.mesh @mesh <[tp = 2]>
// expected-note @below {{input has type 'tensor<2x5xf32>'}}
func.func @slice_does_not_fit(%arg0: tensor<2x5xf32>) -> tensor<2x2xf32> {
  // expected-error @below {{expects 3 elements in the result, got 2}}
  // expected-note @below {{a chunk has ceil(n/k) elements}}
  %0 = dist.all_slice %arg0 dim 1 over @mesh {tp} : tensor<2x5xf32> -> tensor<2x2xf32>
  return %0 : tensor<2x2xf32>
}

// -----

dist.mesh @mesh <[tp = 2]>
func.func @another_dimension_changes(%arg0: tensor<2x4xf32>) -> tensor<3x2xf32> {
  // expected-error @below {{keeps dimension 0, but its input has 2 elements there and its result 3}}
  %0 = dist.all_slice %arg0 dim 1 over @mesh {tp} : tensor<2x4xf32> -> tensor<3x2xf32>
  return %0 : tensor<3x2xf32>
}

// -----

dist.mesh @mesh <[tp = 2]>
func.func @element_type_changes(%arg0: tensor<2x4xf32>) -> tensor<2x2xf16> {
  // expected-error @below {{keeps the element type, but its input has 'f32' and its result 'f16'}}
  %0 = dist.reduce_scatter sum %arg0 dim 1 over @mesh {tp} : tensor<2x4xf32> -> tensor<2x2xf16>
  return %0 : tensor<2x2xf16>
}

// -----

dist.mesh @mesh <[tp = 2]>
func.func @dimension_is_out_of_range(%arg0: tensor<2x4xf32>) -> tensor<2x2xf32> {
  // expected-error @below {{has dimension 2, but the tensor has rank 2; dimensions count from 0}}
  %0 = dist.all_slice %arg0 dim 2 over @mesh {tp} : tensor<2x4xf32> -> tensor<2x2xf32>
  return %0 : tensor<2x2xf32>
}

// -----

dist.mesh @mesh <[tp = 2]>
func.func @split_and_join_one_dimension(%arg0: tensor<2x4xf32>) -> tensor<2x4xf32> {
  // expected-error @below {{splits and joins the same dimension 1}}
  // expected-note @below {{the value would not change: drop the op}}
  %0 = dist.all_to_all %arg0 split 1 concat 1 over @mesh {tp} : tensor<2x4xf32> -> tensor<2x4xf32>
  return %0 : tensor<2x4xf32>
}

// -----

dist.mesh @mesh <[tp = 2]>
// expected-note @below {{input has type 'tensor<4x3xf32>'}}
func.func @all_to_all_joins_too_much(%arg0: tensor<4x3xf32>) -> tensor<2x7xf32> {
  // expected-error @below {{cuts dimension 1 of size 7 into 2 chunks}}
  // expected-note @below {{mend the input's type or the axes}}
  %0 = dist.all_to_all %arg0 split 0 concat 1 over @mesh {tp} : tensor<4x3xf32> -> tensor<2x7xf32>
  return %0 : tensor<2x7xf32>
}

// -----

dist.mesh @mesh <[tp = 4]>
func.func @a_target_is_named_twice(%arg0: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // expected-error @below {{expects each of the devices 0 to 3 once among its targets, got [0, 2, 1, 1]}}
  %0 = dist.permute %arg0 over @mesh to [0, 2, 1, 1] : tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// -----

dist.mesh @mesh <[tp = 4]>
func.func @targets_do_not_cover_the_mesh(%arg0: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // expected-error @below {{names 2 targets, but mesh @mesh has 4 devices; give one target per device}}
  %0 = dist.permute %arg0 over @mesh to [1, 0] : tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// -----

dist.mesh @mesh <[tp = 2]>
func.func @a_gather_keeps_the_rank(%arg0: tensor<2x3xf32>) -> tensor<4xf32> {
  // expected-error @below {{keeps the rank, but its input has 2 and its result 1}}
  %0 = dist.all_gather %arg0 dim 0 over @mesh {tp} : tensor<2x3xf32> -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

dist.mesh @mesh <[tp = 2]>
func.func @a_sum_of_truth_values_is_not_scattered(%arg0: tensor<2x3xi1>) -> tensor<1x3xi1> {
  // expected-error @below {{'dist.reduce_scatter' op cannot form the sum of i1 values}}
  // expected-note @below {{use max for 'any' and min for 'all', or convert the value to i32 first}}
  %0 = dist.reduce_scatter sum %arg0 dim 0 over @mesh {tp} : tensor<2x3xi1> -> tensor<1x3xi1>
  return %0 : tensor<1x3xi1>
}

// -----

func.func @every_collective_needs_its_mesh(%arg0: tensor<2x3xf32>) -> tensor<1x6xf32> {
  // expected-error @below {{'dist.all_to_all' op refers to mesh @mesh, which does not exist}}
  // expected-note @below {{declare a mesh in the module}}
  %0 = dist.all_to_all %arg0 split 0 concat 1 over @mesh {tp} : tensor<2x3xf32> -> tensor<1x6xf32>
  return %0 : tensor<1x6xf32>
}

// -----

func.func @every_gather_needs_its_mesh(%arg0: tensor<2x3xf32>) -> tensor<4x3xf32> {
  // expected-error @below {{'dist.all_gather' op refers to mesh @mesh, which does not exist}}
  // expected-note @below {{declare a mesh in the module}}
  %0 = dist.all_gather %arg0 dim 0 over @mesh {tp} : tensor<2x3xf32> -> tensor<4x3xf32>
  return %0 : tensor<4x3xf32>
}

// -----

func.func @every_slice_needs_its_mesh(%arg0: tensor<4x3xf32>) -> tensor<2x3xf32> {
  // expected-error @below {{'dist.all_slice' op refers to mesh @mesh, which does not exist}}
  // expected-note @below {{declare a mesh in the module}}
  %0 = dist.all_slice %arg0 dim 0 over @mesh {tp} : tensor<4x3xf32> -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// -----

func.func @every_scatter_needs_its_mesh(%arg0: tensor<4x3xf32>) -> tensor<2x3xf32> {
  // expected-error @below {{'dist.reduce_scatter' op refers to mesh @mesh, which does not exist}}
  // expected-note @below {{declare a mesh in the module}}
  %0 = dist.reduce_scatter sum %arg0 dim 0 over @mesh {tp} : tensor<4x3xf32> -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// -----

dist.mesh @mesh <[dp = 2, tp = 4]>
func.func @permute_to_other_devices(%arg0: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // expected-error @below {{sends from {dp} to {tp}, which span other devices}}
  // expected-note @below {{'to' has the axes and sub-axes of 'from' in another order}}
  %0 = dist.permute %arg0 over @mesh from {dp} to {tp} : tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// -----

// expected-note @below {{the mesh is declared here}}
dist.mesh @mesh <[dp = 2, tp = 4]>
func.func @permute_along_unknown_axes(%arg0: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // expected-error @below {{unknown axis 'pp'; mesh 'mesh' has axes: 'dp', 'tp'}}
  %0 = dist.permute %arg0 over @mesh from {dp, tp} to {tp, pp} : tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// -----

dist.mesh @mesh <[dp = 2]>
func.func @permute_without_receivers(%arg0: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // expected-error @below {{expects either axes, 'from' and 'to', or targets}}
  // expected-note @below {{such as: from {dp, tp} to {tp, dp}}}
  %0 = "dist.permute"(%arg0) <{mesh = @mesh}> : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}
