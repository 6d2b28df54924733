// RUN: tessera-opt %s | tessera-opt | FileCheck %s
// RUN: tessera-opt %s --mlir-print-op-generic | tessera-opt | FileCheck %s

dist.mesh @mesh <[tp = 2]>

// CHECK-LABEL: @equal_types_are_printed_once
func.func @equal_types_are_printed_once(%x: tensor<2x3xf32>, %y: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // CHECK: %[[ADD:.*]] = tessera.add %arg0, %arg1 : tensor<2x3xf32>
  %0 = tessera.add %x, %y : tensor<2x3xf32>
  // CHECK: tessera.exp %[[ADD]] : tensor<2x3xf32>
  %1 = tessera.exp %0 : tensor<2x3xf32>
  return %1 : tensor<2x3xf32>
}

// CHECK-LABEL: @unlike_layouts_are_printed_as_a_function_type
func.func @unlike_layouts_are_printed_as_a_function_type(
    %x: !tessera.mesh_tensor<2x3xf32, @mesh, [{tp}, {}]>,
    %y: !tessera.mesh_tensor<2x3xf32, @mesh>) -> !tessera.mesh_tensor<2x3xf32, @mesh, [{tp}, {?}]> {
  // CHECK: tessera.mul %arg0, %arg1 : (!tessera.mesh_tensor<2x3xf32, @mesh, [{tp}, {}]>, !tessera.mesh_tensor<2x3xf32, @mesh>) -> !tessera.mesh_tensor<2x3xf32, @mesh, [{tp}, {?}]>
  %0 = tessera.mul %x, %y : (!tessera.mesh_tensor<2x3xf32, @mesh, [{tp}, {}]>, !tessera.mesh_tensor<2x3xf32, @mesh>) -> !tessera.mesh_tensor<2x3xf32, @mesh, [{tp}, {?}]>
  return %0 : !tessera.mesh_tensor<2x3xf32, @mesh, [{tp}, {?}]>
}

// CHECK-LABEL: @attributes_stand_before_the_types
func.func @attributes_stand_before_the_types(%x: tensor<f32>) -> tensor<f32> {
  // CHECK: tessera.neg %arg0 {note = "kept"} : tensor<f32>
  %0 = tessera.neg %x {note = "kept"} : tensor<f32>
  return %0 : tensor<f32>
}

// CHECK-LABEL: @compare_select_and_convert
func.func @compare_select_and_convert(%x: tensor<2x3xbf16>, %y: tensor<2x3xbf16>) -> tensor<2x3xf32> {
  // CHECK: %[[P:.*]] = tessera.compare ge %arg0, %arg1 : tensor<2x3xbf16>, tensor<2x3xbf16> -> tensor<2x3xi1>
  %0 = tessera.compare ge %x, %y : tensor<2x3xbf16>, tensor<2x3xbf16> -> tensor<2x3xi1>
  // CHECK: %[[S:.*]] = tessera.select %[[P]], %arg0, %arg1 : tensor<2x3xi1>, tensor<2x3xbf16>, tensor<2x3xbf16> -> tensor<2x3xbf16>
  %1 = tessera.select %0, %x, %y : tensor<2x3xi1>, tensor<2x3xbf16>, tensor<2x3xbf16> -> tensor<2x3xbf16>
  // CHECK: tessera.convert %[[S]] : tensor<2x3xbf16> -> tensor<2x3xf32>
  %2 = tessera.convert %1 : tensor<2x3xbf16> -> tensor<2x3xf32>
  return %2 : tensor<2x3xf32>
}
