// RUN: tessera-opt %s --split-input-file --tessera-inline-calls --verify-diagnostics | FileCheck %s

// CHECK-NOT: func.func private
// CHECK-LABEL: func.func @nested
// CHECK: %[[A:.*]] = tessera.add %arg0, %arg0
// CHECK: %[[B:.*]] = tessera.add %[[A]], %[[A]]
// CHECK: tessera.scan
// CHECK: tessera.add
// CHECK-NOT: stop_gradient
// CHECK: return
func.func private @twice(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %y = tessera.add %x, %x : tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}
func.func private @four(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %y = tessera.call @twice(%x) : (tensor<2x3xf32>) -> (tensor<2x3xf32>)
  %z = tessera.call @twice(%y) checkpoint "nothing" : (tensor<2x3xf32>) -> (tensor<2x3xf32>)
  return %z : tensor<2x3xf32>
}
func.func @nested(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %y = tessera.call @four(%x) : (tensor<2x3xf32>) -> (tensor<2x3xf32>)
  %r = tessera.scan (%y) over () length 5 : (tensor<2x3xf32>) over () -> (tensor<2x3xf32>) {
  ^bb0(%i: tensor<i32>, %c: tensor<2x3xf32>):
    %t = tessera.call @twice(%c) : (tensor<2x3xf32>) -> (tensor<2x3xf32>)
    %s = tessera.stop_gradient %t : tensor<2x3xf32> -> tensor<2x3xf32>
    %n = tessera.checkpoint_name %s "t" : tensor<2x3xf32> -> tensor<2x3xf32>
    tessera.yield %n : tensor<2x3xf32>
  }
  return %r : tensor<2x3xf32>
}

// -----

func.func private @loop(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // expected-error@+2 {{calls function @loop, in which it is itself}}
  // expected-note@+1 {{functions do not call themselves; tessera.scan and tessera.while repeat}}
  %y = tessera.call @loop(%x) : (tensor<2x3xf32>) -> (tensor<2x3xf32>)
  return %y : tensor<2x3xf32>
}
func.func @f(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %y = tessera.call @loop(%x) : (tensor<2x3xf32>) -> (tensor<2x3xf32>)
  return %y : tensor<2x3xf32>
}

// -----

func.func private @back(%dy: tensor<2x3xf32>) -> tensor<2x3xf32> {
  return %dy : tensor<2x3xf32>
}
func.func @f(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // expected-error@+2 {{the derivative of this call is known in reverse mode only, and is used in forward mode}}
  // expected-note@+1 {{differentiate with grad or vjp}}
  %y = tessera.custom_tangent @back() of (%x) : () of (tensor<2x3xf32>) -> (tensor<2x3xf32>)
  return %y : tensor<2x3xf32>
}

// -----

// What a private function calls is used, if that is.
// CHECK-LABEL: func.func @caller
// CHECK: func.func private @near
// CHECK: func.func private @far
// CHECK-NOT: @unused
func.func @caller(%x: tensor<3xf32>) -> tensor<3xf32> {
  %y = func.call @near(%x) : (tensor<3xf32>) -> tensor<3xf32>
  return %y : tensor<3xf32>
}
func.func private @near(%x: tensor<3xf32>) -> tensor<3xf32> {
  %y = func.call @far(%x) : (tensor<3xf32>) -> tensor<3xf32>
  return %y : tensor<3xf32>
}
func.func private @far(%x: tensor<3xf32>) -> tensor<3xf32> {
  return %x : tensor<3xf32>
}
func.func private @unused(%x: tensor<3xf32>) -> tensor<3xf32> {
  %y = func.call @far(%x) : (tensor<3xf32>) -> tensor<3xf32>
  return %y : tensor<3xf32>
}
