// RUN: tessera-opt %s | tessera-opt | FileCheck %s

// CHECK-LABEL: func.func private @twice
func.func private @twice(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %y = tessera.add %x, %x : tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}
func.func private @rule(%x: tensor<2x3xf32>, %dx: tensor<2x3xf32>) -> (tensor<2x3xf32>, tensor<2x3xf32>) {
  return %x, %dx : tensor<2x3xf32>, tensor<2x3xf32>
}
func.func private @back(%dy: tensor<2x3xf32>) -> tensor<2x3xf32> {
  return %dy : tensor<2x3xf32>
}

// CHECK-LABEL: func.func @f
func.func @f(%0: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // CHECK: tessera.call @twice(%{{.*}}) : (tensor<2x3xf32>) -> (tensor<2x3xf32>)
  %1 = tessera.call @twice(%0) : (tensor<2x3xf32>) -> (tensor<2x3xf32>)
  // CHECK: tessera.call @twice(%{{.*}}) checkpoint "dots" :
  %2 = tessera.call @twice(%1) checkpoint "dots" : (tensor<2x3xf32>) -> (tensor<2x3xf32>)
  // CHECK: tessera.call @twice(%{{.*}}) jvp @rule :
  %3 = tessera.call @twice(%2) jvp @rule : (tensor<2x3xf32>) -> (tensor<2x3xf32>)
  // CHECK: tessera.call @twice(%{{.*}}) fwd @twice bwd @back :
  %4 = tessera.call @twice(%3) fwd @twice bwd @back : (tensor<2x3xf32>) -> (tensor<2x3xf32>)
  // CHECK: tessera.stop_gradient
  %5 = tessera.stop_gradient %4 : tensor<2x3xf32> -> tensor<2x3xf32>
  // CHECK: tessera.checkpoint_name %{{.*}} "scores"
  %6 = tessera.checkpoint_name %5 "scores" : tensor<2x3xf32> -> tensor<2x3xf32>
  // CHECK: tessera.custom_tangent @back() of (%{{.*}}) : () of (tensor<2x3xf32>) -> (tensor<2x3xf32>)
  %7 = tessera.custom_tangent @back() of (%6) : () of (tensor<2x3xf32>) -> (tensor<2x3xf32>)
  return %7 : tensor<2x3xf32>
}
