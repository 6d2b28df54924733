// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "BF16AsBits.h"
#include "LinkObject.h"
#include "tessera/Target/CPU.h"

#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"

#include <mutex>

using namespace mlir;
using namespace tessera;

static void initializeHost() {
  static std::once_flag once;
  std::call_once(once, [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
  });
}

static std::string resolveCPU(StringRef cpu) {
  return cpu == "native" ? llvm::sys::getHostCPUName().str() : cpu.str();
}

/// The features that the host has beyond those of its CPU's name (or lacks:
/// virtual machines hide some).
static std::string featuresOf(StringRef cpu) {
  if (cpu != "native")
    return "";
  std::string features;
  for (auto &feature : llvm::sys::getHostCPUFeatures())
    features += (features.empty() ? "" : ",") +
                ((feature.second ? "+" : "-") + feature.first()).str();
  return features;
}

static std::unique_ptr<llvm::TargetMachine>
createHostMachine(const CPUOptions &options, std::string &error) {
  initializeHost();
  llvm::Triple triple(llvm::sys::getDefaultTargetTriple());
  const llvm::Target *target =
      llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target)
    return nullptr;
  std::string cpu = resolveCPU(options.cpu);
  llvm::TargetOptions targetOptions;
  auto level = static_cast<llvm::CodeGenOptLevel>(options.optLevel);
  std::unique_ptr<llvm::TargetMachine> machine(target->createTargetMachine(
      triple, cpu, featuresOf(options.cpu), targetOptions, llvm::Reloc::PIC_,
      std::nullopt, level));
  if (machine && !machine->getMCSubtargetInfo()->isCPUStringValid(cpu)) {
    error = "unknown CPU '" + cpu +
            "'; expected native or a name such as "
            "x86-64-v3 or x86-64-v4";
    return nullptr;
  }
  return machine;
}

unsigned tessera::vectorBitsOf(StringRef cpu) {
  CPUOptions options;
  options.cpu = cpu.str();
  std::string error;
  std::unique_ptr<llvm::TargetMachine> machine =
      createHostMachine(options, error);
  if (!machine)
    return 128;
  const llvm::MCSubtargetInfo *info = machine->getMCSubtargetInfo();
  if (info->checkFeatures("+avx512f"))
    return 512;
  return info->checkFeatures("+avx2") ? 256 : 128;
}

static void optimize(llvm::Module &module, llvm::TargetMachine &machine,
                     unsigned level) {
  llvm::PipelineTuningOptions tuning;
  // Kernels are vectorised and blocked as they are to be.
  tuning.LoopVectorization = false;
  tuning.SLPVectorization = false;
  llvm::PassBuilder builder(&machine, tuning);
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager sccs;
  llvm::ModuleAnalysisManager modules;
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(sccs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, sccs, modules);
  llvm::OptimizationLevel levels[] = {
      llvm::OptimizationLevel::O0, llvm::OptimizationLevel::O1,
      llvm::OptimizationLevel::O2, llvm::OptimizationLevel::O3};
  if (level == 0)
    return;
  builder.buildPerModuleDefaultPipeline(levels[std::min(level, 3u)])
      .run(module, modules);
}

static std::unique_ptr<llvm::Module> translate(ModuleOp module,
                                               llvm::LLVMContext &context,
                                               llvm::TargetMachine &machine,
                                               const CPUOptions &options) {
  DialectRegistry registry;
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  module->getContext()->appendDialectRegistry(registry);
  std::unique_ptr<llvm::Module> result =
      translateModuleToLLVMIR(module, context, "kernels");
  if (!result)
    return nullptr;
  result->setTargetTriple(machine.getTargetTriple());
  result->setDataLayout(machine.createDataLayout());
  for (llvm::Function &function : *result) {
    if (function.isDeclaration())
      continue;
    function.addFnAttr("target-cpu", machine.getTargetCPU());
    function.addFnAttr("target-features", machine.getTargetFeatureString());
    // Some CPUs with 512-bit registers prefer 256-bit ones by default; kernels
    // say themselves how wide their vectors are.
    function.addFnAttr("prefer-vector-width", "512");
    function.addFnAttr("min-legal-vector-width", "512");
  }
  optimize(*result, machine, options.optLevel);
  return result;
}

FailureOr<SmallVector<char>>
tessera::emitSharedObject(ModuleOp module, const CPUOptions &options) {
  std::string error;
  auto machine = createHostMachine(options, error);
  if (!machine)
    return module.emitError(error);
  moveBF16AsBits(module);
  llvm::LLVMContext context;
  auto llvmModule = translate(module, context, *machine, options);
  if (!llvmModule)
    return module.emitError("kernels could not be translated to LLVM IR");
  SmallVector<char> object;
  llvm::raw_svector_ostream stream(object);
  llvm::legacy::PassManager passes;
  if (machine->addPassesToEmitFile(passes, stream, nullptr,
                                   llvm::CodeGenFileType::ObjectFile))
    return module.emitError("the host's back end cannot emit objects");
  passes.run(*llvmModule);
  return linkSharedObject(StringRef(object.data(), object.size()),
                          options.linker, module.getLoc());
}
