// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_TESSERA_IR_TESSERAATTRS_TD
#define TESSERA_TESSERA_IR_TESSERAATTRS_TD

include "dialects/Tessera/IR/TesseraEnums.td"

#endif // TESSERA_TESSERA_IR_TESSERAATTRS_TD
