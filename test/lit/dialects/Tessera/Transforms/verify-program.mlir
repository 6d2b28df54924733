// RUN: tessera-opt %s --tessera-verify-program | FileCheck %s

dist.mesh @mesh <[dp = 2, tp = 4]>

// CHECK-LABEL: @a_program_on_mesh_tensors_passes
func.func @a_program_on_mesh_tensors_passes(
    %x: !tessera.mesh_tensor<2x3xf32, @mesh, [{dp}, {?}]>,
    %w: !tessera.mesh_tensor<3x5xf32, @mesh, [{}, {tp:(1)2, ?}]>) -> !tessera.mesh_tensor<2x5xf32, @mesh> {
  %0 = tessera.contract %x, %w "mk,kn->mn" : !tessera.mesh_tensor<2x3xf32, @mesh, [{dp}, {?}]>, !tessera.mesh_tensor<3x5xf32, @mesh, [{}, {tp:(1)2, ?}]> -> !tessera.mesh_tensor<2x5xf32, @mesh>
  %1 = tessera.constrain %0 to <@mesh, [{dp}, {tp}]> : !tessera.mesh_tensor<2x5xf32, @mesh> -> !tessera.mesh_tensor<2x5xf32, @mesh>
  return %1 : !tessera.mesh_tensor<2x5xf32, @mesh>
}

// CHECK-LABEL: @a_program_need_not_have_main
func.func private @a_program_need_not_have_main(!tessera.mesh_tensor<f32, @mesh, []>)
