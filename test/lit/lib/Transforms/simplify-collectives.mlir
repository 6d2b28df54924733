// RUN: tessera-opt %s --dist-simplify-collectives --split-input-file | FileCheck %s
// RUN: tessera-opt %s --split-input-file '--tessera-check-equivalence=pipeline=dist-simplify-collectives runs=3' -o /dev/null

// Layouts say what each device holds, for the check of equivalence. Of #own no
// two devices hold the same, so that a collective over wrong devices shows.

dist.mesh @mesh <[dp = 2 : ib, tp = 4 : nvlink]>

#own = #dist.layout<@mesh, [{dp, tp}, {}]>
#rows = #dist.layout<@mesh, [{dp}, {}]>
#columns = #dist.layout<@mesh, [{}, {tp}]>
#both = #dist.layout<@mesh, [{dp}, {tp}]>
#rows_of_tp = #dist.layout<@mesh, [{tp}, {}]>
#columns_of_dp = #dist.layout<@mesh, [{}, {dp}]>

// CHECK-LABEL: @slice_of_an_all_reduce_becomes_a_reduce_scatter
func.func @slice_of_an_all_reduce_becomes_a_reduce_scatter(
    %x: tensor<2x7xf32> {dist.layout = #own, dist.global_type = tensor<16x7xf32>})
    -> (tensor<2x2xf32> {dist.layout = #both, dist.global_type = tensor<4x7xf32>}) {
  // CHECK-NEXT: %[[R:.*]] = dist.reduce_scatter sum %arg0 dim 1 over @mesh {tp} : tensor<2x7xf32> -> tensor<2x2xf32>
  // CHECK-NEXT: return %[[R]]
  %0 = dist.all_reduce sum %x over @mesh {tp} : tensor<2x7xf32>
  %1 = dist.all_slice %0 dim 1 over @mesh {tp} : tensor<2x7xf32> -> tensor<2x2xf32>
  return %1 : tensor<2x2xf32>
}

// What stands for collectives of one phase belongs to it.
// CHECK-LABEL: @phases_are_kept
func.func @phases_are_kept(
    %x: tensor<2x8xf32> {dist.layout = #own, dist.global_type = tensor<16x8xf32>}, %y: tensor<2x8xf32> {dist.layout = #own, dist.global_type = tensor<16x8xf32>})
    -> (tensor<2x2xf32> {dist.layout = #columns, dist.global_type = tensor<2x8xf32>}) {
  // CHECK-NEXT: %[[TERMS:.*]] = tessera.add %arg0, %arg1 {tessera.phase = "forward"}
  // CHECK-NEXT: dist.reduce_scatter sum %[[TERMS]] dim 1 over @mesh {tp} {tessera.phase = "backward"}
  // CHECK-NEXT: dist.all_reduce sum {{.*}} over @mesh {dp} {tessera.phase = "backward"}
  %0 = dist.all_reduce sum %x over @mesh {dp, tp} {tessera.phase = "backward"} : tensor<2x8xf32>
  %1 = dist.all_reduce sum %y over @mesh {dp, tp} {tessera.phase = "backward"} : tensor<2x8xf32>
  %2 = tessera.add %0, %1 {tessera.phase = "forward"} : tensor<2x8xf32>
  %3 = dist.all_slice %2 dim 1 over @mesh {tp} : tensor<2x8xf32> -> tensor<2x2xf32>
  return %3 : tensor<2x2xf32>
}

// CHECK-LABEL: @collectives_of_two_phases_stay_apart
func.func @collectives_of_two_phases_stay_apart(
    %x: tensor<2x8xf32> {dist.layout = #own, dist.global_type = tensor<16x8xf32>})
    -> (tensor<8x8xf32> {dist.layout = #rows, dist.global_type = tensor<16x8xf32>}, tensor<8x8xf32> {dist.layout = #rows, dist.global_type = tensor<16x8xf32>}) {
  // CHECK-COUNT-2: dist.all_gather
  %0 = dist.all_gather %x dim 0 over @mesh {tp} {tessera.phase = "forward"} : tensor<2x8xf32> -> tensor<8x8xf32>
  %1 = dist.all_gather %x dim 0 over @mesh {tp} {tessera.phase = "backward"} : tensor<2x8xf32> -> tensor<8x8xf32>
  return %0, %1 : tensor<8x8xf32>, tensor<8x8xf32>
}

// CHECK-LABEL: @axes_that_are_not_cut_are_reduced_after_the_scatter
func.func @axes_that_are_not_cut_are_reduced_after_the_scatter(
    %x: tensor<2x8xf32> {dist.layout = #own, dist.global_type = tensor<16x8xf32>})
    -> (tensor<2x2xf32> {dist.layout = #columns, dist.global_type = tensor<2x8xf32>}) {
  // CHECK-NEXT: %[[S:.*]] = dist.reduce_scatter sum %arg0 dim 1 over @mesh {tp}
  // CHECK-NEXT: %[[R:.*]] = dist.all_reduce sum %[[S]] over @mesh {dp} : tensor<2x2xf32>
  // CHECK-NEXT: return %[[R]]
  %0 = dist.all_reduce sum %x over @mesh {dp, tp} : tensor<2x8xf32>
  %1 = dist.all_slice %0 dim 1 over @mesh {tp} : tensor<2x8xf32> -> tensor<2x2xf32>
  return %1 : tensor<2x2xf32>
}

// CHECK-LABEL: @an_all_reduce_with_another_use_stays
func.func @an_all_reduce_with_another_use_stays(
    %x: tensor<2x8xf32> {dist.layout = #own, dist.global_type = tensor<16x8xf32>})
    -> (tensor<2x8xf32> {dist.layout = #rows, dist.global_type = tensor<4x8xf32>},
        tensor<2x2xf32> {dist.layout = #both, dist.global_type = tensor<4x8xf32>}) {
  // CHECK-NEXT: dist.all_reduce
  // CHECK-NEXT: dist.all_slice
  %0 = dist.all_reduce sum %x over @mesh {tp} : tensor<2x8xf32>
  %1 = dist.all_slice %0 dim 1 over @mesh {tp} : tensor<2x8xf32> -> tensor<2x2xf32>
  return %0, %1 : tensor<2x8xf32>, tensor<2x2xf32>
}

// CHECK-LABEL: @a_slice_along_another_axis_stays
func.func @a_slice_along_another_axis_stays(
    %x: tensor<2x8xf32> {dist.layout = #rows_of_tp, dist.global_type = tensor<8x8xf32>})
    -> (tensor<2x4xf32> {dist.layout = #columns_of_dp, dist.global_type = tensor<2x8xf32>}) {
  // CHECK-NEXT: dist.all_reduce
  // CHECK-NEXT: dist.all_slice
  %0 = dist.all_reduce sum %x over @mesh {tp} : tensor<2x8xf32>
  %1 = dist.all_slice %0 dim 1 over @mesh {dp} : tensor<2x8xf32> -> tensor<2x4xf32>
  return %1 : tensor<2x4xf32>
}

// CHECK-LABEL: @slicing_what_was_gathered_is_the_value
func.func @slicing_what_was_gathered_is_the_value(
    %x: tensor<2x3xf32> {dist.layout = #both, dist.global_type = tensor<4x11xf32>})
    -> (tensor<2x3xf32> {dist.layout = #both, dist.global_type = tensor<4x11xf32>}) {
  // CHECK-NEXT: return %arg0
  %0 = dist.all_gather %x dim 1 over @mesh {tp} : tensor<2x3xf32> -> tensor<2x11xf32>
  %1 = dist.all_slice %0 dim 1 over @mesh {tp} : tensor<2x11xf32> -> tensor<2x3xf32>
  return %1 : tensor<2x3xf32>
}

// CHECK-LABEL: @gathering_what_was_sliced_is_the_value
func.func @gathering_what_was_sliced_is_the_value(
    %x: tensor<2x11xf32> {dist.layout = #rows, dist.global_type = tensor<4x11xf32>})
    -> (tensor<2x11xf32> {dist.layout = #rows, dist.global_type = tensor<4x11xf32>}) {
  // CHECK-NEXT: return %arg0
  %0 = dist.all_slice %x dim 1 over @mesh {tp} : tensor<2x11xf32> -> tensor<2x3xf32>
  %1 = dist.all_gather %0 dim 1 over @mesh {tp} : tensor<2x3xf32> -> tensor<2x11xf32>
  return %1 : tensor<2x11xf32>
}

// CHECK-LABEL: @slicing_another_dimension_than_was_gathered_stays
func.func @slicing_another_dimension_than_was_gathered_stays(
    %x: tensor<4x3xf32> {dist.layout = #both, dist.global_type = tensor<8x12xf32>})
    -> (tensor<1x12xf32> {dist.layout = #own, dist.global_type = tensor<8x12xf32>}) {
  // CHECK-NEXT: dist.all_gather
  // CHECK-NEXT: dist.all_slice
  %0 = dist.all_gather %x dim 1 over @mesh {tp} : tensor<4x3xf32> -> tensor<4x12xf32>
  %1 = dist.all_slice %0 dim 0 over @mesh {tp} : tensor<4x12xf32> -> tensor<1x12xf32>
  return %1 : tensor<1x12xf32>
}

// The types are equal, but it is another dimension that is cut.
// CHECK-LABEL: @another_dimension_of_equal_size_stays
func.func @another_dimension_of_equal_size_stays(
    %x: tensor<1x1xf32> {dist.layout = #rows_of_tp, dist.global_type = tensor<1x1xf32>})
    -> (tensor<1x1xf32> {dist.layout = #columns, dist.global_type = tensor<1x1xf32>}) {
  // CHECK-NEXT: dist.all_gather
  // CHECK-NEXT: dist.all_slice
  %0 = dist.all_gather %x dim 0 over @mesh {tp} : tensor<1x1xf32> -> tensor<1x1xf32>
  %1 = dist.all_slice %0 dim 1 over @mesh {tp} : tensor<1x1xf32> -> tensor<1x1xf32>
  return %1 : tensor<1x1xf32>
}

// CHECK-LABEL: @the_sum_of_two_all_reduces_is_reduced_once
func.func @the_sum_of_two_all_reduces_is_reduced_once(
    %x: tensor<2x3xf32> {dist.layout = #own, dist.global_type = tensor<16x3xf32>},
    %y: tensor<2x3xf32> {dist.layout = #own, dist.global_type = tensor<16x3xf32>},
    %z: tensor<2x3xf32> {dist.layout = #own, dist.global_type = tensor<16x3xf32>})
    -> (tensor<2x3xf32> {dist.layout = #rows, dist.global_type = tensor<4x3xf32>}) {
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
func.func @the_sum_of_all_reduces_along_unlike_axes_stays(
    %x: tensor<2x3xf32> {dist.layout = #own, dist.global_type = tensor<16x3xf32>},
    %y: tensor<2x3xf32> {dist.layout = #own, dist.global_type = tensor<16x3xf32>})
    -> (tensor<2x3xf32> {dist.layout = #own, dist.global_type = tensor<16x3xf32>}) {
  // CHECK-NEXT: dist.all_reduce
  // CHECK-NEXT: dist.all_reduce
  // CHECK-NEXT: tessera.add
  %0 = dist.all_reduce sum %x over @mesh {tp} : tensor<2x3xf32>
  %1 = dist.all_reduce sum %y over @mesh {dp} : tensor<2x3xf32>
  %2 = tessera.add %0, %1 : tensor<2x3xf32>
  return %2 : tensor<2x3xf32>
}

// CHECK-LABEL: @an_all_reduce_that_is_needed_itself_stays
func.func @an_all_reduce_that_is_needed_itself_stays(
    %x: tensor<2x3xf32> {dist.layout = #own, dist.global_type = tensor<16x3xf32>},
    %y: tensor<2x3xf32> {dist.layout = #own, dist.global_type = tensor<16x3xf32>})
    -> (tensor<2x3xf32> {dist.layout = #rows, dist.global_type = tensor<4x3xf32>},
        tensor<2x3xf32> {dist.layout = #rows, dist.global_type = tensor<4x3xf32>}) {
  // CHECK-NEXT: dist.all_reduce
  // CHECK-NEXT: dist.all_reduce
  // CHECK-NEXT: tessera.add
  %0 = dist.all_reduce sum %x over @mesh {tp} : tensor<2x3xf32>
  %1 = dist.all_reduce sum %y over @mesh {tp} : tensor<2x3xf32>
  %2 = tessera.add %0, %1 : tensor<2x3xf32>
  return %0, %2 : tensor<2x3xf32>, tensor<2x3xf32>
}

// CHECK-LABEL: @the_sum_of_two_maxima_stays
func.func @the_sum_of_two_maxima_stays(
    %x: tensor<2x3xf32> {dist.layout = #own, dist.global_type = tensor<16x3xf32>},
    %y: tensor<2x3xf32> {dist.layout = #own, dist.global_type = tensor<16x3xf32>})
    -> (tensor<2x3xf32> {dist.layout = #rows, dist.global_type = tensor<4x3xf32>}) {
  // CHECK-NEXT: dist.all_reduce
  // CHECK-NEXT: dist.all_reduce
  // CHECK-NEXT: tessera.add
  %0 = dist.all_reduce max %x over @mesh {tp} : tensor<2x3xf32>
  %1 = dist.all_reduce max %y over @mesh {tp} : tensor<2x3xf32>
  %2 = tessera.add %0, %1 : tensor<2x3xf32>
  return %2 : tensor<2x3xf32>
}

// CHECK-LABEL: @the_maximum_of_two_maxima_is_reduced_once
func.func @the_maximum_of_two_maxima_is_reduced_once(
    %x: tensor<2x3xf32> {dist.layout = #own, dist.global_type = tensor<16x3xf32>},
    %y: tensor<2x3xf32> {dist.layout = #own, dist.global_type = tensor<16x3xf32>})
    -> (tensor<2x3xf32> {dist.layout = #rows, dist.global_type = tensor<4x3xf32>}) {
  // CHECK-NEXT: tessera.max
  // CHECK-NEXT: dist.all_reduce max
  // CHECK-NEXT: return
  %0 = dist.all_reduce max %x over @mesh {tp} : tensor<2x3xf32>
  %1 = dist.all_reduce max %y over @mesh {tp} : tensor<2x3xf32>
  %2 = tessera.max %0, %1 : tensor<2x3xf32>
  return %2 : tensor<2x3xf32>
}

// CHECK-LABEL: @the_minimum_of_two_minima_is_reduced_once
func.func @the_minimum_of_two_minima_is_reduced_once(
    %x: tensor<2x3xf32> {dist.layout = #own, dist.global_type = tensor<16x3xf32>},
    %y: tensor<2x3xf32> {dist.layout = #own, dist.global_type = tensor<16x3xf32>})
    -> (tensor<2x3xf32> {dist.layout = #rows, dist.global_type = tensor<4x3xf32>}) {
  // CHECK-NEXT: tessera.min
  // CHECK-NEXT: dist.all_reduce min
  // CHECK-NEXT: return
  %0 = dist.all_reduce min %x over @mesh {tp} : tensor<2x3xf32>
  %1 = dist.all_reduce min %y over @mesh {tp} : tensor<2x3xf32>
  %2 = tessera.min %0, %1 : tensor<2x3xf32>
  return %2 : tensor<2x3xf32>
}

// CHECK-LABEL: @all_reduces_in_turn_become_one
func.func @all_reduces_in_turn_become_one(
    %x: tensor<2x3xf32> {dist.layout = #own, dist.global_type = tensor<16x3xf32>})
    -> (tensor<2x3xf32>) {
  // CHECK-NEXT: dist.all_reduce sum %arg0 over @mesh {dp, tp}
  // CHECK-NEXT: return
  %0 = dist.all_reduce sum %x over @mesh {dp} : tensor<2x3xf32>
  %1 = dist.all_reduce sum %0 over @mesh {tp} : tensor<2x3xf32>
  return %1 : tensor<2x3xf32>
}

// CHECK-LABEL: @equal_collectives_become_one
func.func @equal_collectives_become_one(
    %x: tensor<2x3xf32> {dist.layout = #own, dist.global_type = tensor<16x3xf32>})
    -> (tensor<2x3xf32> {dist.layout = #rows, dist.global_type = tensor<4x3xf32>},
        tensor<2x3xf32> {dist.layout = #rows, dist.global_type = tensor<4x3xf32>}) {
  // CHECK-NEXT: %[[R:.*]] = dist.all_reduce sum %arg0 over @mesh {tp} {why = #dist.why<rule = "a needs it; and b needs it", origins = ["from p", "from q"], bytes = 36, estimatedNs = 10, alternatives = []>}
  // CHECK-NEXT: return %[[R]], %[[R]]
  %0 = dist.all_reduce sum %x over @mesh {tp} {why = #dist.why<rule = "a needs it", origins = ["from p"], bytes = 36, estimatedNs = 10, alternatives = []>} : tensor<2x3xf32>
  %1 = dist.all_reduce sum %x over @mesh {tp} {why = #dist.why<rule = "b needs it", origins = ["from p", "from q"], bytes = 36, estimatedNs = 10, alternatives = []>} : tensor<2x3xf32>
  return %0, %1 : tensor<2x3xf32>, tensor<2x3xf32>
}

// CHECK-LABEL: @permutes_are_composed
func.func @permutes_are_composed(
    %x: tensor<2x3xf32> {dist.layout = #own, dist.global_type = tensor<16x3xf32>})
    -> (tensor<2x3xf32> {dist.layout = #own, dist.global_type = tensor<16x3xf32>},
        tensor<2x3xf32> {dist.layout = #own, dist.global_type = tensor<16x3xf32>}) {
  // CHECK-NEXT: %[[R:.*]] = dist.permute %arg0 over @mesh to [2, 3, 4, 5, 6, 7, 0, 1]
  // CHECK-NEXT: return %[[R]], %arg0
  %0 = dist.permute %x over @mesh to [1, 2, 3, 4, 5, 6, 7, 0] : tensor<2x3xf32>
  %1 = dist.permute %0 over @mesh to [1, 2, 3, 4, 5, 6, 7, 0] : tensor<2x3xf32>
  %2 = dist.permute %x over @mesh to [7, 0, 1, 2, 3, 4, 5, 6] : tensor<2x3xf32>
  %3 = dist.permute %2 over @mesh to [1, 2, 3, 4, 5, 6, 7, 0] : tensor<2x3xf32>
  return %1, %3 : tensor<2x3xf32>, tensor<2x3xf32>
}

// CHECK-LABEL: @permutes_along_axes_are_composed
func.func @permutes_along_axes_are_composed(
    %x: tensor<2x3xf32> {dist.layout = #own, dist.global_type = tensor<16x3xf32>})
    -> (tensor<2x3xf32> {dist.layout = #own, dist.global_type = tensor<16x3xf32>},
        tensor<2x3xf32> {dist.layout = #own, dist.global_type = tensor<16x3xf32>}) {
  // CHECK-NEXT: %[[R:.*]] = dist.permute %arg0 over @mesh from {dp, tp} to {tp:(2)2, dp, tp:(1)2}
  // CHECK-NEXT: return %[[R]], %arg0
  %0 = dist.permute %x over @mesh from {dp, tp} to {tp, dp} : tensor<2x3xf32>
  %1 = dist.permute %0 over @mesh from {tp, dp} to {tp:(2)2, dp, tp:(1)2} : tensor<2x3xf32>
  %2 = dist.permute %x over @mesh from {tp, dp} to {dp, tp} : tensor<2x3xf32>
  %3 = dist.permute %2 over @mesh from {dp, tp} to {tp:(1)2, tp:(2)2, dp} : tensor<2x3xf32>
  return %1, %3 : tensor<2x3xf32>, tensor<2x3xf32>
}

// A device receives along other arrows than it sends: the order counts.
// CHECK-LABEL: @permutes_that_do_not_commute_are_composed_in_order
func.func @permutes_that_do_not_commute_are_composed_in_order(
    %x: tensor<2x3xf32> {dist.layout = #own, dist.global_type = tensor<16x3xf32>})
    -> (tensor<2x3xf32> {dist.layout = #own, dist.global_type = tensor<16x3xf32>}) {
  // CHECK-NEXT: %[[R:.*]] = dist.permute %arg0 over @mesh to [2, 0, 1, 3, 4, 5, 7, 6]
  // CHECK-NEXT: return %[[R]]
  %0 = dist.permute %x over @mesh to [1, 0, 2, 3, 4, 5, 6, 7] : tensor<2x3xf32>
  %1 = dist.permute %0 over @mesh to [0, 2, 1, 3, 4, 5, 7, 6] : tensor<2x3xf32>
  return %1 : tensor<2x3xf32>
}

// CHECK-LABEL: @a_permute_that_is_needed_itself_stays
func.func @a_permute_that_is_needed_itself_stays(
    %x: tensor<2x3xf32> {dist.layout = #own, dist.global_type = tensor<16x3xf32>})
    -> (tensor<2x3xf32> {dist.layout = #own, dist.global_type = tensor<16x3xf32>},
        tensor<2x3xf32> {dist.layout = #own, dist.global_type = tensor<16x3xf32>}) {
  // CHECK-NEXT: dist.permute
  // CHECK-NEXT: dist.permute
  %0 = dist.permute %x over @mesh to [1, 0, 2, 3, 4, 5, 6, 7] : tensor<2x3xf32>
  %1 = dist.permute %0 over @mesh to [0, 2, 1, 3, 4, 5, 7, 6] : tensor<2x3xf32>
  return %0, %1 : tensor<2x3xf32>, tensor<2x3xf32>
}

// The new collective has its own bytes: 3/4 of 2*8*4 bytes.
// CHECK-LABEL: @reasons_are_joined_and_priced_anew
func.func @reasons_are_joined_and_priced_anew(
    %x: tensor<2x8xf32> {dist.layout = #own, dist.global_type = tensor<16x8xf32>})
    -> (tensor<2x2xf32> {dist.layout = #both, dist.global_type = tensor<4x8xf32>}) {
  // CHECK: dist.reduce_scatter {{.*}}rule = "sum it; and cut it", origins = ["from p", "from q"], bytes = 48
  %0 = dist.all_reduce sum %x over @mesh {tp} {why = #dist.why<rule = "sum it", origins = ["from p"], bytes = 96, estimatedNs = 10, alternatives = []>} : tensor<2x8xf32>
  %1 = dist.all_slice %0 dim 1 over @mesh {tp} {why = #dist.why<rule = "cut it", origins = ["from q"], bytes = 0, estimatedNs = 10, alternatives = []>} : tensor<2x8xf32> -> tensor<2x2xf32>
  return %1 : tensor<2x2xf32>
}

// -----

dist.mesh @mesh <[dp = 2, tp = 4]>

#own = #dist.layout<@mesh, [{dp, tp}, {}]>
#columns = #dist.layout<@mesh, [{}, {tp, dp}]>
#whole = #dist.layout<@mesh, [{}, {}]>
#terms = #dist.layout<@mesh, [{}, {}], partial = sum{tp}>

// The chunks go to devices in the order of the slice's axes, whatever the order
// of the reduction's.
// CHECK-LABEL: @a_slice_may_name_the_axes_in_another_order
func.func @a_slice_may_name_the_axes_in_another_order(
    %x: tensor<2x16xf32> {dist.layout = #own, dist.global_type = tensor<16x16xf32>})
    -> (tensor<2x2xf32> {dist.layout = #columns, dist.global_type = tensor<2x16xf32>}) {
  // CHECK-NEXT: dist.reduce_scatter sum %arg0 dim 1 over @mesh {tp, dp}
  // CHECK-NEXT: return
  %0 = dist.all_reduce sum %x over @mesh {dp, tp} : tensor<2x16xf32>
  %1 = dist.all_slice %0 dim 1 over @mesh {tp, dp} : tensor<2x16xf32> -> tensor<2x2xf32>
  return %1 : tensor<2x2xf32>
}

// CHECK-LABEL: @terms_are_added_before_they_are_reduced
func.func @terms_are_added_before_they_are_reduced(
    %x: tensor<2x3xf32> {dist.layout = #terms, dist.global_type = tensor<2x3xf32>},
    %y: tensor<2x3xf32> {dist.layout = #terms, dist.global_type = tensor<2x3xf32>})
    -> (tensor<2x3xf32> {dist.layout = #whole, dist.global_type = tensor<2x3xf32>}) {
  // CHECK-NEXT: tessera.add %arg0, %arg1
  // CHECK-NEXT: dist.all_reduce sum
  // CHECK-NEXT: return
  %0 = dist.all_reduce sum %x over @mesh {tp} : tensor<2x3xf32>
  %1 = dist.all_reduce sum %y over @mesh {tp} : tensor<2x3xf32>
  %2 = tessera.add %0, %1 : tensor<2x3xf32>
  return %2 : tensor<2x3xf32>
}

// -----

dist.mesh @mesh <[one = 1, tp = 4]>

#own = #dist.layout<@mesh, [{tp}, {}]>
#columns = #dist.layout<@mesh, [{}, {tp}]>

// CHECK-LABEL: @axes_of_size_one_are_dropped
func.func @axes_of_size_one_are_dropped(
    %x: tensor<2x3xf32> {dist.layout = #own, dist.global_type = tensor<8x3xf32>})
    -> (tensor<2x3xf32>, tensor<2x1xf32> {dist.layout = #columns, dist.global_type = tensor<2x3xf32>},
        tensor<2x12xf32>, tensor<2x1xf32> {dist.layout = #columns, dist.global_type = tensor<2x3xf32>},
        tensor<8x1xf32> {dist.layout = #columns, dist.global_type = tensor<8x3xf32>}) {
  // CHECK-NEXT: %[[R:.*]] = dist.all_reduce sum %arg0 over @mesh {tp}
  // CHECK-NEXT: %[[S:.*]] = dist.reduce_scatter sum %arg0 dim 1 over @mesh {tp}
  // CHECK-NEXT: %[[G:.*]] = dist.all_gather %arg0 dim 1 over @mesh {tp}
  // CHECK-NEXT: %[[F:.*]] = dist.all_reduce max %arg0 over @mesh {tp}
  // CHECK-NEXT: %[[C:.*]] = tessera.add %[[F]], %[[F]]
  // CHECK-NEXT: %[[T:.*]] = dist.all_slice %[[C]] dim 1 over @mesh {tp}
  // CHECK-NEXT: %[[A:.*]] = dist.all_to_all %arg0 split 1 concat 0 over @mesh {tp}
  // CHECK-NEXT: return %[[R]], %[[S]], %[[G]], %[[T]], %[[A]]
  %0 = dist.all_reduce sum %x over @mesh {one, tp} : tensor<2x3xf32>
  %1 = dist.reduce_scatter sum %x dim 1 over @mesh {tp, one} : tensor<2x3xf32> -> tensor<2x1xf32>
  %2 = dist.all_gather %x dim 1 over @mesh {one, tp} : tensor<2x3xf32> -> tensor<2x12xf32>
  %3 = dist.all_reduce max %x over @mesh {tp} : tensor<2x3xf32>
  %4 = tessera.add %3, %3 : tensor<2x3xf32>
  %5 = dist.all_slice %4 dim 1 over @mesh {one, tp} : tensor<2x3xf32> -> tensor<2x1xf32>
  %6 = dist.all_to_all %x split 1 concat 0 over @mesh {tp, one} : tensor<2x3xf32> -> tensor<8x1xf32>
  return %0, %1, %2, %5, %6 : tensor<2x3xf32>, tensor<2x1xf32>, tensor<2x12xf32>, tensor<2x1xf32>, tensor<8x1xf32>
}

// CHECK-LABEL: @collectives_along_axes_of_size_one_are_their_input
func.func @collectives_along_axes_of_size_one_are_their_input(
    %x: tensor<2x3xf32> {dist.layout = #own, dist.global_type = tensor<8x3xf32>})
    -> (tensor<2x3xf32> {dist.layout = #own, dist.global_type = tensor<8x3xf32>},
        tensor<2x3xf32> {dist.layout = #own, dist.global_type = tensor<8x3xf32>}) {
  // CHECK-NEXT: return %arg0, %arg0
  %0 = dist.all_gather %x dim 0 over @mesh {one} : tensor<2x3xf32> -> tensor<2x3xf32>
  %1 = dist.all_slice %0 dim 1 over @mesh {one} : tensor<2x3xf32> -> tensor<2x3xf32>
  %2 = dist.all_reduce sum %1 over @mesh {one} : tensor<2x3xf32>
  %3 = dist.reduce_scatter sum %x dim 0 over @mesh {one} : tensor<2x3xf32> -> tensor<2x3xf32>
  %4 = dist.all_to_all %3 split 0 concat 1 over @mesh {one} : tensor<2x3xf32> -> tensor<2x3xf32>
  return %2, %4 : tensor<2x3xf32>, tensor<2x3xf32>
}
