// RUN: tessera-opt %s --convert-host-to-plan --split-input-file --verify-diagnostics

// expected-error @below {{has no function @main with a body}}
module {
  // expected-note @below {{there is a function @other}}
  func.func @other() {
    return
  }
}

// -----

// expected-error @below {{argument 0 has no dist.layout and dist.global_type}}
// expected-note @below {{tessera-partition adds them}}
func.func @main(%x: tensor<2x3xf32>) {
  return
}

// -----

dist.mesh @mesh <[tp = 2]>
// expected-error @below {{result 0 is partial ([{}], partial = sum{tp}); the arguments and results of a program are whole tensors or parts of them}}
func.func @main(%x: tensor<2xf32> {dist.layout = #dist.layout<@mesh, [{}]>, dist.global_type = tensor<2xf32>})
    -> (tensor<2xf32> {dist.layout = #dist.layout<@mesh, [{}], partial = sum{tp}>, dist.global_type = tensor<2xf32>}) {
  return %x : tensor<2xf32>
}

// -----

dist.mesh @mesh <[tp = 2]>
// expected-error @below {{result 0 varies by device ([{}], varying = {tp}); the arguments and results of a program are whole tensors or parts of them: give it a dimension that is split along the varying axes}}
func.func @main(%x: tensor<2xf32> {dist.layout = #dist.layout<@mesh, [{}]>, dist.global_type = tensor<2xf32>})
    -> (tensor<2xf32> {dist.layout = #dist.layout<@mesh, [{}], varying = {tp}>, dist.global_type = tensor<2xf32>}) {
  return %x : tensor<2xf32>
}

// -----

dist.mesh @mesh <[tp = 2]>
// expected-error @below {{argument 0 is partial}}
func.func @main(%x: tensor<2xf32> {dist.layout = #dist.layout<@mesh, [{}], partial = sum{tp}>, dist.global_type = tensor<2xf32>}) {
  return
}

// -----

dist.mesh @mesh <[tp = 2]>
func.func @main(%x: tensor<2xf32> {dist.layout = #dist.layout<@mesh, [{}]>, dist.global_type = tensor<2xf32>}) {
  // expected-error @below {{is not part of stage 'kernels'}}
  // expected-note @below {{run convert-tessera-to-tile first}}
  %0 = tessera.neg %x : tensor<2xf32>
  return
}

// -----

// expected-error @below {{@main does not say which mesh it runs on}}
// expected-note @below {{declare the devices in the module, such as: dist.mesh @mesh <[tp = 1]>}}
func.func @main() {
  return
}
