// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Ties.h"

using namespace mlir;
using namespace tessera;

FailureOr<SmallVector<Tie>> tessera::findTies(func::FuncOp function) {
  SmallVector<Tie> ties;
  llvm::DenseMap<unsigned, unsigned> argumentOf;
  for (unsigned i = 0; i < function.getNumArguments(); ++i) {
    Attribute attr = function.getArgAttr(i, tiedAttrName);
    if (!attr)
      continue;
    Location loc = function.isDeclaration() ? function.getLoc()
                                            : function.getArgument(i).getLoc();
    auto index = dyn_cast<IntegerAttr>(attr);
    int64_t result = index ? index.getInt() : -1;
    if (result < 0 || result >= int64_t(function.getNumResults()))
      return emitError(loc)
             << "argument " << i << " is tied to result " << attr
             << ", but the function has " << function.getNumResults()
             << " results; expected an index of one";
    auto argument = cast<ShapedType>(function.getArgumentTypes()[i]);
    auto type = cast<ShapedType>(function.getResultTypes()[result]);
    if (argument.getShape() != type.getShape() ||
        argument.getElementType() != type.getElementType()) {
      InFlightDiagnostic error = emitError(loc)
                                 << "argument " << i << " of type " << argument
                                 << " is tied to result " << result
                                 << " of type " << type;
      error.attachNote() << "a result takes the memory of an argument of its "
                            "shape and element type";
      return error;
    }
    auto [other, isNew] = argumentOf.try_emplace(result, i);
    if (!isNew)
      return emitError(loc) << "arguments " << other->second << " and " << i
                            << " are both tied to result " << result
                            << "; a result takes the memory of one";
    ties.push_back({i, static_cast<unsigned>(result)});
  }
  return ties;
}
