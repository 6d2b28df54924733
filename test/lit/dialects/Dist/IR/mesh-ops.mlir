// RUN: tessera-opt %s | tessera-opt | FileCheck %s

// CHECK: dist.mesh @links <[a = 2 : ib, b = 3 : nvlink, c = 5 : pcie, d = 1]>
dist.mesh @links <[a = 2 : ib, b = 3 : nvlink, c = 5 : pcie, d = 1 : shm]>

// CHECK: dist.mesh @single <[]>
dist.mesh @single <[]>

// CHECK-LABEL: @a_device_knows_its_place
func.func @a_device_knows_its_place() {
  // CHECK: dist.axis_index @links {a, b} : tensor<i32>
  %0 = dist.axis_index @links {a, b} : tensor<i32>
  // CHECK: dist.axis_index @single {} : tensor<i32>
  %1 = dist.axis_index @single {} : tensor<i32>
  // CHECK: dist.valid_extent @links {b} of 7 : tensor<i32>
  %2 = dist.valid_extent @links {b} of 7 : tensor<i32>
  // CHECK: dist.local_offset @links {b} of 7 : tensor<i32>
  %3 = dist.local_offset @links {b} of 7 : tensor<i32>
  return
}
