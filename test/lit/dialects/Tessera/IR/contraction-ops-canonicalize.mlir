// RUN: tessera-opt %s --canonicalize | FileCheck %s
// RUN: tessera-opt %s '--tessera-check-equivalence=pipeline=canonicalize runs=3' -o /dev/null

dist.mesh @mesh <[tp = 2]>

// CHECK-LABEL: @contract_reads_the_source_of_a_transpose
func.func @contract_reads_the_source_of_a_transpose(%x: tensor<2x3x5xf32>, %w: tensor<7x5xf32>) -> tensor<2x3x7xf32> {
  // CHECK-NEXT: tessera.contract %arg0, %arg1 "bsk,nk->bsn" : tensor<2x3x5xf32>, tensor<7x5xf32> -> tensor<2x3x7xf32>
  %0 = tessera.transpose %w [1, 0] : tensor<7x5xf32> -> tensor<5x7xf32>
  %1 = tessera.contract %x, %0 "bsk,kn->bsn" : tensor<2x3x5xf32>, tensor<5x7xf32> -> tensor<2x3x7xf32>
  return %1 : tensor<2x3x7xf32>
}

// CHECK-LABEL: @both_factors_may_be_transposes
func.func @both_factors_may_be_transposes(%x: tensor<5x2x3xf32>, %w: tensor<7x5xf32>) -> tensor<2x3x7xf32> {
  // CHECK-NEXT: tessera.contract %arg0, %arg1 "kbs,nk->bsn"
  %0 = tessera.transpose %x [1, 2, 0] : tensor<5x2x3xf32> -> tensor<2x3x5xf32>
  %1 = tessera.transpose %w [1, 0] : tensor<7x5xf32> -> tensor<5x7xf32>
  %2 = tessera.contract %0, %1 "bsk,kn->bsn" : tensor<2x3x5xf32>, tensor<5x7xf32> -> tensor<2x3x7xf32>
  return %2 : tensor<2x3x7xf32>
}

// CHECK-LABEL: @an_annotated_transpose_stays
func.func @an_annotated_transpose_stays(%x: !tessera.mesh_tensor<3x5xf32, @mesh>, %w: !tessera.mesh_tensor<7x5xf32, @mesh>) -> !tessera.mesh_tensor<3x7xf32, @mesh> {
  // CHECK-NEXT: tessera.transpose
  // CHECK-NEXT: tessera.contract %arg0, %{{.*}} "sk,kn->sn"
  %0 = tessera.transpose %w [1, 0] : !tessera.mesh_tensor<7x5xf32, @mesh> -> !tessera.mesh_tensor<5x7xf32, @mesh, [{tp}, {}]>
  %1 = tessera.contract %x, %0 "sk,kn->sn" : !tessera.mesh_tensor<3x5xf32, @mesh>, !tessera.mesh_tensor<5x7xf32, @mesh, [{tp}, {}]> -> !tessera.mesh_tensor<3x7xf32, @mesh>
  return %1 : !tessera.mesh_tensor<3x7xf32, @mesh>
}

// A weight that all entries of a batch share is not repeated for each.
// CHECK-LABEL: @contract_reads_the_source_of_a_broadcast
func.func @contract_reads_the_source_of_a_broadcast(%x: tensor<2x3xf32>, %w: tensor<3x5xf32>) -> tensor<2x5xf32> {
  // CHECK-NEXT: tessera.contract %arg0, %arg1 "bk,kn->bn" : tensor<2x3xf32>, tensor<3x5xf32> -> tensor<2x5xf32>
  %0 = tessera.broadcast %w dims [1, 2] : tensor<3x5xf32> -> tensor<2x3x5xf32>
  %1 = tessera.contract %x, %0 "bk,bkn->bn" : tensor<2x3xf32>, tensor<2x3x5xf32> -> tensor<2x5xf32>
  // CHECK-NEXT: return
  return %1 : tensor<2x5xf32>
}

// One that is summed over has to be.
// CHECK-LABEL: @contract_of_a_broadcast_that_is_summed
func.func @contract_of_a_broadcast_that_is_summed(%x: tensor<2x3xf32>, %w: tensor<3x5xf32>) -> tensor<5xf32> {
  // CHECK: tessera.broadcast
  // CHECK: tessera.contract %arg0, %{{.*}} "bk,bkn->n"
  %0 = tessera.broadcast %w dims [1, 2] : tensor<3x5xf32> -> tensor<2x3x5xf32>
  %1 = tessera.contract %x, %0 "bk,bkn->n" : tensor<2x3xf32>, tensor<2x3x5xf32> -> tensor<5xf32>
  return %1 : tensor<5xf32>
}

// So has one that only the broadcast gives an index of the result.
// CHECK-LABEL: @contract_of_a_broadcast_that_the_result_has
func.func @contract_of_a_broadcast_that_the_result_has(%x: tensor<3x7xf32>, %w: tensor<3x5xf32>) -> tensor<2x7x5xf32> {
  // CHECK: tessera.broadcast
  %0 = tessera.broadcast %w dims [1, 2] : tensor<3x5xf32> -> tensor<2x3x5xf32>
  %1 = tessera.contract %x, %0 "km,bkn->bmn" : tensor<3x7xf32>, tensor<2x3x5xf32> -> tensor<2x7x5xf32>
  return %1 : tensor<2x7x5xf32>
}

// And one that is repeated in a dimension of its own.
// CHECK-LABEL: @contract_of_a_row_that_is_repeated
func.func @contract_of_a_row_that_is_repeated(%x: tensor<2x3xf32>, %w: tensor<1x3x5xf32>) -> tensor<2x5xf32> {
  // CHECK: tessera.broadcast
  %0 = tessera.broadcast %w dims [0, 1, 2] : tensor<1x3x5xf32> -> tensor<2x3x5xf32>
  %1 = tessera.contract %x, %0 "bk,bkn->bn" : tensor<2x3xf32>, tensor<2x3x5xf32> -> tensor<2x5xf32>
  return %1 : tensor<2x5xf32>
}
