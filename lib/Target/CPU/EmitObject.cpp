// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "BF16AsBits.h"
#include "HostMachine.h"
#include "LinkObject.h"
#include "SplitKernels.h"
#include "lib/Target/OptimizeModule.h"
#include "tessera/Target/CPU.h"

#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/Support/ThreadPool.h"

using namespace mlir;
using namespace tessera;

namespace {
/// One kernel on its way from LLVM IR to an object. Each has a context of its
/// own, so that threads share nothing.
struct Unit {
  std::unique_ptr<llvm::LLVMContext> context;
  std::unique_ptr<llvm::Module> module;
  size_t cost = 0; ///< Instructions before optimisation.
  SmallVector<char> object;
  bool isEmitted = false;
};
} // namespace

static void optimize(llvm::Module &module, llvm::TargetMachine &machine,
                     unsigned level) {
  if (level == 0)
    return;
  // Kernels are vectorised, blocked and unrolled as they are to be; doing it
  // again doubles the code and the time to make it.
  optimizeModule(module, machine, level, LoopTransforms::None);
}

static void emit(Unit &unit, const CPUDescription &cpu, unsigned optLevel) {
  std::unique_ptr<llvm::TargetMachine> machine =
      createHostMachine(cpu, optLevel);
  optimize(*unit.module, *machine, optLevel);
  llvm::raw_svector_ostream stream(unit.object);
  llvm::legacy::PassManager passes;
  if (machine->addPassesToEmitFile(passes, stream, nullptr,
                                   llvm::CodeGenFileType::ObjectFile))
    return;
  passes.run(*unit.module);
  unit.isEmitted = true;
}

/// Whether some instruction does more with f16 than move it.
static bool computesHalf(const llvm::Module &module) {
  auto isHalf = [](const llvm::Value *value) {
    return value->getType()->getScalarType()->isHalfTy();
  };
  for (const llvm::Function &function : module)
    for (const llvm::BasicBlock &block : function)
      for (const llvm::Instruction &op : block) {
        if (isa<llvm::LoadInst, llvm::StoreInst, llvm::PHINode,
                llvm::SelectInst, llvm::InsertElementInst,
                llvm::ExtractElementInst, llvm::ShuffleVectorInst,
                llvm::BitCastInst>(op))
          continue;
        if (isHalf(&op) || llvm::any_of(op.operand_values(), isHalf))
          return true;
      }
  return false;
}

static LogicalResult translate(ModuleOp kernel, const CPUDescription &cpu,
                               const llvm::TargetMachine &machine, Unit &unit) {
  unit.context = std::make_unique<llvm::LLVMContext>();
  unit.module = translateModuleToLLVMIR(kernel, *unit.context, "kernels");
  if (!unit.module)
    return kernel.emitError("kernels could not be translated to LLVM IR");
  // Without such instructions LLVM calls the compiler's library, which host
  // objects do not link.
  if (cpu.architecture == "x86_64" &&
      !llvm::is_contained(cpu.features, "f16c") && computesHalf(*unit.module)) {
    InFlightDiagnostic error = kernel.emitError()
                               << "the program computes with f16, but the CPU '"
                               << cpu.model << "' does not have f16c";
    error.attachNote() << "compile for a later CPU, such as "
                          "--target=cpu:x86-64-v3, or use f32 or bf16";
    return error;
  }
  applyCPU(*unit.module, cpu, machine);
  unit.cost = unit.module->getInstructionCount();
  return success();
}

FailureOr<SmallVector<char>>
tessera::emitSharedObject(ModuleOp module, const CPUOptions &options) {
  std::string error;
  std::optional<CPUDescription> cpu = describeCPU(options.cpu, error);
  if (!cpu)
    return module.emitError(error);
  moveBF16AsBits(module);
  DialectRegistry registry;
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  module->getContext()->appendDialectRegistry(registry);

  // Translation reads the one MLIR context, which need not be safe for threads.
  std::unique_ptr<llvm::TargetMachine> machine =
      createHostMachine(*cpu, options.optLevel);
  SmallVector<OwningOpRef<ModuleOp>> kernels = splitKernels(module);
  std::vector<Unit> units(kernels.size());
  for (auto [kernel, unit] : llvm::zip_equal(kernels, units))
    if (failed(translate(*kernel, *cpu, *machine, unit)))
      return failure();

  // Large kernels first, so that threads end together.
  auto order = llvm::to_vector(llvm::seq(units.size()));
  llvm::sort(order, [&](size_t a, size_t b) {
    return std::make_pair(units[b].cost, a) < std::make_pair(units[a].cost, b);
  });
  llvm::DefaultThreadPool pool(llvm::hardware_concurrency(options.jobs));
  for (size_t i : order)
    pool.async([&, i] { emit(units[i], *cpu, options.optLevel); });
  pool.wait();

  SmallVector<StringRef> objects;
  for (Unit &unit : units) {
    if (!unit.isEmitted)
      return module.emitError("the host's back end cannot emit objects");
    objects.emplace_back(unit.object.data(), unit.object.size());
  }
  return linkSharedObject(objects, options.linker, module.getLoc());
}
