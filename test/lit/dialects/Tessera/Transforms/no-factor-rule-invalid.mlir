// RUN: tessera-opt %s --tessera-propagate-layouts --allow-unregistered-dialect --verify-diagnostics

dist.mesh @mesh <[tp = 2]>
func.func @an_op_without_a_rule_is_not_replicated(%x: !tessera.mesh_tensor<2xf32, @mesh>) -> !tessera.mesh_tensor<2xf32, @mesh> {
  // expected-error @below {{'test.op' op has no factor rule, so its layout is unknown}}
  // expected-note @below {{implement FactorRuleInterface: getFactorRule() names the op's factors}}
  // expected-note @below {{an op without a rule is never replicated silently}}
  %0 = "test.op"(%x) : (!tessera.mesh_tensor<2xf32, @mesh>) -> !tessera.mesh_tensor<2xf32, @mesh>
  return %0 : !tessera.mesh_tensor<2xf32, @mesh>
}
