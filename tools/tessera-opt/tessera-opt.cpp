// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Tools/TesseraOptMain.h"

int main(int argc, char **argv) { return tessera::tesseraOptMain(argc, argv); }
