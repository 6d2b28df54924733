// RUN: tessera-opt %s --split-input-file --tessera-differentiate="function=loss mode=vjp" --verify-diagnostics

// expected-error@+1 {{there is no function @loss to differentiate}}
module {
}

// -----

func.func @loss(%x: tensor<f64>) -> tensor<f64> {
  // expected-error@+2 {{reverse mode cannot pass a while loop, whose number of iterations is not known}}
  // expected-note@+1 {{use ts.scan or ts.fori_loop with constant bounds}}
  %r = tessera.while (%x) : (tensor<f64>) -> (tensor<f64>) cond {
  ^bb0(%c: tensor<f64>):
    %p = tessera.compare lt %c, %x : tensor<f64>, tensor<f64> -> tensor<i1>
    tessera.yield %p : tensor<i1>
  } do {
  ^bb0(%c: tensor<f64>):
    %0 = tessera.mul %c, %c : tensor<f64>
    tessera.yield %0 : tensor<f64>
  }
  return %r : tensor<f64>
}

// -----

func.func @loss(%x: tensor<f64>) -> tensor<f64> {
  // expected-error@+2 {{calls function @loss, in which it is itself}}
  // expected-note@+1 {{functions do not call themselves}}
  %0 = tessera.call @loss(%x) checkpoint "nothing" : (tensor<f64>) -> (tensor<f64>)
  return %0 : tensor<f64>
}

// -----

func.func private @layer(%x: tensor<3xf64>) -> tensor<3xf64> {
  // expected-note@+1 {{24 bytes: 3xf64 of tessera.exp}}
  %0 = tessera.exp %x : tensor<3xf64>
  return %0 : tensor<3xf64>
}
func.func @loss(%x: tensor<3xf64>) -> tensor<f64> {
  // expected-error@+2 {{a budget of 23 bytes cannot be met: the least that the backward pass can keep of this call is 24 bytes}}
  // expected-note@+1 {{give it a budget of 24 bytes or more; smaller calls need less}}
  %0 = tessera.call @layer(%x) checkpoint "budget:23" : (tensor<3xf64>) -> (tensor<3xf64>)
  %s = tessera.reduce sum %0 dims [0] : tensor<3xf64> -> tensor<f64>
  return %s : tensor<f64>
}

// -----

func.func private @f(%x: tensor<f64>) -> tensor<f64> {
  return %x : tensor<f64>
}
func.func @loss(%x: tensor<f64>) -> tensor<f64> {
  // expected-error@+2 {{the derivative of this call is of too high an order}}
  // expected-note@+1 {{nobody has traced it}}
  %0 = tessera.call @f(%x) refuse "nobody has traced it" : (tensor<f64>) -> (tensor<f64>)
  return %0 : tensor<f64>
}

// -----

func.func private @f.0(%x: tensor<f64>) -> tensor<f64> {
  return %x : tensor<f64>
}
func.func private @rule(%x: tensor<f64>, %dx: tensor<f64>) -> (tensor<f64>, tensor<f64>) {
  // expected-error@+2 {{the rule of 'f' is not linear in its tangents: it multiplies what depends on tangents by the like}}
  // expected-note@+1 {{a rule for jvp gives sums of tangents}}
  %0 = tessera.mul %dx, %dx : tensor<f64>
  return %x, %0 : tensor<f64>, tensor<f64>
}
func.func @loss(%x: tensor<f64>) -> tensor<f64> {
  %0 = tessera.call @f.0(%x) jvp @rule : (tensor<f64>) -> (tensor<f64>)
  return %0 : tensor<f64>
}

// -----

func.func private @f.0(%x: tensor<f64>) -> tensor<f64> {
  return %x : tensor<f64>
}
func.func private @rule(%x: tensor<f64>, %dx: tensor<f64>) -> (tensor<f64>, tensor<f64>) {
  // expected-error@+2 {{the rule of 'f' is not linear in its tangents: a term that does not depend on tangents}}
  // expected-note@+1 {{a rule for jvp gives sums of tangents}}
  %0 = tessera.add %dx, %x : tensor<f64>
  return %x, %0 : tensor<f64>, tensor<f64>
}
func.func @loss(%x: tensor<f64>) -> tensor<f64> {
  %0 = tessera.call @f.0(%x) jvp @rule : (tensor<f64>) -> (tensor<f64>)
  return %0 : tensor<f64>
}
