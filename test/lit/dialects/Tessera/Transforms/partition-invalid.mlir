// RUN: tessera-opt %s --tessera-partition --allow-unregistered-dialect --split-input-file --verify-diagnostics

dist.mesh @mesh <[tp = 2]>
func.func @a_whole_value_is_not_taken_apart(%x: !tessera.mesh_tensor<2xf32, @mesh, [{}]>) -> !tessera.mesh_tensor<2xf32, @mesh, [{}], partial = sum{tp}> {
  // expected-error @below {{'tessera.reshard' op has no plan from [{}] to [{}], partial = sum{tp}}}
  // expected-note @below {{a whole value is never made partial}}
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
