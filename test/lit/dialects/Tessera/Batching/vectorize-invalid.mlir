// RUN: tessera-opt %s --split-input-file --tessera-vectorize="function=f size=4 batched=0 axes=dp" --verify-diagnostics

// expected-error@+1 {{there is no function @f to compute a batch of}}
module {
}

// -----

// expected-error@+1 {{there is no argument 0 to batch; function @f has 0}}
func.func @f() {
  return
}

// -----

dist.mesh @mesh <[dp = 2, tp = 2]>
func.func @f(%x: !tessera.mesh_tensor<6xf32, @mesh>) -> !tessera.mesh_tensor<6xf32, @mesh> {
  // expected-error@+2 {{layout [{dp}] uses axis 'dp', along which the batch is split}}
  // expected-note@+1 {{leave the axis out here, or out of spmd_axis_name}}
  %0 = tessera.constrain %x to <@mesh, [{dp}]> : !tessera.mesh_tensor<6xf32, @mesh> -> !tessera.mesh_tensor<6xf32, @mesh>
  return %0 : !tessera.mesh_tensor<6xf32, @mesh>
}

// -----

func.func private @back(%dy: tensor<3xf32>) -> tensor<3xf32> {
  return %dy : tensor<3xf32>
}
func.func @f(%x: tensor<3xf32>) -> tensor<3xf32> {
  // expected-error@+2 {{known in reverse mode only, and is used in forward mode}}
  // expected-note@+1 {{differentiate with grad or vjp}}
  %0 = tessera.custom_tangent @back() of (%x) : () of (tensor<3xf32>) -> (tensor<3xf32>)
  return %0 : tensor<3xf32>
}

// -----

func.func private @shown(%x: tensor<3xf32>) -> tensor<3xf32> {
  tessera.debug_print "{}" (%x) : tensor<3xf32>
  return %x : tensor<3xf32>
}
func.func @f(%p: tensor<i1>, %x: tensor<3xf32>) -> tensor<3xf32> {
  // expected-note@+1 {{move it out of the cond, or map over the entries one by one}}
  %0 = tessera.cond %p : tensor<i1> -> (tensor<3xf32>) {
    // expected-error@+1 {{a print or check is where all branches of a conditional run for all entries}}
    %1 = tessera.call @shown(%x) checkpoint "nothing" : (tensor<3xf32>) -> (tensor<3xf32>)
    tessera.yield %1 : tensor<3xf32>
  }, {
    tessera.yield %x : tensor<3xf32>
  }
  return %0 : tensor<3xf32>
}

// -----

func.func @f(%n: tensor<i32>) -> tensor<i32> {
  // expected-note@+1 {{move it out of the while, or map over the entries one by one}}
  %last = tessera.while (%n) : (tensor<i32>) -> (tensor<i32>) cond {
  ^bb0(%c: tensor<i32>):
    %p = tessera.compare lt %c, %n : tensor<i32>, tensor<i32> -> tensor<i1>
    tessera.yield %p : tensor<i1>
  } do {
  ^bb0(%c: tensor<i32>):
    // expected-error@+1 {{a print or check is where a while loop goes on for entries of a batch that have ended}}
    tessera.debug_print "{}" (%c) : tensor<i32>
    tessera.yield %c : tensor<i32>
  }
  return %last : tensor<i32>
}

// -----

func.func @f(%x: tensor<3xf32>) -> tensor<3xf32> {
  // expected-error@+1 {{calls function @f, in which it is itself}}
  %0 = tessera.call @f(%x) checkpoint "nothing" : (tensor<3xf32>) -> (tensor<3xf32>)
  return %0 : tensor<3xf32>
}

// -----

// expected-error@+1 {{argument 0 of function @f is a 'index'; expected a tensor of static shape}}
func.func @f(%x: index) -> index {
  return %x : index
}

// -----

// expected-error@+1 {{function @f has no body to compute a batch of}}
func.func private @f(tensor<3xf32>)
