// Folds and canonicalisations give what the program gave before them.
// RUN: tessera-opt %s '--tessera-check-equivalence=pipeline=canonicalize runs=3' -o /dev/null

func.func @main(%x: tensor<2x3x5xf32>, %i: tensor<2x3xi32>, %h: tensor<2x3xbf16>) -> (tensor<5x2x3xf32>, tensor<5x6xf32>, tensor<2x3x5xf32>, tensor<2x3xi32>, tensor<2x3xbf16>, tensor<2x3xi32>, tensor<2x3xi1>, tensor<2x3xf32>, tensor<7x2x3x5xf32>) {
  %0 = tessera.transpose %x [1, 0, 2] : tensor<2x3x5xf32> -> tensor<3x2x5xf32>
  %1 = tessera.transpose %0 [2, 1, 0] : tensor<3x2x5xf32> -> tensor<5x2x3xf32>
  %2 = tessera.reshape %x : tensor<2x3x5xf32> -> tensor<30xf32>
  %3 = tessera.reshape %2 : tensor<30xf32> -> tensor<5x6xf32>
  %z = tessera.constant dense<0.0> : tensor<2x3x5xf32> : tensor<2x3x5xf32>
  %4 = tessera.add %x, %z : tensor<2x3x5xf32>
  %5 = tessera.neg %4 : tensor<2x3x5xf32>
  %6 = tessera.neg %5 : tensor<2x3x5xf32>
  %m7 = tessera.constant dense<-7> : tensor<2x3xi32> : tensor<2x3xi32>
  %two = tessera.constant dense<2> : tensor<2x3xi32> : tensor<2x3xi32>
  %7 = tessera.div %m7, %two : tensor<2x3xi32>
  %8 = tessera.rem %m7, %two : tensor<2x3xi32>
  %9 = tessera.mul %7, %8 : tensor<2x3xi32>
  %10 = tessera.sub %9, %i : tensor<2x3xi32>
  %11 = tessera.convert %h : tensor<2x3xbf16> -> tensor<2x3xf32>
  %12 = tessera.convert %11 : tensor<2x3xf32> -> tensor<2x3xbf16>
  %f = tessera.constant dense<-2.75e10> : tensor<2x3xf32> : tensor<2x3xf32>
  %13 = tessera.convert %f : tensor<2x3xf32> -> tensor<2x3xi32>
  %nan = tessera.constant dense<0x7FC00000> : tensor<2x3xf32> : tensor<2x3xf32>
  %14 = tessera.compare ne %nan, %f : tensor<2x3xf32>, tensor<2x3xf32> -> tensor<2x3xi1>
  %15 = tessera.floor %f : tensor<2x3xf32>
  %16 = tessera.rem %15, %11 : tensor<2x3xf32>
  %c3 = tessera.constant dense<3.7> : tensor<2x3xf32> : tensor<2x3xf32>
  %17 = tessera.sqrt %c3 : tensor<2x3xf32>
  %b1 = tessera.broadcast %x dims [1, 2, 3] : tensor<2x3x5xf32> -> tensor<7x2x3x5xf32>
  %b2 = tessera.broadcast %b1 dims [0, 1, 2, 3] : tensor<7x2x3x5xf32> -> tensor<7x2x3x5xf32>
  return %1, %3, %6, %10, %12, %13, %14, %17, %b2 : tensor<5x2x3xf32>, tensor<5x6xf32>, tensor<2x3x5xf32>, tensor<2x3xi32>, tensor<2x3xbf16>, tensor<2x3xi32>, tensor<2x3xi1>, tensor<2x3xf32>, tensor<7x2x3x5xf32>
}
