// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "StageContract.h"
#include "dialects/Tessera/IR/Tessera.h"
#include "tessera/Pipelines/Passes.h"

#include "mlir/IR/Verifier.h"

namespace tessera {
#define GEN_PASS_DEF_VERIFYSTAGE
#include "lib/Pipelines/Passes.h.inc"
} // namespace tessera

using namespace mlir;
using namespace tessera;

namespace {
struct VerifyStagePass : tessera::impl::VerifyStageBase<VerifyStagePass> {
  using VerifyStageBase::VerifyStageBase;

  void runOnOperation() override {
    std::optional<Stage> known = symbolizeStage(stage);
    if (!known || !hasContract(*known)) {
      SmallVector<StringRef> names;
      for (const StageInfo &info : getStages())
        if (hasContract(info.stage))
          names.push_back(info.name);
      emitError(getOperation().getLoc())
          << getArgument() << ": no passes lead to a stage '" << stage
          << "'; expected " << llvm::join(names, ", ");
      return signalPassFailure();
    }
    // The contract is stated for ops that are well formed.
    if (failed(verify(getOperation())) ||
        failed(verifyRegionsAreKnown(getOperation(), getArgument())))
      return signalPassFailure();
    if (failed(verifyStage(getOperation(), *known, ContractParty::Passes)))
      return signalPassFailure();
    getOperation()->setAttr(TesseraDialect::stageAttrName,
                            StringAttr::get(&getContext(), stage));
  }
};
} // namespace
