// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// From program text to any stage. tessera-compile and the C interface are thin
// layers over this.
#ifndef TESSERA_PIPELINES_COMPILER_H
#define TESSERA_PIPELINES_COMPILER_H

#include "tessera/Pipelines/Stages.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/JSON.h"

#include <functional>
#include <string>
#include <vector>

namespace tessera {

/// `cpu[:<model>]`, `cuda:<chip>` or `emulated[:<chip>]`.
struct Target {
  enum class Kind { CPU, CUDA, Emulated };
  Kind kind = Kind::CPU;
  /// "sm_90a"; of a cpu its model, "x86-64-v3", or empty for this machine's.
  std::string chip;

  std::string str() const;
  /// Reads the text form. On failure `error` says what the choices are.
  static std::optional<Target> parse(llvm::StringRef text, std::string &error);
};

struct CompileOptions {
  Target target;
  Stage emit = Stage::Artefact;
  std::string entry = "main";
  /// What diagnostics call the source.
  std::string sourceName = "<input>";
  /// Kinds of collectives that are an error: "all_gather".
  std::vector<std::string> forbidImplicit;
  /// Kernels compiled at once; 0: one per core that the process may use. The
  /// result does not depend on it.
  unsigned jobs = 0;
  /// Called with every stage that is reached, and its module.
  std::function<void(const StageInfo &, mlir::ModuleOp)> onStage;
};

struct CompileOutput {
  /// Text of the stage, or the bytes of an object, cubin or artefact.
  std::string data;
  /// See tesseraResultReport in CompilerCApi.h.
  llvm::json::Object report;
};

/// A context with all dialects, ready for `compile`.
std::unique_ptr<mlir::MLIRContext> createCompilerContext();

/// Compiles `source`, a module of any stage up to `kernels`. Diagnostics go to
/// the context's engine.
llvm::LogicalResult compile(mlir::MLIRContext &context, llvm::StringRef source,
                            const CompileOptions &options,
                            CompileOutput &output);

} // namespace tessera

#endif // TESSERA_PIPELINES_COMPILER_H
