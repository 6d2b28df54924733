// RUN: tessera-opt %s | tessera-opt | FileCheck %s
// RUN: tessera-opt %s --mlir-print-op-generic | tessera-opt | FileCheck %s

dist.mesh @mesh <[dp = 2 : ib, tp = 4 : nvlink]>

// CHECK-LABEL: @all_reduce_names_kind_mesh_and_axes
func.func @all_reduce_names_kind_mesh_and_axes(%arg0: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // CHECK: dist.all_reduce sum %arg0 over @mesh {tp} : tensor<2x3xf32>
  %0 = dist.all_reduce sum %arg0 over @mesh {tp} : tensor<2x3xf32>
  // CHECK: dist.all_reduce max %{{.*}} over @mesh {dp, tp:(1)2} : tensor<2x3xf32>
  %1 = dist.all_reduce max %0 over @mesh {dp, tp:(1)2} : tensor<2x3xf32>
  return %1 : tensor<2x3xf32>
}

// CHECK-LABEL: @booleans_reduce_by_max
func.func @booleans_reduce_by_max(%arg0: tensor<2x3xi1>) -> tensor<2x3xi1> {
  // CHECK: dist.all_reduce max
  %0 = dist.all_reduce max %arg0 over @mesh {tp} : tensor<2x3xi1>
  return %0 : tensor<2x3xi1>
}

// CHECK-LABEL: @all_gather_drops_the_padding_of_an_uneven_split
func.func @all_gather_drops_the_padding_of_an_uneven_split(%arg0: tensor<2x3xf32>) -> tensor<2x5xf32> {
  // CHECK: dist.all_gather %arg0 dim 1 over @mesh {dp} : tensor<2x3xf32> -> tensor<2x5xf32>
  %0 = dist.all_gather %arg0 dim 1 over @mesh {dp} : tensor<2x3xf32> -> tensor<2x5xf32>
  return %0 : tensor<2x5xf32>
}

// CHECK-LABEL: @all_slice_along_two_axes
func.func @all_slice_along_two_axes(%arg0: tensor<2x17xf32>) -> tensor<2x3xf32> {
  // CHECK: dist.all_slice %arg0 dim 1 over @mesh {tp, dp} : tensor<2x17xf32> -> tensor<2x3xf32>
  %0 = dist.all_slice %arg0 dim 1 over @mesh {tp, dp} : tensor<2x17xf32> -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// CHECK-LABEL: @reduce_scatter_cuts_one_dimension
func.func @reduce_scatter_cuts_one_dimension(%arg0: tensor<2x5xf32>) -> tensor<2x3xf32> {
  // CHECK: dist.reduce_scatter sum %arg0 dim 1 over @mesh {dp} : tensor<2x5xf32> -> tensor<2x3xf32>
  %0 = dist.reduce_scatter sum %arg0 dim 1 over @mesh {dp} : tensor<2x5xf32> -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// CHECK-LABEL: @all_to_all_moves_the_split
func.func @all_to_all_moves_the_split(%arg0: tensor<5x3xf32>) -> tensor<3x6xf32> {
  // CHECK: dist.all_to_all %arg0 split 0 concat 1 over @mesh {dp} : tensor<5x3xf32> -> tensor<3x6xf32>
  %0 = dist.all_to_all %arg0 split 0 concat 1 over @mesh {dp} : tensor<5x3xf32> -> tensor<3x6xf32>
  return %0 : tensor<3x6xf32>
}

// CHECK-LABEL: @permute_sends_along_axes
func.func @permute_sends_along_axes(%arg0: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // CHECK: dist.permute %arg0 over @mesh from {dp, tp:(1)2} to {tp:(1)2, dp} : tensor<2x3xf32>
  %0 = dist.permute %arg0 over @mesh from {dp, tp:(1)2} to {tp:(1)2, dp} : tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// CHECK-LABEL: @permute_names_a_receiver_per_device
func.func @permute_names_a_receiver_per_device(%arg0: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // CHECK: dist.permute %arg0 over @mesh to [1, 2, 3, 0, 5, 6, 7, 4] : tensor<2x3xf32>
  %0 = dist.permute %arg0 over @mesh to [1, 2, 3, 0, 5, 6, 7, 4] : tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// CHECK-LABEL: @a_collective_keeps_why_it_is_there
func.func @a_collective_keeps_why_it_is_there(%arg0: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // CHECK: why = #dist.why<rule = "k is split", origins = ["%w0 is split by the user"], bytes = 24, estimatedNs = 1000, alternatives = []>
  %0 = dist.all_reduce sum %arg0 over @mesh {tp} {why = #dist.why<rule = "k is split", origins = ["%w0 is split by the user"], bytes = 24, estimatedNs = 1000, alternatives = []>} : tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}
