// What constants are folded to is what the interpreter computes, for each op, type and comparison.
// RUN: tessera-opt %s --canonicalize | FileCheck %s
// RUN: tessera-opt %s '--tessera-check-equivalence=pipeline=canonicalize' -o /dev/null

// CHECK-LABEL: @floats
func.func @floats() -> (tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) {
  // CHECK-DAG: dense<-1.000000e+00>
  // CHECK-DAG: dense<0x7FC00000>
  // CHECK-DAG: dense<-1.500000e+00>
  // CHECK-DAG: dense<1.750000e+00>
  // CHECK-DAG: dense<-2.000000e+00>
  // CHECK-NOT: tessera.{{sign|rem|abs|neg|floor}}
  %x = tessera.constant dense<-3.5> : tensor<2xf32> : tensor<2xf32>
  %y = tessera.constant dense<2.0> : tensor<2xf32> : tensor<2xf32>
  %z = tessera.constant dense<-1.75> : tensor<2xf32> : tensor<2xf32>
  %nan = tessera.constant dense<0x7FC00000> : tensor<2xf32> : tensor<2xf32>
  %0 = tessera.sign %x : tensor<2xf32>
  %1 = tessera.sign %nan : tensor<2xf32>
  %2 = tessera.rem %x, %y : tensor<2xf32>
  %3 = tessera.abs %z : tensor<2xf32>
  %4 = tessera.floor %z : tensor<2xf32>
  return %0, %1, %2, %3, %4 : tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>
}

// CHECK-LABEL: @integers
func.func @integers() -> (tensor<2xi32>, tensor<2xui32>, tensor<2xi32>, tensor<2xi32>, tensor<2xi32>) {
  // CHECK-DAG: dense<-1> : tensor<2xi32>
  // CHECK-DAG: dense<1> : tensor<2xui32>
  // CHECK-DAG: dense<5> : tensor<2xi32>
  // CHECK-DAG: dense<-6> : tensor<2xi32>
  // CHECK-DAG: dense<4> : tensor<2xi32>
  // CHECK-NOT: tessera.{{sign|abs|not|xor}}
  %x = tessera.constant dense<-5> : tensor<2xi32> : tensor<2xi32>
  %u = tessera.constant dense<4000000000> : tensor<2xui32> : tensor<2xui32>
  %y = tessera.constant dense<5> : tensor<2xi32> : tensor<2xi32>
  %one = tessera.constant dense<1> : tensor<2xi32> : tensor<2xi32>
  %0 = tessera.sign %x : tensor<2xi32>
  %1 = tessera.sign %u : tensor<2xui32>
  %2 = tessera.abs %x : tensor<2xi32>
  %3 = tessera.not %y : tensor<2xi32>
  %4 = tessera.xor %y, %one : tensor<2xi32>
  return %0, %1, %2, %3, %4 : tensor<2xi32>, tensor<2xui32>, tensor<2xi32>, tensor<2xi32>, tensor<2xi32>
}

// CHECK-LABEL: @every_comparison
func.func @every_comparison() -> (tensor<2xi1>, tensor<2xi1>, tensor<2xi1>, tensor<2xi1>, tensor<2xi1>, tensor<2xi1>, tensor<2xi1>) {
  // CHECK-DAG: %[[T:.*]] = tessera.constant dense<true>
  // CHECK-DAG: %[[F:.*]] = tessera.constant dense<false>
  // CHECK: return %[[F]], %[[T]], %[[T]], %[[T]], %[[F]], %[[F]], %[[F]]
  %x = tessera.constant dense<2.0> : tensor<2xf32> : tensor<2xf32>
  %y = tessera.constant dense<3.0> : tensor<2xf32> : tensor<2xf32>
  %u = tessera.constant dense<4000000000> : tensor<2xui32> : tensor<2xui32>
  %v = tessera.constant dense<1> : tensor<2xui32> : tensor<2xui32>
  %0 = tessera.compare eq %x, %y : tensor<2xf32>, tensor<2xf32> -> tensor<2xi1>
  %1 = tessera.compare ne %x, %y : tensor<2xf32>, tensor<2xf32> -> tensor<2xi1>
  %2 = tessera.compare lt %x, %y : tensor<2xf32>, tensor<2xf32> -> tensor<2xi1>
  %3 = tessera.compare le %x, %y : tensor<2xf32>, tensor<2xf32> -> tensor<2xi1>
  %4 = tessera.compare gt %x, %y : tensor<2xf32>, tensor<2xf32> -> tensor<2xi1>
  %5 = tessera.compare ge %x, %y : tensor<2xf32>, tensor<2xf32> -> tensor<2xi1>
  // Unsigned numbers have no sign bit.
  %6 = tessera.compare lt %u, %v : tensor<2xui32>, tensor<2xui32> -> tensor<2xi1>
  return %0, %1, %2, %3, %4, %5, %6 : tensor<2xi1>, tensor<2xi1>, tensor<2xi1>, tensor<2xi1>, tensor<2xi1>, tensor<2xi1>, tensor<2xi1>
}

// CHECK-LABEL: @conversions_of_integers
func.func @conversions_of_integers() -> (tensor<2xf32>, tensor<2xf32>, tensor<2xi1>, tensor<2xi64>, tensor<2xi32>) {
  // CHECK-DAG: dense<-5.000000e+00> : tensor<2xf32>
  // CHECK-DAG: dense<4.000000e+09> : tensor<2xf32>
  // CHECK-DAG: dense<true>
  // CHECK-DAG: dense<4000000000> : tensor<2xi64>
  // CHECK-DAG: dense<1> : tensor<2xi32>
  // CHECK-NOT: tessera.convert
  %x = tessera.constant dense<-5> : tensor<2xi32> : tensor<2xi32>
  %u = tessera.constant dense<4000000000> : tensor<2xui32> : tensor<2xui32>
  %w = tessera.constant dense<4294967297> : tensor<2xi64> : tensor<2xi64>
  %0 = tessera.convert %x : tensor<2xi32> -> tensor<2xf32>
  %1 = tessera.convert %u : tensor<2xui32> -> tensor<2xf32>
  %2 = tessera.convert %x : tensor<2xi32> -> tensor<2xi1>
  %3 = tessera.convert %u : tensor<2xui32> -> tensor<2xi64>
  %4 = tessera.convert %w : tensor<2xi64> -> tensor<2xi32>
  return %0, %1, %2, %3, %4 : tensor<2xf32>, tensor<2xf32>, tensor<2xi1>, tensor<2xi64>, tensor<2xi32>
}

// CHECK-LABEL: @selections
func.func @selections() -> (tensor<2xi32>, tensor<2xi32>) {
  // CHECK-DAG: %[[X:.*]] = tessera.constant dense<-5>
  // CHECK-DAG: %[[Y:.*]] = tessera.constant dense<7>
  // CHECK: return %[[X]], %[[Y]]
  %t = tessera.constant dense<true> : tensor<2xi1> : tensor<2xi1>
  %f = tessera.constant dense<false> : tensor<2xi1> : tensor<2xi1>
  %x = tessera.constant dense<-5> : tensor<2xi32> : tensor<2xi32>
  %y = tessera.constant dense<7> : tensor<2xi32> : tensor<2xi32>
  %0 = tessera.select %t, %x, %y : tensor<2xi1>, tensor<2xi32>, tensor<2xi32> -> tensor<2xi32>
  %1 = tessera.select %f, %x, %y : tensor<2xi1>, tensor<2xi32>, tensor<2xi32> -> tensor<2xi32>
  return %0, %1 : tensor<2xi32>, tensor<2xi32>
}
