// RUN: tessera-opt %s --convert-host-to-plan --split-input-file | FileCheck %s
// RUN: tessera-opt %s --convert-host-to-plan=window-alignment=16 --split-input-file | FileCheck %s --check-prefix=ALIGNED

dist.mesh @mesh <[tp = 2]>
tile.kernel @add grid [1] inputs 2 {
^bb0(%x: memref<3xf32>, %y: memref<3xf32>, %z: memref<3xf32>):
  %c0 = arith.constant 0 : index
  %0 = tile.load %x[%c0] : memref<3xf32> -> tensor<3xf32>
  %1 = tile.load %y[%c0] : memref<3xf32> -> tensor<3xf32>
  %2 = arith.addf %0, %1 : tensor<3xf32>
  tile.store %2, %z[%c0] : tensor<3xf32>, memref<3xf32>
}

// The sum is formed in place, in the output, which begins as a copy of the
// argument. Slices are read, and entries written, where they are; those that are
// not aligned are copied.
// CHECK-LABEL: plan.program @main
// ALIGNED-LABEL: plan.program @main
func.func @main(%x: tensor<3xf32> {dist.layout = #dist.layout<@mesh, [{}]>, dist.global_type = tensor<3xf32>},
                %xs: tensor<5x3xf32> {dist.layout = #dist.layout<@mesh, [{}, {}]>, dist.global_type = tensor<5x3xf32>})
    -> (tensor<3xf32> {dist.layout = #dist.layout<@mesh, [{}]>, dist.global_type = tensor<3xf32>},
        tensor<5x3xf32> {dist.layout = #dist.layout<@mesh, [{}, {}]>, dist.global_type = tensor<5x3xf32>}) {
  // CHECK: %[[X:.*]] = plan.input "arg0"
  // CHECK: %[[XS:.*]] = plan.input "arg1"
  // CHECK: %[[Y:.*]] = plan.output "result0"
  // CHECK: %[[YS:.*]] = plan.output "result1"
  // CHECK-NEXT: plan.copy %[[X]] to %[[Y]]
  // CHECK-NEXT: plan.loop 5 over(%[[XS]], %[[YS]] : !plan.buffer<60>, !plan.buffer<60>) carry() to() {
  // CHECK-NEXT: ^bb0(%[[IN:.*]]: !plan.buffer<12>, %[[OUT:.*]]: !plan.buffer<12>):
  // CHECK-NEXT: plan.launch @add grid [1](%[[Y]], %[[IN]]) to(%[[Y]])
  // CHECK-NEXT: plan.launch @add grid [1](%[[IN]], %[[IN]]) to(%[[OUT]])
  // CHECK-NEXT: }
  // CHECK-NEXT: }
  // ALIGNED: plan.loop 5
  // ALIGNED-NEXT: ^bb0(%[[IN:.*]]: !plan.buffer<12>, %[[OUT:.*]]: !plan.buffer<12>):
  // ALIGNED-NEXT: %[[T:.*]] = plan.allocate
  // ALIGNED-NEXT: plan.copy %[[IN]] to %[[T]]
  // ALIGNED-NEXT: plan.launch @add grid [1](%{{.*}}, %[[T]])
  // ALIGNED-NEXT: %[[U:.*]] = plan.allocate
  // ALIGNED-NEXT: plan.launch @add grid [1](%[[T]], %[[T]]) to(%[[U]])
  // ALIGNED-NEXT: plan.copy %[[U]] to %[[OUT]]
  %y, %ys = tessera.scan (%x) over (%xs) length 5 : (tensor<3xf32>) over (tensor<5x3xf32>) -> (tensor<3xf32>, tensor<5x3xf32>) {
  ^bb0(%i: tensor<i32>, %sum: tensor<3xf32>, %slice: tensor<3xf32>):
    %0 = tile.launch @add(%sum, %slice) : (tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32>
    %1 = tile.launch @add(%slice, %slice) : (tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32>
    tessera.yield %0, %1 : tensor<3xf32>, tensor<3xf32>
  }
  return %y, %ys : tensor<3xf32>, tensor<5x3xf32>
}

// -----

dist.mesh @mesh <[tp = 2]>
tile.kernel @reverse grid [3] inputs 1 {
^bb0(%x: memref<3xf32>, %z: memref<3xf32>):
  %c2 = arith.constant 2 : index
  %i = tile.program_id 0
  %j = arith.subi %c2, %i : index
  %0 = tile.load %x[%j] : memref<3xf32> -> tensor<1xf32>
  tile.store %0, %z[%i] : tensor<1xf32>, memref<3xf32>
}

// What is not read at the index where it is written has two buffers. After an
// odd number of iterations the value is where it was written, which is the
// output; what it begins with is in the other.
// CHECK-LABEL: plan.program @main
func.func @main(%x: tensor<3xf32> {dist.layout = #dist.layout<@mesh, [{}]>, dist.global_type = tensor<3xf32>})
    -> (tensor<3xf32> {dist.layout = #dist.layout<@mesh, [{}]>, dist.global_type = tensor<3xf32>},
        tensor<3xf32> {dist.layout = #dist.layout<@mesh, [{}]>, dist.global_type = tensor<3xf32>}) {
  // CHECK: %[[X:.*]] = plan.input "arg0"
  // CHECK: %[[ODD:.*]] = plan.output "result0"
  // CHECK: %[[EVEN:.*]] = plan.output "result1"
  // CHECK-NEXT: %[[A:.*]] = plan.allocate
  // CHECK-NEXT: plan.copy %[[X]] to %[[A]]
  // CHECK-NEXT: plan.loop 3 over() carry(%[[A]] : !plan.buffer<12>) to(%[[ODD]] : !plan.buffer<12>) {
  // CHECK-NEXT: plan.launch @reverse grid [3](%[[A]]) to(%[[ODD]])
  // CHECK-NEXT: }
  %odd = tessera.scan (%x) over () length 3 : (tensor<3xf32>) over () -> (tensor<3xf32>) {
  ^bb0(%i: tensor<i32>, %v: tensor<3xf32>):
    %0 = tile.launch @reverse(%v) : (tensor<3xf32>) -> tensor<3xf32>
    tessera.yield %0 : tensor<3xf32>
  }
  // CHECK-NEXT: plan.copy %[[X]] to %[[EVEN]]
  // CHECK-NEXT: %[[B:.*]] = plan.allocate
  // CHECK-NEXT: plan.loop 4 over() carry(%[[EVEN]] : !plan.buffer<12>) to(%[[B]] : !plan.buffer<12>) {
  %even = tessera.scan (%x) over () length 4 : (tensor<3xf32>) over () -> (tensor<3xf32>) {
  ^bb0(%i: tensor<i32>, %v: tensor<3xf32>):
    %0 = tile.launch @reverse(%v) : (tensor<3xf32>) -> tensor<3xf32>
    tessera.yield %0 : tensor<3xf32>
  }
  return %odd, %even : tensor<3xf32>, tensor<3xf32>
}

// -----

dist.mesh @mesh <[tp = 2]>

// Values that change places are saved first; one that stays is not touched; one
// from outside is copied in.
// CHECK-LABEL: plan.program @main
func.func @main(%x: tensor<2xf32> {dist.layout = #dist.layout<@mesh, [{}]>, dist.global_type = tensor<2xf32>})
    -> (tensor<2xf32> {dist.layout = #dist.layout<@mesh, [{}]>, dist.global_type = tensor<2xf32>},
        tensor<2xf32> {dist.layout = #dist.layout<@mesh, [{}]>, dist.global_type = tensor<2xf32>},
        tensor<2xf32> {dist.layout = #dist.layout<@mesh, [{}]>, dist.global_type = tensor<2xf32>},
        tensor<2xf32> {dist.layout = #dist.layout<@mesh, [{}]>, dist.global_type = tensor<2xf32>}) {
  // CHECK: %[[X:.*]] = plan.input
  // CHECK: %[[A:.*]] = plan.output "result0"
  // CHECK: %[[B:.*]] = plan.output "result1"
  // CHECK: %[[C:.*]] = plan.output "result2"
  // CHECK: %[[D:.*]] = plan.output "result3"
  %one = tessera.constant dense<[1.0, 2.0]> : tensor<2xf32> : tensor<2xf32>
  // CHECK: plan.loop 2 over() carry() to() {
  // CHECK-NEXT: %[[SA:.*]] = plan.allocate
  // CHECK-NEXT: plan.copy %[[B]] to %[[SA]]
  // CHECK-NEXT: %[[SB:.*]] = plan.allocate
  // CHECK-NEXT: plan.copy %[[A]] to %[[SB]]
  // CHECK-NEXT: plan.copy %[[SA]] to %[[A]]
  // CHECK-NEXT: plan.copy %[[SB]] to %[[B]]
  // CHECK-NEXT: plan.copy %[[X]] to %[[D]]
  // CHECK-NEXT: }
  // CHECK-NEXT: }
  %r:4 = tessera.scan (%x, %one, %x, %one) over () length 2 : (tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) over () -> (tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) {
  ^bb0(%i: tensor<i32>, %a: tensor<2xf32>, %b: tensor<2xf32>, %c: tensor<2xf32>, %d: tensor<2xf32>):
    tessera.yield %b, %a, %c, %x : tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>
  }
  return %r#0, %r#1, %r#2, %r#3 : tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>
}

// -----

dist.mesh @mesh <[tp = 2]>
tile.kernel @far grid [1] inputs 1 {
^bb0(%x: memref<3xf32>, %z: memref<1xi8>):
}
tile.kernel @step grid [1] inputs 1 {
^bb0(%x: memref<3xf32>, %z: memref<3xf32>):
}

// CHECK-LABEL: plan.program @main
func.func @main(%x: tensor<3xf32> {dist.layout = #dist.layout<@mesh, [{}]>, dist.global_type = tensor<3xf32>})
    -> (tensor<3xf32> {dist.layout = #dist.layout<@mesh, [{}]>, dist.global_type = tensor<3xf32>}) {
  // CHECK: %[[X:.*]] = plan.input
  // CHECK: %[[Y:.*]] = plan.output
  // CHECK-NEXT: plan.copy %[[X]] to %[[Y]]
  // CHECK-NEXT: %[[P:.*]] = plan.allocate -> <1>
  // CHECK-NEXT: %[[T:.*]] = plan.allocate -> <12>
  // CHECK-NEXT: plan.while %[[P]] : <1> carry(%[[Y]] : !plan.buffer<12>) to(%[[T]] : !plan.buffer<12>) {
  // CHECK-NEXT: plan.launch @far grid [1](%[[Y]]) to(%[[P]])
  // CHECK-NEXT: } do {
  // CHECK-NEXT: plan.launch @step grid [1](%[[Y]]) to(%[[T]])
  // CHECK-NEXT: }
  // CHECK-NEXT: }
  %0 = tessera.while (%x) : (tensor<3xf32>) -> (tensor<3xf32>) cond {
  ^bb0(%v: tensor<3xf32>):
    %p = tile.launch @far(%v) : (tensor<3xf32>) -> tensor<i1>
    tessera.yield %p : tensor<i1>
  } do {
  ^bb0(%v: tensor<3xf32>):
    %next = tile.launch @step(%v) : (tensor<3xf32>) -> tensor<3xf32>
    tessera.yield %next : tensor<3xf32>
  }
  return %0 : tensor<3xf32>
}

// -----

dist.mesh @mesh <[tp = 2]>
tile.kernel @step grid [1] inputs 1 {
^bb0(%x: memref<3xf32>, %z: memref<3xf32>):
}

// A branch computes where the result is; what it has from outside is copied.
// CHECK-LABEL: plan.program @main
func.func @main(%p: tensor<i1> {dist.layout = #dist.layout<@mesh, []>, dist.global_type = tensor<i1>},
                %x: tensor<3xf32> {dist.layout = #dist.layout<@mesh, [{}]>, dist.global_type = tensor<3xf32>})
    -> (tensor<3xf32> {dist.layout = #dist.layout<@mesh, [{}]>, dist.global_type = tensor<3xf32>}) {
  // CHECK: %[[P:.*]] = plan.input "arg0"
  // CHECK: %[[X:.*]] = plan.input "arg1"
  // CHECK: %[[Y:.*]] = plan.output
  // CHECK-NEXT: plan.if %[[P]] : <1> {
  // CHECK-NEXT: plan.copy %[[X]] to %[[Y]]
  // CHECK-NEXT: }, {
  // CHECK-NEXT: plan.launch @step grid [1](%[[X]]) to(%[[Y]])
  // CHECK-NEXT: plan.collective all_reduce %[[Y]] to %[[Y]] over {tp} {reduction = #dist<reduction sum>} : tensor<3xf32> -> tensor<3xf32>, <12>, <12>
  // CHECK-NEXT: }
  // CHECK-NEXT: }
  %0 = tessera.cond %p : tensor<i1> -> (tensor<3xf32>) {
    tessera.yield %x : tensor<3xf32>
  }, {
    %1 = tile.launch @step(%x) : (tensor<3xf32>) -> tensor<3xf32>
    %2 = dist.all_reduce sum %1 over @mesh {tp} : tensor<3xf32>
    tessera.yield %2 : tensor<3xf32>
  }
  return %0 : tensor<3xf32>
}

// -----

dist.mesh @mesh <[tp = 2]>
tile.kernel @step grid [1] inputs 2 {
^bb0(%x: memref<3xf32>, %i: memref<1xi32>, %z: memref<3xf32>):
}

// The value of the inner loop is that of the outer one; rows of the stacked
// result are windows of windows.
// CHECK-LABEL: plan.program @main
func.func @main(%x: tensor<3xf32> {dist.layout = #dist.layout<@mesh, [{}]>, dist.global_type = tensor<3xf32>})
    -> (tensor<3xf32> {dist.layout = #dist.layout<@mesh, [{}]>, dist.global_type = tensor<3xf32>},
        tensor<2x4x3xf32> {dist.layout = #dist.layout<@mesh, [{}, {}, {}]>, dist.global_type = tensor<2x4x3xf32>}) {
  // CHECK: %[[X:.*]] = plan.input
  // CHECK: %[[V:.*]] = plan.output "result0"
  // CHECK: %[[YS:.*]] = plan.output "result1"
  // CHECK-NEXT: plan.copy %[[X]] to %[[V]]
  // CHECK-NEXT: plan.loop 2 over(%[[YS]] : !plan.buffer<96>) carry() to() {
  // CHECK-NEXT: ^bb0(%[[ROW:.*]]: !plan.buffer<48>):
  // CHECK-NEXT: %[[J:.*]] = plan.allocate -> <4>
  // CHECK-NEXT: %[[T:.*]] = plan.allocate -> <12>
  // CHECK-NEXT: plan.loop 4 reverse index %[[J]] : !plan.buffer<4> over(%[[ROW]] : !plan.buffer<48>) carry(%[[V]] : !plan.buffer<12>) to(%[[T]] : !plan.buffer<12>) {
  // CHECK-NEXT: ^bb0(%[[CELL:.*]]: !plan.buffer<12>):
  // CHECK-NEXT: plan.launch @step grid [1](%[[V]], %[[J]]) to(%[[T]])
  // CHECK-NEXT: plan.copy %[[T]] to %[[CELL]]
  // CHECK-NEXT: }
  // CHECK-NEXT: }
  // CHECK-NEXT: }
  %v, %ys = tessera.scan (%x) over () length 2 : (tensor<3xf32>) over () -> (tensor<3xf32>, tensor<2x4x3xf32>) {
  ^bb0(%i: tensor<i32>, %outer: tensor<3xf32>):
    %w, %row = tessera.scan (%outer) over () length 4 reverse : (tensor<3xf32>) over () -> (tensor<3xf32>, tensor<4x3xf32>) {
    ^bb0(%j: tensor<i32>, %inner: tensor<3xf32>):
      %0 = tile.launch @step(%inner, %j) : (tensor<3xf32>, tensor<i32>) -> tensor<3xf32>
      tessera.yield %0, %0 : tensor<3xf32>, tensor<3xf32>
    }
    tessera.yield %w, %row : tensor<3xf32>, tensor<4x3xf32>
  }
  return %v, %ys : tensor<3xf32>, tensor<2x4x3xf32>
}

// -----

dist.mesh @mesh <[tp = 2]>
tile.kernel @step grid [1] inputs 1 {
^bb0(%x: memref<3xf32>, %z: memref<3xf32>):
}

// The memory that %a gives away when the iteration ends is not that of another
// next value, although %a is not read any more when %r is computed.
// CHECK-LABEL: plan.program @main
func.func @main(%x: tensor<3xf32> {dist.layout = #dist.layout<@mesh, [{}]>, dist.global_type = tensor<3xf32>})
    -> (tensor<3xf32> {dist.layout = #dist.layout<@mesh, [{}]>, dist.global_type = tensor<3xf32>},
        tensor<3xf32> {dist.layout = #dist.layout<@mesh, [{}]>, dist.global_type = tensor<3xf32>}) {
  // CHECK: plan.loop 6 over() carry(%[[A:.*]] : !plan.buffer<12>) to(%[[C:.*]] : !plan.buffer<12>) {
  // CHECK-NEXT: plan.launch @step grid [1](%[[B:.*]]) to(%[[C]])
  // CHECK-NEXT: plan.copy %[[A]] to %[[B]]
  // CHECK-NEXT: %[[T:.*]] = plan.allocate
  // CHECK-NEXT: plan.loop 2 over() carry(%[[B]] : !plan.buffer<12>) to(%[[T]] : !plan.buffer<12>) {
  %r:2 = tessera.scan (%x, %x) over () length 6 : (tensor<3xf32>, tensor<3xf32>) over () -> (tensor<3xf32>, tensor<3xf32>) {
  ^bb0(%i: tensor<i32>, %a: tensor<3xf32>, %b: tensor<3xf32>):
    %0 = tile.launch @step(%b) : (tensor<3xf32>) -> tensor<3xf32>
    %1 = tessera.scan (%a) over () length 2 : (tensor<3xf32>) over () -> (tensor<3xf32>) {
    ^bb0(%j: tensor<i32>, %v: tensor<3xf32>):
      %2 = tile.launch @step(%v) : (tensor<3xf32>) -> tensor<3xf32>
      tessera.yield %2 : tensor<3xf32>
    }
    tessera.yield %0, %1 : tensor<3xf32>, tensor<3xf32>
  }
  return %r#0, %r#1 : tensor<3xf32>, tensor<3xf32>
}
