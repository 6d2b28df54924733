// RUN: tessera-opt %s --split-input-file --tessera-differentiate="function=loss mode=vjp" | FileCheck %s --check-prefix=VJP
// RUN: tessera-opt %s --split-input-file --tessera-vectorize="function=loss size=4" | FileCheck %s --check-prefix=BATCH
// RUN: tessera-opt %s --split-input-file --tessera-inline-calls | FileCheck %s --check-prefix=INLINE

// A rule may call its function with that same rule: a differentiation follows
// it once, and its functions call with the rule what is differentiated next.
// VJP-LABEL: func.func private @loss.fwd(
// VJP: tessera.call @f(%arg0) jvp @rule
// VJP-NEXT: return

// The batch of a rule calls itself.
// BATCH-LABEL: func.func @loss.batched(
// BATCH: tessera.call @[[F:[a-z.0-9]*]](%arg0) jvp @[[R:[a-z.0-9]*]] :
// BATCH: func.func private @[[R]](
// BATCH: tessera.call @[[F]](%arg0) jvp @[[R]] :

// INLINE-LABEL: func.func @loss(
// INLINE-NEXT: tessera.floor
// INLINE-NEXT: return
// INLINE-NOT: func.func private
func.func private @f(%x: tensor<f64>) -> tensor<f64> {
  %0 = tessera.floor %x : tensor<f64>
  return %0 : tensor<f64>
}
func.func private @rule(%x: tensor<f64>, %dx: tensor<f64>) -> (tensor<f64>, tensor<f64>) {
  %0 = tessera.call @f(%x) jvp @rule : (tensor<f64>) -> (tensor<f64>)
  %1 = tessera.mul %0, %dx : tensor<f64>
  return %0, %1 : tensor<f64>, tensor<f64>
}
func.func @loss(%x: tensor<f64>) -> tensor<f64> {
  %0 = tessera.call @f(%x) jvp @rule : (tensor<f64>) -> (tensor<f64>)
  return %0 : tensor<f64>
}

// -----

// VJP-LABEL: func.func private @loss.fwd(
// VJP: tessera.call @f(%arg0, %arg1) fwd @forward bwd @backward

// Which residuals have the batch is known when the forward function is there,
// which names the backward function before.
// BATCH-LABEL: func.func @loss.batched(
// BATCH: tessera.call @[[F:[a-z.0-9]*]](%arg0, %arg1) fwd @[[FWD:[a-z.0-9]*]] bwd @[[BWD:[a-z.0-9]*]] :
// BATCH-DAG: func.func private @[[FWD]](
// BATCH-DAG: tessera.call @[[F]](%arg0, %arg1) fwd @[[FWD]] bwd @[[BWD]] :
// BATCH-DAG: func.func private @[[BWD]](
func.func private @f(%x: tensor<f64>, %y: tensor<f64>) -> tensor<f64> {
  %0 = tessera.mul %x, %y : tensor<f64>
  return %0 : tensor<f64>
}
func.func private @forward(%x: tensor<f64>, %y: tensor<f64>) -> (tensor<f64>, tensor<f64>) {
  %0 = tessera.call @f(%x, %y) fwd @forward bwd @backward : (tensor<f64>, tensor<f64>) -> (tensor<f64>)
  return %0, %0 : tensor<f64>, tensor<f64>
}
func.func private @backward(%r: tensor<f64>, %dz: tensor<f64>) -> (tensor<f64>, tensor<f64>) {
  %0 = tessera.call @f(%r, %dz) fwd @forward bwd @backward : (tensor<f64>, tensor<f64>) -> (tensor<f64>)
  return %0, %0 : tensor<f64>, tensor<f64>
}
func.func @loss(%x: tensor<f64>, %y: tensor<f64>) -> tensor<f64> {
  %0 = tessera.call @f(%x, %y) fwd @forward bwd @backward : (tensor<f64>, tensor<f64>) -> (tensor<f64>)
  return %0 : tensor<f64>
}
