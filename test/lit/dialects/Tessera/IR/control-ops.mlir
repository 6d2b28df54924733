// RUN: tessera-opt %s | FileCheck %s
// RUN: tessera-opt %s --canonicalize --cse | FileCheck %s --check-prefix=REGIONS

dist.mesh @mesh <[tp = 2]>

// CHECK-LABEL: @every_part_of_a_scan
// CHECK: %[[R:.*]]:3 = tessera.scan (%{{.*}}, %{{.*}}) over (%{{.*}}) length 5 reverse : (tensor<3xf32>, tensor<i32>) over (tensor<5x3xf32>) -> (tensor<3xf32>, tensor<i32>, tensor<5x3xf32>) {
// CHECK-NEXT: ^bb0(%[[I:.*]]: tensor<i32>, %[[A:.*]]: tensor<3xf32>, %[[B:.*]]: tensor<i32>, %[[X:.*]]: tensor<3xf32>):
// CHECK: tessera.yield %{{.*}}, %{{.*}}, %[[A]] : tensor<3xf32>, tensor<i32>, tensor<3xf32>
func.func @every_part_of_a_scan(%x: tensor<3xf32>, %n: tensor<i32>, %xs: tensor<5x3xf32>) -> (tensor<3xf32>, tensor<i32>, tensor<5x3xf32>) {
  %r:3 = tessera.scan (%x, %n) over (%xs) length 5 reverse : (tensor<3xf32>, tensor<i32>) over (tensor<5x3xf32>) -> (tensor<3xf32>, tensor<i32>, tensor<5x3xf32>) {
  ^bb0(%i: tensor<i32>, %a: tensor<3xf32>, %b: tensor<i32>, %slice: tensor<3xf32>):
    %0 = tessera.add %a, %slice : tensor<3xf32>
    %1 = tessera.add %b, %i : tensor<i32>
    tessera.yield %0, %1, %a : tensor<3xf32>, tensor<i32>, tensor<3xf32>
  }
  return %r#0, %r#1, %r#2 : tensor<3xf32>, tensor<i32>, tensor<5x3xf32>
}

// CHECK-LABEL: @neither_carried_values_nor_sequences
// CHECK: tessera.scan () over () length 2 : () over () -> (tensor<2x3xf32>) {
func.func @neither_carried_values_nor_sequences(%x: tensor<3xf32>) -> tensor<2x3xf32> {
  %r = tessera.scan () over () length 2 : () over () -> (tensor<2x3xf32>) {
  ^bb0(%i: tensor<i32>):
    tessera.yield %x : tensor<3xf32>
  }
  return %r : tensor<2x3xf32>
}

// Of a mesh tensor, the ends may have different layouts.
// CHECK-LABEL: @ends_of_different_layouts
// CHECK: tessera.scan (%{{.*}}) over () length 2 {tessera.origins = "kept"} : (!tessera.mesh_tensor<4xf32, @mesh, [{tp}]>) over () -> (!tessera.mesh_tensor<4xf32, @mesh>)
func.func @ends_of_different_layouts(%x: !tessera.mesh_tensor<4xf32, @mesh, [{tp}]>) -> !tessera.mesh_tensor<4xf32, @mesh> {
  %r = tessera.scan (%x) over () length 2 {tessera.origins = "kept"} : (!tessera.mesh_tensor<4xf32, @mesh, [{tp}]>) over () -> (!tessera.mesh_tensor<4xf32, @mesh>) {
  ^bb0(%i: !tessera.mesh_tensor<i32, @mesh>, %c: !tessera.mesh_tensor<4xf32, @mesh, [{}]>):
    %0 = tessera.neg %c : (!tessera.mesh_tensor<4xf32, @mesh, [{}]>) -> !tessera.mesh_tensor<4xf32, @mesh>
    tessera.yield %0 : !tessera.mesh_tensor<4xf32, @mesh>
  }
  return %r : !tessera.mesh_tensor<4xf32, @mesh>
}

// CHECK-LABEL: @while_and_cond
// CHECK: tessera.while (%{{.*}}) : (tensor<i32>) -> (tensor<i32>) cond {
// CHECK: } do {
// CHECK: tessera.cond %{{.*}} : tensor<i32> -> (tensor<i32>) {
// CHECK: }, {
// CHECK: }, {
func.func @while_and_cond(%n: tensor<i32>, %limit: tensor<i32>) -> tensor<i32> {
  %r = tessera.while (%n) : (tensor<i32>) -> (tensor<i32>) cond {
  ^bb0(%c: tensor<i32>):
    %p = tessera.compare lt %c, %limit : tensor<i32>, tensor<i32> -> tensor<i1>
    tessera.yield %p : tensor<i1>
  } do {
  ^bb0(%c: tensor<i32>):
    %next = tessera.cond %c : tensor<i32> -> (tensor<i32>) {
      tessera.yield %limit : tensor<i32>
    }, {
      %0 = tessera.add %c, %c : tensor<i32>
      tessera.yield %0 : tensor<i32>
    }, {
      %0 = tessera.mul %c, %c : tensor<i32>
      tessera.yield %0 : tensor<i32>
    }
    tessera.yield %next : tensor<i32>
  }
  return %r : tensor<i32>
}

// What nothing uses is gone, be it a loop of a fixed number of iterations.
// REGIONS-LABEL: @unused_loop
// REGIONS-NEXT: return
func.func @unused_loop(%x: tensor<3xf32>) {
  %r = tessera.scan (%x) over () length 2 : (tensor<3xf32>) over () -> (tensor<3xf32>) {
  ^bb0(%i: tensor<i32>, %c: tensor<3xf32>):
    %0 = tessera.neg %c : tensor<3xf32>
    tessera.yield %0 : tensor<3xf32>
  }
  return
}

// Of two equal loops one stays; inside of it equal ops are one.
// REGIONS-LABEL: @equal_loops
// REGIONS: tessera.scan
// REGIONS: tessera.exp
// REGIONS-NOT: tessera.exp
// REGIONS-NOT: tessera.scan
// REGIONS: return
func.func @equal_loops(%x: tensor<3xf32>) -> (tensor<3xf32>, tensor<3xf32>) {
  %a = tessera.scan (%x) over () length 2 : (tensor<3xf32>) over () -> (tensor<3xf32>) {
  ^bb0(%i: tensor<i32>, %c: tensor<3xf32>):
    %0 = tessera.exp %c : tensor<3xf32>
    %1 = tessera.exp %c : tensor<3xf32>
    %2 = tessera.mul %0, %1 : tensor<3xf32>
    tessera.yield %2 : tensor<3xf32>
  }
  %b = tessera.scan (%x) over () length 2 : (tensor<3xf32>) over () -> (tensor<3xf32>) {
  ^bb0(%i: tensor<i32>, %c: tensor<3xf32>):
    %0 = tessera.exp %c : tensor<3xf32>
    %1 = tessera.exp %c : tensor<3xf32>
    %2 = tessera.mul %0, %1 : tensor<3xf32>
    tessera.yield %2 : tensor<3xf32>
  }
  return %a, %b : tensor<3xf32>, tensor<3xf32>
}
