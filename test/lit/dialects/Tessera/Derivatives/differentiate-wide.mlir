// RUN: tessera-opt %s --split-input-file --tessera-differentiate="function=loss wrt=0 mode=vjp" 2>/dev/null | FileCheck %s

// Where the gradient of a weight is wider than the type that it is used in, it
// is formed in the wide type: f32 from 16-bit factors, f64 from converted ones.

// CHECK-LABEL: func.func private @loss.bwd(
// CHECK-NOT: tessera.convert
// CHECK: %[[P:.*]] = tessera.contract %arg0, %arg1 "ik,ij->kj" {{.*}}bf16{{.*}}bf16{{.*}} -> !tessera.mesh_tensor<3x5xf32, @mesh>
// CHECK-NEXT: return %[[P]]
dist.mesh @mesh <[tp = 2]>
func.func @loss(%w: !tessera.mesh_tensor<3x5xf32, @mesh>, %x: !tessera.mesh_tensor<2x3xbf16, @mesh>) -> !tessera.mesh_tensor<2x5xbf16, @mesh> {
  %0 = tessera.convert %w : !tessera.mesh_tensor<3x5xf32, @mesh> -> !tessera.mesh_tensor<3x5xbf16, @mesh>
  %1 = tessera.contract %x, %0 "ik,kj->ij" : !tessera.mesh_tensor<2x3xbf16, @mesh>, !tessera.mesh_tensor<3x5xbf16, @mesh> -> !tessera.mesh_tensor<2x5xbf16, @mesh>
  return %1 : !tessera.mesh_tensor<2x5xbf16, @mesh>
}

// -----

// By two conversions.
// CHECK-LABEL: func.func private @loss.bwd(
// CHECK-DAG: %[[X:.*]] = tessera.convert %arg0 {{.*}}: !tessera.mesh_tensor<2x3xbf16, @mesh> -> !tessera.mesh_tensor<2x3xf64, @mesh>
// CHECK-DAG: %[[CT:.*]] = tessera.convert %arg1 {{.*}}: !tessera.mesh_tensor<2x5xbf16, @mesh> -> !tessera.mesh_tensor<2x5xf64, @mesh>
// CHECK: %[[P:.*]] = tessera.contract %[[X]], %[[CT]] "ik,ij->kj" {{.*}} -> !tessera.mesh_tensor<3x5xf64, @mesh>
// CHECK-NEXT: return %[[P]]
dist.mesh @mesh <[tp = 2]>
func.func @loss(%w: !tessera.mesh_tensor<3x5xf64, @mesh>, %x: !tessera.mesh_tensor<2x3xbf16, @mesh>) -> !tessera.mesh_tensor<2x5xbf16, @mesh> {
  %0 = tessera.convert %w : !tessera.mesh_tensor<3x5xf64, @mesh> -> !tessera.mesh_tensor<3x5xf32, @mesh>
  %1 = tessera.convert %0 : !tessera.mesh_tensor<3x5xf32, @mesh> -> !tessera.mesh_tensor<3x5xbf16, @mesh>
  %2 = tessera.contract %x, %1 "ik,kj->ij" : !tessera.mesh_tensor<2x3xbf16, @mesh>, !tessera.mesh_tensor<3x5xbf16, @mesh> -> !tessera.mesh_tensor<2x5xbf16, @mesh>
  return %2 : !tessera.mesh_tensor<2x5xbf16, @mesh>
}
