// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "HostMachine.h"
#include "tessera/ABI/CpuFeatures.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/TargetParser/Host.h"

#include <mutex>

using namespace tessera;
using llvm::StringRef;

static void initializeHost() {
  static std::once_flag once;
  std::call_once(once, [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
  });
}

static std::vector<StringRef> knownFeatures(const llvm::Triple &triple) {
  std::vector<StringRef> names;
  if (triple.isX86())
    for (const abi::X86Feature &feature : abi::x86Features)
      names.push_back(feature.name);
  else if (triple.isAArch64())
    for (const abi::Arm64Feature &feature : abi::arm64Features)
      names.push_back(feature.name);
  return names;
}

/// What every CPU of the architecture has.
static StringRef baseCPU(const llvm::Triple &triple) {
  return triple.isX86() ? "x86-64" : "generic";
}

static std::unique_ptr<llvm::TargetMachine> createMachine(StringRef cpu,
                                                          StringRef features,
                                                          unsigned optLevel,
                                                          std::string &error) {
  initializeHost();
  llvm::Triple triple(llvm::sys::getDefaultTargetTriple());
  const llvm::Target *target =
      llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target)
    return nullptr;
  return std::unique_ptr<llvm::TargetMachine>(target->createTargetMachine(
      triple, cpu, features, llvm::TargetOptions(), llvm::Reloc::PIC_,
      std::nullopt, static_cast<llvm::CodeGenOptLevel>(optLevel)));
}

std::optional<CPUDescription> tessera::describeCPU(StringRef cpu,
                                                   std::string &error) {
  llvm::Triple triple(llvm::sys::getDefaultTargetTriple());
  CPUDescription description;
  description.architecture = triple.getArchName().str();
  bool isNative = cpu == "native";
  description.model = isNative ? llvm::sys::getHostCPUName().str() : cpu.str();
  auto base = createMachine(baseCPU(triple), "", 0, error);
  if (!base)
    return std::nullopt;
  if (!base->getMCSubtargetInfo()->isCPUStringValid(description.model)) {
    // A host newer than LLVM has no name, but features.
    if (!isNative) {
      error = "unknown CPU '" + cpu.str() + "'; expected native or a CPU of " +
              description.architecture + " that LLVM knows, such as " +
              (triple.isX86() ? "x86-64-v3 (AVX2) or x86-64-v4 (AVX-512)"
                              : "generic or neoverse-n1");
      return std::nullopt;
    }
    description.model = baseCPU(triple).str();
  }

  // The host's own list counts for "native": virtual machines hide some.
  llvm::StringMap<bool> hostFeatures;
  std::unique_ptr<llvm::TargetMachine> machine;
  if (isNative)
    hostFeatures = llvm::sys::getHostCPUFeatures();
  else if (!(machine = createMachine(description.model, "", 0, error)))
    return std::nullopt;
  for (StringRef name : knownFeatures(triple)) {
    bool has =
        isNative
            ? hostFeatures.lookup(name)
            : machine->getMCSubtargetInfo()->checkFeatures(("+" + name).str());
    if (has)
      description.features.push_back(name.str());
  }
  if (llvm::is_contained(description.features, "avx512f"))
    description.vectorBits = 512;
  else if (llvm::is_contained(description.features, "avx2"))
    description.vectorBits = 256;
  return description;
}

static std::string featureString(const CPUDescription &cpu) {
  std::string text;
  for (const std::string &name : cpu.features)
    text += (text.empty() ? "+" : ",+") + name;
  return text;
}

std::unique_ptr<llvm::TargetMachine>
tessera::createHostMachine(const CPUDescription &cpu, unsigned optLevel) {
  llvm::Triple triple(llvm::sys::getDefaultTargetTriple());
  std::string error;
  return createMachine(baseCPU(triple), featureString(cpu), optLevel, error);
}

void tessera::applyCPU(llvm::Module &module, const CPUDescription &cpu,
                       const llvm::TargetMachine &machine) {
  module.setTargetTriple(machine.getTargetTriple());
  module.setDataLayout(machine.createDataLayout());
  for (llvm::Function &function : module) {
    if (function.isDeclaration())
      continue;
    function.addFnAttr("target-cpu", machine.getTargetCPU());
    function.addFnAttr("tune-cpu", cpu.model);
    function.addFnAttr("target-features", machine.getTargetFeatureString());
    // Some CPUs with 512-bit registers prefer 256-bit ones by default; kernels
    // say themselves how wide their vectors are.
    function.addFnAttr("prefer-vector-width", "512");
    function.addFnAttr("min-legal-vector-width", "512");
  }
}
