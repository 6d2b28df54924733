// RUN: tessera-opt %s --tessera-partition --allow-unregistered-dialect --split-input-file --verify-diagnostics

dist.mesh @mesh <[tp = 2]>
func.func @a_whole_value_is_not_taken_apart(%x: !tessera.mesh_tensor<2xf32, @mesh, [{}]>) -> !tessera.mesh_tensor<2xf32, @mesh, [{}], partial = sum{tp}> {
  // expected-error @below {{'tessera.reshard' op has no plan from [{}] to [{}], partial = sum{tp}}}
  // expected-note @below {{a replicated value is never split into partial terms}}
  %0 = tessera.reshard %x : !tessera.mesh_tensor<2xf32, @mesh, [{}]> -> !tessera.mesh_tensor<2xf32, @mesh, [{}], partial = sum{tp}>
  return %0 : !tessera.mesh_tensor<2xf32, @mesh, [{}], partial = sum{tp}>
}

// -----

dist.mesh @mesh <[tp = 2]>
func.func @an_op_without_a_rule_has_no_parts(%x: !tessera.mesh_tensor<2xf32, @mesh, [{}]>) -> !tessera.mesh_tensor<2xf32, @mesh, [{}]> {
  // expected-error @below {{'test.op' op cannot be partitioned: it has no factor rule}}
  %0 = "test.op"(%x) : (!tessera.mesh_tensor<2xf32, @mesh, [{}]>) -> !tessera.mesh_tensor<2xf32, @mesh, [{}]>
  return %0 : !tessera.mesh_tensor<2xf32, @mesh, [{}]>
}

// -----

dist.mesh @mesh <[dp = 2]>
// expected-error @below {{layout [{tp}]: unknown axis 'tp'; mesh 'mesh' has axes: 'dp'}}
// expected-note @below {{tessera-verify-program checks all of a program}}
func.func @an_axis_that_the_mesh_does_not_have(%x: !tessera.mesh_tensor<6xf32, @mesh, [{tp}]>) {
  return
}

// -----

dist.mesh @mesh <[x = 3]>
func.func @a_sub_axis_that_does_not_divide(%x: !tessera.mesh_tensor<6xf32, @mesh, [{}]>) {
  // expected-error @below {{layout [{x:(2)2}]: sub-axis x:(2)2 does not divide axis 'x' of size 3}}
  // expected-note @below {{tessera-verify-program checks all of a program}}
  %0 = tessera.reshard %x : !tessera.mesh_tensor<6xf32, @mesh, [{}]> -> !tessera.mesh_tensor<6xf32, @mesh, [{x:(2)2}]>
  return
}
