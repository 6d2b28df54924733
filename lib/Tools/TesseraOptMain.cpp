// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Tools/TesseraOptMain.h"

#include "tessera/Pipelines/Registration.h"
#include "test/lib/TestPasses.h"

#include "mlir/IR/DialectRegistry.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int tessera::tesseraOptMain(int argc, char **argv) {
  mlir::DialectRegistry registry;
  registerTesseraDialects(registry);
  test::registerTestingDialect(registry);
  registerTesseraPasses();
  test::registerTestPasses();
  return mlir::asMainReturnCode(mlir::MlirOptMain(
      argc, argv, "Tessera: runs any pass or named pipeline\n", registry));
}
