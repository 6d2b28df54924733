// RUN: tessera-compile %s -o %t.tsa
// RUN: tessera-run %t.tsa --info | FileCheck %s
// The same program on one device has the same integers.
// RUN: sed 's/dp = 2, tp = 2/dp = 1, tp = 1/' %s | tessera-compile - -o %t.one.tsa
// RUN: tessera-run %t.tsa --seed=3 --print | grep 'put [01]:' > %t.four.txt
// RUN: tessera-run %t.one.tsa --seed=3 --print | grep 'put [01]:' > %t.one.txt
// RUN: diff %t.four.txt %t.one.txt
// RUN: grep -c output %t.one.txt | FileCheck %s --check-prefix=COUNT
// COUNT: 2

// A whole tensor is described beside the part that a device holds; 5 rows on two
// devices are 3 and 2.
// CHECK: target cpu, compiler tessera-{{[0-9a-f]+}}-llvm-{{.*}}, mesh dp=2 tp=2
// CHECK-NEXT: collectives
// CHECK-NEXT: input 0 'x': 5x6xi32 [{dp}, {tp}], local 3x3xi32
// CHECK-NEXT: input 1 'w': 6x7xi32 [{tp}, {}], local 3x7xi32
// CHECK-NEXT: output 0 'result0': 5x7xi32 [{dp}, {}], local 3x7xi32
// CHECK-NEXT: output 1 'result1': 7xi32 [{}], local 7xi32
// CHECK: main_{{.*}} 1

dist.mesh @mesh <[dp = 2, tp = 2]>

func.func @main(%x: !tessera.mesh_tensor<5x6xi32, @mesh, [{dp}, {tp}]> {tessera.name = "x"},
                %w: !tessera.mesh_tensor<6x7xi32, @mesh, [{tp}, {}]> {tessera.name = "w"})
    -> (!tessera.mesh_tensor<5x7xi32, @mesh, [{dp}, {}]>, !tessera.mesh_tensor<7xi32, @mesh, [{}]>) {
  %0 = tessera.contract %x, %w "mk,kn->mn" : !tessera.mesh_tensor<5x6xi32, @mesh, [{dp}, {tp}]>, !tessera.mesh_tensor<6x7xi32, @mesh, [{tp}, {}]> -> !tessera.mesh_tensor<5x7xi32, @mesh, [{dp}, {}]>
  %1 = tessera.reduce sum %0 dims [0] : !tessera.mesh_tensor<5x7xi32, @mesh, [{dp}, {}]> -> !tessera.mesh_tensor<7xi32, @mesh, [{}]>
  return %0, %1 : !tessera.mesh_tensor<5x7xi32, @mesh, [{dp}, {}]>, !tessera.mesh_tensor<7xi32, @mesh, [{}]>
}
