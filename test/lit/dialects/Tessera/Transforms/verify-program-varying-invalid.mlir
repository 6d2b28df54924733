// RUN: tessera-opt %s --tessera-verify-program --split-input-file --verify-diagnostics

dist.mesh @mesh <[dp = 2, tp = 3]>
!open = !tessera.mesh_tensor<6x5xf32, @mesh>
!varying = !tessera.mesh_tensor<6x5xf32, @mesh, [{?}, {?}], varying = {tp}>
// expected-note @below {{operand 1 has varying = {tp}}}
func.func @the_result_of_an_op_states_that_it_varies(%x: !open, %y: !varying) -> !open {
  // expected-error @below {{has a result with no varying axis, but its operands make it varying = {tp}}}
  // expected-note @below {{the state is not inferred: write it in the result's type}}
  %0 = tessera.add %x, %y : (!open, !varying) -> !open
  return %0 : !open
}

// -----

dist.mesh @mesh <[dp = 2, tp = 3]>
!open = !tessera.mesh_tensor<6x5xf32, @mesh>
!varying = !tessera.mesh_tensor<6x5xf32, @mesh, [{?}, {?}], varying = {tp}>
func.func @no_op_makes_a_value_vary(%x: !open) -> !varying {
  // expected-error @below {{has a result with varying = {tp}, but its operands make it no varying axis}}
  // expected-note @below {{tessera.reshard makes a value vary}}
  %0 = tessera.add %x, %x : (!open, !open) -> !varying
  return %0 : !varying
}

// -----

dist.mesh @mesh <[dp = 2, tp = 3]>
!varying = !tessera.mesh_tensor<6x5xf32, @mesh, [{?}, {?}], varying = {tp}>
func.func @constants_do_not_vary() -> !varying {
  // expected-error @below {{has a result with varying = {tp}}}
  // expected-note @below {{tessera.reshard makes a value vary}}
  %0 = tessera.constant dense<1.0> : tensor<6x5xf32> : !varying
  return %0 : !varying
}

// -----

dist.mesh @mesh <[dp = 2, tp = 3]>
!varying = !tessera.mesh_tensor<6x5xf32, @mesh, [{?}, {?}], varying = {tp}>
// expected-note @below {{the value has varying = {tp}; constrain it along other axes only}}
func.func @a_varying_value_is_not_split_along_its_axis(%x: !varying) -> !varying {
  // expected-error @below {{gives the value layout [{tp}, {}], varying = {tp}: axis 'tp' is used twice}}
  %0 = tessera.constrain %x to <@mesh, [{tp}, {}]> : !varying -> !varying
  return %0 : !varying
}

// -----

dist.mesh @mesh <[dp = 2, tp = 3]>
!open = !tessera.mesh_tensor<6x5xf32, @mesh>
!varying = !tessera.mesh_tensor<6x5xf32, @mesh, [{?}, {?}], varying = {tp}>
func.func @a_carried_value_has_one_state(%x: !open, %y: !varying) -> !open {
  // expected-error @below {{has carried value 0 with no varying axis and with varying = {tp}}}
  %r = tessera.scan (%x) over () length 3 : (!open) over () -> (!open) {
  ^bb0(%i: !tessera.mesh_tensor<i32, @mesh>, %c: !open):
    // expected-note @below {{one value has one state; make the other ends vary as well, with tessera.reshard}}
    %1 = tessera.add %c, %y : (!open, !varying) -> !varying
    tessera.yield %1 : !varying
  }
  return %r : !open
}

// -----

dist.mesh @mesh <[dp = 2, tp = 3]>
!open = !tessera.mesh_tensor<6x5xf32, @mesh>
// expected-note @below {{it is computed here; decide by a value that does not vary}}
func.func @all_devices_take_one_path(%p: !tessera.mesh_tensor<i1, @mesh, [], varying = {tp}>, %x: !open) -> !open {
  // expected-error @below {{decides by a value with varying = {tp}; all devices must take the same path}}
  %0 = tessera.cond %p : !tessera.mesh_tensor<i1, @mesh, [], varying = {tp}> -> (!open) {
    tessera.yield %x : !open
  }, {
    tessera.yield %x : !open
  }
  return %0 : !open
}

// -----

dist.mesh @mesh <[dp = 2, tp = 3]>
// expected-note @below {{it is computed here; report a value that does not vary}}
func.func @one_device_reports_for_all(%x: !tessera.mesh_tensor<f32, @mesh, [], varying = {tp}>) {
  // expected-error @below {{reports a value with varying = {tp}; one device reports for all}}
  tessera.debug_print "x is {}" (%x) : !tessera.mesh_tensor<f32, @mesh, [], varying = {tp}>
  return
}
