// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Tools/TesseraCompileMain.h"

int main(int argc, char **argv) {
  return tessera::tesseraCompileMain(argc, argv);
}
