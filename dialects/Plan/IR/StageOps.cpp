// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Plan/IR/Plan.h"
#include "tessera/Syntax/RegionSyntax.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/OpImplementation.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::plan;

/// coordinates ::= `{` axis `=` integer (`,` axis `=` integer)* `}`
static ParseResult parseCoordinates(OpAsmParser &parser, dist::AxesAttr &axes,
                                    DenseI64ArrayAttr &coordinates) {
  std::vector<AxisRef> names;
  SmallVector<int64_t> values;
  auto parseOne = [&]() -> ParseResult {
    return failure(parser.parseKeywordOrString(&names.emplace_back().name) ||
                   parser.parseEqual() ||
                   parser.parseInteger(values.emplace_back()));
  };
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Braces, parseOne))
    return failure();
  axes = dist::AxesAttr::get(parser.getContext(), names);
  coordinates = DenseI64ArrayAttr::get(parser.getContext(), values);
  return success();
}

static void printCoordinates(OpAsmPrinter &printer, StageOp,
                             dist::AxesAttr axes,
                             DenseI64ArrayAttr coordinates) {
  printer << "{";
  llvm::interleaveComma(llvm::zip(axes.getValue(), coordinates.asArrayRef()),
                        printer, [&](const auto &entry) {
                          printer.printKeywordOrString(std::get<0>(entry).name);
                          printer << " = " << std::get<1>(entry);
                        });
  printer << "}";
}

#define GET_OP_CLASSES
#include "dialects/Plan/IR/StageOps.cpp.inc"

LogicalResult StageOp::verify() {
  const std::vector<AxisRef> &axes = getAxes().getValue();
  if (axes.size() != getCoordinates().size())
    return emitOpError() << "names " << axes.size() << " axes and "
                         << getCoordinates().size() << " coordinates";
  if (axes.empty())
    return emitOpError() << "names no axis, and would be for all devices; put "
                            "its steps into the program itself";
  for (const AxisRef &axis : axes)
    if (!axis.isWhole())
      return emitOpError() << "names the sub-axis " << toString(axis)
                           << "; stages are told apart by whole axes of the "
                              "mesh: make an axis of it";
  if (getBody().getNumArguments() != 0)
    return emitOpError() << "has a region with arguments; only windows of "
                            "plan.loop are arguments";
  return success();
}
