// RUN: tessera-opt %s --tessera-choose-expansions --split-input-file | FileCheck %s
// RUN: tessera-opt %s --tessera-tessera-to-layouts --tessera-layouts-to-reshards --tessera-reshards-to-local --split-input-file | FileCheck %s --check-prefix=LOCAL
// RUN: tessera-opt %s --split-input-file '--tessera-check-equivalence=pipeline=tessera-tessera-to-layouts,tessera-layouts-to-reshards,tessera-reshards-to-local runs=2' -o /dev/null

dist.mesh @mesh <[tp = 4]>

// Rows of partial maxima and sums are reduced instead of all elements gathered.
// CHECK-LABEL: @softmax_over_a_split_dimension_is_computed_by_parts
// CHECK-NOT: tessera.softmax
// CHECK: tessera.reduce max
// CHECK: tessera.reduce sum
// LOCAL-LABEL: @softmax_over_a_split_dimension_is_computed_by_parts
// LOCAL-NOT: dist.all_gather
// LOCAL: dist.all_reduce max {{.*}}tessera.softmax is computed by parts, ~{{[0-9.]+}} us instead of ~{{[0-9.]+}} us{{.*}} : tensor<16xf32>
// LOCAL: dist.all_reduce sum {{.*}} : tensor<16xf32>
// LOCAL-NOT: dist.all_gather
func.func @softmax_over_a_split_dimension_is_computed_by_parts(
    %x: !tessera.mesh_tensor<16x8192xf32, @mesh, [{}, {tp}]>) -> !tessera.mesh_tensor<16x8192xf32, @mesh, [{?}, {?}]> {
  %0 = tessera.softmax %x dim 1 : !tessera.mesh_tensor<16x8192xf32, @mesh, [{}, {tp}]> -> !tessera.mesh_tensor<16x8192xf32, @mesh, [{?}, {?}]>
  return %0 : !tessera.mesh_tensor<16x8192xf32, @mesh, [{?}, {?}]>
}

// -----

dist.mesh @mesh <[tp = 4]>

// Two messages would take longer than gathering few elements.
// CHECK-LABEL: @a_small_softmax_is_gathered
// CHECK: tessera.softmax
// LOCAL-LABEL: @a_small_softmax_is_gathered
// LOCAL: dist.all_gather
func.func @a_small_softmax_is_gathered(
    %x: !tessera.mesh_tensor<2x8xf32, @mesh, [{}, {tp}]>) -> !tessera.mesh_tensor<2x8xf32, @mesh, [{}, {}]> {
  %0 = tessera.softmax %x dim 1 : !tessera.mesh_tensor<2x8xf32, @mesh, [{}, {tp}]> -> !tessera.mesh_tensor<2x8xf32, @mesh, [{}, {}]>
  return %0 : !tessera.mesh_tensor<2x8xf32, @mesh, [{}, {}]>
}

// -----

dist.mesh @mesh <[tp = 4]>

// As for any reduction of so few elements.
// CHECK-LABEL: @nothing_is_gathered_for_one_value_a_row
// CHECK-NOT: tessera.logsumexp
// LOCAL-LABEL: @nothing_is_gathered_for_one_value_a_row
// LOCAL-NOT: dist.all_gather
// LOCAL-COUNT-2: dist.all_reduce
func.func @nothing_is_gathered_for_one_value_a_row(
    %x: !tessera.mesh_tensor<2x8xf32, @mesh, [{}, {tp}]>) -> !tessera.mesh_tensor<2xf32, @mesh, [{}]> {
  %0 = tessera.logsumexp %x dim 1 : !tessera.mesh_tensor<2x8xf32, @mesh, [{}, {tp}]> -> !tessera.mesh_tensor<2xf32, @mesh, [{}]>
  return %0 : !tessera.mesh_tensor<2xf32, @mesh, [{}]>
}

// -----

dist.mesh @mesh <[tp = 4]>

// CHECK-LABEL: @what_needs_no_gathering_stays
// CHECK: tessera.softmax
// CHECK: tessera.layer_norm
func.func @what_needs_no_gathering_stays(
    %x: !tessera.mesh_tensor<16x8192xf32, @mesh, [{tp}, {}]>,
    %scale: !tessera.mesh_tensor<8192xf32, @mesh, [{}]>) -> !tessera.mesh_tensor<16x8192xf32, @mesh, [{?}, {?}]> {
  %0 = tessera.softmax %x dim 1 : !tessera.mesh_tensor<16x8192xf32, @mesh, [{tp}, {}]> -> !tessera.mesh_tensor<16x8192xf32, @mesh, [{?}, {?}]>
  %1 = tessera.layer_norm %0, %scale, %scale epsilon 1.0e-5 : !tessera.mesh_tensor<16x8192xf32, @mesh, [{?}, {?}]>, !tessera.mesh_tensor<8192xf32, @mesh, [{}]>, !tessera.mesh_tensor<8192xf32, @mesh, [{}]> -> !tessera.mesh_tensor<16x8192xf32, @mesh, [{?}, {?}]>
  return %1 : !tessera.mesh_tensor<16x8192xf32, @mesh, [{?}, {?}]>
}

// -----

dist.mesh @mesh <[tp = 4]>

// The split carries on from one op that is computed by parts to the next.
// CHECK-LABEL: @norms_of_split_rows_are_computed_by_parts
// CHECK-NOT: tessera.layer_norm
// CHECK-NOT: tessera.rms_norm
// LOCAL-LABEL: @norms_of_split_rows_are_computed_by_parts
// LOCAL-COUNT-3: dist.all_reduce sum {{.*}} : tensor<64xf32>
// LOCAL-NOT: dist.all_gather
// LOCAL-NOT: dist.all_reduce
func.func @norms_of_split_rows_are_computed_by_parts(
    %x: !tessera.mesh_tensor<64x4096xf32, @mesh, [{}, {tp}]>,
    %scale: !tessera.mesh_tensor<4096xf32, @mesh, [{}]>) -> !tessera.mesh_tensor<64x4096xf32, @mesh, [{?}, {?}]> {
  %0 = tessera.layer_norm %x, %scale, %scale epsilon 1.0e-5 : !tessera.mesh_tensor<64x4096xf32, @mesh, [{}, {tp}]>, !tessera.mesh_tensor<4096xf32, @mesh, [{}]>, !tessera.mesh_tensor<4096xf32, @mesh, [{}]> -> !tessera.mesh_tensor<64x4096xf32, @mesh, [{?}, {?}]>
  %1 = tessera.rms_norm %0, %scale epsilon 1.0e-5 : !tessera.mesh_tensor<64x4096xf32, @mesh, [{?}, {?}]>, !tessera.mesh_tensor<4096xf32, @mesh, [{}]> -> !tessera.mesh_tensor<64x4096xf32, @mesh, [{?}, {?}]>
  return %1 : !tessera.mesh_tensor<64x4096xf32, @mesh, [{?}, {?}]>
}

// -----

dist.mesh @mesh <[tp = 4]>

// The derivative of norms: mean, mean square, mean of the change and its mean along the rows.
// CHECK-LABEL: @norm_tangents_of_split_rows_are_computed_by_parts
// CHECK-NOT: tessera.norm_tangent
// LOCAL-LABEL: @norm_tangents_of_split_rows_are_computed_by_parts
// LOCAL-NOT: dist.all_gather
// LOCAL-COUNT-4: dist.all_reduce sum {{.*}} : tensor<64xf32>
// LOCAL-NOT: dist.all_gather
// LOCAL-NOT: dist.all_reduce
func.func @norm_tangents_of_split_rows_are_computed_by_parts(
    %d: !tessera.mesh_tensor<64x4096xf32, @mesh, [{}, {tp}]>,
    %x: !tessera.mesh_tensor<64x4096xf32, @mesh, [{}, {tp}]>) -> !tessera.mesh_tensor<64x4096xf32, @mesh, [{?}, {?}]> {
  %0 = tessera.norm_tangent %d at %x epsilon 1.0e-5 centred : !tessera.mesh_tensor<64x4096xf32, @mesh, [{}, {tp}]>, !tessera.mesh_tensor<64x4096xf32, @mesh, [{}, {tp}]> -> !tessera.mesh_tensor<64x4096xf32, @mesh, [{?}, {?}]>
  return %0 : !tessera.mesh_tensor<64x4096xf32, @mesh, [{?}, {?}]>
}

// -----

dist.mesh @mesh <[tp = 4]>

// A split vocabulary: the largest logit, the sum of exponentials, and the label's logit, which one device has.
// What the log-sum-exp of the same logits needs is there already.
// CHECK-LABEL: @losses_of_a_split_vocabulary_are_computed_by_parts
// CHECK-NOT: tessera.cross_entropy
// CHECK-NOT: tessera.logsumexp
// LOCAL-LABEL: @losses_of_a_split_vocabulary_are_computed_by_parts
// LOCAL-NOT: dist.all_gather
// LOCAL-COUNT-3: dist.all_reduce {{.*}} : tensor<64xf32>
// LOCAL-NOT: dist.all_reduce
// LOCAL-NOT: dist.all_gather
func.func @losses_of_a_split_vocabulary_are_computed_by_parts(
    %x: !tessera.mesh_tensor<64x4097xf32, @mesh, [{}, {tp}]>,
    %y: !tessera.mesh_tensor<64xi32, @mesh, [{}]>) -> (!tessera.mesh_tensor<64xf32, @mesh, [{}]>, !tessera.mesh_tensor<64xf32, @mesh, [{}]>) {
  %0 = tessera.cross_entropy %x, %y smoothing 0.0 z_loss 0.0 : !tessera.mesh_tensor<64x4097xf32, @mesh, [{}, {tp}]>, !tessera.mesh_tensor<64xi32, @mesh, [{}]> -> !tessera.mesh_tensor<64xf32, @mesh, [{}]>
  %1 = tessera.logsumexp %x dim 1 : !tessera.mesh_tensor<64x4097xf32, @mesh, [{}, {tp}]> -> !tessera.mesh_tensor<64xf32, @mesh, [{}]>
  return %0, %1 : !tessera.mesh_tensor<64xf32, @mesh, [{}]>, !tessera.mesh_tensor<64xf32, @mesh, [{}]>
}

// -----

dist.mesh @mesh <[tp = 2]>

// A decode step whose keys and values are split: one query a head.
// CHECK-LABEL: @attention_of_few_queries_to_split_keys_is_computed_by_parts
// CHECK-NOT: tessera.attention
// LOCAL-LABEL: @attention_of_few_queries_to_split_keys_is_computed_by_parts
// LOCAL-NOT: dist.all_gather
// LOCAL: dist.all_reduce max
// LOCAL-COUNT-2: dist.all_reduce sum
func.func @attention_of_few_queries_to_split_keys_is_computed_by_parts(
    %q: !tessera.mesh_tensor<2x1x4x16xf32, @mesh, [{}, {}, {}, {}]>,
    %k: !tessera.mesh_tensor<2x512x2x16xf32, @mesh, [{}, {tp}, {}, {}]>,
    %v: !tessera.mesh_tensor<2x512x2x16xf32, @mesh, [{}, {tp}, {}, {}]>) -> !tessera.mesh_tensor<2x1x4x16xf32, @mesh, [{?}, {?}, {?}, {?}]> {
  %0 = tessera.attention %q, %k, %v scale 0.25 : !tessera.mesh_tensor<2x1x4x16xf32, @mesh, [{}, {}, {}, {}]>, !tessera.mesh_tensor<2x512x2x16xf32, @mesh, [{}, {tp}, {}, {}]>, !tessera.mesh_tensor<2x512x2x16xf32, @mesh, [{}, {tp}, {}, {}]> -> !tessera.mesh_tensor<2x1x4x16xf32, @mesh, [{?}, {?}, {?}, {?}]>
  return %0 : !tessera.mesh_tensor<2x1x4x16xf32, @mesh, [{?}, {?}, {?}, {?}]>
}

// -----

dist.mesh @mesh <[tp = 4]>

// One value a device and row is moved, instead of all elements.
// CHECK-LABEL: @a_scan_along_a_split_dimension_is_computed_by_parts
// CHECK: tessera.cumulative sum {{.*}} by_parts
// CHECK: tessera.cumulative max {{.*}} by_parts
// LOCAL-LABEL: @a_scan_along_a_split_dimension_is_computed_by_parts
// LOCAL: dist.all_gather {{.*}}tessera.cumulative is computed by parts, ~{{[0-9.]+}} us instead of ~{{[0-9.]+}} us{{.*}} : tensor<16x1xf32> -> tensor<16x4xf32>
// LOCAL: dist.all_gather {{.*}} : tensor<16x1xf32> -> tensor<16x4xf32>
// LOCAL-NOT: dist.all_gather
func.func @a_scan_along_a_split_dimension_is_computed_by_parts(
    %x: !tessera.mesh_tensor<16x8192xf32, @mesh, [{}, {tp}]>) -> !tessera.mesh_tensor<16x8192xf32, @mesh, [{?}, {?}]> {
  %0 = tessera.cumulative sum %x dim 1 : !tessera.mesh_tensor<16x8192xf32, @mesh, [{}, {tp}]> -> !tessera.mesh_tensor<16x8192xf32, @mesh, [{?}, {?}]>
  %1 = tessera.cumulative max %0 dim 1 reverse : !tessera.mesh_tensor<16x8192xf32, @mesh, [{?}, {?}]> -> !tessera.mesh_tensor<16x8192xf32, @mesh, [{?}, {?}]>
  return %1 : !tessera.mesh_tensor<16x8192xf32, @mesh, [{?}, {?}]>
}

// -----

dist.mesh @mesh <[tp = 4]>

// As many values as devices: gathering them moves no more.
// CHECK-LABEL: @a_scan_of_one_element_a_device_is_gathered
// CHECK-NOT: by_parts
// LOCAL-LABEL: @a_scan_of_one_element_a_device_is_gathered
func.func @a_scan_of_one_element_a_device_is_gathered(
    %x: !tessera.mesh_tensor<4xf32, @mesh, [{tp}]>) -> !tessera.mesh_tensor<4xf32, @mesh, [{}]> {
  %0 = tessera.cumulative sum %x dim 0 : !tessera.mesh_tensor<4xf32, @mesh, [{tp}]> -> !tessera.mesh_tensor<4xf32, @mesh, [{}]>
  return %0 : !tessera.mesh_tensor<4xf32, @mesh, [{}]>
}
