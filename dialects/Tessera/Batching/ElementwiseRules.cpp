// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Ops whose elements are computed one by one: an operand without the batch is
// repeated along it.
#include "Rules.h"

using namespace tessera;
using namespace tessera::batching;

void tessera::batching::addElementwiseRules(BatchingRules &rules) {
#define TESSERA_UNARY(NAME, ...) rules.elementwise<NAME##Op>();
#define TESSERA_BINARY(NAME, ...) rules.elementwise<NAME##Op>();
#include "dialects/Tessera/IR/ElementwiseTable.inc"
  rules.elementwise<CompareOp, SelectOp, ConvertOp, GeluOp>();
}
