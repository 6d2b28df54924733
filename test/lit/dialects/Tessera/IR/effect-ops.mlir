// RUN: tessera-opt %s --canonicalize --cse --loop-invariant-code-motion | FileCheck %s

// Two barriers of one value give two values, and what follows is computed twice.
// CHECK-LABEL: @equal_barriers_stay
// CHECK: tessera.exp
// CHECK: %[[A:.*]] = tessera.barrier
// CHECK: tessera.exp %[[A]]
// CHECK: %[[B:.*]] = tessera.barrier
// CHECK: tessera.exp %[[B]]
func.func @equal_barriers_stay(%x: tensor<2xf32>) -> (tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) {
  %0 = tessera.exp %x : tensor<2xf32>
  %a = tessera.barrier %x : (tensor<2xf32>) -> (tensor<2xf32>)
  %1 = tessera.exp %a : tensor<2xf32>
  %b = tessera.barrier %x : (tensor<2xf32>) -> (tensor<2xf32>)
  %2 = tessera.exp %b : tensor<2xf32>
  return %0, %1, %2 : tensor<2xf32>, tensor<2xf32>, tensor<2xf32>
}

// CHECK-LABEL: @unused_barrier_is_gone
// CHECK-NEXT: return
func.func @unused_barrier_is_gone(%x: tensor<2xf32>) {
  %a = tessera.barrier %x : (tensor<2xf32>) -> (tensor<2xf32>)
  return
}

// CHECK-LABEL: @barrier_stays_in_its_loop
// CHECK: tessera.scan
// CHECK: tessera.barrier
func.func @barrier_stays_in_its_loop(%x: tensor<2xf32>) -> tensor<2xf32> {
  %r = tessera.scan (%x) over () length 3 : (tensor<2xf32>) over () -> (tensor<2xf32>) {
  ^bb0(%i: tensor<i32>, %c: tensor<2xf32>):
    %a = tessera.barrier %x : (tensor<2xf32>) -> (tensor<2xf32>)
    %0 = tessera.add %c, %a : tensor<2xf32>
    tessera.yield %0 : tensor<2xf32>
  }
  return %r : tensor<2xf32>
}

// A loop that only prints stays, and so does what it prints.
// CHECK-LABEL: @prints_stay
// CHECK: tessera.scan () over () length 3
// CHECK: tessera.debug_print "{} {{[{][{]}}{{[}][}]}}" (%{{.*}}) ordered : tensor<i32>
// CHECK: tessera.debug_print "twice" ()
// CHECK: tessera.debug_print "twice" ()
// CHECK: tessera.debug_check %{{.*}} "is {}" (%{{.*}}) : tensor<i1>, (tensor<2xf32>)
func.func @prints_stay(%x: tensor<2xf32>, %p: tensor<i1>) {
  tessera.scan () over () length 3 : () over () -> () {
  ^bb0(%i: tensor<i32>):
    tessera.debug_print "{} {{}}" (%i) ordered : tensor<i32>
    tessera.yield
  }
  tessera.debug_print "twice" ()
  tessera.debug_print "twice" ()
  tessera.debug_check %p "is {}" (%x) : tensor<i1>, (tensor<2xf32>)
  return
}
