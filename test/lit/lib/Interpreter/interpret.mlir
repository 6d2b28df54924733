// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: tessera-opt %s --tessera-interpret="inputs=iota stats=true" | FileCheck %s

dist.mesh @mesh <[tp = 2]>

// CHECK: @functions_without_arguments_are_evaluated result 0: 2x2xf32 = [ [11, 22], [33, 44] ]
func.func @functions_without_arguments_are_evaluated() -> tensor<2x2xf32> {
  %0 = tessera.constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32> : tensor<2x2xf32>
  %1 = tessera.constant dense<[[10.0, 20.0], [30.0, 40.0]]> : tensor<2x2xf32> : tensor<2x2xf32>
  %2 = tessera.add %0, %1 : tensor<2x2xf32>
  return %2 : tensor<2x2xf32>
}

// CHECK: @mesh_tensors_are_evaluated_as_logical_values result 0: 2x3xf32 = [ [0, 2, 4], [6, 8, 10] ]
func.func @mesh_tensors_are_evaluated_as_logical_values(%0: !tessera.mesh_tensor<2x3xf32, @mesh, [{tp}, {}]>) -> !tessera.mesh_tensor<2x3xf32, @mesh, [{}, {}]> {
  %1 = tessera.add %0, %0 : !tessera.mesh_tensor<2x3xf32, @mesh, [{tp}, {}]>
  %2 = tessera.reshard %1 : !tessera.mesh_tensor<2x3xf32, @mesh, [{tp}, {}]> -> !tessera.mesh_tensor<2x3xf32, @mesh, [{}, {}]>
  return %2 : !tessera.mesh_tensor<2x3xf32, @mesh, [{}, {}]>
}

// CHECK: @values_that_differ_are_printed_per_device result 0 on device 0: i32 = 0
// CHECK: @values_that_differ_are_printed_per_device result 0 on device 1: i32 = 1
func.func @values_that_differ_are_printed_per_device() -> tensor<i32> {
  %0 = dist.axis_index @mesh {tp} : tensor<i32>
  return %0 : tensor<i32>
}

// A dimension of 5 in chunks of 3 and 2: the padding of the second is dropped.
// CHECK: @inputs_are_cut_and_results_joined result 0: 5xf32 = [0, 2, 4, 6, 8]
// CHECK: @inputs_are_cut_and_results_joined result 1: 5xf32 = [0, 1, 2, 3, 4]
// CHECK: @inputs_are_cut_and_results_joined dist.all_gather: 1
// CHECK: @inputs_are_cut_and_results_joined bytes sent: 12
func.func @inputs_are_cut_and_results_joined(
    %0: tensor<3xf32> {dist.layout = #dist.layout<@mesh, [{tp}]>, dist.global_type = tensor<5xf32>})
    -> (tensor<3xf32> {dist.layout = #dist.layout<@mesh, [{tp}]>, dist.global_type = tensor<5xf32>},
        tensor<5xf32> {dist.layout = #dist.layout<@mesh, [{}]>, dist.global_type = tensor<5xf32>}) {
  %1 = tessera.add %0, %0 : tensor<3xf32>
  %2 = dist.all_gather %0 dim 0 over @mesh {tp} : tensor<3xf32> -> tensor<5xf32>
  return %1, %2 : tensor<3xf32>, tensor<5xf32>
}

// Without a mask the second device adds its padding.
// CHECK: @padding_is_poison result 0: f32 = nan
func.func @padding_is_poison(
    %0: tensor<3xf32> {dist.layout = #dist.layout<@mesh, [{tp}]>, dist.global_type = tensor<5xf32>})
    -> (tensor<f32> {dist.layout = #dist.layout<@mesh, [], partial = sum{tp}>, dist.global_type = tensor<f32>}) {
  %1 = tessera.reduce sum %0 dims [0] : tensor<3xf32> -> tensor<f32>
  return %1 : tensor<f32>
}

// CHECK: @calls_are_followed result 0: 2xf32 = [3, 6]
func.func @calls_are_followed() -> tensor<2xf32> {
  %0 = tessera.constant dense<[1.0, 2.0]> : tensor<2xf32> : tensor<2xf32>
  %1 = func.call @triple(%0) : (tensor<2xf32>) -> tensor<2xf32>
  return %1 : tensor<2xf32>
}
func.func private @triple(%0: tensor<2xf32>) -> tensor<2xf32> {
  %1 = tessera.add %0, %0 : tensor<2xf32>
  %2 = tessera.add %1, %0 : tensor<2xf32>
  return %2 : tensor<2xf32>
}

// Terms of an uneven dimension are combined and cut; the chunks join to the sum.
// CHECK: @a_scattered_sum_joins_to_the_sum result 0: 5xf32 = [0, 1, 2, 3, 4]
func.func @a_scattered_sum_joins_to_the_sum(
    %0: tensor<5xf32> {dist.layout = #dist.layout<@mesh, [{}], partial = sum{tp}>, dist.global_type = tensor<5xf32>})
    -> (tensor<3xf32> {dist.layout = #dist.layout<@mesh, [{tp}]>, dist.global_type = tensor<5xf32>}) {
  %1 = dist.reduce_scatter sum %0 dim 0 over @mesh {tp} : tensor<5xf32> -> tensor<3xf32>
  return %1 : tensor<3xf32>
}

// The value stays; its split moves from rows to columns, padding included.
// CHECK: @a_split_moves_to_another_dimension result 0: 3x5xf32 = [ [0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [10, 11, 12, 13, 14] ]
func.func @a_split_moves_to_another_dimension(
    %0: tensor<2x5xf32> {dist.layout = #dist.layout<@mesh, [{tp}, {}]>, dist.global_type = tensor<3x5xf32>})
    -> (tensor<3x3xf32> {dist.layout = #dist.layout<@mesh, [{}, {tp}]>, dist.global_type = tensor<3x5xf32>}) {
  %1 = dist.all_to_all %0 split 1 concat 0 over @mesh {tp} : tensor<2x5xf32> -> tensor<3x3xf32>
  return %1 : tensor<3x3xf32>
}

// CHECK: @devices_know_their_part_of_five result 0 on device 0: i32 = 0
// CHECK: @devices_know_their_part_of_five result 0 on device 1: i32 = 3
// CHECK: @devices_know_their_part_of_five result 1 on device 0: i32 = 3
// CHECK: @devices_know_their_part_of_five result 1 on device 1: i32 = 2
func.func @devices_know_their_part_of_five() -> (tensor<i32>, tensor<i32>) {
  %0 = dist.local_offset @mesh {tp} of 5 : tensor<i32>
  %1 = dist.valid_extent @mesh {tp} of 5 : tensor<i32>
  return %0, %1 : tensor<i32>, tensor<i32>
}
