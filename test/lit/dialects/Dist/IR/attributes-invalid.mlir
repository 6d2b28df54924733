// RUN: tessera-opt %s --split-input-file --verify-diagnostics

// expected-error @below {{'?' must be last in its dimension}}
func.func private @f() attributes {layout = #dist.layout<@mesh, [{?, dp}]>}

// -----

// expected-error @below {{expected a priority such as 'p1' after a dimension's axes}}
func.func private @f() attributes {layout = #dist.layout<@mesh, [{dp}q1]>}

// -----

// expected-error @below {{expected sum, max, min or prod, got 'mean'}}
func.func private @f() attributes {layout = #dist.layout<@mesh, [{}], partial = mean{dp}>}

// -----

// expected-error @below {{expected 'partial', 'reduced' or 'varying', got 'split'}}
func.func private @f() attributes {layout = #dist.layout<@mesh, [{}], split = {dp}>}

// -----

// expected-error @below {{sub-axis (1)0 of 'tp' is empty; expected two numbers of 1 or more, as in tp:(1)2}}
func.func private @f() attributes {axes = #dist<axes{tp:(1)0}>}

// -----

// expected-error @below {{sub-axis (4611686018427387904)2 of 'tp' divides no axis: the product of its numbers does not fit into 64 bits}}
func.func private @f() attributes {axes = #dist<axes{tp:(4611686018427387904)2}>}
