// RUN: tessera-opt %s --split-input-file --verify-diagnostics

func.func @f(%0: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // expected-error@+1 {{calls function @nothing, which the module does not have}}
  %1 = tessera.call @nothing(%0) : (tensor<2x3xf32>) -> (tensor<2x3xf32>)
  return %1 : tensor<2x3xf32>
}

// -----

func.func private @twice(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  return %x : tensor<2x3xf32>
}
func.func @f(%0: tensor<2x5xf32>) -> tensor<2x5xf32> {
  // expected-error@+1 {{has operand 0 of type 'tensor<2x5xf32>'; function @twice has type 'tensor<2x3xf32>'}}
  %1 = tessera.call @twice(%0) : (tensor<2x5xf32>) -> (tensor<2x5xf32>)
  return %1 : tensor<2x5xf32>
}

// -----

func.func private @twice(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  return %x : tensor<2x3xf32>
}
func.func @f(%0: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // expected-error@+1 {{has 2 operands; function @twice has 1}}
  %1 = tessera.call @twice(%0, %0) : (tensor<2x3xf32>, tensor<2x3xf32>) -> (tensor<2x3xf32>)
  return %1 : tensor<2x3xf32>
}

// -----

func.func private @twice(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  return %x : tensor<2x3xf32>
}
func.func @f(%0: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // expected-error@+1 {{has one of fwd and bwd; expected both or none}}
  %1 = tessera.call @twice(%0) fwd @twice : (tensor<2x3xf32>) -> (tensor<2x3xf32>)
  return %1 : tensor<2x3xf32>
}

// -----

func.func private @twice(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  return %x : tensor<2x3xf32>
}
func.func @f(%0: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // expected-error@+1 {{has jvp as well as fwd and bwd; expected one rule}}
  %1 = tessera.call @twice(%0) jvp @twice fwd @twice bwd @twice : (tensor<2x3xf32>) -> (tensor<2x3xf32>)
  return %1 : tensor<2x3xf32>
}

// -----

func.func private @twice(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  return %x : tensor<2x3xf32>
}
func.func @f(%0: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // expected-error@+1 {{has a rule jvp @twice of 1 arguments and 1 results; expected 2 arguments and 2 results}}
  %1 = tessera.call @twice(%0) jvp @twice : (tensor<2x3xf32>) -> (tensor<2x3xf32>)
  return %1 : tensor<2x3xf32>
}

// -----

func.func private @twice(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  return %x : tensor<2x3xf32>
}
func.func private @back(%dy: tensor<2x3xf32>, %r: tensor<2x3xf32>) -> tensor<2x3xf32> {
  return %dy : tensor<2x3xf32>
}
func.func @f(%0: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // expected-error@+1 {{has a rule bwd @back of 2 arguments and 1 results; expected 1 arguments and 1 results}}
  %1 = tessera.call @twice(%0) fwd @twice bwd @back : (tensor<2x3xf32>) -> (tensor<2x3xf32>)
  return %1 : tensor<2x3xf32>
}

// -----

func.func private @twice(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  return %x : tensor<2x3xf32>
}
func.func @f(%0: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // expected-error@+1 {{has checkpoint "budget:12kB"; expected "everything", "nothing", "dots", "dots_with_no_batch_dims", "names:a,b", "except:a,b" or "budget:<bytes>"}}
  %1 = tessera.call @twice(%0) checkpoint "budget:12kB" : (tensor<2x3xf32>) -> (tensor<2x3xf32>)
  return %1 : tensor<2x3xf32>
}

// -----

func.func private @twice(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  return %x : tensor<2x3xf32>
}
func.func private @rule(%x: tensor<2x3xf32>, %dx: tensor<2x3xf32>) -> (tensor<2x3xf32>, tensor<2x3xf32>) {
  return %x, %dx : tensor<2x3xf32>, tensor<2x3xf32>
}
func.func @f(%0: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // expected-error@+1 {{has a rule and refuses to be differentiated; expected one of both}}
  %1 = tessera.call @twice(%0) jvp @rule refuse "why" : (tensor<2x3xf32>) -> (tensor<2x3xf32>)
  return %1 : tensor<2x3xf32>
}
