// RUN: tessera-opt %s --canonicalize | FileCheck %s
// RUN: tessera-opt %s '--tessera-check-equivalence=pipeline=canonicalize runs=3' -o /dev/null

// Of a number it is 1, of NaN and the infinities NaN.
// CHECK-LABEL: @a_softmax_of_one_element_stays
func.func @a_softmax_of_one_element_stays(%x: tensor<3x1xf32>) -> tensor<3x1xf32> {
  // CHECK: tessera.softmax
  %inf = tessera.constant dense<0x7F800000> : tensor<3x1xf32> : tensor<3x1xf32>
  %0 = tessera.mul %x, %inf : tensor<3x1xf32>
  %1 = tessera.softmax %0 dim 1 : tensor<3x1xf32> -> tensor<3x1xf32>
  return %1 : tensor<3x1xf32>
}
