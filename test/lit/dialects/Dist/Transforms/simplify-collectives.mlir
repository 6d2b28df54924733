// RUN: tessera-opt %s --dist-simplify-collectives --split-input-file | FileCheck %s

dist.mesh @mesh <[dp = 2 : ib, tp = 4 : nvlink]>

// CHECK-LABEL: @slice_of_an_all_reduce_becomes_a_reduce_scatter
func.func @slice_of_an_all_reduce_becomes_a_reduce_scatter(%x: tensor<2x7xf32>) -> tensor<2x2xf32> {
  // CHECK-NEXT: %[[R:.*]] = dist.reduce_scatter sum %arg0 dim 1 over @mesh {tp} : tensor<2x7xf32> -> tensor<2x2xf32>
  // CHECK-NEXT: return %[[R]]
  %0 = dist.all_reduce sum %x over @mesh {tp} : tensor<2x7xf32>
  %1 = dist.all_slice %0 dim 1 over @mesh {tp} : tensor<2x7xf32> -> tensor<2x2xf32>
  return %1 : tensor<2x2xf32>
}

// CHECK-LABEL: @axes_that_are_not_cut_are_reduced_after_the_scatter
func.func @axes_that_are_not_cut_are_reduced_after_the_scatter(%x: tensor<2x8xf32>) -> tensor<2x2xf32> {
  // CHECK-NEXT: %[[S:.*]] = dist.reduce_scatter sum %arg0 dim 1 over @mesh {tp}
  // CHECK-NEXT: %[[R:.*]] = dist.all_reduce sum %[[S]] over @mesh {dp} : tensor<2x2xf32>
  // CHECK-NEXT: return %[[R]]
  %0 = dist.all_reduce sum %x over @mesh {dp, tp} : tensor<2x8xf32>
  %1 = dist.all_slice %0 dim 1 over @mesh {tp} : tensor<2x8xf32> -> tensor<2x2xf32>
  return %1 : tensor<2x2xf32>
}

// CHECK-LABEL: @an_all_reduce_with_another_use_stays
func.func @an_all_reduce_with_another_use_stays(%x: tensor<2x8xf32>) -> (tensor<2x8xf32>, tensor<2x2xf32>) {
  // CHECK-NEXT: dist.all_reduce
  // CHECK-NEXT: dist.all_slice
  %0 = dist.all_reduce sum %x over @mesh {tp} : tensor<2x8xf32>
  %1 = dist.all_slice %0 dim 1 over @mesh {tp} : tensor<2x8xf32> -> tensor<2x2xf32>
  return %0, %1 : tensor<2x8xf32>, tensor<2x2xf32>
}

// CHECK-LABEL: @a_slice_along_another_axis_stays
func.func @a_slice_along_another_axis_stays(%x: tensor<2x8xf32>) -> tensor<2x4xf32> {
  // CHECK-NEXT: dist.all_reduce
  // CHECK-NEXT: dist.all_slice
  %0 = dist.all_reduce sum %x over @mesh {tp} : tensor<2x8xf32>
  %1 = dist.all_slice %0 dim 1 over @mesh {dp} : tensor<2x8xf32> -> tensor<2x4xf32>
  return %1 : tensor<2x4xf32>
}

// CHECK-LABEL: @slicing_what_was_gathered_is_the_value
func.func @slicing_what_was_gathered_is_the_value(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // CHECK-NEXT: return %arg0
  %0 = dist.all_gather %x dim 1 over @mesh {tp} : tensor<2x3xf32> -> tensor<2x11xf32>
  %1 = dist.all_slice %0 dim 1 over @mesh {tp} : tensor<2x11xf32> -> tensor<2x3xf32>
  return %1 : tensor<2x3xf32>
}

// CHECK-LABEL: @gathering_what_was_sliced_is_the_value
func.func @gathering_what_was_sliced_is_the_value(%x: tensor<2x11xf32>) -> tensor<2x11xf32> {
  // CHECK-NEXT: return %arg0
  %0 = dist.all_slice %x dim 1 over @mesh {tp} : tensor<2x11xf32> -> tensor<2x3xf32>
  %1 = dist.all_gather %0 dim 1 over @mesh {tp} : tensor<2x3xf32> -> tensor<2x11xf32>
  return %1 : tensor<2x11xf32>
}

// CHECK-LABEL: @slicing_another_dimension_than_was_gathered_stays
func.func @slicing_another_dimension_than_was_gathered_stays(%x: tensor<4x3xf32>) -> tensor<1x12xf32> {
  // CHECK-NEXT: dist.all_gather
  // CHECK-NEXT: dist.all_slice
  %0 = dist.all_gather %x dim 1 over @mesh {tp} : tensor<4x3xf32> -> tensor<4x12xf32>
  %1 = dist.all_slice %0 dim 0 over @mesh {tp} : tensor<4x12xf32> -> tensor<1x12xf32>
  return %1 : tensor<1x12xf32>
}

// Where one element is cut in four, device 0 holds it: the types are equal, the
// values are not.
// CHECK-LABEL: @another_dimension_of_equal_size_stays
func.func @another_dimension_of_equal_size_stays(%x: tensor<1x1xf32>) -> tensor<1x1xf32> {
  // CHECK-NEXT: dist.all_gather
  // CHECK-NEXT: dist.all_slice
  %0 = dist.all_gather %x dim 0 over @mesh {tp} : tensor<1x1xf32> -> tensor<1x1xf32>
  %1 = dist.all_slice %0 dim 1 over @mesh {tp} : tensor<1x1xf32> -> tensor<1x1xf32>
  return %1 : tensor<1x1xf32>
}

// CHECK-LABEL: @the_sum_of_two_all_reduces_is_reduced_once
func.func @the_sum_of_two_all_reduces_is_reduced_once(%x: tensor<2x3xf32>, %y: tensor<2x3xf32>, %z: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // CHECK-NEXT: %[[A:.*]] = tessera.add %arg0, %arg1
  // CHECK-NEXT: %[[B:.*]] = tessera.add %[[A]], %arg2
  // CHECK-NEXT: %[[R:.*]] = dist.all_reduce sum %[[B]] over @mesh {tp}
  // CHECK-NEXT: return %[[R]]
  %0 = dist.all_reduce sum %x over @mesh {tp} : tensor<2x3xf32>
  %1 = dist.all_reduce sum %y over @mesh {tp} : tensor<2x3xf32>
  %2 = dist.all_reduce sum %z over @mesh {tp} : tensor<2x3xf32>
  %3 = tessera.add %0, %1 : tensor<2x3xf32>
  %4 = tessera.add %3, %2 : tensor<2x3xf32>
  return %4 : tensor<2x3xf32>
}

// CHECK-LABEL: @the_sum_of_all_reduces_along_unlike_axes_stays
func.func @the_sum_of_all_reduces_along_unlike_axes_stays(%x: tensor<2x3xf32>, %y: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // CHECK-NEXT: dist.all_reduce
  // CHECK-NEXT: dist.all_reduce
  // CHECK-NEXT: tessera.add
  %0 = dist.all_reduce sum %x over @mesh {tp} : tensor<2x3xf32>
  %1 = dist.all_reduce sum %y over @mesh {dp} : tensor<2x3xf32>
  %2 = tessera.add %0, %1 : tensor<2x3xf32>
  return %2 : tensor<2x3xf32>
}

// CHECK-LABEL: @an_all_reduce_that_is_needed_itself_stays
func.func @an_all_reduce_that_is_needed_itself_stays(%x: tensor<2x3xf32>, %y: tensor<2x3xf32>) -> (tensor<2x3xf32>, tensor<2x3xf32>) {
  // CHECK-NEXT: dist.all_reduce
  // CHECK-NEXT: dist.all_reduce
  // CHECK-NEXT: tessera.add
  %0 = dist.all_reduce sum %x over @mesh {tp} : tensor<2x3xf32>
  %1 = dist.all_reduce sum %y over @mesh {tp} : tensor<2x3xf32>
  %2 = tessera.add %0, %1 : tensor<2x3xf32>
  return %0, %2 : tensor<2x3xf32>, tensor<2x3xf32>
}

// CHECK-LABEL: @the_sum_of_two_maxima_stays
func.func @the_sum_of_two_maxima_stays(%x: tensor<2x3xf32>, %y: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // CHECK-NEXT: dist.all_reduce
  // CHECK-NEXT: dist.all_reduce
  // CHECK-NEXT: tessera.add
  %0 = dist.all_reduce max %x over @mesh {tp} : tensor<2x3xf32>
  %1 = dist.all_reduce max %y over @mesh {tp} : tensor<2x3xf32>
  %2 = tessera.add %0, %1 : tensor<2x3xf32>
  return %2 : tensor<2x3xf32>
}

// CHECK-LABEL: @the_maximum_of_two_maxima_is_reduced_once
func.func @the_maximum_of_two_maxima_is_reduced_once(%x: tensor<2x3xf32>, %y: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // CHECK-NEXT: tessera.max
  // CHECK-NEXT: dist.all_reduce max
  // CHECK-NEXT: return
  %0 = dist.all_reduce max %x over @mesh {tp} : tensor<2x3xf32>
  %1 = dist.all_reduce max %y over @mesh {tp} : tensor<2x3xf32>
  %2 = tessera.max %0, %1 : tensor<2x3xf32>
  return %2 : tensor<2x3xf32>
}

// CHECK-LABEL: @all_reduces_in_turn_become_one
func.func @all_reduces_in_turn_become_one(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // CHECK-NEXT: dist.all_reduce sum %arg0 over @mesh {dp, tp}
  // CHECK-NEXT: return
  %0 = dist.all_reduce sum %x over @mesh {dp} : tensor<2x3xf32>
  %1 = dist.all_reduce sum %0 over @mesh {tp} : tensor<2x3xf32>
  return %1 : tensor<2x3xf32>
}

// CHECK-LABEL: @equal_collectives_become_one
func.func @equal_collectives_become_one(%x: tensor<2x3xf32>) -> (tensor<2x3xf32>, tensor<2x3xf32>) {
  // CHECK-NEXT: %[[R:.*]] = dist.all_reduce sum %arg0 over @mesh {tp} {why = #dist.why<rule = "a needs it; and b needs it", origins = ["from p", "from q"], bytes = 36, estimatedNs = 10, alternatives = []>}
  // CHECK-NEXT: return %[[R]], %[[R]]
  %0 = dist.all_reduce sum %x over @mesh {tp} {why = #dist.why<rule = "a needs it", origins = ["from p"], bytes = 36, estimatedNs = 10, alternatives = []>} : tensor<2x3xf32>
  %1 = dist.all_reduce sum %x over @mesh {tp} {why = #dist.why<rule = "b needs it", origins = ["from p", "from q"], bytes = 36, estimatedNs = 10, alternatives = []>} : tensor<2x3xf32>
  return %0, %1 : tensor<2x3xf32>, tensor<2x3xf32>
}

// CHECK-LABEL: @permutes_are_composed
func.func @permutes_are_composed(%x: tensor<2x3xf32>) -> (tensor<2x3xf32>, tensor<2x3xf32>) {
  // CHECK-NEXT: %[[R:.*]] = dist.permute %arg0 over @mesh to [2, 3, 4, 5, 6, 7, 0, 1]
  // CHECK-NEXT: return %[[R]], %arg0
  %0 = dist.permute %x over @mesh to [1, 2, 3, 4, 5, 6, 7, 0] : tensor<2x3xf32>
  %1 = dist.permute %0 over @mesh to [1, 2, 3, 4, 5, 6, 7, 0] : tensor<2x3xf32>
  %2 = dist.permute %x over @mesh to [7, 0, 1, 2, 3, 4, 5, 6] : tensor<2x3xf32>
  %3 = dist.permute %2 over @mesh to [1, 2, 3, 4, 5, 6, 7, 0] : tensor<2x3xf32>
  return %1, %3 : tensor<2x3xf32>, tensor<2x3xf32>
}

// The new collective has its own bytes: 3/4 of 2*8*4 bytes.
// CHECK-LABEL: @reasons_are_joined_and_priced_anew
func.func @reasons_are_joined_and_priced_anew(%x: tensor<2x8xf32>) -> tensor<2x2xf32> {
  // CHECK: dist.reduce_scatter {{.*}}rule = "sum it; and cut it", origins = ["from p", "from q"], bytes = 48
  %0 = dist.all_reduce sum %x over @mesh {tp} {why = #dist.why<rule = "sum it", origins = ["from p"], bytes = 96, estimatedNs = 10, alternatives = []>} : tensor<2x8xf32>
  %1 = dist.all_slice %0 dim 1 over @mesh {tp} {why = #dist.why<rule = "cut it", origins = ["from q"], bytes = 0, estimatedNs = 10, alternatives = []>} : tensor<2x8xf32> -> tensor<2x2xf32>
  return %1 : tensor<2x2xf32>
}

// -----

dist.mesh @mesh <[one = 1, tp = 4]>

// CHECK-LABEL: @axes_of_size_one_are_dropped
func.func @axes_of_size_one_are_dropped(%x: tensor<2x3xf32>) -> (tensor<2x3xf32>, tensor<2x3xf32>) {
  // CHECK-NEXT: %[[R:.*]] = dist.all_reduce sum %arg0 over @mesh {tp}
  // CHECK-NEXT: return %[[R]], %arg0
  %0 = dist.all_reduce sum %x over @mesh {one, tp} : tensor<2x3xf32>
  %1 = dist.all_gather %x dim 0 over @mesh {one} : tensor<2x3xf32> -> tensor<2x3xf32>
  return %0, %1 : tensor<2x3xf32>, tensor<2x3xf32>
}
