// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "FindStage.h"

#include "dialects/Plan/IR/Plan.h"
#include "dialects/Tessera/IR/Tessera.h"
#include "dialects/Tile/IR/Tile.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace tessera;

template <typename OpT> static bool has(ModuleOp module) {
  return !module.getOps<OpT>().empty();
}

static bool hasMeshTensors(ModuleOp module) {
  auto isMeshTensor = [](Type type) { return isa<MeshTensorType>(type); };
  WalkResult result = module.walk([&](Operation *op) {
    auto function = dyn_cast<func::FuncOp>(op);
    return llvm::any_of(op->getResultTypes(), isMeshTensor) ||
                   (function &&
                    llvm::any_of(function.getArgumentTypes(), isMeshTensor))
               ? WalkResult::interrupt()
               : WalkResult::advance();
  });
  return result.wasInterrupted();
}

/// What a program without the attribute holds tells, up to the layouts: those
/// of a program by hand may be closed or open, and are propagated again.
static Stage findStageOfContents(ModuleOp module) {
  if (hasMeshTensors(module))
    return Stage::Tessera;
  if (has<plan::ProgramOp>(module))
    return Stage::Plan;
  if (has<tile::KernelOp>(module))
    return Stage::Kernels;
  if (has<gpu::GPUModuleOp>(module))
    return Stage::NVVM;
  if (has<LLVM::LLVMFuncOp>(module))
    return Stage::LLVM;
  return Stage::Local;
}

FailureOr<Stage> tessera::findStage(ModuleOp module) {
  Attribute said = module->getAttr(TesseraDialect::stageAttrName);
  if (!said)
    return findStageOfContents(module);
  auto name = dyn_cast<StringAttr>(said);
  if (std::optional<Stage> stage =
          name ? symbolizeStage(name.getValue()) : std::nullopt)
    return *stage;
  return module.emitError() << TesseraDialect::stageAttrName << " is " << said
                            << "; expected one of " << listStages();
}

static bool leadsTo(Stage from, Stage to, bool isGPU) {
  // Emulated kernels are host objects too.
  if (to == Stage::Object && isGPU)
    to = Stage::NVVM;
  if (from == Stage::Plan && to > Stage::Plan && to != Stage::Artefact)
    from = Stage::Kernels;
  while (to != from && to != Stage::Tessera)
    to = getStageInfo(to).from;
  return to == from;
}

LogicalResult tessera::checkLeadsTo(ModuleOp module, Stage from, Stage to,
                                    bool isGPU) {
  if (leadsTo(from, to, isGPU))
    return success();
  InFlightDiagnostic error = module.emitError()
                             << "this is a program of stage '"
                             << getStageInfo(from).name << "', from which '"
                             << getStageInfo(to).name << "' is not made";
  SmallVector<StringRef> made;
  for (const StageInfo &info : getStages())
    if ((info.target.empty() || (info.target == "cuda") == isGPU) &&
        leadsTo(from, info.stage, isGPU))
      made.push_back(info.name);
  error.attachNote() << "made from it are: " << llvm::join(made, ", ");
  return error;
}

/// The name is part of the names of kernels in objects and in PTX.
static bool isPlainName(StringRef name) {
  return llvm::all_of(name, [](char c) {
    return llvm::isAlnum(c) || c == '_' || c == '.' || c == '$' || c == '-';
  });
}

LogicalResult tessera::checkEntry(ModuleOp module, Stage start,
                                  StringRef entry) {
  if (start > Stage::Plan)
    return success();
  Operation *found = module.lookupSymbol(entry);
  auto function = dyn_cast_or_null<func::FuncOp>(found);
  if ((function && !function.isExternal()) ||
      isa_and_nonnull<plan::ProgramOp>(found)) {
    if (isPlainName(entry))
      return success();
    return found->emitError()
           << "cannot be the entry: its name has characters other than "
              "letters, digits, '_', '.', '$' and '-'; rename it";
  }
  bool isPlan = start == Stage::Plan;
  InFlightDiagnostic error =
      module.emitError() << "there is no " << (isPlan ? "program" : "function")
                         << " @" << entry << (isPlan ? "" : " with a body");
  for (auto other : module.getOps<func::FuncOp>())
    error.attachNote(other.getLoc())
        << "there is a function @" << other.getSymName()
        << "; name it as the entry";
  for (auto other : module.getOps<plan::ProgramOp>())
    error.attachNote(other.getLoc())
        << "there is a program @" << other.getSymName()
        << "; name it as the entry";
  return error;
}
