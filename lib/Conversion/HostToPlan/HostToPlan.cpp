// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ProgramBuilder.h"
#include "tessera/Conversion/Passes.h"

namespace tessera {
#define GEN_PASS_DEF_CONVERTHOSTTOPLAN
#include "lib/Conversion/Passes.h.inc"
} // namespace tessera

using namespace mlir;
using namespace tessera;

namespace {
struct ConvertHostToPlanPass
    : tessera::impl::ConvertHostToPlanBase<ConvertHostToPlanPass> {
  using ConvertHostToPlanBase::ConvertHostToPlanBase;

  void runOnOperation() override {
    if (failed(verifyRegionsAreKnown(getOperation(), getArgument())))
      return signalPassFailure();
    ModuleOp module = getOperation();
    module->removeAttr(TesseraDialect::stageAttrName);
    if (entry.empty())
      entry = TesseraDialect::getEntry(module).str();
    auto function = module.lookupSymbol<func::FuncOp>(entry);
    if (!function || function.isExternal()) {
      InFlightDiagnostic error = module.emitError() << "has no function @"
                                                    << entry << " with a body";
      for (auto other : module.getOps<func::FuncOp>())
        error.attachNote(other.getLoc())
            << "there is a function @" << other.getSymName();
      return signalPassFailure();
    }
    StorageOptions options;
    options.windowAlignment = windowAlignment;
    tile::TargetAttr target = tile::TargetAttr::of(module);
    // A GPU reads up to 16 bytes at once, aligned.
    if (options.windowAlignment <= 0)
      options.windowAlignment = target && target.isGPU() ? 16 : 1;
    if (failed(checkTies(function)) ||
        failed(ProgramBuilder(function, options).build()))
      return signalPassFailure();
    for (auto other : llvm::make_early_inc_range(module.getOps<func::FuncOp>()))
      other.erase();
  }
};
} // namespace
