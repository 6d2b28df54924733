// RUN: tessera-opt %s --tessera-hoist-invariants | FileCheck %s
// RUN: tessera-opt %s --tessera-check-equivalence="pipeline=tessera-hoist-invariants runs=2"

dist.mesh @mesh <[tp = 2]>

// CHECK-LABEL: @product_and_its_reduction_leave
// CHECK: %[[P:.*]] = tessera.contract
// CHECK: %[[R:.*]] = dist.all_reduce sum %[[P]]
// CHECK: tessera.scan
// CHECK-NOT: dist.all_reduce
// CHECK: tessera.add %{{.*}}, %[[R]]
// CHECK: return
func.func @product_and_its_reduction_leave(%x: tensor<2x3xf32>, %w: tensor<3x2xf32>) -> tensor<2x2xf32> {
  %zero = tessera.constant dense<0.0> : tensor<2x2xf32> : tensor<2x2xf32>
  %r = tessera.scan (%zero) over () length 5 : (tensor<2x2xf32>) over () -> (tensor<2x2xf32>) {
  ^bb0(%i: tensor<i32>, %c: tensor<2x2xf32>):
    %0 = tessera.contract %x, %w "mk,kn->mn" : tensor<2x3xf32>, tensor<3x2xf32> -> tensor<2x2xf32>
    %1 = dist.all_reduce sum %0 over @mesh {tp} : tensor<2x2xf32>
    %2 = tessera.add %c, %1 : tensor<2x2xf32>
    tessera.yield %2 : tensor<2x2xf32>
  }
  return %r : tensor<2x2xf32>
}

// What leaves the inner loop leaves the outer one.
// CHECK-LABEL: @out_of_both_loops
// CHECK: dist.all_reduce
// CHECK: tessera.scan
// CHECK: tessera.scan
// CHECK-NOT: dist.all_reduce
func.func @out_of_both_loops(%x: tensor<2xf32>) -> tensor<2xf32> {
  %r = tessera.scan (%x) over () length 5 : (tensor<2xf32>) over () -> (tensor<2xf32>) {
  ^bb0(%i: tensor<i32>, %c: tensor<2xf32>):
    %s = tessera.scan (%c) over () length 3 : (tensor<2xf32>) over () -> (tensor<2xf32>) {
    ^bb0(%j: tensor<i32>, %d: tensor<2xf32>):
      %0 = dist.all_reduce sum %x over @mesh {tp} : tensor<2xf32>
      %1 = tessera.add %d, %0 : tensor<2xf32>
      tessera.yield %1 : tensor<2xf32>
    }
    tessera.yield %s : tensor<2xf32>
  }
  return %r : tensor<2xf32>
}

// The mask is made anew in each iteration, as part of a kernel. The masked
// product leaves, and takes the mask with it.
// CHECK-LABEL: @masks_stay
// CHECK: %[[E:.*]] = dist.valid_extent
// CHECK: tessera.scan
// CHECK: tessera.iota
// CHECK: tessera.compare
// CHECK: tessera.select
func.func private @masks_stay(%x: tensor<3xf32>) -> tensor<3xf32> {
  %zero = tessera.constant dense<0.0> : tensor<3xf32> : tensor<3xf32>
  %r = tessera.scan (%x) over () length 5 : (tensor<3xf32>) over () -> (tensor<3xf32>) {
  ^bb0(%i: tensor<i32>, %c: tensor<3xf32>):
    %e = dist.valid_extent @mesh {tp} of 5 : tensor<i32>
    %s = tessera.broadcast %e dims [] : tensor<i32> -> tensor<3xi32>
    %k = tessera.iota dim 0 : tensor<3xi32>
    %m = tessera.compare lt %k, %s : tensor<3xi32>, tensor<3xi32> -> tensor<3xi1>
    %0 = tessera.select %m, %c, %zero : tensor<3xi1>, tensor<3xf32>, tensor<3xf32> -> tensor<3xf32>
    tessera.yield %0 : tensor<3xf32>
  }
  return %r : tensor<3xf32>
}

// CHECK-LABEL: @masked_value_leaves
// CHECK: tessera.compare
// CHECK: tessera.select
// CHECK: tessera.scan
// CHECK-NOT: tessera.select
func.func private @masked_value_leaves(%x: tensor<3xf32>) -> tensor<3xf32> {
  %zero = tessera.constant dense<0.0> : tensor<3xf32> : tensor<3xf32>
  %r = tessera.scan (%zero) over () length 5 : (tensor<3xf32>) over () -> (tensor<3xf32>) {
  ^bb0(%i: tensor<i32>, %c: tensor<3xf32>):
    %e = dist.valid_extent @mesh {tp} of 5 : tensor<i32>
    %s = tessera.broadcast %e dims [] : tensor<i32> -> tensor<3xi32>
    %k = tessera.iota dim 0 : tensor<3xi32>
    %m = tessera.compare lt %k, %s : tensor<3xi32>, tensor<3xi32> -> tensor<3xi1>
    %0 = tessera.select %m, %x, %zero : tensor<3xi1>, tensor<3xf32>, tensor<3xf32> -> tensor<3xf32>
    %1 = tessera.add %c, %0 : tensor<3xf32>
    tessera.yield %1 : tensor<3xf32>
  }
  return %r : tensor<3xf32>
}

// A branch may never run.
// CHECK-LABEL: @branches_keep_what_they_have
// CHECK: tessera.cond
// CHECK: dist.all_reduce
func.func @branches_keep_what_they_have(%p: tensor<i1>, %x: tensor<2xf32>) -> tensor<2xf32> {
  %r = tessera.cond %p : tensor<i1> -> (tensor<2xf32>) {
    %0 = dist.all_reduce sum %x over @mesh {tp} : tensor<2xf32>
    tessera.yield %0 : tensor<2xf32>
  }, {
    tessera.yield %x : tensor<2xf32>
  }
  return %r : tensor<2xf32>
}
