// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "CodeGeneration.h"
#include "FindStage.h"
#include "MemoryReport.h"
#include "PlanReport.h"
#include "ProgramReport.h"
#include "StageContract.h"
#include "dialects/Dist/IR/Dist.h"
#include "dialects/Plan/IR/Plan.h"
#include "dialects/Tessera/IR/Tessera.h"
#include "dialects/Tile/IR/Tile.h"
#include "tessera/ABI/PlanCodec.h"
#include "tessera/Pipelines/Compiler.h"
#include "tessera/Pipelines/Version.h"
#include "tessera/Target/CPU.h"
#include "tessera/Target/PTX.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/StringExtras.h"

#include <chrono>

using namespace mlir;
using namespace tessera;
namespace json = llvm::json;

/// Keeps the kernels, from which code is made.
static void erasePlans(ModuleOp module) {
  for (auto program :
       llvm::make_early_inc_range(module.getOps<plan::ProgramOp>()))
    program.erase();
}

static std::string textOf(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  // Printing writes few characters at a time.
  stream.SetBufferSize(1 << 14);
  stream << module << "\n";
  stream.flush();
  return text;
}

template <typename Fn> auto Compilation::timed(StringRef name, Fn fn) {
  auto start = std::chrono::steady_clock::now();
  auto result = fn();
  std::chrono::duration<double, std::milli> spent =
      std::chrono::steady_clock::now() - start;
  timings.push_back(json::Object{{"stage", name.str()}, {"ms", spent.count()}});
  return result;
}

//===----------------------------------------------------------------------===//
// The program as it is given
//===----------------------------------------------------------------------===//

LogicalResult Compilation::load() {
  if (isLoaded)
    return success();
  for (StringRef name : options.forbidImplicit)
    if (!llvm::is_contained(getCollectiveNames(), name))
      return emitError(nowhere())
             << "cannot forbid '" << name << "'; collectives are "
             << llvm::join(getCollectiveNames(), ", ");
  OwningOpRef<ModuleOp> module = timed("parse", [&] {
    ParserConfig config(&context);
    return parseSourceString<ModuleOp>(source, config, options.sourceName);
  });
  if (!module)
    return failure();
  FailureOr<Stage> found = findStage(*module);
  if (failed(found))
    return failure();
  start = *found;
  if (failed(checkEntry(*module, start, options.entry)))
    return failure();
  modules[start] = std::move(module);
  isLoaded = true;
  return success();
}

/// Checks what was loaded and makes it ready for passes.
LogicalResult Compilation::prepare() {
  if (isPrepared)
    return success();
  ModuleOp module = *modules[start];
  if (failed(verifyStage(module, start, ContractParty::Input)) ||
      failed(describeTarget(module)))
    return failure();
  reached(start, module);
  if (start == Stage::Plan) {
    modules[Stage::Kernels] = module.clone();
    erasePlans(*modules[Stage::Kernels]);
  }
  isPrepared = true;
  return success();
}

/// The target has the stage, and what assembles it is installed.
LogicalResult Compilation::checkStage(Stage stage) {
  const StageInfo &info = getStageInfo(stage);
  Target::Kind kind = options.target.kind;
  bool isWrong = (info.target == "cpu" && isGPU()) ||
                 (info.target == "cuda" && !isGPU()) ||
                 (stage == Stage::Cubin && kind == Target::Kind::Emulated);
  // Emulated kernels are host objects too.
  if (stage == Stage::Object && kind == Target::Kind::Emulated)
    isWrong = false;
  bool isAssembled = stage == Stage::Cubin || stage == Stage::Object ||
                     stage == Stage::Artefact;
  if (!isWrong && isAssembled && kind == Target::Kind::CUDA)
    return checkPtxas(options.target.chip, nowhere());
  if (!isWrong)
    return success();
  return emitError(nowhere())
         << "target " << options.target.str() << " has no stage '" << info.name
         << "'; it belongs to "
         << (info.target == "cpu" ? "the target cpu"
                                  : "targets such as cuda:sm_90a");
}

/// Writes the target and the entry into the module, where every pass finds
/// them. Kernels that were formed for another kind of target, or for another
/// GPU, are refused.
LogicalResult Compilation::describeTarget(ModuleOp module) {
  auto kind = isGPU() ? tile::TargetKind::cuda : tile::TargetKind::cpu;
  tile::TargetAttr known = tile::TargetAttr::of(module);
  bool isForAnother = known && (known.getKind() != kind ||
                                (isGPU() && !known.getChip().empty() &&
                                 known.getChip() != options.target.chip));
  if (start >= Stage::Kernels && isForAnother) {
    InFlightDiagnostic error = module.emitError()
                               << "the kernels of this module were formed for "
                               << known << ", not for target "
                               << options.target.str();
    error.attachNote() << "compile for the target that they were formed for, "
                          "or begin with a stage before '"
                       << getStageInfo(Stage::Kernels).name << "'";
    return error;
  }
  int64_t vectorBits = 0;
  if (!isGPU()) {
    std::string problem;
    std::optional<CPUDescription> cpu = describeCPU(cpuOf(options), problem);
    if (!cpu)
      return emitError(nowhere()) << problem;
    vectorBits = cpu->vectorBits;
  }
  module->setAttr(
      tile::TargetAttr::attrName,
      tile::TargetAttr::get(&context, kind, options.target.chip, vectorBits));
  module->setAttr(TesseraDialect::entryAttrName,
                  StringAttr::get(&context, options.entry));
  return success();
}

void Compilation::reached(Stage stage, ModuleOp module) {
  if (options.onStage)
    options.onStage(getStageInfo(stage), module);
  if (stage == Stage::Local)
    if (auto entry = module.lookupSymbol<func::FuncOp>(options.entry))
      reportLocalProgram(entry, report);
  if (stage == Stage::Kernels)
    if (auto entry = module.lookupSymbol<func::FuncOp>(options.entry))
      reportMemory(entry, report);
  if (stage == Stage::Plan)
    if (auto program = module.lookupSymbol<plan::ProgramOp>(options.entry))
      reportPlan(program, report);
}

//===----------------------------------------------------------------------===//
// Stages
//===----------------------------------------------------------------------===//

/// The module that becomes one of a later stage: that of `stage`, or a copy of
/// it where it is needed again.
OwningOpRef<ModuleOp> Compilation::take(Stage stage) {
  // Code and the plan are both made from kernels.
  if (options.keepsStages || stage == Stage::Kernels)
    return modules[stage]->clone();
  OwningOpRef<ModuleOp> module = std::move(modules[stage]);
  modules.erase(stage);
  return module;
}

void Compilation::beginQuestion() {
  if (options.keepsStages)
    return;
  isLoaded = isPrepared = false;
  modules.clear();
}

FailureOr<ModuleOp> Compilation::reach(Stage stage) {
  beginQuestion();
  return make(stage);
}

FailureOr<ModuleOp> Compilation::make(Stage stage) {
  if (failed(load()) || failed(prepare()))
    return failure();
  auto known = modules.find(stage);
  if (known != modules.end())
    return *known->second;
  if (stage < start)
    return *modules[start];
  const StageInfo &info = getStageInfo(stage);
  if (failed(make(info.from)))
    return failure();
  OwningOpRef<ModuleOp> module = take(info.from);
  PassManager manager(&context, ModuleOp::getOperationName());
  // The check that ends a pipeline verifies all that its passes have made;
  // verifying after each, as tessera-opt does, would be a fifth of the time.
  manager.enableVerifier(false);
  auto error = [&](const Twine &problem) -> LogicalResult {
    return module->emitError() << problem;
  };
  if (failed(addStagePasses(manager, stage, /*firstOptions=*/"", error)) ||
      failed(timed(info.name, [&] { return manager.run(*module); })))
    return failure();
  reached(stage, *module);
  if (stage == Stage::Local && failed(checkForbidden(*module)))
    return failure();
  ModuleOp result = *module;
  modules[stage] = std::move(module);
  return result;
}

LogicalResult Compilation::checkForbidden(ModuleOp local) {
  if (options.forbidImplicit.empty())
    return success();
  bool isValid = true;
  local.walk([&](Operation *op) {
    StringRef name = collectiveName(op);
    if (name.empty() || !llvm::is_contained(options.forbidImplicit, name))
      return;
    isValid = false;
    InFlightDiagnostic error = op->emitError()
                               << "these layouts require an " << name
                               << ", which forbidImplicit disallows";
    if (auto why = op->getAttrOfType<dist::WhyAttr>("why"))
      error.attachNote() << why.getRule().getValue();
  });
  return success(isValid);
}

LogicalResult Compilation::emitCode(Stage stage, std::string &data) {
  FailureOr<ModuleOp> code = make(isGPU() ? Stage::NVVM : Stage::LLVM);
  if (failed(code))
    return failure();
  if (stage == Stage::PTX) {
    FailureOr<std::string> ptx =
        timed("ptx", [&] { return generatePTX(*code, options.target); });
    if (failed(ptx))
      return failure();
    data = *ptx;
    return success();
  }
  CodeObjects objects;
  if (failed(timed("object", [&] {
        return generateCode(*code, options, objects, report);
      })))
    return failure();
  data = objects.objects.front();
  return success();
}

LogicalResult Compilation::emitArtefact(std::string &data) {
  CodeObjects code;
  code.compiler = getCompilerVersion();
  code.target = options.target.str();
  FailureOr<ModuleOp> kernels = make(Stage::Kernels);
  if (failed(kernels))
    return failure();
  if (!kernels->getOps<tile::KernelOp>().empty()) {
    FailureOr<ModuleOp> module = make(isGPU() ? Stage::NVVM : Stage::LLVM);
    if (failed(module) || failed(timed("object", [&] {
          return generateCode(*module, options, code, report);
        })))
      return failure();
  }
  FailureOr<ModuleOp> plan = make(Stage::Plan);
  if (failed(plan))
    return failure();
  FailureOr<abi::Artefact> artefact = buildArtefact(*plan, options.entry, code);
  if (failed(artefact))
    return failure();
  data = abi::encodeArtefact(*artefact);
  return success();
}

LogicalResult Compilation::emit(Stage stage, std::string &data) {
  beginQuestion();
  if (failed(checkStage(stage)) || failed(load()) ||
      failed(checkLeadsTo(*modules[start], start, stage, isGPU())) ||
      failed(prepare()))
    return failure();
  switch (stage) {
  case Stage::Artefact:
    return emitArtefact(data);
  case Stage::PTX:
  case Stage::Cubin:
  case Stage::Object:
    return emitCode(stage, data);
  default:
    FailureOr<ModuleOp> module = make(stage);
    if (failed(module))
      return failure();
    data = textOf(*module);
    return success();
  }
}

std::string Compilation::getReport() const {
  Report whole = report;
  whole.set("timings", json::Array(timings));
  return whole.str();
}
