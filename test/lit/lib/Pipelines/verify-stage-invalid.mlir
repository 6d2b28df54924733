// RUN: split-file %s %t
// RUN: tessera-opt %t/layouts.mlir --tessera-verify-stage=stage=layouts --split-input-file --verify-diagnostics
// RUN: tessera-opt %t/reshards.mlir --tessera-verify-stage=stage=reshards --split-input-file --verify-diagnostics
// RUN: tessera-opt %t/local.mlir --tessera-verify-stage=stage=local --split-input-file --verify-diagnostics
// RUN: tessera-opt %t/kernels.mlir --tessera-verify-stage=stage=kernels --split-input-file --verify-diagnostics
// RUN: tessera-opt %t/plan.mlir --tessera-verify-stage=stage=plan --split-input-file --verify-diagnostics
// RUN: tessera-opt %t/llvm.mlir --tessera-verify-stage=stage=llvm --split-input-file --verify-diagnostics
// RUN: tessera-opt %t/nvvm.mlir --tessera-verify-stage=stage=nvvm --split-input-file --verify-diagnostics

//--- layouts.mlir
dist.mesh @mesh <[tp = 2]>
// expected-error @below {{the passes to stage 'layouts' left 'func.func', which has layout [{?}, {tp}] with an open dimension}}
// expected-note @below {{where the input was a program of stage 'tessera', this is a defect of Tessera}}
func.func @an_open_dimension(%x: !tessera.mesh_tensor<2x3xf32, @mesh, [{?}, {tp}]>) {
  return
}

// -----

dist.mesh @mesh <[tp = 2]>
func.func @a_layout_that_its_mesh_does_not_have() {
  // expected-error @below {{left 'tessera.constant', which has layout [{tp}, {tp}]: axis 'tp' is used twice}}
  // expected-note @below {{docs/architecture.md}}
  %0 = tessera.constant dense<1.0> : tensor<2x3xf32> : !tessera.mesh_tensor<2x3xf32, @mesh, [{tp}, {tp}]>
  return
}

// -----

// expected-error @below {{left 'func.func', which is on mesh @mesh, which does not exist}}
// expected-note @below {{docs/architecture.md}}
func.func @no_mesh(%x: !tessera.mesh_tensor<2x3xf32, @mesh, [{}, {}]>) {
  return
}

//--- reshards.mlir
dist.mesh @mesh <[dp = 2, tp = 2]>
func.func @operands_that_disagree(%x: !tessera.mesh_tensor<2x3xf32, @mesh, [{tp}, {}]>, %y: !tessera.mesh_tensor<2x3xf32, @mesh, [{}, {}]>) {
  // expected-error @below {{the passes to stage 'reshards' left 'tessera.add', which has operand 1 splits factor 'd0' by {}, another tensor by {tp}}}
  // expected-note @below {{where the input was a program of stage 'layouts', this is a defect of Tessera}}
  %0 = tessera.add %x, %y : (!tessera.mesh_tensor<2x3xf32, @mesh, [{tp}, {}]>, !tessera.mesh_tensor<2x3xf32, @mesh, [{}, {}]>) -> !tessera.mesh_tensor<2x3xf32, @mesh, [{tp}, {}]>
  return
}

// -----

dist.mesh @mesh <[tp = 2]>
func.func @a_split_factor_that_must_be_whole(%x: !tessera.mesh_tensor<2x3xf32, @mesh, [{}, {tp}]>) {
  // expected-error @below {{left 'tessera.softmax', which has operand 0 splits factor 'd1' by {tp}, which must be whole}}
  // expected-note @below {{docs/architecture.md}}
  %0 = tessera.softmax %x dim 1 : !tessera.mesh_tensor<2x3xf32, @mesh, [{}, {tp}]> -> !tessera.mesh_tensor<2x3xf32, @mesh, [{}, {tp}]>
  return
}

// -----

dist.mesh @mesh <[tp = 2]>
func.func @a_reduced_dimension_that_leaves_nothing_partial(%x: !tessera.mesh_tensor<2x6xf32, @mesh, [{}, {tp}]>) {
  // expected-error @below {{left 'tessera.reduce', which has a result of layout [{}], but its operands and rule make [{}], partial = max{tp}}}
  // expected-note @below {{docs/architecture.md}}
  %0 = tessera.reduce max %x dims [1] : !tessera.mesh_tensor<2x6xf32, @mesh, [{}, {tp}]> -> !tessera.mesh_tensor<2xf32, @mesh, [{}]>
  return
}

// -----

dist.mesh @mesh <[tp = 2]>
func.func @terms_in_an_op_that_is_not_linear(%x: !tessera.mesh_tensor<2xf32, @mesh, [{}], partial = sum{tp}>) {
  // expected-error @below {{left 'tessera.exp', which has operand 0 of layout [{}], partial = sum{tp}, but is not linear in what is partial along tp}}
  // expected-note @below {{docs/architecture.md}}
  %0 = tessera.exp %x : !tessera.mesh_tensor<2xf32, @mesh, [{}], partial = sum{tp}>
  return
}

// -----

dist.mesh @mesh <[tp = 2]>
func.func @one_term_of_a_sum(%x: !tessera.mesh_tensor<2xf32, @mesh, [{}], partial = sum{tp}>, %y: !tessera.mesh_tensor<2xf32, @mesh, [{}]>) {
  // expected-error @below {{left 'tessera.add', which has operand 0 of layout [{}], partial = sum{tp}, but is not linear}}
  // expected-note @below {{docs/architecture.md}}
  %0 = tessera.add %x, %y : (!tessera.mesh_tensor<2xf32, @mesh, [{}], partial = sum{tp}>, !tessera.mesh_tensor<2xf32, @mesh, [{}]>) -> !tessera.mesh_tensor<2xf32, @mesh, [{}], partial = sum{tp}>
  return
}

// -----

dist.mesh @mesh <[tp = 2]>
func.func @a_split_dimension_without_a_factor(%x: !tessera.mesh_tensor<1x3xf32, @mesh, [{tp}, {}]>) {
  // expected-error @below {{left 'tessera.broadcast', which has operand 0 splits dimension 0, {tp}, which has no factor}}
  // expected-note @below {{docs/architecture.md}}
  %0 = tessera.broadcast %x dims [0, 1] : !tessera.mesh_tensor<1x3xf32, @mesh, [{tp}, {}]> -> !tessera.mesh_tensor<2x3xf32, @mesh, [{}, {}]>
  return
}

// -----

dist.mesh @mesh <[tp = 2]>
func.func @a_cut_across_factors(%x: !tessera.mesh_tensor<15xf32, @mesh, [{tp}]>) {
  // expected-error @below {{left 'tessera.reshape', which has operand 0 of layout [{tp}] is cut across the factors of}}
  // expected-note @below {{docs/architecture.md}}
  %0 = tessera.reshape %x : !tessera.mesh_tensor<15xf32, @mesh, [{tp}]> -> !tessera.mesh_tensor<3x5xf32, @mesh, [{tp}, {}]>
  return
}

// -----

dist.mesh @mesh <[tp = 2]>
func.func @a_constraint(%x: !tessera.mesh_tensor<2xf32, @mesh, [{tp}]>) {
  // expected-error @below {{left 'tessera.constrain', which is a constraint, to be resolved by reshards}}
  // expected-note @below {{docs/architecture.md}}
  %0 = tessera.constrain %x to <@mesh, [{tp}]> : !tessera.mesh_tensor<2xf32, @mesh, [{tp}]> -> !tessera.mesh_tensor<2xf32, @mesh, [{tp}]>
  return
}

//--- local.mlir
dist.mesh @mesh <[tp = 2]>
// expected-error @below {{the passes to stage 'local' left 'func.func', which has a mesh tensor, !tessera.mesh_tensor<2xf32, @mesh, [{}]>}}
// expected-note @below {{where the input was a program of stage 'reshards', this is a defect of Tessera}}
func.func @a_mesh_tensor(%x: !tessera.mesh_tensor<2xf32, @mesh, [{}]>) {
  return
}

// -----

dist.mesh @mesh <[tp = 2]>
// expected-error @below {{left 'func.func', which has argument 0 of type tensor<3x3xf32>, but tensor<5x3xf32> as [{}, {tp}] has parts of type tensor<5x2xf32>}}
// expected-note @below {{docs/architecture.md}}
func.func @a_part_of_another_shape(%x: tensor<3x3xf32> {dist.layout = #dist.layout<@mesh, [{}, {tp}]>, dist.global_type = tensor<5x3xf32>}) {
  return
}

// -----

dist.mesh @mesh <[tp = 2]>
// expected-error @below {{left 'func.func', which has dist.layout alone on result 0}}
// expected-note @below {{docs/architecture.md}}
func.func @half_a_boundary(%x: tensor<3xf32>) -> (tensor<3xf32> {dist.layout = #dist.layout<@mesh, [{}]>}) {
  return %x : tensor<3xf32>
}

// -----

// expected-error @below {{left 'func.func', which has argument 0 on mesh @mesh, which does not exist}}
// expected-note @below {{docs/architecture.md}}
func.func @no_mesh(%x: tensor<3xf32> {dist.layout = #dist.layout<@mesh, [{}]>, dist.global_type = tensor<3xf32>}) {
  return
}

// -----

dist.mesh @mesh <[tp = 2]>
// expected-error @below {{left 'func.func', which has a dist.global_type on argument 0, which is not a tensor of static shape}}
// expected-note @below {{docs/architecture.md}}
func.func @a_boundary_of_no_tensor(%x: tensor<3xf32> {dist.layout = #dist.layout<@mesh, [{}]>, dist.global_type = f32}) {
  return
}

// -----

dist.mesh @mesh <[tp = 2]>
// expected-error @below {{left 'func.func', which has argument 0 of layout [{dp}]: unknown axis 'dp'}}
// expected-note @below {{docs/architecture.md}}
func.func @a_boundary_of_another_mesh(%x: tensor<3xf32> {dist.layout = #dist.layout<@mesh, [{dp}]>, dist.global_type = tensor<3xf32>}) {
  return
}

// -----

func.func @an_op_of_another_dialect(%x: tensor<3xf32>) -> tensor<3xf32> {
  // expected-error @below {{left 'arith.addf', which does not belong to the dialects tessera, dist and func}}
  // expected-note @below {{docs/architecture.md}}
  %0 = arith.addf %x, %x : tensor<3xf32>
  return %0 : tensor<3xf32>
}

//--- kernels.mlir
func.func @computation_on_the_host(%x: tensor<3xf32>) -> tensor<3xf32> {
  // expected-error @below {{the passes to stage 'kernels' left 'tessera.neg', which computes outside of a kernel}}
  // expected-note @below {{where the input was a program of stage 'local', this is a defect of Tessera}}
  %0 = tessera.neg %x : tensor<3xf32>
  return %0 : tensor<3xf32>
}

//--- plan.mlir
// expected-error @below {{the passes to stage 'plan' left 'func.func', which does not belong to a plan}}
// expected-note @below {{where the input was a program of stage 'kernels', this is a defect of Tessera}}
func.func @a_function() {
  return
}

// -----

// expected-error @below {{left 'plan.program', which has no size of its arena}}
// expected-note @below {{docs/architecture.md}}
plan.program @main on @mesh {
}

// -----

// expected-error @below {{left 'plan.program', which has a piece of the arena without an offset}}
// expected-note @below {{docs/architecture.md}}
plan.program @main on @mesh arena 64 {
  %0 = plan.allocate -> !plan.buffer<24>
}

// -----

// expected-error @below {{left 'plan.program', which has a piece that ends at byte 88 of an arena of 64}}
// expected-note @below {{docs/architecture.md}}
plan.program @main on @mesh arena 64 {
  %0 = plan.allocate at 64 -> !plan.buffer<24>
}

// -----

// expected-error @below {{left 'plan.program', which has an arena of 192 bytes, of which 128 are used; plan-assign-memory sets its size}}
// expected-note @below {{docs/architecture.md}}
plan.program @main on @mesh arena 192 {
  %0 = plan.allocate at 64 -> !plan.buffer<24>
}

// -----

dist.mesh @mesh <[pp = 2]>
// expected-error @below {{left 'plan.program', which has a stage @second without a size of its arena, or with one that is larger than the program's}}
// expected-note @below {{docs/architecture.md}}
plan.program @main on @mesh arena 64 {
  plan.stage @first where {pp = 0} arena 64 {
    %0 = plan.allocate at 0 -> !plan.buffer<24>
  }
  plan.stage @second where {pp = 1} {
  }
}

// -----

dist.mesh @mesh <[pp = 2]>
// expected-error @below {{left 'plan.program', which has a piece that ends at byte 88 of an arena of 64}}
// expected-note @below {{docs/architecture.md}}
plan.program @main on @mesh arena 128 {
  plan.stage @first where {pp = 0} arena 128 {
    %0 = plan.allocate at 64 -> !plan.buffer<24>
  }
  plan.stage @second where {pp = 1} arena 64 {
    %0 = plan.allocate at 64 -> !plan.buffer<24>
  }
}

// -----

// expected-error @below {{left 'plan.program', which has two pieces in use at one time at bytes 0 to 24 and 0 to 24}}
// expected-note @below {{docs/architecture.md}}
plan.program @main on @mesh arena 64 {
  %0 = plan.allocate at 0 -> !plan.buffer<24>
  %1 = plan.allocate at 0 -> !plan.buffer<24>
  plan.fill %0 with 1.0 : f32 : !plan.buffer<24>
  plan.copy %0 to %1 : !plan.buffer<24>, !plan.buffer<24>
}

// -----

plan.program @main on @mesh arena 64 {
  %0 = plan.allocate at 0 -> !plan.buffer<24>
  // expected-error @below {{left 'plan.launch', which launches @k, which does not exist}}
  // expected-note @below {{docs/architecture.md}}
  plan.launch @k grid [2] () to (%0) : () -> !plan.buffer<24>
}

// -----

tile.kernel @k grid [3] inputs 0 {
^bb0(%y: memref<6xf32>):
}
plan.program @main on @mesh arena 64 {
  %0 = plan.allocate at 0 -> !plan.buffer<24>
  // expected-error @below {{left 'plan.launch', which launches a grid that differs from that of @k}}
  // expected-note @below {{docs/architecture.md}}
  plan.launch @k grid [2] () to (%0) : () -> !plan.buffer<24>
}

// -----

tile.kernel @k grid [2] inputs 1 {
^bb0(%x: memref<6xf32>, %y: memref<6xf32>):
}
plan.program @main on @mesh arena 64 {
  %0 = plan.allocate at 0 -> !plan.buffer<24>
  // expected-error @below {{left 'plan.launch', which has operands that differ from those of @k}}
  // expected-note @below {{docs/architecture.md}}
  plan.launch @k grid [2] () to (%0) : () -> !plan.buffer<24>
}

// -----

tile.kernel @k grid [2] inputs 0 {
^bb0(%y: memref<5xf32>):
}
plan.program @main on @mesh arena 64 {
  %0 = plan.allocate at 0 -> !plan.buffer<24>
  // expected-error @below {{left 'plan.launch', which gives argument 0 of @k, 20 bytes, a buffer of 24}}
  // expected-note @below {{docs/architecture.md}}
  plan.launch @k grid [2] () to (%0) : () -> !plan.buffer<24>
}

//--- llvm.mlir
// expected-error @below {{the passes to stage 'llvm' left 'func.func', which does not belong to the LLVM dialect}}
// expected-note @below {{where the input was a program of stage 'kernels', this is a defect of Tessera}}
func.func @a_function() {
  return
}

//--- nvvm.mlir
gpu.module @kernels {
  // expected-error @below {{the passes to stage 'nvvm' left 'gpu.func', which does not belong to the dialects llvm and nvvm in a gpu.module}}
  // expected-note @below {{where the input was a program of stage 'kernels', this is a defect of Tessera}}
  gpu.func @k() kernel {
    gpu.return
  }
}
