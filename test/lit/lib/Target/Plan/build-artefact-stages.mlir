// Stages become programs of one artefact, on all devices alike and as large for
// any number of them.
// RUN: tessera-opt %s --pass-pipeline='builtin.module(plan.program(plan-assign-memory))' -o %t.mlir
// RUN: tessera-compile %t.mlir -o %t.tsa
// RUN: tessera-compile %t.mlir --target=emulated -o %t.emulated.tsa
// RUN: tessera-run %t.tsa --seed=3 --print | grep 'put [0-9]:' > %t.txt
// RUN: tessera-run %t.emulated.tsa --seed=3 --print | grep 'put [0-9]:' > %t.emulated.txt
// RUN: diff %t.txt %t.emulated.txt
// RUN: FileCheck %s --check-prefix=SAME < %t.txt
// RUN: tessera-run %t.tsa --device=null
// RUN: tessera-run %t.tsa --info | FileCheck %s --check-prefix=INFO
// RUN: tessera-run %t.tsa --profile | FileCheck %s --check-prefix=TIMES
// RUN: sed 's/tp = 2/tp = 64/' %t.mlir | tessera-compile - -o %t.many.tsa
// RUN: wc -c < %t.tsa > %t.size
// RUN: wc -c < %t.many.tsa > %t.many.size
// RUN: diff %t.size %t.many.size
// RUN: tessera-run %t.many.tsa --seed=3 --print | grep 'put [0-9]:' | diff - %t.txt

// The second stage adds one to what the first one has made of x: twice it.
// SAME: input 0: {{\[+}}[[#X:]],
// SAME: output 0: {{\[+}}[[#add(X, add(X, 1))]],
// INFO: mesh pp=2 tp=2
// INFO-NEXT: 8 steps, 2 launches, 4 collectives, arena 64 bytes a device
// TIMES-DAG: 1 times  step 0 of program 'first' (launch of 'twice')
// TIMES-DAG: 1 times  step 1 of program 'first' (all_reduce
// TIMES-DAG: 1 times  step 2 of program 'second' (launch of 'plus_one')

dist.mesh @mesh <[pp = 2, tp = 2]>

tile.kernel @twice grid [1] inputs 1 {
^bb0(%x: memref<2x4xi32>, %y: memref<2x4xi32>):
  %c0 = arith.constant 0 : index
  %0 = tile.load %x[%c0, %c0] : memref<2x4xi32> -> tensor<2x4xi32>
  %1 = arith.addi %0, %0 : tensor<2x4xi32>
  tile.store %1, %y[%c0, %c0] : tensor<2x4xi32>, memref<2x4xi32>
}

tile.kernel @plus_one grid [1] inputs 1 {
^bb0(%x: memref<2x4xi32>, %y: memref<2x4xi32>):
  %c0 = arith.constant 0 : index
  %one = arith.constant dense<1> : tensor<2x4xi32>
  %0 = tile.load %x[%c0, %c0] : memref<2x4xi32> -> tensor<2x4xi32>
  %1 = arith.addi %0, %one : tensor<2x4xi32>
  tile.store %1, %y[%c0, %c0] : tensor<2x4xi32>, memref<2x4xi32>
}

// Devices send along pp by a sum to which the receivers add zeros.
plan.program @main on @mesh {
  %x = plan.input "x" : tensor<2x4xi32> as tensor<2x4xi32> layout <@mesh, [{}, {}]> -> !plan.buffer<32>
  %y = plan.output "y" : tensor<2x4xi32> as tensor<2x4xi32> layout <@mesh, [{}, {}]> -> !plan.buffer<32>
  plan.stage @first where {pp = 0} {
    %0 = plan.allocate -> !plan.buffer<32>
    %1 = plan.allocate -> !plan.buffer<32>
    plan.launch @twice grid [1] (%x) to (%0) : (!plan.buffer<32>) -> !plan.buffer<32>
    plan.collective all_reduce %0 to %0 over {pp} {reduction = #dist<reduction sum>} : tensor<2x4xi32> -> tensor<2x4xi32>, !plan.buffer<32>, !plan.buffer<32>
    plan.fill %1 with 0 : i32 : !plan.buffer<32>
    plan.collective all_reduce %1 to %y over {pp} {reduction = #dist<reduction sum>} : tensor<2x4xi32> -> tensor<2x4xi32>, !plan.buffer<32>, !plan.buffer<32>
  }
  plan.stage @second where {pp = 1} {
    %0 = plan.allocate -> !plan.buffer<32>
    plan.fill %0 with 0 : i32 : !plan.buffer<32>
    plan.collective all_reduce %0 to %0 over {pp} {reduction = #dist<reduction sum>} : tensor<2x4xi32> -> tensor<2x4xi32>, !plan.buffer<32>, !plan.buffer<32>
    plan.launch @plus_one grid [1] (%0) to (%y) : (!plan.buffer<32>) -> !plan.buffer<32>
    plan.collective all_reduce %y to %y over {pp} {reduction = #dist<reduction sum>} : tensor<2x4xi32> -> tensor<2x4xi32>, !plan.buffer<32>, !plan.buffer<32>
  }
}
