// A scan computes what the unrolled program computes, on both targets, and its
// artefact is as large for any number of iterations.
// RUN: rm -rf %t && split-file %s %t
// RUN: tessera-compile %t/scan.mlir -o %t/scan.tsa
// RUN: tessera-compile %t/unrolled.mlir -o %t/unrolled.tsa
// RUN: tessera-compile %t/scan.mlir --target=emulated -o %t/emulated.tsa
// RUN: tessera-run %t/scan.tsa --seed=3 --print | grep 'put [0-9]:' > %t/scan.txt
// RUN: tessera-run %t/unrolled.tsa --seed=3 --print | grep 'put [0-9]:' > %t/unrolled.txt
// RUN: tessera-run %t/emulated.tsa --seed=3 --print | grep 'put [0-9]:' > %t/emulated.txt
// RUN: diff %t/scan.txt %t/unrolled.txt
// RUN: diff %t/scan.txt %t/emulated.txt
// RUN: FileCheck %s < %t/scan.txt
// RUN: tessera-run %t/scan.tsa --profile | FileCheck %s --check-prefix=TIMES
// RUN: sed 's/<3x/<96x/g; s/length 3/length 96/' %t/scan.mlir | tessera-compile - -o %t/long.tsa
// RUN: wc -c < %t/scan.tsa > %t/scan.size
// RUN: wc -c < %t/long.tsa > %t/long.size
// RUN: diff %t/scan.size %t/long.size

// CHECK: output 0:
// CHECK: output 1:
// TIMES: 1 times  step {{[0-9]+}} (loop of 3 iterations)
// TIMES: 3 times  step {{[0-9]+}}.{{[0-9]+}} (launch of
// TIMES: 3 times  step {{[0-9]+}}.{{[0-9]+}} (all_reduce

//--- scan.mlir
dist.mesh @mesh <[tp = 2]>
func.func @main(%x: tensor<4x5xi32> {dist.layout = #dist.layout<@mesh, [{}, {tp}]>, dist.global_type = tensor<4x10xi32>},
                %w: tensor<3x4x5xi32> {dist.layout = #dist.layout<@mesh, [{}, {}, {tp}]>, dist.global_type = tensor<3x4x10xi32>})
    -> (tensor<4x5xi32> {dist.layout = #dist.layout<@mesh, [{}, {tp}]>, dist.global_type = tensor<4x10xi32>},
        tensor<3x4xi32> {dist.layout = #dist.layout<@mesh, [{}, {}]>, dist.global_type = tensor<3x4xi32>}) {
  %y, %sums = tessera.scan (%x) over (%w) length 3 reverse : (tensor<4x5xi32>) over (tensor<3x4x5xi32>) -> (tensor<4x5xi32>, tensor<3x4xi32>) {
  ^bb0(%i: tensor<i32>, %v: tensor<4x5xi32>, %wi: tensor<4x5xi32>):
    %0 = tessera.mul %v, %wi : tensor<4x5xi32>
    %1 = tessera.add %0, %v : tensor<4x5xi32>
    %2 = tessera.reduce sum %1 dims [1] : tensor<4x5xi32> -> tensor<4xi32>
    %3 = dist.all_reduce sum %2 over @mesh {tp} : tensor<4xi32>
    tessera.yield %1, %3 : tensor<4x5xi32>, tensor<4xi32>
  }
  return %y, %sums : tensor<4x5xi32>, tensor<3x4xi32>
}

//--- unrolled.mlir
dist.mesh @mesh <[tp = 2]>
func.func @main(%x: tensor<4x5xi32> {dist.layout = #dist.layout<@mesh, [{}, {tp}]>, dist.global_type = tensor<4x10xi32>},
                %w: tensor<3x4x5xi32> {dist.layout = #dist.layout<@mesh, [{}, {}, {tp}]>, dist.global_type = tensor<3x4x10xi32>})
    -> (tensor<4x5xi32> {dist.layout = #dist.layout<@mesh, [{}, {tp}]>, dist.global_type = tensor<4x10xi32>},
        tensor<3x4xi32> {dist.layout = #dist.layout<@mesh, [{}, {}]>, dist.global_type = tensor<3x4xi32>}) {
  %w2 = tessera.slice %w [2, 0, 0] to [3, 4, 5] by [1, 1, 1] : tensor<3x4x5xi32> -> tensor<1x4x5xi32>
  %w1 = tessera.slice %w [1, 0, 0] to [2, 4, 5] by [1, 1, 1] : tensor<3x4x5xi32> -> tensor<1x4x5xi32>
  %w0 = tessera.slice %w [0, 0, 0] to [1, 4, 5] by [1, 1, 1] : tensor<3x4x5xi32> -> tensor<1x4x5xi32>
  %a2 = tessera.reshape %w2 : tensor<1x4x5xi32> -> tensor<4x5xi32>
  %a1 = tessera.reshape %w1 : tensor<1x4x5xi32> -> tensor<4x5xi32>
  %a0 = tessera.reshape %w0 : tensor<1x4x5xi32> -> tensor<4x5xi32>
  %m2 = tessera.mul %x, %a2 : tensor<4x5xi32>
  %v2 = tessera.add %m2, %x : tensor<4x5xi32>
  %m1 = tessera.mul %v2, %a1 : tensor<4x5xi32>
  %v1 = tessera.add %m1, %v2 : tensor<4x5xi32>
  %m0 = tessera.mul %v1, %a0 : tensor<4x5xi32>
  %v0 = tessera.add %m0, %v1 : tensor<4x5xi32>
  %s2 = tessera.reduce sum %v2 dims [1] : tensor<4x5xi32> -> tensor<4xi32>
  %s1 = tessera.reduce sum %v1 dims [1] : tensor<4x5xi32> -> tensor<4xi32>
  %s0 = tessera.reduce sum %v0 dims [1] : tensor<4x5xi32> -> tensor<4xi32>
  %r2 = dist.all_reduce sum %s2 over @mesh {tp} : tensor<4xi32>
  %r1 = dist.all_reduce sum %s1 over @mesh {tp} : tensor<4xi32>
  %r0 = dist.all_reduce sum %s0 over @mesh {tp} : tensor<4xi32>
  %t0 = tessera.reshape %r0 : tensor<4xi32> -> tensor<1x4xi32>
  %t1 = tessera.reshape %r1 : tensor<4xi32> -> tensor<1x4xi32>
  %t2 = tessera.reshape %r2 : tensor<4xi32> -> tensor<1x4xi32>
  %sums = tessera.concatenate %t0, %t1, %t2 dim 0 : (tensor<1x4xi32>, tensor<1x4xi32>, tensor<1x4xi32>) -> tensor<3x4xi32>
  return %v0, %sums : tensor<4x5xi32>, tensor<3x4xi32>
}
