// RUN: tessera-opt %s --split-input-file | FileCheck %s

// CHECK-LABEL: @a_layout_lists_axes_per_dimension
// CHECK-SAME: #dist.layout<@mesh, [{dp}, {tp:(1)2, ?}, {}]>
func.func private @a_layout_lists_axes_per_dimension() attributes {
  layout = #dist.layout<@mesh, [{dp}, {tp:(1)2, ?}, {}]>
}

// -----

// CHECK-LABEL: @a_user_may_give_a_priority
// CHECK-SAME: #dist.layout<@mesh, [{dp}p1, {?}p0]>
func.func private @a_user_may_give_a_priority() attributes {
  layout = #dist.layout<@mesh, [{dp}p1, {?}p0]>
}

// -----

// CHECK-LABEL: @partial_and_reduced_axes
// CHECK-SAME: #dist.layout<@mesh, [{}], partial = max{dp, tp}, reduced = {x}>
func.func private @partial_and_reduced_axes() attributes {
  layout = #dist.layout<@mesh, [{}], partial = max{dp, tp}, reduced = {x}>
}

// -----

// CHECK-LABEL: @varying_axes
// CHECK-SAME: #dist.layout<@mesh, [{}], reduced = {x}, varying = {dp, tp:(1)2}>
func.func private @varying_axes() attributes {
  layout = #dist.layout<@mesh, [{}], varying = {dp, tp:(1)2}, reduced = {x}>
}

// -----

// CHECK-LABEL: @a_scalar_has_no_dimensions
// CHECK-SAME: #dist.layout<@mesh, []>
func.func private @a_scalar_has_no_dimensions() attributes {
  layout = #dist.layout<@mesh, []>
}

// -----

// CHECK-LABEL: @odd_axis_names_are_quoted
// CHECK-SAME: #dist.layout<@mesh, [{"odd name":(1)2, dp}]>
func.func private @odd_axis_names_are_quoted() attributes {
  layout = #dist.layout<@mesh, [{"odd name":(1)2, dp}]>
}

// -----

// CHECK-LABEL: @axes_stand_alone
// CHECK-SAME: #dist<axes{dp, "odd name", tp:(2)2}>
func.func private @axes_stand_alone() attributes {
  axes = #dist<axes{dp, "odd name", tp:(2)2}>
}
