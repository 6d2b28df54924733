// RUN: tessera-opt %s --tessera-interpret="inputs=iota" | FileCheck %s

dist.mesh @mesh <[tp = 2]>

// Running sums of the sequence, and where they were: 0+[0,1], +[2,3], +[4,5].
// CHECK: @forward result 0: 2xf32 = [6, 9]
// CHECK: @forward result 1: 3x2xf32 = [ [0, 1], [2, 4], [6, 9] ]
func.func @forward(%xs: !tessera.mesh_tensor<3x2xf32, @mesh>) -> (!tessera.mesh_tensor<2xf32, @mesh>, !tessera.mesh_tensor<3x2xf32, @mesh>) {
  %zero = tessera.constant dense<0.0> : tensor<2xf32> : !tessera.mesh_tensor<2xf32, @mesh>
  %r:2 = tessera.scan (%zero) over (%xs) length 3 : (!tessera.mesh_tensor<2xf32, @mesh>) over (!tessera.mesh_tensor<3x2xf32, @mesh>) -> (!tessera.mesh_tensor<2xf32, @mesh>, !tessera.mesh_tensor<3x2xf32, @mesh>) {
  ^bb0(%i: !tessera.mesh_tensor<i32, @mesh>, %c: !tessera.mesh_tensor<2xf32, @mesh>, %x: !tessera.mesh_tensor<2xf32, @mesh>):
    %0 = tessera.add %c, %x : !tessera.mesh_tensor<2xf32, @mesh>
    tessera.yield %0, %0 : !tessera.mesh_tensor<2xf32, @mesh>, !tessera.mesh_tensor<2xf32, @mesh>
  }
  return %r#0, %r#1 : !tessera.mesh_tensor<2xf32, @mesh>, !tessera.mesh_tensor<3x2xf32, @mesh>
}

// From the last slice to the first; the index counts down with it.
// CHECK: @backward result 0: 3x2xf32 = [ [6, 9], [6, 8], [4, 5] ]
// CHECK: @backward result 1: 3xi32 = [0, 1, 2]
func.func @backward(%xs: tensor<3x2xf32>) -> (tensor<3x2xf32>, tensor<3xi32>) {
  %zero = tessera.constant dense<0.0> : tensor<2xf32> : tensor<2xf32>
  %r:3 = tessera.scan (%zero) over (%xs) length 3 reverse : (tensor<2xf32>) over (tensor<3x2xf32>) -> (tensor<2xf32>, tensor<3x2xf32>, tensor<3xi32>) {
  ^bb0(%i: tensor<i32>, %c: tensor<2xf32>, %x: tensor<2xf32>):
    %0 = tessera.add %c, %x : tensor<2xf32>
    tessera.yield %0, %0, %i : tensor<2xf32>, tensor<2xf32>, tensor<i32>
  }
  return %r#1, %r#2 : tensor<3x2xf32>, tensor<3xi32>
}

// CHECK: @no_iterations result 0: 2xf32 = [0, 1]
func.func @no_iterations(%x: tensor<2xf32>) -> tensor<2xf32> {
  %r = tessera.scan (%x) over () length 0 : (tensor<2xf32>) over () -> (tensor<2xf32>) {
  ^bb0(%i: tensor<i32>, %c: tensor<2xf32>):
    %0 = tessera.add %c, %c : tensor<2xf32>
    tessera.yield %0 : tensor<2xf32>
  }
  return %r : tensor<2xf32>
}

// x is captured by both loops, and used again behind them: [0, 1] + 6 * [0, 1].
// CHECK: @nested result 0: 2xf32 = [0, 7]
func.func @nested(%x: tensor<2xf32>) -> tensor<2xf32> {
  %zero = tessera.constant dense<0.0> : tensor<2xf32> : tensor<2xf32>
  %r = tessera.scan (%zero) over () length 3 : (tensor<2xf32>) over () -> (tensor<2xf32>) {
  ^bb0(%i: tensor<i32>, %outer: tensor<2xf32>):
    %s = tessera.scan (%outer) over () length 2 : (tensor<2xf32>) over () -> (tensor<2xf32>) {
    ^bb0(%j: tensor<i32>, %inner: tensor<2xf32>):
      %0 = tessera.add %inner, %x : tensor<2xf32>
      tessera.yield %0 : tensor<2xf32>
    }
    tessera.yield %s : tensor<2xf32>
  }
  %1 = tessera.add %r, %x : tensor<2xf32>
  return %1 : tensor<2xf32>
}

// 1, 3, 7, 15, 31: the first that is not below 20.
// CHECK: @runs_until result 0: i32 = 31
// CHECK: @runs_until result 1: i32 = 4
func.func @runs_until() -> (tensor<i32>, tensor<i32>) {
  %zero = tessera.constant dense<0> : tensor<i32> : tensor<i32>
  %one = tessera.constant dense<1> : tensor<i32> : tensor<i32>
  %limit = tessera.constant dense<20> : tensor<i32> : tensor<i32>
  %r:2 = tessera.while (%one, %zero) : (tensor<i32>, tensor<i32>) -> (tensor<i32>, tensor<i32>) cond {
  ^bb0(%x: tensor<i32>, %n: tensor<i32>):
    %p = tessera.compare lt %x, %limit : tensor<i32>, tensor<i32> -> tensor<i1>
    tessera.yield %p : tensor<i1>
  } do {
  ^bb0(%x: tensor<i32>, %n: tensor<i32>):
    %0 = tessera.add %x, %x : tensor<i32>
    %1 = tessera.add %0, %one : tensor<i32>
    %2 = tessera.add %n, %one : tensor<i32>
    tessera.yield %1, %2 : tensor<i32>, tensor<i32>
  }
  return %r#0, %r#1 : tensor<i32>, tensor<i32>
}

// Selectors -1, 0, 1, 2, 3 of three branches: clamped at both ends.
// CHECK: @branches result 0: 5xi32 = [10, 10, 20, 30, 30]
// CHECK: @branches result 1: 5xi1 = [0, 0, 1, 1, 1]
func.func @branches() -> (tensor<5xi32>, tensor<5xi1>) {
  %one = tessera.constant dense<1> : tensor<i32> : tensor<i32>
  %ten = tessera.constant dense<10> : tensor<i32> : tensor<i32>
  %twenty = tessera.constant dense<20> : tensor<i32> : tensor<i32>
  %thirty = tessera.constant dense<30> : tensor<i32> : tensor<i32>
  %r:2 = tessera.scan () over () length 5 : () over () -> (tensor<5xi32>, tensor<5xi1>) {
  ^bb0(%i: tensor<i32>):
    %selector = tessera.sub %i, %one : tensor<i32>
    %value = tessera.cond %selector : tensor<i32> -> (tensor<i32>) {
      tessera.yield %ten : tensor<i32>
    }, {
      tessera.yield %twenty : tensor<i32>
    }, {
      tessera.yield %thirty : tensor<i32>
    }
    %p = tessera.compare gt %i, %one : tensor<i32>, tensor<i32> -> tensor<i1>
    %q = tessera.cond %p : tensor<i1> -> (tensor<i1>) {
      tessera.yield %p : tensor<i1>
    }, {
      %not = tessera.not %p : tensor<i1>
      %again = tessera.not %not : tensor<i1>
      tessera.yield %again : tensor<i1>
    }
    tessera.yield %value, %q : tensor<i32>, tensor<i1>
  }
  return %r#0, %r#1 : tensor<5xi32>, tensor<5xi1>
}

// Devices hold 0 and 1, and add what all hold three times.
// CHECK: @collective_in_a_loop result 0 on device 0: i32 = 3
// CHECK: @collective_in_a_loop result 0 on device 1: i32 = 4
func.func @collective_in_a_loop() -> tensor<i32> {
  %index = dist.axis_index @mesh {tp} : tensor<i32>
  %r = tessera.scan (%index) over () length 3 : (tensor<i32>) over () -> (tensor<i32>) {
  ^bb0(%i: tensor<i32>, %c: tensor<i32>):
    %all = dist.all_reduce sum %index over @mesh {tp} : tensor<i32>
    %0 = tessera.add %c, %all : tensor<i32>
    tessera.yield %0 : tensor<i32>
  }
  return %r : tensor<i32>
}

// CHECK: step 0: [0, 1] {}
// CHECK: step 1: [0, 2] {}
// CHECK: @prints result 0: 2xf32 = [0, 4]
func.func @prints(%x: tensor<2xf32>) -> tensor<2xf32> {
  %r = tessera.scan (%x) over () length 2 : (tensor<2xf32>) over () -> (tensor<2xf32>) {
  ^bb0(%i: tensor<i32>, %c: tensor<2xf32>):
    tessera.debug_print "step {}: {} {{}}" (%i, %c) ordered : tensor<i32>, tensor<2xf32>
    %b = tessera.barrier %c : (tensor<2xf32>) -> (tensor<2xf32>)
    %0 = tessera.add %b, %c : tensor<2xf32>
    tessera.yield %0 : tensor<2xf32>
  }
  return %r : tensor<2xf32>
}
