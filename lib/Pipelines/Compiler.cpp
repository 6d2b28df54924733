// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Pipelines/Compiler.h"

#include "tessera/Pipelines/Registration.h"
#include "tessera/Target/CPU.h"
#include "tessera/Target/PTX.h"

using namespace mlir;
using namespace tessera;

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
// Compilations
//===----------------------------------------------------------------------===//

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
  Compilation compilation(context, source, options);
  LogicalResult result = compilation.emit(options.emit, output.data);
  output.report = compilation.getReport();
  return result;
}
