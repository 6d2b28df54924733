// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Verification.h"
#include "tessera/Syntax/RegionSyntax.h"

#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace tessera::tile;

/// A region, without its terminator unless that has attributes.
static ParseResult parseKernelBody(OpAsmParser &parser, Region &body) {
  if (tessera::parseRegion(parser, body))
    return failure();
  KernelOp::ensureTerminator(body, parser.getBuilder(),
                             parser.getEncodedSourceLoc(parser.getNameLoc()));
  return success();
}

static void printKernelBody(OpAsmPrinter &printer, KernelOp, Region &body) {
  bool hasAttributes =
      !body.empty() && !body.front().getTerminator()->getAttrs().empty();
  printer.printRegion(body, /*printEntryBlockArgs=*/true,
                      /*printBlockTerminators=*/hasAttributes);
}

#define GET_OP_CLASSES
#include "dialects/Tile/IR/KernelOps.cpp.inc"

//===----------------------------------------------------------------------===//
// launch
//===----------------------------------------------------------------------===//

/// The element type that a tensor's elements have in memory.
static Type memoryElementType(Type type) {
  auto integer = dyn_cast<IntegerType>(type);
  if (!integer)
    return type;
  unsigned width = integer.getWidth() == 1 ? 8 : integer.getWidth();
  return IntegerType::get(type.getContext(), width);
}

LogicalResult LaunchOp::verifySymbolUses(SymbolTableCollection &symbols) {
  Operation *symbol = symbols.lookupNearestSymbolFrom(*this, getKernelAttr());
  auto kernel = dyn_cast_or_null<KernelOp>(symbol);
  if (!kernel) {
    InFlightDiagnostic error = emitOpError()
                               << "launches @" << getKernel() << ", which is "
                               << (symbol ? "no tile.kernel" : "not defined");
    if (symbol)
      error.attachNote(symbol->getLoc())
          << "@" << getKernel() << " is a " << symbol->getName();
    return error;
  }
  Block &block = kernel.getBlock();
  size_t inputs = kernel.getNumInputs();
  size_t outputs = block.getNumArguments() - inputs;
  if (getInputs().size() != inputs || getOutputs().size() != outputs) {
    InFlightDiagnostic error =
        emitOpError() << "has " << getInputs().size() << " operands and "
                      << getOutputs().size() << " results";
    error.attachNote(kernel.getLoc())
        << "@" << getKernel() << " has " << inputs << " inputs and " << outputs
        << " outputs";
    return error;
  }
  SmallVector<Value> tensors(getInputs());
  llvm::append_range(tensors, getOutputs());
  for (auto [i, tensor] : llvm::enumerate(tensors)) {
    auto type = cast<RankedTensorType>(tensor.getType());
    auto memory = cast<MemRefType>(block.getArgument(i).getType());
    bool sameBytes =
        type.getNumElements() == memory.getNumElements() &&
        memoryElementType(type.getElementType()) == memory.getElementType();
    if (sameBytes)
      continue;
    InFlightDiagnostic error = emitOpError()
                               << (i < inputs ? "operand " : "result ")
                               << (i < inputs ? i : i - inputs) << " has type "
                               << type << ", the kernel's memory is " << memory;
    error.attachNote(kernel.getLoc()) << "@" << getKernel() << " is here";
    error.attachNote() << "both have the same number of elements of one type; "
                          "booleans are stored as i8";
    return error;
  }
  return success();
}

//===----------------------------------------------------------------------===//
// program_id
//===----------------------------------------------------------------------===//

LogicalResult ProgramIdOp::verify() {
  auto kernel = (*this)->getParentOfType<KernelOp>();
  if (!kernel)
    return emitOpError() << "stands outside of a tile.kernel; only the blocks "
                            "of a kernel have an index";
  auto dim = static_cast<int64_t>(getDim());
  auto rank = static_cast<int64_t>(kernel.getGrid().size());
  if (dim >= 0 && dim < rank)
    return success();
  InFlightDiagnostic error = emitOpError()
                             << "names grid dimension " << dim
                             << " of a grid of " << rank << " dimensions";
  error.attachNote(kernel.getLoc())
      << "the grid is " << shapeToString(kernel.getGrid());
  return error;
}

OpFoldResult ProgramIdOp::fold(FoldAdaptor) {
  auto kernel = (*this)->getParentOfType<KernelOp>();
  if (!kernel || kernel.getGrid()[getDim()] != 1)
    return {};
  return IntegerAttr::get(getType(), 0);
}

//===----------------------------------------------------------------------===//
// load, store, gather
//===----------------------------------------------------------------------===//

static LogicalResult verifyOffsets(Operation *op, OperandRange offsets,
                                   Value memory, size_t count, StringRef what) {
  if (offsets.size() == count)
    return success();
  InFlightDiagnostic error = op->emitOpError()
                             << "has " << offsets.size() << " offsets for "
                             << count << " " << what;
  error.attachNote(memory.getLoc())
      << "the memory has type " << memory.getType();
  return error;
}

/// A box of `memory` is a tile of the same rank and element type.
static LogicalResult verifyBox(Operation *op, Value tile, StringRef name,
                               Value memory, OperandRange offsets) {
  size_t rank = shapeOf(memory).size();
  if (failed(verifyOffsets(op, offsets, memory, rank, "dimensions")) ||
      failed(verifyRank(op, tile, name, rank)))
    return failure();
  return verifyElementType(op, tile, name,
                           getElementTypeOrSelf(memory.getType()));
}

LogicalResult LoadOp::verify() {
  if (failed(
          verifyBox(*this, getResult(), "a result", getMemory(), getOffsets())))
    return failure();
  Type type = getElementTypeOrSelf(getMemory().getType());
  if (!getPad() || getPad()->getType() == type)
    return success();
  return emitOpError() << "pads with a value of type " << getPad()->getType()
                       << ", the elements have type " << type;
}

/// Before: tile.load ... pad 0. After: without it, which means the same.
static LogicalResult dropZeroPad(LoadOp op, PatternRewriter &rewriter) {
  if (!op.getPad())
    return rewriter.notifyMatchFailure(op, "has no pad");
  Attribute pad = *op.getPad();
  auto number = dyn_cast<FloatAttr>(pad);
  bool isZero = number ? number.getValue().isPosZero()
                       : cast<IntegerAttr>(pad).getValue().isZero();
  if (!isZero)
    return rewriter.notifyMatchFailure(op, "pads with another value than 0");
  rewriter.modifyOpInPlace(op, [&] { op.removePadAttr(); });
  return success();
}

void LoadOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                         MLIRContext *) {
  patterns.add(dropZeroPad);
}

LogicalResult StoreOp::verify() {
  return verifyBox(*this, getValue(), "the value", getMemory(), getOffsets());
}

LogicalResult GatherOp::verify() {
  size_t rank = shapeOf(getMemory()).size();
  if (failed(verifyRank(*this, getIndices(), "indices", 1)) ||
      failed(verifyOffsets(*this, getOffsets(), getMemory(), rank - 1,
                           "dimensions after the indexed one")) ||
      failed(verifyRank(*this, getResult(), "a result", rank)))
    return failure();
  SmallVector<int64_t> expected(shapeOf(getResult()));
  expected[0] = shapeOf(getIndices())[0];
  if (failed(verifyShape(*this, getResult(), "a result", expected)))
    return failure();
  return verifyElementType(*this, getResult(), "a result",
                           getElementTypeOrSelf(getMemory().getType()));
}
