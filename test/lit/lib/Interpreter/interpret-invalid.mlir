// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: tessera-opt %s --tessera-interpret="inputs=iota" --split-input-file --verify-diagnostics

dist.mesh @mesh <[tp = 2]>
// expected-error @below {{result 0: device 1 does not agree with device 0, which holds the same part: element 0 is 1.000000, expected 0.000000}}
func.func @replicas_that_differ() -> (tensor<i32> {dist.layout = #dist.layout<@mesh, []>, dist.global_type = tensor<i32>}) {
  %0 = dist.axis_index @mesh {tp} : tensor<i32>
  return %0 : tensor<i32>
}

// -----

// expected-error @below {{cannot be evaluated: it calls itself}}
func.func @recursion() -> tensor<f32> {
  %0 = func.call @recursion() : () -> tensor<f32>
  return %0 : tensor<f32>
}

// -----

func.func @unknown_op() -> tensor<f32> {
  // expected-error @below {{has no meaning to the interpreter}}
  // expected-note @below {{it evaluates the tessera and dist dialects and func.call}}
  %0 = arith.constant dense<1.0> : tensor<f32>
  return %0 : tensor<f32>
}

// -----

dist.mesh @a <[x = 2]>
dist.mesh @b <[x = 2]>
// expected-error @below {{runs on more than one mesh: @a and @b}}
// expected-note @below {{one program runs on the devices of one mesh}}
func.func @two_meshes() -> tensor<i32> {
  %0 = dist.axis_index @a {x} : tensor<i32>
  %1 = dist.axis_index @b {x} : tensor<i32>
  %2 = tessera.add %0, %1 : tensor<i32>
  return %2 : tensor<i32>
}

// -----

dist.mesh @mesh <[tp = 2]>
// expected-error @below {{argument 0 has type 'tensor<2xf32>', but layout [{tp}] of 5xf32 gives each device 3xf32}}
func.func @wrong_local_type(
    %0: tensor<2xf32> {dist.layout = #dist.layout<@mesh, [{tp}]>, dist.global_type = tensor<5xf32>}) -> tensor<2xf32> {
  return %0 : tensor<2xf32>
}

// -----

dist.mesh @mesh <[tp = 2]>
func.func @device_ops_on_logical_values(%0: !tessera.mesh_tensor<2xf32, @mesh>) -> !tessera.mesh_tensor<2xf32, @mesh> {
  // expected-error @below {{acts on devices, but the function holds mesh tensors}}
  %1 = dist.axis_index @mesh {tp} : tensor<i32>
  return %0 : !tessera.mesh_tensor<2xf32, @mesh>
}

// -----

// expected-error @below {{argument 0 has more than 268435456 elements, the most that the interpreter holds}}
func.func @an_input_larger_than_memory(%0: tensor<65536x65536xi1>) {
  return
}

// -----

dist.mesh @mesh <[tp = 256]>
func.func @a_value_larger_than_memory_on_all_devices(
    %0: tensor<2xf32> {dist.layout = #dist.layout<@mesh, [{}]>, dist.global_type = tensor<2xf32>}) {
  // expected-error @below {{gives more than 268435456 elements on all devices, the most that the interpreter holds}}
  %1 = tessera.iota dim 0 : tensor<1100000xi32>
  return
}
