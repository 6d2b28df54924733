// RUN: tessera-opt %s --tessera-propagate-layouts --tessera-insert-reshards | FileCheck %s
// RUN: tessera-opt %s --tessera-check-equivalence="pipeline=tessera-propagate-layouts,tessera-insert-reshards,tessera-partition runs=2"

dist.mesh @mesh <[dp = 2, tp = 2]>

// The accumulator starts at zero and stays partial; it is reduced once, behind
// the loop.
// CHECK-LABEL: @accumulate
// CHECK: %[[ZERO:.*]] = tessera.constant dense<0.000000e+00> : tensor<6x6xf32> : !tessera.mesh_tensor<6x6xf32, @mesh, [{}, {}], partial = sum{dp}>
// CHECK: %[[SUM:.*]] = tessera.scan (%[[ZERO]])
// CHECK-NOT: = tessera.reshard
// CHECK: }
// CHECK: = tessera.reshard %[[SUM]]
// CHECK-SAME: rule = "result 0 of the function is laid out so; it comes from carried value 0 of tessera.scan at
// CHECK-SAME: partial = sum{dp}> -> <6x6xf32, @mesh, [{}, {}]>
func.func @accumulate(%xs: !tessera.mesh_tensor<8x5x6xf32, @mesh, [{}, {dp}, {}]>) -> !tessera.mesh_tensor<6x6xf32, @mesh> {
  %zero = tessera.constant dense<0.0> : tensor<6x6xf32> : !tessera.mesh_tensor<6x6xf32, @mesh>
  %r = tessera.scan (%zero) over (%xs) length 8 : (!tessera.mesh_tensor<6x6xf32, @mesh>) over (!tessera.mesh_tensor<8x5x6xf32, @mesh, [{}, {dp}, {}]>) -> (!tessera.mesh_tensor<6x6xf32, @mesh>) {
  ^bb0(%i: !tessera.mesh_tensor<i32, @mesh>, %c: !tessera.mesh_tensor<6x6xf32, @mesh>, %x: !tessera.mesh_tensor<5x6xf32, @mesh>):
    %0 = tessera.contract %x, %x "bm,bn->mn" : !tessera.mesh_tensor<5x6xf32, @mesh>, !tessera.mesh_tensor<5x6xf32, @mesh> -> !tessera.mesh_tensor<6x6xf32, @mesh>
    %1 = tessera.add %c, %0 : !tessera.mesh_tensor<6x6xf32, @mesh>
    tessera.yield %1 : !tessera.mesh_tensor<6x6xf32, @mesh>
  }
  return %r : !tessera.mesh_tensor<6x6xf32, @mesh>
}

// Through both loops of a nest.
// CHECK-LABEL: @nested
// CHECK: = tessera.scan
// CHECK: = tessera.scan
// CHECK-NOT: = tessera.reshard
// CHECK: tessera.yield
// CHECK: tessera.yield
// CHECK: = tessera.reshard
func.func @nested(%xs: !tessera.mesh_tensor<4x2x5x6xf32, @mesh, [{}, {}, {dp}, {}]>) -> !tessera.mesh_tensor<6x6xf32, @mesh> {
  %zero = tessera.constant dense<0.0> : tensor<6x6xf32> : !tessera.mesh_tensor<6x6xf32, @mesh>
  %r = tessera.scan (%zero) over (%xs) length 4 : (!tessera.mesh_tensor<6x6xf32, @mesh>) over (!tessera.mesh_tensor<4x2x5x6xf32, @mesh, [{}, {}, {dp}, {}]>) -> (!tessera.mesh_tensor<6x6xf32, @mesh>) {
  ^bb0(%i: !tessera.mesh_tensor<i32, @mesh>, %c: !tessera.mesh_tensor<6x6xf32, @mesh>, %ys: !tessera.mesh_tensor<2x5x6xf32, @mesh>):
    %s = tessera.scan (%c) over (%ys) length 2 : (!tessera.mesh_tensor<6x6xf32, @mesh>) over (!tessera.mesh_tensor<2x5x6xf32, @mesh>) -> (!tessera.mesh_tensor<6x6xf32, @mesh>) {
    ^bb0(%j: !tessera.mesh_tensor<i32, @mesh>, %d: !tessera.mesh_tensor<6x6xf32, @mesh>, %x: !tessera.mesh_tensor<5x6xf32, @mesh>):
      %0 = tessera.contract %x, %x "bm,bn->mn" : !tessera.mesh_tensor<5x6xf32, @mesh>, !tessera.mesh_tensor<5x6xf32, @mesh> -> !tessera.mesh_tensor<6x6xf32, @mesh>
      %1 = tessera.add %d, %0 : !tessera.mesh_tensor<6x6xf32, @mesh>
      tessera.yield %1 : !tessera.mesh_tensor<6x6xf32, @mesh>
    }
    tessera.yield %s : !tessera.mesh_tensor<6x6xf32, @mesh>
  }
  return %r : !tessera.mesh_tensor<6x6xf32, @mesh>
}

// An accumulator that starts at another value is reduced in every iteration.
// CHECK-LABEL: @starts_at_a_value
// CHECK: = tessera.scan
// CHECK: = tessera.contract
// CHECK-NEXT: = tessera.reshard
// CHECK-NEXT: = tessera.add
func.func @starts_at_a_value(%zero: !tessera.mesh_tensor<6x6xf32, @mesh>, %xs: !tessera.mesh_tensor<8x5x6xf32, @mesh, [{}, {dp}, {}]>) -> !tessera.mesh_tensor<6x6xf32, @mesh> {
  %r = tessera.scan (%zero) over (%xs) length 8 : (!tessera.mesh_tensor<6x6xf32, @mesh>) over (!tessera.mesh_tensor<8x5x6xf32, @mesh, [{}, {dp}, {}]>) -> (!tessera.mesh_tensor<6x6xf32, @mesh>) {
  ^bb0(%i: !tessera.mesh_tensor<i32, @mesh>, %c: !tessera.mesh_tensor<6x6xf32, @mesh>, %x: !tessera.mesh_tensor<5x6xf32, @mesh>):
    %0 = tessera.contract %x, %x "bm,bn->mn" : !tessera.mesh_tensor<5x6xf32, @mesh>, !tessera.mesh_tensor<5x6xf32, @mesh> -> !tessera.mesh_tensor<6x6xf32, @mesh>
    %1 = tessera.add %c, %0 : !tessera.mesh_tensor<6x6xf32, @mesh>
    tessera.yield %1 : !tessera.mesh_tensor<6x6xf32, @mesh>
  }
  return %r : !tessera.mesh_tensor<6x6xf32, @mesh>
}

// The whole sum is used in every iteration.
// CHECK-LABEL: @used_in_every_iteration
// CHECK: = tessera.scan
// CHECK: = tessera.reshard
// CHECK: tessera.yield
func.func @used_in_every_iteration(%xs: !tessera.mesh_tensor<8x5x6xf32, @mesh, [{}, {dp}, {}]>) -> !tessera.mesh_tensor<6x6xf32, @mesh> {
  %zero = tessera.constant dense<0.0> : tensor<6x6xf32> : !tessera.mesh_tensor<6x6xf32, @mesh>
  %r = tessera.scan (%zero) over (%xs) length 8 : (!tessera.mesh_tensor<6x6xf32, @mesh>) over (!tessera.mesh_tensor<8x5x6xf32, @mesh, [{}, {dp}, {}]>) -> (!tessera.mesh_tensor<6x6xf32, @mesh>) {
  ^bb0(%i: !tessera.mesh_tensor<i32, @mesh>, %c: !tessera.mesh_tensor<6x6xf32, @mesh>, %x: !tessera.mesh_tensor<5x6xf32, @mesh>):
    %0 = tessera.contract %x, %x "bm,bn->mn" : !tessera.mesh_tensor<5x6xf32, @mesh>, !tessera.mesh_tensor<5x6xf32, @mesh> -> !tessera.mesh_tensor<6x6xf32, @mesh>
    %e = tessera.exp %c : !tessera.mesh_tensor<6x6xf32, @mesh>
    %f = tessera.mul %e, %0 : !tessera.mesh_tensor<6x6xf32, @mesh>
    %1 = tessera.add %c, %f : !tessera.mesh_tensor<6x6xf32, @mesh>
    tessera.yield %1 : !tessera.mesh_tensor<6x6xf32, @mesh>
  }
  return %r : !tessera.mesh_tensor<6x6xf32, @mesh>
}

// CHECK-LABEL: @split_sequence
// CHECK: = tessera.reshard %arg0
// CHECK-SAME: runs its iterations one after another on every device, so dimension 0 of sequence 0 must be whole
// CHECK: = tessera.scan
func.func @split_sequence(%xs: !tessera.mesh_tensor<4x5xf32, @mesh, [{tp}, {dp}]>, %init: !tessera.mesh_tensor<5xf32, @mesh>) -> (!tessera.mesh_tensor<4x5xf32, @mesh>, !tessera.mesh_tensor<5xf32, @mesh>) {
  %r:2 = tessera.scan (%init) over (%xs) length 4 reverse : (!tessera.mesh_tensor<5xf32, @mesh>) over (!tessera.mesh_tensor<4x5xf32, @mesh, [{tp}, {dp}]>) -> (!tessera.mesh_tensor<5xf32, @mesh>, !tessera.mesh_tensor<4x5xf32, @mesh>) {
  ^bb0(%i: !tessera.mesh_tensor<i32, @mesh>, %c: !tessera.mesh_tensor<5xf32, @mesh>, %x: !tessera.mesh_tensor<5xf32, @mesh>):
    %0 = tessera.mul %c, %x : !tessera.mesh_tensor<5xf32, @mesh>
    tessera.yield %0, %0 : !tessera.mesh_tensor<5xf32, @mesh>, !tessera.mesh_tensor<5xf32, @mesh>
  }
  return %r#1, %r#0 : !tessera.mesh_tensor<4x5xf32, @mesh>, !tessera.mesh_tensor<5xf32, @mesh>
}

// The predicate is computed from the whole sum, in each iteration.
// CHECK-LABEL: @until_small
// CHECK: = tessera.while
// CHECK: %[[SUM:.*]] = tessera.reduce
// CHECK: %[[WHOLE:.*]] = tessera.reshard %[[SUM]]
// CHECK: = tessera.compare gt %[[WHOLE]]
// CHECK: tessera.yield
func.func @until_small(%x: !tessera.mesh_tensor<7xf32, @mesh, [{tp}]>) -> (!tessera.mesh_tensor<7xf32, @mesh>, !tessera.mesh_tensor<i32, @mesh>) {
  %half = tessera.constant dense<0.5> : tensor<7xf32> : !tessera.mesh_tensor<7xf32, @mesh>
  %one = tessera.constant dense<1> : tensor<i32> : !tessera.mesh_tensor<i32, @mesh>
  %zero = tessera.constant dense<0> : tensor<i32> : !tessera.mesh_tensor<i32, @mesh>
  %limit = tessera.constant dense<0.01> : tensor<f32> : !tessera.mesh_tensor<f32, @mesh>
  %r:2 = tessera.while (%x, %zero) : (!tessera.mesh_tensor<7xf32, @mesh, [{tp}]>, !tessera.mesh_tensor<i32, @mesh>) -> (!tessera.mesh_tensor<7xf32, @mesh>, !tessera.mesh_tensor<i32, @mesh>) cond {
  ^bb0(%c: !tessera.mesh_tensor<7xf32, @mesh>, %n: !tessera.mesh_tensor<i32, @mesh>):
    %a = tessera.abs %c : !tessera.mesh_tensor<7xf32, @mesh>
    %s = tessera.reduce sum %a dims [0] : !tessera.mesh_tensor<7xf32, @mesh> -> !tessera.mesh_tensor<f32, @mesh>
    %p = tessera.compare gt %s, %limit : !tessera.mesh_tensor<f32, @mesh>, !tessera.mesh_tensor<f32, @mesh> -> !tessera.mesh_tensor<i1, @mesh>
    tessera.yield %p : !tessera.mesh_tensor<i1, @mesh>
  } do {
  ^bb0(%c: !tessera.mesh_tensor<7xf32, @mesh>, %n: !tessera.mesh_tensor<i32, @mesh>):
    %d = tessera.mul %c, %half : !tessera.mesh_tensor<7xf32, @mesh>
    %m = tessera.add %n, %one : !tessera.mesh_tensor<i32, @mesh>
    tessera.yield %d, %m : !tessera.mesh_tensor<7xf32, @mesh>, !tessera.mesh_tensor<i32, @mesh>
  }
  return %r#0, %r#1 : !tessera.mesh_tensor<7xf32, @mesh>, !tessera.mesh_tensor<i32, @mesh>
}

// Two branches yield whole values, so the third reduces what it yields.
// CHECK-LABEL: @branches
// CHECK: = tessera.cond
// CHECK: = tessera.contract
// CHECK-NEXT: = tessera.reshard
// CHECK-SAME: result 0 of tessera.cond at {{.*}} needs the reduced value; each device holds a partial sum
// CHECK-NEXT: tessera.yield
func.func @branches(%x: !tessera.mesh_tensor<4x6xf32, @mesh, [{dp}, {}]>, %w: !tessera.mesh_tensor<6x6xf32, @mesh, [{tp}, {}]>, %k: !tessera.mesh_tensor<i32, @mesh>) -> !tessera.mesh_tensor<4x6xf32, @mesh> {
  %y = tessera.contract %x, %w "mk,kn->mn" : !tessera.mesh_tensor<4x6xf32, @mesh, [{dp}, {}]>, !tessera.mesh_tensor<6x6xf32, @mesh, [{tp}, {}]> -> !tessera.mesh_tensor<4x6xf32, @mesh>
  %r = tessera.cond %k : !tessera.mesh_tensor<i32, @mesh> -> (!tessera.mesh_tensor<4x6xf32, @mesh>) {
    %0 = tessera.contract %y, %w "mk,kn->mn" : !tessera.mesh_tensor<4x6xf32, @mesh>, !tessera.mesh_tensor<6x6xf32, @mesh, [{tp}, {}]> -> !tessera.mesh_tensor<4x6xf32, @mesh>
    tessera.yield %0 : !tessera.mesh_tensor<4x6xf32, @mesh>
  }, {
    tessera.yield %y : !tessera.mesh_tensor<4x6xf32, @mesh>
  }, {
    %0 = tessera.constant dense<0.0> : tensor<4x6xf32> : !tessera.mesh_tensor<4x6xf32, @mesh>
    tessera.yield %0 : !tessera.mesh_tensor<4x6xf32, @mesh>
  }
  return %r : !tessera.mesh_tensor<4x6xf32, @mesh>
}

// A value that the loop captures is gathered once, before it.
// CHECK-LABEL: @captured_value_is_gathered_outside
// CHECK: = tessera.reshard %arg1
// CHECK: = tessera.scan
// CHECK-NOT: = tessera.reshard
// CHECK: return
func.func @captured_value_is_gathered_outside(%x: !tessera.mesh_tensor<5xf32, @mesh, [{}]>, %w: !tessera.mesh_tensor<5xf32, @mesh, [{tp}]>) -> !tessera.mesh_tensor<5xf32, @mesh, [{}]> {
  %r = tessera.scan (%x) over () length 3 : (!tessera.mesh_tensor<5xf32, @mesh, [{}]>) over () -> (!tessera.mesh_tensor<5xf32, @mesh, [{}]>) {
  ^bb0(%i: !tessera.mesh_tensor<i32, @mesh>, %c: !tessera.mesh_tensor<5xf32, @mesh, [{}]>):
    %s = tessera.softmax %w dim 0 : !tessera.mesh_tensor<5xf32, @mesh, [{tp}]> -> !tessera.mesh_tensor<5xf32, @mesh, [{}]>
    %0 = tessera.add %c, %s : !tessera.mesh_tensor<5xf32, @mesh, [{}]>
    tessera.yield %0 : !tessera.mesh_tensor<5xf32, @mesh, [{}]>
  }
  return %r : !tessera.mesh_tensor<5xf32, @mesh, [{}]>
}

// The other branch yields the carried value, which is partial already.
// CHECK-LABEL: @accumulate_where_a_predicate_holds
// CHECK: %[[SUM:.*]] = tessera.scan
// CHECK-NOT: = tessera.reshard
// CHECK: = tessera.cond
// CHECK-NOT: = tessera.reshard
// CHECK: = tessera.reshard %[[SUM]]
// CHECK-NOT: = tessera.reshard
// CHECK: return
func.func @accumulate_where_a_predicate_holds(%xs: !tessera.mesh_tensor<8x5x6xf32, @mesh, [{}, {dp}, {}]>) -> !tessera.mesh_tensor<6x6xf32, @mesh> {
  %zero = tessera.constant dense<0.0> : tensor<6x6xf32> : !tessera.mesh_tensor<6x6xf32, @mesh>
  %r = tessera.scan (%zero) over (%xs) length 8 : (!tessera.mesh_tensor<6x6xf32, @mesh>) over (!tessera.mesh_tensor<8x5x6xf32, @mesh, [{}, {dp}, {}]>) -> (!tessera.mesh_tensor<6x6xf32, @mesh>) {
  ^bb0(%i: !tessera.mesh_tensor<i32, @mesh>, %c: !tessera.mesh_tensor<6x6xf32, @mesh>, %x: !tessera.mesh_tensor<5x6xf32, @mesh>):
    %four = tessera.constant dense<4> : tensor<i32> : !tessera.mesh_tensor<i32, @mesh>
    %p = tessera.compare lt %i, %four : !tessera.mesh_tensor<i32, @mesh>, !tessera.mesh_tensor<i32, @mesh> -> !tessera.mesh_tensor<i1, @mesh>
    %s = tessera.cond %p : !tessera.mesh_tensor<i1, @mesh> -> (!tessera.mesh_tensor<6x6xf32, @mesh>) {
      tessera.yield %c : !tessera.mesh_tensor<6x6xf32, @mesh>
    }, {
      %0 = tessera.contract %x, %x "bm,bn->mn" : !tessera.mesh_tensor<5x6xf32, @mesh>, !tessera.mesh_tensor<5x6xf32, @mesh> -> !tessera.mesh_tensor<6x6xf32, @mesh>
      %1 = tessera.add %c, %0 : !tessera.mesh_tensor<6x6xf32, @mesh>
      tessera.yield %1 : !tessera.mesh_tensor<6x6xf32, @mesh>
    }
    tessera.yield %s : !tessera.mesh_tensor<6x6xf32, @mesh>
  }
  return %r : !tessera.mesh_tensor<6x6xf32, @mesh>
}

// The term is computed before the branch, and another branch begins anew.
// CHECK-LABEL: @the_term_comes_from_outside_of_the_branch
// CHECK: %[[SUM:.*]] = tessera.scan
// CHECK-NOT: = tessera.reshard
// CHECK: = tessera.reshard %[[SUM]]
// CHECK-NOT: = tessera.reshard
// CHECK: return
func.func @the_term_comes_from_outside_of_the_branch(%xs: !tessera.mesh_tensor<8x5x6xf32, @mesh, [{}, {dp}, {}]>) -> !tessera.mesh_tensor<6x6xf32, @mesh> {
  %zero = tessera.constant dense<0.0> : tensor<6x6xf32> : !tessera.mesh_tensor<6x6xf32, @mesh>
  %r = tessera.scan (%zero) over (%xs) length 8 : (!tessera.mesh_tensor<6x6xf32, @mesh>) over (!tessera.mesh_tensor<8x5x6xf32, @mesh, [{}, {dp}, {}]>) -> (!tessera.mesh_tensor<6x6xf32, @mesh>) {
  ^bb0(%i: !tessera.mesh_tensor<i32, @mesh>, %c: !tessera.mesh_tensor<6x6xf32, @mesh>, %x: !tessera.mesh_tensor<5x6xf32, @mesh>):
    %four = tessera.constant dense<4> : tensor<i32> : !tessera.mesh_tensor<i32, @mesh>
    %p = tessera.compare lt %i, %four : !tessera.mesh_tensor<i32, @mesh>, !tessera.mesh_tensor<i32, @mesh> -> !tessera.mesh_tensor<i1, @mesh>
    %0 = tessera.contract %x, %x "bm,bn->mn" : !tessera.mesh_tensor<5x6xf32, @mesh>, !tessera.mesh_tensor<5x6xf32, @mesh> -> !tessera.mesh_tensor<6x6xf32, @mesh>
    %s = tessera.cond %p : !tessera.mesh_tensor<i1, @mesh> -> (!tessera.mesh_tensor<6x6xf32, @mesh>) {
      %1 = tessera.constant dense<0.0> : tensor<6x6xf32> : !tessera.mesh_tensor<6x6xf32, @mesh>
      tessera.yield %1 : !tessera.mesh_tensor<6x6xf32, @mesh>
    }, {
      %1 = tessera.add %c, %0 : !tessera.mesh_tensor<6x6xf32, @mesh>
      tessera.yield %1 : !tessera.mesh_tensor<6x6xf32, @mesh>
    }
    tessera.yield %s : !tessera.mesh_tensor<6x6xf32, @mesh>
  }
  return %r : !tessera.mesh_tensor<6x6xf32, @mesh>
}

// One branch needs the whole accumulator.
// CHECK-LABEL: @a_branch_needs_the_whole_sum
// CHECK: = tessera.scan
// CHECK: = tessera.contract
// CHECK: = tessera.reshard
// CHECK: tessera.yield
// CHECK-NOT: = tessera.reshard
// CHECK: return
func.func @a_branch_needs_the_whole_sum(%xs: !tessera.mesh_tensor<8x5x6xf32, @mesh, [{}, {dp}, {}]>) -> !tessera.mesh_tensor<6x6xf32, @mesh> {
  %zero = tessera.constant dense<0.0> : tensor<6x6xf32> : !tessera.mesh_tensor<6x6xf32, @mesh>
  %r = tessera.scan (%zero) over (%xs) length 8 : (!tessera.mesh_tensor<6x6xf32, @mesh>) over (!tessera.mesh_tensor<8x5x6xf32, @mesh, [{}, {dp}, {}]>) -> (!tessera.mesh_tensor<6x6xf32, @mesh>) {
  ^bb0(%i: !tessera.mesh_tensor<i32, @mesh>, %c: !tessera.mesh_tensor<6x6xf32, @mesh>, %x: !tessera.mesh_tensor<5x6xf32, @mesh>):
    %four = tessera.constant dense<4> : tensor<i32> : !tessera.mesh_tensor<i32, @mesh>
    %p = tessera.compare lt %i, %four : !tessera.mesh_tensor<i32, @mesh>, !tessera.mesh_tensor<i32, @mesh> -> !tessera.mesh_tensor<i1, @mesh>
    %s = tessera.cond %p : !tessera.mesh_tensor<i1, @mesh> -> (!tessera.mesh_tensor<6x6xf32, @mesh>) {
      %1 = tessera.tanh %c : !tessera.mesh_tensor<6x6xf32, @mesh>
      tessera.yield %1 : !tessera.mesh_tensor<6x6xf32, @mesh>
    }, {
      %0 = tessera.contract %x, %x "bm,bn->mn" : !tessera.mesh_tensor<5x6xf32, @mesh>, !tessera.mesh_tensor<5x6xf32, @mesh> -> !tessera.mesh_tensor<6x6xf32, @mesh>
      %1 = tessera.add %c, %0 : !tessera.mesh_tensor<6x6xf32, @mesh>
      tessera.yield %1 : !tessera.mesh_tensor<6x6xf32, @mesh>
    }
    tessera.yield %s : !tessera.mesh_tensor<6x6xf32, @mesh>
  }
  return %r : !tessera.mesh_tensor<6x6xf32, @mesh>
}

// Neutral elements that are chosen are terms for nothing.
// CHECK-LABEL: @zeros_are_terms_where_elements_are_chosen
// CHECK: %[[SUM:.*]] = tessera.scan
// CHECK-NOT: = tessera.reshard
// CHECK: = tessera.reshard %[[SUM]]
// CHECK-NOT: = tessera.reshard
// CHECK: return
func.func @zeros_are_terms_where_elements_are_chosen(%xs: !tessera.mesh_tensor<8x5x6xf32, @mesh, [{}, {dp}, {}]>) -> !tessera.mesh_tensor<6x6xf32, @mesh> {
  %zero = tessera.constant dense<0.0> : tensor<6x6xf32> : !tessera.mesh_tensor<6x6xf32, @mesh>
  %r = tessera.scan (%zero) over (%xs) length 8 : (!tessera.mesh_tensor<6x6xf32, @mesh>) over (!tessera.mesh_tensor<8x5x6xf32, @mesh, [{}, {dp}, {}]>) -> (!tessera.mesh_tensor<6x6xf32, @mesh>) {
  ^bb0(%i: !tessera.mesh_tensor<i32, @mesh>, %c: !tessera.mesh_tensor<6x6xf32, @mesh>, %x: !tessera.mesh_tensor<5x6xf32, @mesh>):
    %four = tessera.constant dense<4> : tensor<i32> : !tessera.mesh_tensor<i32, @mesh>
    %p = tessera.compare lt %i, %four : !tessera.mesh_tensor<i32, @mesh>, !tessera.mesh_tensor<i32, @mesh> -> !tessera.mesh_tensor<i1, @mesh>
    %0 = tessera.contract %x, %x "bm,bn->mn" : !tessera.mesh_tensor<5x6xf32, @mesh>, !tessera.mesh_tensor<5x6xf32, @mesh> -> !tessera.mesh_tensor<6x6xf32, @mesh>
    %none = tessera.constant dense<0.0> : tensor<6x6xf32> : !tessera.mesh_tensor<6x6xf32, @mesh>
    %q = tessera.broadcast %p dims [] : !tessera.mesh_tensor<i1, @mesh> -> !tessera.mesh_tensor<6x6xi1, @mesh>
    %1 = tessera.select %q, %0, %none : !tessera.mesh_tensor<6x6xi1, @mesh>, !tessera.mesh_tensor<6x6xf32, @mesh>, !tessera.mesh_tensor<6x6xf32, @mesh> -> !tessera.mesh_tensor<6x6xf32, @mesh>
    %2 = tessera.add %c, %1 : !tessera.mesh_tensor<6x6xf32, @mesh>
    tessera.yield %2 : !tessera.mesh_tensor<6x6xf32, @mesh>
  }
  return %r : !tessera.mesh_tensor<6x6xf32, @mesh>
}

// What is carried is zero on each device all the time; that there are partial
// values beside it makes it none.
// CHECK-LABEL: @a_zero_that_is_only_transformed_is_whole
// CHECK: = tessera.scan
// CHECK: = tessera.contract
// CHECK-NEXT: = tessera.reshard
// CHECK: tessera.yield
// CHECK-NOT: = tessera.reshard
// CHECK: return
func.func @a_zero_that_is_only_transformed_is_whole(%xs: !tessera.mesh_tensor<8x5x6xf32, @mesh, [{}, {dp}, {}]>, %w: !tessera.mesh_tensor<6x6xf32, @mesh>) -> !tessera.mesh_tensor<6x6xf32, @mesh> {
  %zero = tessera.constant dense<0.0> : tensor<6x6xf32> : !tessera.mesh_tensor<6x6xf32, @mesh>
  %r = tessera.scan (%zero) over (%xs) length 8 : (!tessera.mesh_tensor<6x6xf32, @mesh>) over (!tessera.mesh_tensor<8x5x6xf32, @mesh, [{}, {dp}, {}]>) -> (!tessera.mesh_tensor<6x6xf32, @mesh>) {
  ^bb0(%i: !tessera.mesh_tensor<i32, @mesh>, %c: !tessera.mesh_tensor<6x6xf32, @mesh>, %x: !tessera.mesh_tensor<5x6xf32, @mesh>):
    %0 = tessera.contract %x, %x "bm,bn->mn" : !tessera.mesh_tensor<5x6xf32, @mesh>, !tessera.mesh_tensor<5x6xf32, @mesh> -> !tessera.mesh_tensor<6x6xf32, @mesh>
    tessera.debug_print "gram {}" (%0) : !tessera.mesh_tensor<6x6xf32, @mesh>
    %1 = tessera.mul %c, %w : !tessera.mesh_tensor<6x6xf32, @mesh>
    tessera.yield %1 : !tessera.mesh_tensor<6x6xf32, @mesh>
  }
  return %r : !tessera.mesh_tensor<6x6xf32, @mesh>
}

// (x'x)v' is larger than x'x, but is reduced once instead of in each iteration.
// CHECK-LABEL: @terms_grow_where_they_are_reduced_less_often
// CHECK: %[[SUM:.*]] = tessera.scan
// CHECK-NOT: = tessera.reshard
// CHECK: = tessera.reshard %[[SUM]]
// CHECK-NOT: = tessera.reshard
// CHECK: return
func.func @terms_grow_where_they_are_reduced_less_often(%xs: !tessera.mesh_tensor<8x5x6xf32, @mesh, [{}, {dp}, {}]>, %v: !tessera.mesh_tensor<6x9xf32, @mesh>) -> !tessera.mesh_tensor<6x9xf32, @mesh> {
  %zero = tessera.constant dense<0.0> : tensor<6x9xf32> : !tessera.mesh_tensor<6x9xf32, @mesh>
  %r = tessera.scan (%zero) over (%xs) length 8 : (!tessera.mesh_tensor<6x9xf32, @mesh>) over (!tessera.mesh_tensor<8x5x6xf32, @mesh, [{}, {dp}, {}]>) -> (!tessera.mesh_tensor<6x9xf32, @mesh>) {
  ^bb0(%i: !tessera.mesh_tensor<i32, @mesh>, %c: !tessera.mesh_tensor<6x9xf32, @mesh>, %x: !tessera.mesh_tensor<5x6xf32, @mesh>):
    %0 = tessera.contract %x, %x "bm,bn->mn" : !tessera.mesh_tensor<5x6xf32, @mesh>, !tessera.mesh_tensor<5x6xf32, @mesh> -> !tessera.mesh_tensor<6x6xf32, @mesh>
    %1 = tessera.contract %0, %v "mn,nk->mk" : !tessera.mesh_tensor<6x6xf32, @mesh>, !tessera.mesh_tensor<6x9xf32, @mesh> -> !tessera.mesh_tensor<6x9xf32, @mesh>
    %2 = tessera.add %c, %1 : !tessera.mesh_tensor<6x9xf32, @mesh>
    tessera.yield %2 : !tessera.mesh_tensor<6x9xf32, @mesh>
  }
  return %r : !tessera.mesh_tensor<6x9xf32, @mesh>
}

// A result that is much larger is not worth it for two iterations.
// CHECK-LABEL: @terms_do_not_grow_where_that_moves_more
// CHECK: = tessera.scan
// CHECK: = tessera.contract
// CHECK-NEXT: = tessera.reshard
// CHECK: tessera.yield
// CHECK-NOT: = tessera.reshard
// CHECK: return
func.func @terms_do_not_grow_where_that_moves_more(%xs: !tessera.mesh_tensor<2x5x6xf32, @mesh, [{}, {dp}, {}]>, %v: !tessera.mesh_tensor<6x90000xf32, @mesh>) -> !tessera.mesh_tensor<6x90000xf32, @mesh> {
  %zero = tessera.constant dense<0.0> : tensor<6x90000xf32> : !tessera.mesh_tensor<6x90000xf32, @mesh>
  %r = tessera.scan (%zero) over (%xs) length 2 : (!tessera.mesh_tensor<6x90000xf32, @mesh>) over (!tessera.mesh_tensor<2x5x6xf32, @mesh, [{}, {dp}, {}]>) -> (!tessera.mesh_tensor<6x90000xf32, @mesh>) {
  ^bb0(%i: !tessera.mesh_tensor<i32, @mesh>, %c: !tessera.mesh_tensor<6x90000xf32, @mesh>, %x: !tessera.mesh_tensor<5x6xf32, @mesh>):
    %0 = tessera.contract %x, %x "bm,bn->mn" : !tessera.mesh_tensor<5x6xf32, @mesh>, !tessera.mesh_tensor<5x6xf32, @mesh> -> !tessera.mesh_tensor<6x6xf32, @mesh>
    %1 = tessera.contract %0, %v "mn,nk->mk" : !tessera.mesh_tensor<6x6xf32, @mesh>, !tessera.mesh_tensor<6x90000xf32, @mesh> -> !tessera.mesh_tensor<6x90000xf32, @mesh>
    %2 = tessera.add %c, %1 : !tessera.mesh_tensor<6x90000xf32, @mesh>
    tessera.yield %2 : !tessera.mesh_tensor<6x90000xf32, @mesh>
  }
  return %r : !tessera.mesh_tensor<6x90000xf32, @mesh>
}

// Each phase gathers for itself.
// CHECK-LABEL: @reshards_of_two_phases
// CHECK-DAG: tessera.reshard %arg0 {tessera.phase = "forward"
// CHECK-DAG: tessera.reshard %arg0 {tessera.phase = "backward"
func.func @reshards_of_two_phases(%x: !tessera.mesh_tensor<6xf32, @mesh, [{tp}]>) -> (!tessera.mesh_tensor<6xf32, @mesh, [{}]>, !tessera.mesh_tensor<6xf32, @mesh, [{}]>) {
  %0 = tessera.softmax %x dim 0 {tessera.phase = "forward"} : !tessera.mesh_tensor<6xf32, @mesh, [{tp}]> -> !tessera.mesh_tensor<6xf32, @mesh, [{}]>
  %1 = tessera.softmax %x dim 0 {tessera.phase = "backward"} : !tessera.mesh_tensor<6xf32, @mesh, [{tp}]> -> !tessera.mesh_tensor<6xf32, @mesh, [{}]>
  return %0, %1 : !tessera.mesh_tensor<6xf32, @mesh, [{}]>, !tessera.mesh_tensor<6xf32, @mesh, [{}]>
}

// A sum is no larger than its terms, so that keeping it costs no memory.
// CHECK-LABEL: @sums_are_made_once_for_two_phases
// CHECK: %[[SUM:.*]] = tessera.reshard {{.*}} {tessera.phase = "forward"
// CHECK-NOT: tessera.reshard
// CHECK: tessera.exp %[[SUM]] {tessera.phase = "forward"}
// CHECK: tessera.sin %[[SUM]] {tessera.phase = "backward"}
func.func @sums_are_made_once_for_two_phases(%x: !tessera.mesh_tensor<3x4xf32, @mesh, [{}, {tp}]>) -> (!tessera.mesh_tensor<3xf32, @mesh, [{}]>, !tessera.mesh_tensor<3xf32, @mesh, [{}]>) {
  %0 = tessera.reduce sum %x dims [1] {tessera.phase = "forward"} : !tessera.mesh_tensor<3x4xf32, @mesh, [{}, {tp}]> -> !tessera.mesh_tensor<3xf32, @mesh, [{}]>
  %1 = tessera.exp %0 {tessera.phase = "forward"} : !tessera.mesh_tensor<3xf32, @mesh, [{}]>
  %2 = tessera.sin %0 {tessera.phase = "backward"} : !tessera.mesh_tensor<3xf32, @mesh, [{}]>
  return %1, %2 : !tessera.mesh_tensor<3xf32, @mesh, [{}]>, !tessera.mesh_tensor<3xf32, @mesh, [{}]>
}

// Users of one phase share a reshard, those in loops of it as well; a result of
// the function is asked for by what computes it.
// CHECK-LABEL: @reshards_of_a_phase_are_shared
// CHECK: %[[WHOLE:.*]] = tessera.reshard %arg0 {tessera.phase = "backward"
// CHECK-NOT: tessera.reshard %arg0
// CHECK: tessera.softmax %[[WHOLE]]
// CHECK: tessera.scan
// CHECK: tessera.softmax %[[WHOLE]]
// CHECK: tessera.reshard {{.*}} {tessera.phase = "backward"
func.func @reshards_of_a_phase_are_shared(%x: !tessera.mesh_tensor<6xf32, @mesh, [{tp}]>) -> (!tessera.mesh_tensor<6xf32, @mesh, [{}]>, !tessera.mesh_tensor<f32, @mesh>) {
  %0 = tessera.softmax %x dim 0 {tessera.phase = "backward"} : !tessera.mesh_tensor<6xf32, @mesh, [{tp}]> -> !tessera.mesh_tensor<6xf32, @mesh, [{}]>
  %r = tessera.scan (%0) over () length 3 {tessera.phase = "backward"} : (!tessera.mesh_tensor<6xf32, @mesh, [{}]>) over () -> (!tessera.mesh_tensor<6xf32, @mesh, [{}]>) {
  ^bb0(%i: !tessera.mesh_tensor<i32, @mesh>, %c: !tessera.mesh_tensor<6xf32, @mesh, [{}]>):
    %s = tessera.softmax %x dim 0 : !tessera.mesh_tensor<6xf32, @mesh, [{tp}]> -> !tessera.mesh_tensor<6xf32, @mesh, [{}]>
    %1 = tessera.add %c, %s : !tessera.mesh_tensor<6xf32, @mesh, [{}]>
    tessera.yield %1 : !tessera.mesh_tensor<6xf32, @mesh, [{}]>
  }
  %2 = tessera.reduce sum %x dims [0] {tessera.phase = "backward"} : !tessera.mesh_tensor<6xf32, @mesh, [{tp}]> -> !tessera.mesh_tensor<f32, @mesh>
  return %r, %2 : !tessera.mesh_tensor<6xf32, @mesh, [{}]>, !tessera.mesh_tensor<f32, @mesh>
}
