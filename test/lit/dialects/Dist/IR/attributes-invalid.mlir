// RUN: tessera-opt %s --split-input-file --verify-diagnostics

// expected-error @below {{'?' must be last in its dimension}}
"test.op"() {layout = #dist.layout<@mesh, [{?, dp}]>} : () -> ()

// -----

// expected-error @below {{expected a priority such as 'p1' after a dimension's axes}}
"test.op"() {layout = #dist.layout<@mesh, [{dp}q1]>} : () -> ()

// -----

// expected-error @below {{expected sum, max, min or prod, got 'mean'}}
"test.op"() {layout = #dist.layout<@mesh, [{}], partial = mean{dp}>} : () -> ()

// -----

// expected-error @below {{expected 'partial' or 'varying'}}
"test.op"() {layout = #dist.layout<@mesh, [{}], split = {dp}>} : () -> ()
