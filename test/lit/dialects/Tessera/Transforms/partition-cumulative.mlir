// RUN: tessera-opt %s -o /dev/null "--tessera-check-equivalence=pipeline=tessera-propagate-layouts,tessera-insert-reshards,tessera-partition runs=3"
// RUN: tessera-opt %s --tessera-propagate-layouts --tessera-insert-reshards --tessera-partition | FileCheck %s

dist.mesh @mesh <[a = 2, b = 2, c = 3, one = 1]>

// Each device scans its part, and one value of each is exchanged. The last of
// three parts of 7 has one element and padding, which becomes the neutral element.
// CHECK-LABEL: @sums
// CHECK: %[[NEUTRAL:.*]] = tessera.constant dense<-0.000000e+00>
// CHECK: %[[PART:.*]] = tessera.select {{.*}}, %arg0, %[[NEUTRAL]] : {{.*}}tensor<3x5xf32>
// CHECK: %[[SCAN:.*]] = tessera.cumulative sum %[[PART]] dim 0 : tensor<3x5xf32> -> tensor<3x5xf32>
// CHECK: %[[TOTAL:.*]] = tessera.slice %[[SCAN]] [2, 0] to [3, 5]
// CHECK: %[[TOTALS:.*]] = dist.all_gather %[[TOTAL]] dim 0 over @mesh {c} {why = #dist.why<rule = "tessera.cumulative at {{.*}} combines what the parts of a split dimension come to on each device; {{.*}}", {{.*}} bytes = 40
// CHECK-SAME: tensor<1x5xf32> -> tensor<3x5xf32>
// CHECK: %[[BEFORE:.*]] = tessera.reduce sum {{.*}} dims [0] : tensor<3x5xf32> -> tensor<5xf32>
// CHECK: %[[REPEATED:.*]] = tessera.broadcast %[[BEFORE]]
// CHECK: tessera.add %[[REPEATED]], %[[SCAN]]
// CHECK-NOT: dist.all_gather
// CHECK: return
func.func @sums(%x: !tessera.mesh_tensor<7x5xf32, @mesh, [{c}, {}]>) -> !tessera.mesh_tensor<7x5xf32, @mesh, [{c}, {}]> {
  %0 = tessera.cumulative sum %x dim 0 by_parts : !tessera.mesh_tensor<7x5xf32, @mesh, [{c}, {}]> -> !tessera.mesh_tensor<7x5xf32, @mesh, [{c}, {}]>
  return %0 : !tessera.mesh_tensor<7x5xf32, @mesh, [{c}, {}]>
}

// Chunks of chunks: 5 elements on 4 devices, one of which holds none.
// CHECK-LABEL: @from_the_end_over_two_axes
// CHECK: tessera.cumulative sum {{.*}} dim 1 reverse : tensor<3x2xf32> -> tensor<3x2xf32>
// CHECK: tessera.slice {{.*}} [0, 0] to [3, 1]
// CHECK: dist.all_gather
// CHECK: tessera.compare gt
func.func @from_the_end_over_two_axes(%x: !tessera.mesh_tensor<3x5xf32, @mesh, [{}, {a, b}]>) -> !tessera.mesh_tensor<3x5xf32, @mesh, [{}, {a, b}]> {
  %0 = tessera.cumulative sum %x dim 1 reverse by_parts : !tessera.mesh_tensor<3x5xf32, @mesh, [{}, {a, b}]> -> !tessera.mesh_tensor<3x5xf32, @mesh, [{}, {a, b}]>
  return %0 : !tessera.mesh_tensor<3x5xf32, @mesh, [{}, {a, b}]>
}

// Another dimension is split as well; the first element of all is the neutral one.
// CHECK-LABEL: @exclusive_products
// CHECK: %[[SCAN:.*]] = tessera.cumulative prod %[[PART:.*]] dim 0 exclusive : tensor<3x3xf32> -> tensor<3x3xf32>
// CHECK: %[[SCANNED:.*]] = tessera.slice %[[SCAN]] [2, 0] to [3, 3]
// CHECK: %[[LAST:.*]] = tessera.slice %[[PART]] [2, 0] to [3, 3]
// CHECK: %[[TOTAL:.*]] = tessera.mul %[[SCANNED]], %[[LAST]]
// CHECK: dist.all_gather %[[TOTAL]]
func.func @exclusive_products(%x: !tessera.mesh_tensor<7x5xf32, @mesh, [{c}, {a}]>) -> (!tessera.mesh_tensor<7x5xf32, @mesh, [{c}, {a}]>, !tessera.mesh_tensor<7x5xf32, @mesh, [{c}, {a}]>) {
  %0 = tessera.cumulative prod %x dim 0 exclusive by_parts : !tessera.mesh_tensor<7x5xf32, @mesh, [{c}, {a}]> -> !tessera.mesh_tensor<7x5xf32, @mesh, [{c}, {a}]>
  %1 = tessera.cumulative sum %x dim 0 exclusive reverse by_parts : !tessera.mesh_tensor<7x5xf32, @mesh, [{c}, {a}]> -> !tessera.mesh_tensor<7x5xf32, @mesh, [{c}, {a}]>
  return %0, %1 : !tessera.mesh_tensor<7x5xf32, @mesh, [{c}, {a}]>, !tessera.mesh_tensor<7x5xf32, @mesh, [{c}, {a}]>
}

// CHECK-LABEL: @integers_and_extremes
// CHECK: tessera.cumulative max
// CHECK: dist.all_gather {{.*}} : tensor<1xi64> -> tensor<4xi64>
// CHECK: tessera.cumulative min
// CHECK: dist.all_gather {{.*}} : tensor<1xi64> -> tensor<4xi64>
// CHECK: tessera.cumulative sum
// CHECK: dist.all_gather {{.*}} : tensor<1xi64> -> tensor<4xi64>
func.func @integers_and_extremes(%x: !tessera.mesh_tensor<11xi64, @mesh, [{b, a}]>) -> (!tessera.mesh_tensor<11xi64, @mesh, [{b, a}]>, !tessera.mesh_tensor<11xi64, @mesh, [{b, a}]>, !tessera.mesh_tensor<11xi64, @mesh, [{b, a}]>) {
  %0 = tessera.cumulative max %x dim 0 by_parts : !tessera.mesh_tensor<11xi64, @mesh, [{b, a}]> -> !tessera.mesh_tensor<11xi64, @mesh, [{b, a}]>
  %1 = tessera.cumulative min %x dim 0 reverse by_parts : !tessera.mesh_tensor<11xi64, @mesh, [{b, a}]> -> !tessera.mesh_tensor<11xi64, @mesh, [{b, a}]>
  %2 = tessera.cumulative sum %x dim 0 exclusive by_parts : !tessera.mesh_tensor<11xi64, @mesh, [{b, a}]> -> !tessera.mesh_tensor<11xi64, @mesh, [{b, a}]>
  return %0, %1, %2 : !tessera.mesh_tensor<11xi64, @mesh, [{b, a}]>, !tessera.mesh_tensor<11xi64, @mesh, [{b, a}]>, !tessera.mesh_tensor<11xi64, @mesh, [{b, a}]>
}

// Sums of 16-bit elements are rounded once, so what parts come to is f32; the
// greatest element is one of them.
// CHECK-LABEL: @narrow_floats
// CHECK: tessera.cumulative sum {{.*}} : tensor<4xf32> -> tensor<4xf32>
// CHECK: dist.all_gather {{.*}} : tensor<1xf32> -> tensor<2xf32>
// CHECK: tessera.convert {{.*}} : tensor<4xf32> -> tensor<4xbf16>
// CHECK: tessera.cumulative max {{.*}} : tensor<4xbf16> -> tensor<4xbf16>
// CHECK: dist.all_gather {{.*}} : tensor<1xbf16> -> tensor<2xbf16>
func.func @narrow_floats(%x: !tessera.mesh_tensor<7xbf16, @mesh, [{a}]>) -> (!tessera.mesh_tensor<7xbf16, @mesh, [{a}]>, !tessera.mesh_tensor<7xbf16, @mesh, [{a}]>) {
  %0 = tessera.cumulative sum %x dim 0 by_parts : !tessera.mesh_tensor<7xbf16, @mesh, [{a}]> -> !tessera.mesh_tensor<7xbf16, @mesh, [{a}]>
  %1 = tessera.cumulative max %x dim 0 by_parts : !tessera.mesh_tensor<7xbf16, @mesh, [{a}]> -> !tessera.mesh_tensor<7xbf16, @mesh, [{a}]>
  return %0, %1 : !tessera.mesh_tensor<7xbf16, @mesh, [{a}]>, !tessera.mesh_tensor<7xbf16, @mesh, [{a}]>
}

// Terms are scanned term by term, and reduced behind.
// CHECK-LABEL: @terms_pass
// CHECK: tessera.cumulative sum
// CHECK: dist.all_gather
// CHECK: dist.all_reduce sum
func.func @terms_pass(%x: !tessera.mesh_tensor<7x5xf32, @mesh, [{c}, {a}]>) -> !tessera.mesh_tensor<7xf32, @mesh, [{c}]> {
  %0 = tessera.reduce sum %x dims [1] : !tessera.mesh_tensor<7x5xf32, @mesh, [{c}, {a}]> -> !tessera.mesh_tensor<7xf32, @mesh, [{?}]>
  %1 = tessera.cumulative sum %0 dim 0 by_parts : !tessera.mesh_tensor<7xf32, @mesh, [{?}]> -> !tessera.mesh_tensor<7xf32, @mesh, [{c}]>
  return %1 : !tessera.mesh_tensor<7xf32, @mesh, [{c}]>
}

// An axis of one device splits nothing.
// CHECK-LABEL: @whole
// CHECK-NEXT: tessera.cumulative sum %arg0 dim 0 : tensor<7xf32> -> tensor<7xf32>
// CHECK-NEXT: return
func.func @whole(%x: !tessera.mesh_tensor<7xf32, @mesh, [{one}]>) -> !tessera.mesh_tensor<7xf32, @mesh, [{one}]> {
  %0 = tessera.cumulative sum %x dim 0 by_parts : !tessera.mesh_tensor<7xf32, @mesh, [{one}]> -> !tessera.mesh_tensor<7xf32, @mesh, [{one}]>
  return %0 : !tessera.mesh_tensor<7xf32, @mesh, [{one}]>
}

// What is exchanged belongs to the phase of the op.
// CHECK-LABEL: @phases_of_collectives
// CHECK: dist.all_gather {{.*}}tessera.phase = "backward"
// CHECK: dist.all_gather {{.*}}tessera.phase = "forward"
func.func @phases_of_collectives(%x: !tessera.mesh_tensor<7xf32, @mesh, [{a}]>) -> (!tessera.mesh_tensor<7xf32, @mesh, [{a}]>, !tessera.mesh_tensor<7xf32, @mesh, [{}]>) {
  %0 = tessera.cumulative sum %x dim 0 by_parts {tessera.phase = "backward"} : !tessera.mesh_tensor<7xf32, @mesh, [{a}]> -> !tessera.mesh_tensor<7xf32, @mesh, [{a}]>
  %1 = tessera.softmax %0 dim 0 {tessera.phase = "forward"} : !tessera.mesh_tensor<7xf32, @mesh, [{a}]> -> !tessera.mesh_tensor<7xf32, @mesh, [{}]>
  return %0, %1 : !tessera.mesh_tensor<7xf32, @mesh, [{a}]>, !tessera.mesh_tensor<7xf32, @mesh, [{}]>
}
