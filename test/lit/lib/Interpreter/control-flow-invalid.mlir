// RUN: tessera-opt %s --split-input-file --verify-diagnostics --tessera-interpret

dist.mesh @mesh <[tp = 4]>
func.func @predicate_differs_by_device() -> tensor<i32> {
  %two = tessera.constant dense<2> : tensor<i32> : tensor<i32>
  %index = dist.axis_index @mesh {tp} : tensor<i32>
  // expected-error @below {{has a predicate that differs by device: 1 on device 0, 0 on device 2}}
  %r = tessera.while (%index) : (tensor<i32>) -> (tensor<i32>) cond {
  ^bb0(%n: tensor<i32>):
    // expected-note @below {{it is computed here; all devices must take the same path}}
    %p = tessera.compare lt %n, %two : tensor<i32>, tensor<i32> -> tensor<i1>
    tessera.yield %p : tensor<i1>
  } do {
  ^bb0(%n: tensor<i32>):
    tessera.yield %two : tensor<i32>
  }
  return %r : tensor<i32>
}

// -----

dist.mesh @mesh <[tp = 4]>
func.func @selector_differs_by_device() -> tensor<i32> {
  // expected-note @below {{it is computed here; all devices must take the same path}}
  %index = dist.axis_index @mesh {tp} : tensor<i32>
  // expected-error @below {{has a selector that differs by device: 0 on device 0, 1 on device 1}}
  %r = tessera.cond %index : tensor<i32> -> (tensor<i32>) {
    tessera.yield %index : tensor<i32>
  }, {
    tessera.yield %index : tensor<i32>
  }
  return %r : tensor<i32>
}

// -----

func.func @loop_without_end() -> tensor<i1> {
  %true = tessera.constant dense<true> : tensor<i1> : tensor<i1>
  // expected-error @below {{runs for more than 1048576 iterations, the most that the interpreter executes}}
  %r = tessera.while (%true) : (tensor<i1>) -> (tensor<i1>) cond {
  ^bb0(%p: tensor<i1>):
    tessera.yield %p : tensor<i1>
  } do {
  ^bb0(%p: tensor<i1>):
    tessera.yield %p : tensor<i1>
  }
  return %r : tensor<i1>
}

// -----

func.func @check_fails() {
  %p = tessera.constant dense<[true, false]> : tensor<2xi1> : tensor<2xi1>
  %x = tessera.constant dense<7> : tensor<i32> : tensor<i32>
  // expected-error @below {{failed: x is 7}}
  tessera.debug_check %p "x is {}" (%x) : tensor<2xi1>, (tensor<i32>)
  return
}
