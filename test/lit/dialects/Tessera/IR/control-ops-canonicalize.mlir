// RUN: tessera-opt %s --canonicalize | FileCheck %s
// RUN: tessera-opt %s --tessera-check-equivalence="pipeline=canonicalize runs=2"

// Of a, b, c and d: a is used, b is needed for a, c and d only for each other.
// CHECK-LABEL: @unused_carried_values_go
// CHECK: %[[R:.*]]:2 = tessera.scan (%{{.*}}, %{{.*}}) over () length 3
// CHECK-NOT: tessera.exp
// CHECK-NOT: tessera.neg
// CHECK: return %[[R]]#0
func.func @unused_carried_values_go(%x: tensor<2xf32>) -> tensor<2xf32> {
  %r:4 = tessera.scan (%x, %x, %x, %x) over () length 3 : (tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) over () -> (tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) {
  ^bb0(%i: tensor<i32>, %a: tensor<2xf32>, %b: tensor<2xf32>, %c: tensor<2xf32>, %d: tensor<2xf32>):
    %0 = tessera.add %a, %b : tensor<2xf32>
    %1 = tessera.mul %b, %b : tensor<2xf32>
    %2 = tessera.exp %d : tensor<2xf32>
    %3 = tessera.neg %c : tensor<2xf32>
    tessera.yield %0, %1, %2, %3 : tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>
  }
  return %r#0 : tensor<2xf32>
}

// CHECK-LABEL: @unused_sequences_and_stacked_results_go
// CHECK-SAME: (%{{.*}}: tensor<3x2xf32>, %[[YS:.*]]: tensor<3x2xf32>)
// CHECK: %[[R:.*]] = tessera.scan () over (%[[YS]]) length 3 : () over (tensor<3x2xf32>) -> (tensor<3x2xf32>) {
// CHECK-NEXT: ^bb0(%{{.*}}: tensor<i32>, %[[Y:.*]]: tensor<2xf32>):
// CHECK-NEXT: %[[E:.*]] = tessera.exp %[[Y]]
// CHECK-NEXT: tessera.yield %[[E]] : tensor<2xf32>
// CHECK: return %[[R]]
func.func @unused_sequences_and_stacked_results_go(%xs: tensor<3x2xf32>, %ys: tensor<3x2xf32>) -> tensor<3x2xf32> {
  %r:2 = tessera.scan () over (%xs, %ys) length 3 : () over (tensor<3x2xf32>, tensor<3x2xf32>) -> (tensor<3x2xf32>, tensor<3x2xf32>) {
  ^bb0(%i: tensor<i32>, %x: tensor<2xf32>, %y: tensor<2xf32>):
    %0 = tessera.neg %x : tensor<2xf32>
    %1 = tessera.exp %y : tensor<2xf32>
    tessera.yield %0, %1 : tensor<2xf32>, tensor<2xf32>
  }
  return %r#1 : tensor<3x2xf32>
}

// CHECK-LABEL: @unchanged_carried_value_is_captured
// CHECK-SAME: (%[[X:.*]]: tensor<2xf32>, %[[W:.*]]: tensor<2xf32>)
// CHECK: tessera.scan (%[[X]]) over () length 3
// CHECK: tessera.mul %{{.*}}, %[[W]]
// CHECK: return %{{.*}}, %[[W]]
func.func @unchanged_carried_value_is_captured(%x: tensor<2xf32>, %w: tensor<2xf32>) -> (tensor<2xf32>, tensor<2xf32>) {
  %r:2 = tessera.scan (%x, %w) over () length 3 : (tensor<2xf32>, tensor<2xf32>) over () -> (tensor<2xf32>, tensor<2xf32>) {
  ^bb0(%i: tensor<i32>, %a: tensor<2xf32>, %b: tensor<2xf32>):
    %0 = tessera.mul %a, %b : tensor<2xf32>
    tessera.yield %0, %b : tensor<2xf32>, tensor<2xf32>
  }
  return %r#0, %r#1 : tensor<2xf32>, tensor<2xf32>
}

// CHECK-LABEL: @loop_that_never_runs
// CHECK-SAME: (%[[X:.*]]: tensor<2xf32>)
// CHECK-NEXT: return %[[X]]
func.func @loop_that_never_runs(%x: tensor<2xf32>) -> tensor<2xf32> {
  %r = tessera.scan (%x) over () length 0 : (tensor<2xf32>) over () -> (tensor<2xf32>) {
  ^bb0(%i: tensor<i32>, %a: tensor<2xf32>):
    %0 = tessera.exp %a : tensor<2xf32>
    tessera.yield %0 : tensor<2xf32>
  }
  return %r : tensor<2xf32>
}

// CHECK-LABEL: @condition_that_never_holds
// CHECK-SAME: (%[[X:.*]]: tensor<2xf32>)
// CHECK-NEXT: return %[[X]]
func.func @condition_that_never_holds(%x: tensor<2xf32>) -> tensor<2xf32> {
  %r = tessera.while (%x) : (tensor<2xf32>) -> (tensor<2xf32>) cond {
  ^bb0(%a: tensor<2xf32>):
    %p = tessera.constant dense<false> : tensor<i1> : tensor<i1>
    tessera.yield %p : tensor<i1>
  } do {
  ^bb0(%a: tensor<2xf32>):
    %0 = tessera.exp %a : tensor<2xf32>
    tessera.yield %0 : tensor<2xf32>
  }
  return %r : tensor<2xf32>
}

// The counter decides; x is unused, w never changes.
// CHECK-LABEL: @while_keeps_what_it_needs
// CHECK-SAME: (%{{.*}}: tensor<2xf32>, %[[W:.*]]: tensor<i32>)
// CHECK: tessera.while (%{{.*}}) : (tensor<i32>) -> (tensor<i32>) cond {
// CHECK-NEXT: ^bb0(%[[N:.*]]: tensor<i32>):
// CHECK-NEXT: tessera.compare lt %[[N]], %[[W]]
// CHECK: do {
// CHECK-NEXT: ^bb0(%[[M:.*]]: tensor<i32>):
// CHECK-NEXT: tessera.add %[[M]],
// CHECK-NEXT: tessera.yield %{{.*}} : tensor<i32>
func.func @while_keeps_what_it_needs(%x: tensor<2xf32>, %w: tensor<i32>) -> tensor<i32> {
  %zero = tessera.constant dense<0> : tensor<i32> : tensor<i32>
  %one = tessera.constant dense<1> : tensor<i32> : tensor<i32>
  %r:3 = tessera.while (%zero, %x, %w) : (tensor<i32>, tensor<2xf32>, tensor<i32>) -> (tensor<i32>, tensor<2xf32>, tensor<i32>) cond {
  ^bb0(%n: tensor<i32>, %a: tensor<2xf32>, %limit: tensor<i32>):
    %p = tessera.compare lt %n, %limit : tensor<i32>, tensor<i32> -> tensor<i1>
    tessera.yield %p : tensor<i1>
  } do {
  ^bb0(%n: tensor<i32>, %a: tensor<2xf32>, %limit: tensor<i32>):
    %m = tessera.add %n, %one : tensor<i32>
    %b = tessera.exp %a : tensor<2xf32>
    tessera.yield %m, %b, %limit : tensor<i32>, tensor<2xf32>, tensor<i32>
  }
  return %r#0 : tensor<i32>
}

// A selector of 7 is clamped to the last branch.
// CHECK-LABEL: @known_branch
// CHECK-NOT: tessera.cond
// CHECK: %[[E:.*]] = tessera.exp
// CHECK-NEXT: return %[[E]]
func.func @known_branch(%x: tensor<2xf32>) -> tensor<2xf32> {
  %seven = tessera.constant dense<7> : tensor<i32> : tensor<i32>
  %r = tessera.cond %seven : tensor<i32> -> (tensor<2xf32>) {
    tessera.yield %x : tensor<2xf32>
  }, {
    %0 = tessera.exp %x : tensor<2xf32>
    tessera.yield %0 : tensor<2xf32>
  }
  return %r : tensor<2xf32>
}

// CHECK-LABEL: @known_truth_value
// CHECK-SAME: (%[[X:.*]]: tensor<2xf32>)
// CHECK-NEXT: return %[[X]]
func.func @known_truth_value(%x: tensor<2xf32>) -> tensor<2xf32> {
  %true = tessera.constant dense<true> : tensor<i1> : tensor<i1>
  %r = tessera.cond %true : tensor<i1> -> (tensor<2xf32>) {
    %0 = tessera.exp %x : tensor<2xf32>
    tessera.yield %0 : tensor<2xf32>
  }, {
    tessera.yield %x : tensor<2xf32>
  }
  return %r : tensor<2xf32>
}

// The first result is unused, the third is x in both branches.
// CHECK-LABEL: @unused_and_common_results_of_branches
// CHECK-SAME: (%{{.*}}: tensor<i1>, %[[X:.*]]: tensor<2xf32>)
// CHECK: %[[R:.*]] = tessera.cond %{{.*}} : tensor<i1> -> (tensor<2xf32>) {
// CHECK-NEXT: tessera.yield %[[X]]
// CHECK: }, {
// CHECK-NEXT: tessera.exp
// CHECK: return %[[R]], %[[X]]
func.func @unused_and_common_results_of_branches(%p: tensor<i1>, %x: tensor<2xf32>) -> (tensor<2xf32>, tensor<2xf32>) {
  %r:3 = tessera.cond %p : tensor<i1> -> (tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) {
    %0 = tessera.neg %x : tensor<2xf32>
    tessera.yield %0, %x, %x : tensor<2xf32>, tensor<2xf32>, tensor<2xf32>
  }, {
    %0 = tessera.exp %x : tensor<2xf32>
    tessera.yield %x, %0, %x : tensor<2xf32>, tensor<2xf32>, tensor<2xf32>
  }
  return %r#1, %r#2 : tensor<2xf32>, tensor<2xf32>
}
