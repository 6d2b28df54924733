// RUN: tessera-opt %s --split-input-file --tessera-differentiate="function=loss mode=vjp" 2>/dev/null | FileCheck %s --check-prefix=VJP
// RUN: tessera-opt %s --split-input-file --tessera-differentiate="function=loss mode=jvp" | FileCheck %s --check-prefix=JVP
// RUN: tessera-opt %s --split-input-file --tessera-differentiate="function=loss" | FileCheck %s --check-prefix=GRAD

// The product needs its operands again, tanh its result, of which 1 - y^2 is
// computed again.
// VJP-LABEL: func.func private @loss.fwd(
// VJP: %[[P:.*]] = tessera.contract %arg0, %arg1 "ik,kj->ij"
// VJP: %[[Y:.*]] = tessera.tanh %[[P]]
// VJP: %[[R:.*]] = tessera.reduce sum %[[Y]]
// VJP: return %[[R]], %[[Y]]
// VJP-LABEL: func.func private @loss.bwd(
// VJP-SAME: %[[ONE:[^:]*]]: {{[^,]*}}, @mesh>, %[[TWO:[^:]*]]: {{[^,]*}}, @mesh>, %[[THREE:[^:]*]]: {{[^,]*}}, @mesh>, %[[CT:[^:]*]]: !tessera.mesh_tensor<f32, @mesh>)
// VJP-DAG: tessera.sub {{.*}}phase = "backward"
// VJP-DAG: tessera.contract %{{.*}}, %{{.*}} "ik,ij->kj" {tessera.phase = "backward"}
// VJP-DAG: tessera.contract %{{.*}}, %{{.*}} "ij,kj->ik" {tessera.phase = "backward"}

// JVP-LABEL: func.func private @loss.jvp(%arg0: {{.*}}, %arg1: {{.*}}, %arg2: {{.*}}, %arg3: {{.*}}) -> (!tessera.mesh_tensor<f32, @mesh>, !tessera.mesh_tensor<f32, @mesh>)
// JVP: tessera.contract %arg2, %arg1 "ik,kj->ij"
// JVP: tessera.contract %arg0, %arg3 "ik,kj->ij"

// GRAD-LABEL: func.func @loss.grad(%arg0: {{.*}}, %arg1: {{.*}}) -> (!tessera.mesh_tensor<f32, @mesh>, !tessera.mesh_tensor<2x3xf32, @mesh>, !tessera.mesh_tensor<3x5xf32, @mesh>)
dist.mesh @mesh <[tp = 2]>
func.func @loss(%x: !tessera.mesh_tensor<2x3xf32, @mesh>, %w: !tessera.mesh_tensor<3x5xf32, @mesh>) -> !tessera.mesh_tensor<f32, @mesh> {
  %0 = tessera.contract %x, %w "ik,kj->ij" : !tessera.mesh_tensor<2x3xf32, @mesh>, !tessera.mesh_tensor<3x5xf32, @mesh> -> !tessera.mesh_tensor<2x5xf32, @mesh>
  %1 = tessera.tanh %0 : !tessera.mesh_tensor<2x5xf32, @mesh>
  %2 = tessera.reduce sum %1 dims [0, 1] : !tessera.mesh_tensor<2x5xf32, @mesh> -> !tessera.mesh_tensor<f32, @mesh>
  return %2 : !tessera.mesh_tensor<f32, @mesh>
}

// -----

// A loop stacks its carried value; the loop back takes it as a sequence, and sums
// the cotangent of what it captures in a carried value.
// VJP-LABEL: func.func private @loss.fwd(
// VJP: %{{.*}}:2 = tessera.scan (%arg0) over () length 5 : (tensor<3xf64>) over () -> (tensor<3xf64>, tensor<5x3xf64>)
// VJP-LABEL: func.func private @loss.bwd(
// VJP: tessera.scan (%{{.*}}, %{{.*}}) over (%{{.*}}) length 5 reverse {tessera.phase = "backward"} : (tensor<3xf64>, tensor<3xf64>) over (tensor<5x3xf64>) -> (tensor<3xf64>, tensor<3xf64>)
func.func @loss(%x: tensor<3xf64>, %w: tensor<3xf64>) -> tensor<f64> {
  %r = tessera.scan (%x) over () length 5 : (tensor<3xf64>) over () -> (tensor<3xf64>) {
  ^bb0(%i: tensor<i32>, %c: tensor<3xf64>):
    %0 = tessera.mul %c, %w : tensor<3xf64>
    tessera.yield %0 : tensor<3xf64>
  }
  %s = tessera.reduce sum %r dims [0] : tensor<3xf64> -> tensor<f64>
  return %s : tensor<f64>
}

// -----

// Of a checkpoint the argument is kept, and what is computed of it again stands
// behind a barrier.
// VJP-LABEL: func.func private @loss.fwd(
// VJP: return %{{[^,]*}} : tensor<f64>
// VJP-LABEL: func.func private @loss.bwd(
// VJP-SAME: %arg0: tensor<3xf64>, %arg1: tensor<f64>)
// VJP: %[[B:.*]] = tessera.barrier %arg0 {tessera.phase = "backward", tessera.recomputation = {bytes = 0 : i64, flops = 3.000000e+00 : f64, kept = [], policy = "nothing"}}
// VJP: tessera.exp %[[B]] :
func.func private @layer(%x: tensor<3xf64>) -> tensor<3xf64> {
  %0 = tessera.exp %x : tensor<3xf64>
  %1 = tessera.sin %0 : tensor<3xf64>
  return %1 : tensor<3xf64>
}
func.func @loss(%x: tensor<3xf64>) -> tensor<f64> {
  %0 = tessera.call @layer(%x) checkpoint "nothing" : (tensor<3xf64>) -> (tensor<3xf64>)
  %s = tessera.reduce sum %0 dims [0] : tensor<3xf64> -> tensor<f64>
  return %s : tensor<f64>
}

// -----

// The gradient of a weight that is converted to 16 bits is a product with a
// result of f32, and so is the sum of two; that of a value in between is not.
// VJP-LABEL: func.func private @loss.bwd(
// VJP-DAG: tessera.contract %{{.*}}, %{{.*}} "ij,ik->jk" {{.*}} : tensor<2x3xbf16>, tensor<2x5xbf16> -> tensor<3x5xf32>
// VJP-DAG: tessera.contract %{{.*}}, %{{.*}} "ik,jk->ij" {{.*}} : tensor<2x5xbf16>, tensor<3x5xbf16> -> tensor<2x3xbf16>
// VJP-DAG: tessera.convert {{.*}} : tensor<2x3xbf16> -> tensor<2x3xf32>
func.func @loss(%x: tensor<2x3xf32>, %w: tensor<3x5xf32>) -> tensor<f32> {
  %y = tessera.tanh %x : tensor<2x3xf32>
  %0 = tessera.convert %y : tensor<2x3xf32> -> tensor<2x3xbf16>
  %1 = tessera.convert %w : tensor<3x5xf32> -> tensor<3x5xbf16>
  %2 = tessera.contract %0, %1 "ij,jk->ik" : tensor<2x3xbf16>, tensor<3x5xbf16> -> tensor<2x5xbf16>
  %3 = tessera.convert %2 : tensor<2x5xbf16> -> tensor<2x5xf32>
  %s = tessera.reduce sum %3 dims [0, 1] : tensor<2x5xf32> -> tensor<f32>
  return %s : tensor<f32>
}

// -----

// The loop back adds terms of f32 for a weight that it converts, as for one that
// is converted outside of it, and stacks them for slices.
// VJP-LABEL: func.func private @loss.bwd(
// VJP: tessera.scan {{.*}} : (tensor<bf16>, tensor<3xf32>) over {{.*}} -> (tensor<bf16>, tensor<3xf32>, tensor<4x3xf32>)
// VJP: tessera.contract {{.*}} : tensor<bf16>, tensor<3xbf16> -> tensor<3xf32>
func.func @loss(%w: tensor<3xf32>, %ws: tensor<4x3xf32>) -> tensor<bf16> {
  %0 = tessera.constant dense<0.0> : tensor<bf16> : tensor<bf16>
  %x = tessera.constant dense<[1.0, 2.0, 3.0]> : tensor<3xbf16> : tensor<3xbf16>
  %v = tessera.convert %w : tensor<3xf32> -> tensor<3xbf16>
  %vs = tessera.convert %ws : tensor<4x3xf32> -> tensor<4x3xbf16>
  %r = tessera.scan (%0) over (%vs) length 4 : (tensor<bf16>) over (tensor<4x3xbf16>) -> (tensor<bf16>) {
  ^bb0(%i: tensor<i32>, %c: tensor<bf16>, %u: tensor<3xbf16>):
    %1 = tessera.contract %v, %x "i,i->" : tensor<3xbf16>, tensor<3xbf16> -> tensor<bf16>
    %2 = tessera.contract %u, %x "i,i->" : tensor<3xbf16>, tensor<3xbf16> -> tensor<bf16>
    %3 = tessera.add %1, %2 : tensor<bf16>
    %4 = tessera.add %c, %3 : tensor<bf16>
    tessera.yield %4 : tensor<bf16>
  }
  return %r : tensor<bf16>
}

// -----

// A loop that never runs gives its initial values, and so its derivative
// theirs: no loop of length 0 stacks anything.
// VJP-LABEL: func.func private @loss.bwd(
// VJP-SAME: %arg0: tensor<f64>)
// VJP-NOT: tessera.scan
// VJP: %[[CT:.*]] = tessera.broadcast %arg0
// VJP: return %[[CT]] : tensor<3xf64>
func.func @loss(%x: tensor<3xf64>) -> tensor<f64> {
  %r = tessera.scan (%x) over () length 0 : (tensor<3xf64>) over () -> (tensor<3xf64>) {
  ^bb0(%i: tensor<i32>, %c: tensor<3xf64>):
    %0 = tessera.tanh %x : tensor<3xf64>
    tessera.yield %0 : tensor<3xf64>
  }
  %s = tessera.reduce sum %r dims [0] : tensor<3xf64> -> tensor<f64>
  return %s : tensor<f64>
}

// -----

// A budget holds the argument and one of the two values that the backward pass
// needs as well: the product, from which the other follows. What is computed
// from the barrier is of no phase.
// VJP-LABEL: func.func private @loss.fwd(
// VJP: %[[X:.*]] = tessera.sin %arg0
// VJP: %[[P:.*]] = tessera.contract %[[X]], %arg1
// VJP: return %{{[^,]*}}, %[[X]], %[[P]] :
// VJP-LABEL: func.func private @loss.bwd(
// VJP-SAME: %[[KEPT:[^:]*]]: tensor<2x5xf64>,
// VJP: %[[B:.*]] = tessera.barrier %[[KEPT]] {tessera.phase = "backward", tessera.recomputation = {bytes = 128 : i64, flops = 1.000000e+01 : f64, kept = [
// VJP-SAME: "80 bytes: 2x5xf64 of tessera.contract
// VJP-SAME: which would take 60 operations to compute again"
// VJP-SAME: "48 bytes: 2x3xf64 of tessera.sin
// VJP-SAME: policy = "budget:150"
// VJP: tessera.sin %[[B]] :
// VJP: tessera.contract {{.*}} {tessera.phase = "backward"}
func.func private @layer(%x: tensor<2x3xf64>, %w: tensor<3x5xf64>) -> tensor<2x3xf64> {
  %0 = tessera.contract %x, %w "ik,kj->ij" : tensor<2x3xf64>, tensor<3x5xf64> -> tensor<2x5xf64>
  %1 = tessera.sin %0 : tensor<2x5xf64>
  %2 = tessera.contract %1, %w "ij,kj->ik" : tensor<2x5xf64>, tensor<3x5xf64> -> tensor<2x3xf64>
  return %2 : tensor<2x3xf64>
}
func.func @loss(%x: tensor<2x3xf64>, %w: tensor<3x5xf64>) -> tensor<f64> {
  %0 = tessera.sin %x : tensor<2x3xf64>
  %1 = tessera.call @layer(%0, %w) checkpoint "budget:150" : (tensor<2x3xf64>, tensor<3x5xf64>) -> (tensor<2x3xf64>)
  %s = tessera.reduce sum %1 dims [0, 1] : tensor<2x3xf64> -> tensor<f64>
  return %s : tensor<f64>
}

// -----

// Of the scores the backward pass has the logarithms of the rows' sums, and
// computes nothing by formulas on all of them.
// VJP-LABEL: func.func private @loss.fwd(
// VJP: %[[OUT:.*]] = tessera.attention %arg0, %arg1, %arg1
// VJP: %[[LSE:.*]] = tessera.attention_logsumexp %arg0, %arg1 scale 5.000000e-01 causal
// VJP: return %{{.*}}, %[[OUT]], %[[LSE]]
// VJP-LABEL: func.func private @loss.bwd(
// VJP-NOT: tessera.contract
// VJP: %[[MEAN:.*]] = tessera.transpose %{{.*}} [0, 2, 1]
// VJP: tessera.attention_gradient of query {{.*}}, %[[MEAN]], {{.*}} scale 5.000000e-01 causal
// VJP-COUNT-2: tessera.attention_gradient of
// VJP-NOT: tessera.contract
// VJP: return

// Forward mode needs no such logarithms.
// JVP-LABEL: func.func private @loss.jvp(
// JVP-NOT: tessera.attention_logsumexp
// JVP: return
func.func @loss(%q: tensor<2x3x4x5xf32>, %k: tensor<2x7x2x5xf32>) -> tensor<f32> {
  %0 = tessera.attention %q, %k, %k scale 0.5 causal : tensor<2x3x4x5xf32>, tensor<2x7x2x5xf32>, tensor<2x7x2x5xf32> -> tensor<2x3x4x5xf32>
  %1 = tessera.reduce sum %0 dims [0, 1, 2, 3] : tensor<2x3x4x5xf32> -> tensor<f32>
  return %1 : tensor<f32>
}

// -----

// The splits of a value hold for its cotangent; where it is whole, nothing does.
// "except" computes the named value again, and the layout that it was given.
// VJP-LABEL: func.func private @loss.bwd(
// VJP: kept = ["24 bytes: 2x3xf32 of tessera.tanh
// VJP: %[[A:.*]] = tessera.constrain %{{.*}} to <@mesh, [{tp}, {}]>
// VJP: tessera.checkpoint_name %[[A]] "gathered"
// VJP: tessera.constrain %{{.*}} to <@mesh, [{tp}, {?}]>
// JVP-LABEL: func.func private @loss.jvp(
// GRAD-LABEL: func.func @loss.grad(
dist.mesh @mesh <[tp = 2]>
func.func private @layer(%x: !tessera.mesh_tensor<2x3xf32, @mesh>) -> !tessera.mesh_tensor<f32, @mesh> {
  %0 = tessera.tanh %x : !tessera.mesh_tensor<2x3xf32, @mesh>
  %1 = tessera.constrain %0 to <@mesh, [{tp}, {}]> : !tessera.mesh_tensor<2x3xf32, @mesh> -> !tessera.mesh_tensor<2x3xf32, @mesh>
  %2 = tessera.checkpoint_name %1 "gathered" : !tessera.mesh_tensor<2x3xf32, @mesh> -> !tessera.mesh_tensor<2x3xf32, @mesh>
  %3 = tessera.mul %2, %2 : !tessera.mesh_tensor<2x3xf32, @mesh>
  %4 = tessera.reduce sum %3 dims [0, 1] : !tessera.mesh_tensor<2x3xf32, @mesh> -> !tessera.mesh_tensor<f32, @mesh>
  return %4 : !tessera.mesh_tensor<f32, @mesh>
}
func.func @loss(%x: !tessera.mesh_tensor<2x3xf32, @mesh>) -> !tessera.mesh_tensor<f32, @mesh> {
  %0 = tessera.call @layer(%x) checkpoint "except:gathered" : (!tessera.mesh_tensor<2x3xf32, @mesh>) -> (!tessera.mesh_tensor<f32, @mesh>)
  return %0 : !tessera.mesh_tensor<f32, @mesh>
}

// -----

// Two layers share a weight, for which each states the layout: its gradients
// are added before they are laid out.
// VJP-LABEL: func.func private @loss.bwd(
// VJP: %[[SUM:.*]] = tessera.add
// VJP-NEXT: %[[G:.*]] = tessera.constrain %[[SUM]] to <@mesh, [{tp}, {?}]>
// VJP-NOT: tessera.constrain
// VJP: return %[[G]]
// JVP-LABEL: func.func private @loss.jvp(
// GRAD-LABEL: func.func @loss.grad(
dist.mesh @mesh <[tp = 2]>
func.func @loss(%w: !tessera.mesh_tensor<2x3xf32, @mesh>) -> !tessera.mesh_tensor<f32, @mesh> {
  %0 = tessera.constrain %w to <@mesh, [{tp}, {}]> : !tessera.mesh_tensor<2x3xf32, @mesh> -> !tessera.mesh_tensor<2x3xf32, @mesh>
  %1 = tessera.tanh %0 : !tessera.mesh_tensor<2x3xf32, @mesh>
  %2 = tessera.constrain %w to <@mesh, [{tp}, {}]> : !tessera.mesh_tensor<2x3xf32, @mesh> -> !tessera.mesh_tensor<2x3xf32, @mesh>
  %3 = tessera.mul %2, %1 : !tessera.mesh_tensor<2x3xf32, @mesh>
  %4 = tessera.reduce sum %3 dims [0, 1] : !tessera.mesh_tensor<2x3xf32, @mesh> -> !tessera.mesh_tensor<f32, @mesh>
  return %4 : !tessera.mesh_tensor<f32, @mesh>
}
