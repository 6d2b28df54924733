// RUN: tessera-opt %s --convert-host-to-plan | FileCheck %s

dist.mesh @mesh <[tp = 2]>

// Values live until they are printed, and effects stay where they are.
// CHECK-LABEL: plan.program @main
func.func @main(%x: tensor<2x3xf32> {dist.layout = #dist.layout<@mesh, [{}, {}]>, dist.global_type = tensor<2x3xf32>},
                %p: tensor<i1> {dist.layout = #dist.layout<@mesh, []>, dist.global_type = tensor<i1>})
    -> (tensor<2x3xf32> {dist.layout = #dist.layout<@mesh, [{}, {}]>, dist.global_type = tensor<2x3xf32>}) {
  // CHECK: %[[X:.*]] = plan.input "arg0"
  // CHECK: %[[P:.*]] = plan.input "arg1"
  // CHECK: %[[Y:.*]] = plan.output "result0"
  // CHECK-NEXT: plan.print "x is {{[{]}}}" (%[[X]]) ordered of [tensor<2x3xf32>] : !plan.buffer<24>
  tessera.debug_print "x is {}" (%x) ordered : tensor<2x3xf32>
  // CHECK-NEXT: plan.collective all_reduce %[[X]] to %[[Y]]
  %y = dist.all_reduce sum %x over @mesh {tp} : tensor<2x3xf32>
  // CHECK-NEXT: plan.check %[[P]] "x was {{[{]}}}, y is {{[{]}}}" (%[[X]], %[[Y]]) of [tensor<i1>, tensor<2x3xf32>, tensor<2x3xf32>]
  tessera.debug_check %p "x was {}, y is {}" (%x, %y) : tensor<i1>, (tensor<2x3xf32>, tensor<2x3xf32>)
  // CHECK-NEXT: plan.loop 3
  // CHECK-SAME: {
  tessera.scan () over () length 3 : () over () -> () {
  ^bb0(%i: tensor<i32>):
    // CHECK-NEXT: plan.print "again" () of []
    tessera.debug_print "again" ()
    tessera.yield
  }
  return %y : tensor<2x3xf32>
}
