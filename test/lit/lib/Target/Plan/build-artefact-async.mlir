// Collectives that are waited for compute what those that block compute.
// RUN: tessera-compile %S/build-artefact.mlir --emit=plan -o %t.mlir
// RUN: sed -e 's/ over {\([a-z]*\)} {/ over {\1} {stream = 1 : i32, token = 4 : i32, /' -e '/plan.collective/a plan.await 4' %t.mlir > %t.async.mlir
// RUN: FileCheck %s < %t.async.mlir
// RUN: tessera-compile %t.mlir -o %t.tsa
// RUN: tessera-compile %t.async.mlir -o %t.async.tsa
// RUN: tessera-run %t.tsa --seed=3 --print | grep 'put [01]:' > %t.txt
// RUN: tessera-run %t.async.tsa --seed=3 --print | grep 'put [01]:' > %t.async.txt
// RUN: diff %t.txt %t.async.txt
// RUN: tessera-run %t.async.tsa --profile | FileCheck %s --check-prefix=STEPS

// CHECK: plan.collective all_reduce {{.*}}stream = 1 : i32, token = 4 : i32
// CHECK-NEXT: plan.await 4
// STEPS: (all_reduce
// STEPS: (await)
