// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Syntax/RegionSyntax.h"

using namespace mlir;

/// Whether `op` is in `region`. While an op around it is being parsed, its
/// blocks are in no region yet, and its regions in no op.
static bool isInside(Operation *op, Region &region) {
  while (op) {
    Region *around = op->getParentRegion();
    if (!around)
      return false;
    if (around == &region)
      return true;
    op = around->getParentOp();
  }
  return false;
}

/// An op outside of `region` that uses a value defined in it, if there is one.
static Operation *findUserOutside(Region &region) {
  Operation *found = nullptr;
  auto search = [&](ValueRange values) {
    for (Value value : values)
      for (Operation *user : value.getUsers())
        if (!isInside(user, region))
          found = user;
  };
  region.walk([&](Block *block) {
    search(block->getArguments());
    for (Operation &op : *block)
      search(op.getResults());
    return found ? WalkResult::interrupt() : WalkResult::advance();
  });
  return found;
}

static void dropUses(Region &region) {
  for (Block &block : region)
    block.dropAllDefinedValueUses();
}

/// What holds of a region that has been parsed.
static ParseResult finishRegion(OpAsmParser &parser, SMLoc loc,
                                Region &region) {
  if (Operation *user = findUserOutside(region)) {
    InFlightDiagnostic error = parser.emitError(
        loc, "a value that is defined in this region is used outside of it");
    error.attachNote(user->getLoc())
        << "used here; a region's values leave it as results of the op around "
           "it";
    dropUses(region);
    return error;
  }
  if (region.empty())
    region.emplaceBlock();
  return success();
}

ParseResult tessera::parseRegion(OpAsmParser &parser, Region &region) {
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseRegion(region)) {
    dropUses(region);
    return failure();
  }
  return finishRegion(parser, loc, region);
}

void tessera::printRegion(OpAsmPrinter &printer, Operation *, Region &region) {
  printer.printRegion(region);
}

ParseResult
tessera::parseRegions(OpAsmParser &parser,
                      SmallVectorImpl<std::unique_ptr<Region>> &regions) {
  SMLoc loc = parser.getCurrentLocation();
  // Not by the overload that makes the region: it also deletes it.
  auto first = std::make_unique<Region>();
  OptionalParseResult parsed = parser.parseOptionalRegion(*first);
  if (!parsed.has_value())
    return success();
  if (failed(*parsed)) {
    dropUses(*first);
    return failure();
  }
  if (finishRegion(parser, loc, *first))
    return failure();
  regions.push_back(std::move(first));
  while (succeeded(parser.parseOptionalComma()))
    if (parseRegion(parser, *regions.emplace_back(std::make_unique<Region>())))
      return failure();
  return success();
}

void tessera::printRegions(OpAsmPrinter &printer, Operation *,
                           RegionRange regions) {
  llvm::interleaveComma(regions, printer,
                        [&](Region *region) { printer.printRegion(*region); });
}
