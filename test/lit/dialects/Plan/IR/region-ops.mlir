// RUN: tessera-opt %s | tessera-opt | FileCheck %s
// RUN: tessera-opt %s --mlir-print-op-generic | tessera-opt | FileCheck %s

dist.mesh @mesh <[tp = 2]>

// CHECK-LABEL: plan.program @loops
plan.program @loops on @mesh {
  %x = plan.allocate -> !plan.buffer<8>
  %y = plan.allocate -> !plan.buffer<8>
  %xs = plan.allocate -> !plan.buffer<40>
  %i = plan.allocate -> !plan.buffer<4>
  // CHECK: plan.loop 5 reverse index %{{.*}} : !plan.buffer<4> over(%{{.*}} : !plan.buffer<40>) carry(%{{.*}} : !plan.buffer<8>) to(%{{.*}} : !plan.buffer<8>) {
  // CHECK-NEXT: ^bb0(%[[W:.*]]: !plan.buffer<8>):
  plan.loop 5 reverse index %i : !plan.buffer<4> over (%xs : !plan.buffer<40>) carry (%x : !plan.buffer<8>) to (%y : !plan.buffer<8>) {
  ^bb0(%entry: !plan.buffer<8>):
    // CHECK-NEXT: plan.copy %[[W]]
    plan.copy %entry to %y : !plan.buffer<8>, !plan.buffer<8>
  }
  // CHECK: plan.loop 0 over() carry() to() {
  // CHECK-NEXT: }
  plan.loop 0 over () carry () to () {
  }
}

// CHECK-LABEL: plan.program @conditions
plan.program @conditions on @mesh {
  %p = plan.allocate -> !plan.buffer<1>
  %n = plan.allocate -> !plan.buffer<4>
  %x = plan.allocate -> !plan.buffer<8>
  %y = plan.allocate -> !plan.buffer<8>
  // CHECK: plan.while %{{.*}} : <1> carry(%{{.*}} : !plan.buffer<8>) to(%{{.*}} : !plan.buffer<8>) {
  plan.while %p : !plan.buffer<1> carry (%x : !plan.buffer<8>) to (%y : !plan.buffer<8>) {
    // CHECK-NEXT: plan.fill
    plan.fill %p with 0 : i8 : !plan.buffer<1>
  // CHECK-NEXT: } do {
  } do {
    plan.copy %x to %y : !plan.buffer<8>, !plan.buffer<8>
  }
  // CHECK: plan.if %{{.*}} : <4> {
  plan.if %n : !plan.buffer<4> {
    plan.copy %x to %y : !plan.buffer<8>, !plan.buffer<8>
  // CHECK: }, {
  }, {
  // CHECK-NEXT: }, {
  }, {
  }
}

// CHECK-LABEL: plan.program @results_in_arguments
plan.program @results_in_arguments on @mesh {
  // CHECK: plan.input "p" donated : tensor<4xf32> as tensor<2xf32> layout <@mesh, [{tp}]> -> <8>
  %p = plan.input "p" donated : tensor<4xf32> as tensor<2xf32> layout <@mesh, [{tp}]> -> !plan.buffer<8>
  // CHECK: plan.tied_output "q" : tensor<4xf32> as tensor<2xf32> layout <@mesh, [{tp}]> in %{{.*}} : <8>
  plan.tied_output "q" : tensor<4xf32> as tensor<2xf32> layout <@mesh, [{tp}]> in %p : !plan.buffer<8>
}
