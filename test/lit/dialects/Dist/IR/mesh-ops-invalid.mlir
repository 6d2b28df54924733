// RUN: tessera-opt %s --split-input-file --verify-diagnostics

// expected-error @below {{mesh axis 'tp' has size 0; expected at least 1}}
dist.mesh @mesh <[tp = 0]>

// -----

// expected-error @below {{mesh axis 'tp' is named twice}}
dist.mesh @mesh <[tp = 2, dp = 3, tp = 2]>

// -----

// expected-error @below {{mesh has more than 1073741824 devices; shrink axis 'dp'}}
dist.mesh @mesh <[tp = 2, dp = 536870913]>

// -----

dist.mesh @as_many_as_there_may_be <[tp = 2, dp = 536870912]>

// -----

// expected-error @below {{mesh has more than 1073741824 devices; shrink axis 'tp'}}
dist.mesh @mesh <[tp = 4294967296, dp = 4294967296]>

// -----

// expected-error @below {{unknown link class 'usb'; expected shm, nvlink, pcie or ib}}
dist.mesh @mesh <[tp = 2 : usb]>

// -----

func.func @index_on_a_mesh_that_does_not_exist() {
  // expected-error @below {{'dist.axis_index' op refers to mesh @mesh, which does not exist}}
  // expected-note @below {{declare a mesh in the module}}
  %0 = dist.axis_index @mesh {tp} : tensor<i32>
  return
}

// -----

// expected-note @below {{the mesh is declared here}}
dist.mesh @mesh <[tp = 2]>
func.func @extent_along_an_unknown_axis() {
  // expected-error @below {{unknown axis 'dp'; mesh 'mesh' has axes: 'tp'}}
  %0 = dist.valid_extent @mesh {dp} of 7 : tensor<i32>
  return
}

// -----

dist.mesh @mesh <[tp = 2]>
func.func @offset_in_a_negative_size() {
  // expected-error @below {{expects a size of 0 or more, got -7}}
  %0 = dist.local_offset @mesh {tp} of -7 : tensor<i32>
  return
}
