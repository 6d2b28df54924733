// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Target/PTX.h"

#include "lib/Target/OptimizeModule.h"

#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/GPU/GPUToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"

#include <mutex>

using namespace mlir;
using namespace tessera;

static constexpr llvm::StringRef cudaChips[] = {"sm_80", "sm_90a", "sm_100a"};

ArrayRef<llvm::StringRef> tessera::getCudaChips() { return cudaChips; }

static void initializeNVPTX() {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
  });
}

/// The oldest PTX version that knows all of `chip`'s instructions, so that an
/// older toolkit's ptxas still reads the text.
static StringRef ptxFeatureOf(StringRef chip) {
  return llvm::StringSwitch<StringRef>(chip)
      .Case("sm_80", "+ptx70")
      .Case("sm_90a", "+ptx80")
      .Default("+ptx86");
}

static std::unique_ptr<llvm::TargetMachine>
createNVPTXMachine(StringRef chip, std::string &error) {
  llvm::Triple triple("nvptx64-nvidia-cuda");
  const llvm::Target *target =
      llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target)
    return nullptr;
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Fast;
  return std::unique_ptr<llvm::TargetMachine>(target->createTargetMachine(
      triple, chip, ptxFeatureOf(chip), options, std::nullopt, std::nullopt,
      llvm::CodeGenOptLevel::Aggressive));
}

FailureOr<std::string> tessera::translateToPTX(gpu::GPUModuleOp kernels,
                                               StringRef chip) {
  initializeNVPTX();
  DialectRegistry registry;
  registerBuiltinDialectTranslation(registry);
  registerGPUDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  registerNVVMDialectTranslation(registry);
  kernels->getContext()->appendDialectRegistry(registry);

  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> module =
      translateModuleToLLVMIR(kernels, context, kernels.getName());
  if (!module)
    return kernels.emitError("kernels could not be translated to LLVM IR");

  std::string error;
  std::unique_ptr<llvm::TargetMachine> machine =
      createNVPTXMachine(chip, error);
  if (!machine)
    return kernels.emitError("no NVPTX back end in this LLVM: ") << error;
  module->setTargetTriple(machine->getTargetTriple());
  module->setDataLayout(machine->createDataLayout());
  optimizeModule(*module, *machine, /*level=*/3);

  llvm::SmallVector<char> text;
  llvm::raw_svector_ostream stream(text);
  llvm::legacy::PassManager passes;
  if (machine->addPassesToEmitFile(passes, stream, nullptr,
                                   llvm::CodeGenFileType::AssemblyFile))
    return kernels.emitError("the NVPTX back end cannot emit assembly");
  passes.run(*module);
  return std::string(text.begin(), text.end());
}
