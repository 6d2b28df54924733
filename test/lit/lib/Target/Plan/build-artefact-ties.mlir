// An update of a donated argument takes no second buffer, and gives what it
// gives without the donation.
// RUN: tessera-compile %s -o %t.tied.tsa
// RUN: sed 's/, tessera.tied = 0 : i64//' %s | tessera-compile - -o %t.apart.tsa
// RUN: tessera-compile %s --target=emulated -o %t.emulated.tsa
// RUN: tessera-run %t.tied.tsa --info | FileCheck %s
// RUN: tessera-run %t.tied.tsa --seed=3 --print | grep 'put [01]:' > %t.tied.txt
// RUN: tessera-run %t.apart.tsa --seed=3 --print | grep 'put [01]:' > %t.apart.txt
// RUN: tessera-run %t.emulated.tsa --seed=3 --print | grep 'put [01]:' > %t.emulated.txt
// RUN: diff %t.tied.txt %t.apart.txt
// RUN: diff %t.tied.txt %t.emulated.txt

// CHECK: arena 0 bytes a device
// CHECK: input 0 'p': 6x5xf32 [{tp}, {}], local 3x5xf32, donated
// CHECK: input 1 'g': 6x5xf32 [{tp}, {}], local 3x5xf32
// CHECK: output 0 'result0': 6x5xf32 [{tp}, {}], local 3x5xf32, in the memory of input 0

dist.mesh @mesh <[tp = 2]>

func.func @main(%p: !tessera.mesh_tensor<6x5xf32, @mesh, [{tp}, {}]> {tessera.name = "p", tessera.tied = 0 : i64},
                %g: !tessera.mesh_tensor<6x5xf32, @mesh, [{tp}, {}]> {tessera.name = "g"})
    -> !tessera.mesh_tensor<6x5xf32, @mesh, [{tp}, {}]> {
  %lr = tessera.constant dense<0.25> : tensor<6x5xf32> : !tessera.mesh_tensor<6x5xf32, @mesh, [{tp}, {}]>
  %0 = tessera.mul %lr, %g : !tessera.mesh_tensor<6x5xf32, @mesh, [{tp}, {}]>
  %1 = tessera.sub %p, %0 : !tessera.mesh_tensor<6x5xf32, @mesh, [{tp}, {}]>
  return %1 : !tessera.mesh_tensor<6x5xf32, @mesh, [{tp}, {}]>
}
