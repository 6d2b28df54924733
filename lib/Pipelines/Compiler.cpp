// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Pipelines/Compiler.h"

#include "CodeGeneration.h"
#include "FindStage.h"
#include "PlanReport.h"
#include "Report.h"
#include "StageContract.h"
#include "dialects/Dist/IR/Dist.h"
#include "dialects/Plan/IR/Plan.h"
#include "dialects/Tessera/IR/Tessera.h"
#include "dialects/Tile/IR/Tile.h"
#include "tessera/ABI/PlanCodec.h"
#include "tessera/Pipelines/Registration.h"
#include "tessera/Pipelines/Version.h"
#include "tessera/Target/CPU.h"
#include "tessera/Target/PTX.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "llvm/ADT/StringExtras.h"

#include <chrono>

using namespace mlir;
using namespace tessera;
namespace json = llvm::json;

//===----------------------------------------------------------------------===//
// Targets
//===----------------------------------------------------------------------===//

std::string Target::str() const {
  switch (kind) {
  case Kind::CPU:
    return chip.empty() ? "cpu" : "cpu:" + chip;
  case Kind::CUDA:
    return "cuda:" + chip;
  case Kind::Emulated:
    return "emulated:" + chip;
  }
  llvm_unreachable("unknown target");
}

std::optional<Target> Target::parse(StringRef text, std::string &error) {
  auto [name, chip] = text.split(':');
  Target target;
  if (name == "cpu") {
    target.chip = chip.str();
    if (text == "cpu" || describeCPU(chip, error))
      return target;
    return std::nullopt;
  }
  if (name == "cuda" || name == "emulated") {
    bool isEmulated = name == "emulated";
    target.kind = isEmulated ? Kind::Emulated : Kind::CUDA;
    target.chip = isEmulated && chip.empty() ? "sm_90a" : chip.str();
    if (llvm::is_contained(getCudaChips(), target.chip))
      return target;
  }
  error = "unknown target '" + text.str() + "'; expected cpu[:<model>]";
  for (StringRef known : getCudaChips())
    error += ", cuda:" + known.str();
  error += " or emulated[:<chip>]";
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// One compilation
//===----------------------------------------------------------------------===//

namespace {
class Compilation {
public:
  Compilation(MLIRContext &context, const CompileOptions &options,
              CompileOutput &output)
      : context(context), options(options), output(output) {}

  LogicalResult run(StringRef source);

private:
  bool isGPU() const { return options.target.kind != Target::Kind::CPU; }
  LogicalResult checkOptions();
  /// A place for what is wrong before the program is read.
  Location nowhere() {
    return FileLineColLoc::get(&context, options.sourceName, 0, 0);
  }
  LogicalResult parse(StringRef source);
  LogicalResult describeTarget();
  LogicalResult lower(ModuleOp module, Stage from, Stage to);
  LogicalResult checkForbidden();
  void reached(Stage stage, ModuleOp module);
  LogicalResult emitCode();
  LogicalResult emitArtefact();
  template <typename Fn> auto timed(StringRef name, Fn fn);

  MLIRContext &context;
  const CompileOptions &options;
  CompileOutput &output;
  OwningOpRef<ModuleOp> module;
  Stage start = Stage::Tessera; ///< Of `module` as it was given.
  json::Array timings;
};
} // namespace

static std::string textOf(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream(text) << module << "\n";
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

/// The stage exists for the target, what it needs is here, and what is
/// forbidden is a collective.
LogicalResult Compilation::checkOptions() {
  for (StringRef name : options.forbidImplicit)
    if (!llvm::is_contained(getCollectiveNames(), name))
      return emitError(nowhere())
             << "cannot forbid '" << name << "'; collectives are "
             << llvm::join(getCollectiveNames(), ", ");
  const StageInfo &info = getStageInfo(options.emit);
  bool isWrong = (info.target == "cpu" && isGPU()) ||
                 (info.target == "cuda" && !isGPU()) ||
                 (options.emit == Stage::Cubin &&
                  options.target.kind == Target::Kind::Emulated);
  // Emulated kernels are host objects too.
  if (options.emit == Stage::Object &&
      options.target.kind == Target::Kind::Emulated)
    isWrong = false;
  bool isAssembled = options.emit == Stage::Cubin ||
                     options.emit == Stage::Object ||
                     options.emit == Stage::Artefact;
  if (!isWrong && isAssembled && options.target.kind == Target::Kind::CUDA)
    return checkPtxas(options.target.chip, nowhere());
  if (!isWrong)
    return success();
  return emitError(nowhere())
         << "target " << options.target.str() << " has no stage '" << info.name
         << "'; it belongs to "
         << (info.target == "cpu" ? "the target cpu"
                                  : "targets such as cuda:sm_90a");
}

LogicalResult Compilation::parse(StringRef source) {
  ParserConfig config(&context);
  module = parseSourceString<ModuleOp>(source, config, options.sourceName);
  if (!module)
    return failure();
  FailureOr<Stage> found = findStage(*module);
  if (failed(found))
    return failure();
  start = *found;
  return success();
}

void Compilation::reached(Stage stage, ModuleOp module) {
  if (options.onStage)
    options.onStage(getStageInfo(stage), module);
  if (stage == Stage::Local)
    if (auto entry = module.lookupSymbol<func::FuncOp>(options.entry))
      reportLocalProgram(entry, output.report);
  if (stage == Stage::Plan)
    if (auto program = module.lookupSymbol<plan::ProgramOp>(options.entry))
      reportPlan(program, output.report);
}

/// Writes the target and the entry into the module, where every pass finds
/// them. Kernels that were formed for another kind of target, or for another
/// GPU, are refused.
LogicalResult Compilation::describeTarget() {
  auto kind = isGPU() ? tile::TargetKind::cuda : tile::TargetKind::cpu;
  tile::TargetAttr known = tile::TargetAttr::of(*module);
  bool isForAnother = known && (known.getKind() != kind ||
                                (isGPU() && !known.getChip().empty() &&
                                 known.getChip() != options.target.chip));
  if (start >= Stage::Kernels && isForAnother) {
    InFlightDiagnostic error = module->emitError()
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
  (*module)->setAttr(
      tile::TargetAttr::attrName,
      tile::TargetAttr::get(&context, kind, options.target.chip, vectorBits));
  (*module)->setAttr(TesseraDialect::entryAttrName,
                     StringAttr::get(&context, options.entry));
  return success();
}

LogicalResult Compilation::lower(ModuleOp module, Stage from, Stage to) {
  if (from == to)
    return success();
  const StageInfo &info = getStageInfo(to);
  if (failed(lower(module, from, info.from)))
    return failure();
  PassManager manager(&context, ModuleOp::getOperationName());
  std::string problem;
  llvm::raw_string_ostream os(problem);
  if (failed(
          parsePassPipeline(verifiedPipeline(info.pipeline, to), manager, os)))
    return emitError(module.getLoc()) << problem;
  LogicalResult result = timed(info.name, [&] { return manager.run(module); });
  if (succeeded(result))
    reached(to, module);
  return result;
}

LogicalResult Compilation::checkForbidden() {
  bool isValid = true;
  module->walk([&](Operation *op) {
    StringRef name = collectiveName(op);
    if (name.empty() || !llvm::is_contained(options.forbidImplicit, name))
      return;
    isValid = false;
    InFlightDiagnostic error = op->emitError()
                               << "the layouts ask for an " << name
                               << ", which is forbidden here";
    if (auto why = op->getAttrOfType<dist::WhyAttr>("why"))
      error.attachNote() << why.getRule().getValue();
  });
  return success(isValid);
}

/// Leaves the kernels, which code is made from.
static void erasePlans(ModuleOp module) {
  for (auto program :
       llvm::make_early_inc_range(module.getOps<plan::ProgramOp>()))
    program.erase();
}

LogicalResult Compilation::emitCode() {
  ModuleOp code = *module;
  if (failed(lower(code, start, isGPU() ? Stage::NVVM : Stage::LLVM)))
    return failure();
  if (options.emit == Stage::PTX) {
    FailureOr<std::string> ptx =
        timed("ptx", [&] { return generatePTX(code, options.target); });
    if (failed(ptx))
      return failure();
    output.data = *ptx;
    return success();
  }
  CodeObjects objects;
  if (failed(timed("object", [&] {
        return generateCode(code, options, objects, output.report);
      })))
    return failure();
  output.data = objects.objects.front();
  return success();
}

LogicalResult Compilation::emitArtefact() {
  if (start < Stage::Kernels) {
    if (failed(lower(*module, start, Stage::Kernels)))
      return failure();
    start = Stage::Kernels;
  }
  OwningOpRef<ModuleOp> kernels = module->clone();
  erasePlans(*kernels);
  CodeObjects code;
  code.compiler = getCompilerVersion();
  code.target = options.target.str();
  if (!module->getOps<tile::KernelOp>().empty() &&
      (failed(lower(*kernels, Stage::Kernels,
                    isGPU() ? Stage::NVVM : Stage::LLVM)) ||
       failed(timed("object", [&] {
         return generateCode(*kernels, options, code, output.report);
       }))))
    return failure();
  if (failed(lower(*module, start, Stage::Plan)))
    return failure();
  FailureOr<abi::Artefact> artefact =
      buildArtefact(*module, options.entry, code);
  if (failed(artefact))
    return failure();
  output.data = abi::encodeArtefact(*artefact);
  return success();
}

LogicalResult Compilation::run(StringRef source) {
  LogicalResult result = [&]() -> LogicalResult {
    if (failed(checkOptions()) ||
        failed(timed("parse", [&] { return parse(source); })))
      return failure();
    if (failed(checkEntry(*module, start, options.entry)) ||
        failed(checkLeadsTo(*module, start, options.emit, isGPU())) ||
        failed(verifyStage(*module, start, ContractParty::Input)) ||
        failed(describeTarget()))
      return failure();
    reached(start, *module);
    if (!options.forbidImplicit.empty() && start < Stage::Local &&
        options.emit >= Stage::Local) {
      if (failed(lower(*module, start, Stage::Local)) ||
          failed(checkForbidden()))
        return failure();
      start = Stage::Local;
    }
    if (start == Stage::Plan && options.emit != start &&
        options.emit != Stage::Artefact) {
      erasePlans(*module);
      start = Stage::Kernels;
    }
    switch (options.emit) {
    case Stage::Artefact:
      return emitArtefact();
    case Stage::PTX:
    case Stage::Cubin:
    case Stage::Object:
      return emitCode();
    default:
      if (failed(lower(*module, start, options.emit)))
        return failure();
      output.data = textOf(*module);
      return success();
    }
  }();
  output.report["timings"] = std::move(timings);
  return result;
}

std::unique_ptr<MLIRContext> tessera::createCompilerContext() {
  registerTesseraPasses();
  DialectRegistry registry;
  registerTesseraDialects(registry);
  // Programs are small; a thread pool costs more than it gains.
  auto context =
      std::make_unique<MLIRContext>(registry, MLIRContext::Threading::DISABLED);
  context->loadAllAvailableDialects();
  // A note with the whole op, which can be the whole program, helps no user.
  context->printOpOnDiagnostic(false);
  return context;
}

LogicalResult tessera::compile(MLIRContext &context, StringRef source,
                               const CompileOptions &options,
                               CompileOutput &output) {
  return Compilation(context, options, output).run(source);
}
