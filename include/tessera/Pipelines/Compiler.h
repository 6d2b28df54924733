// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// From program text to any stage. tessera-compile and the C interface are thin
// layers over this.
#ifndef TESSERA_PIPELINES_COMPILER_H
#define TESSERA_PIPELINES_COMPILER_H

#include "tessera/Pipelines/Report.h"
#include "tessera/Pipelines/Stages.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"

#include <functional>
#include <map>
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
  /// Whether a Compilation keeps the module of every stage, so that asking for
  /// another stage makes none of them again. Else each question begins with the
  /// source.
  bool keepsStages = false;
  /// Called with every stage that is reached, and its module.
  std::function<void(const StageInfo &, mlir::ModuleOp)> onStage;
};

struct CompileOutput {
  /// Text of the stage, or the bytes of an object, cubin or artefact.
  std::string data;
  /// JSON on one line; see tesseraResultReport in CompilerCApi.h.
  std::string report;
};

/// A context with all dialects, ready for `compile`.
std::unique_ptr<mlir::MLIRContext> createCompilerContext();

/// One program on its way through the stages. Each stage is made once, when it
/// is first needed.
class Compilation {
public:
  /// `source` is a module of any stage up to `plan`. It is parsed, and what is
  /// wrong with it reported, when it is first needed.
  Compilation(mlir::MLIRContext &context, llvm::StringRef source,
              CompileOptions options)
      : context(context), source(source), options(std::move(options)) {}

  /// Sets `data` to the text of the stage, or the bytes of an object, cubin or
  /// artefact. Diagnostics go to the context's engine.
  llvm::LogicalResult emit(Stage stage, std::string &data);

  /// The module of a stage that passes make; that of the source where the
  /// source is of a later stage. Where stages are not kept, it is valid until
  /// the next question.
  llvm::FailureOr<mlir::ModuleOp> reach(Stage stage);

  /// What is known of the stages made so far; see tesseraResultReport in
  /// CompilerCApi.h.
  std::string getReport() const;

private:
  bool isGPU() const { return options.target.kind != Target::Kind::CPU; }
  /// A place for what is wrong before the program is read.
  mlir::Location nowhere() {
    return mlir::FileLineColLoc::get(&context, options.sourceName, 0, 0);
  }
  /// Forgets what earlier questions made, unless stages are kept.
  void beginQuestion();
  /// As `reach`, within a question.
  llvm::FailureOr<mlir::ModuleOp> make(Stage stage);
  llvm::LogicalResult load();
  llvm::LogicalResult prepare();
  llvm::LogicalResult checkStage(Stage stage);
  llvm::LogicalResult describeTarget(mlir::ModuleOp module);
  llvm::LogicalResult checkForbidden(mlir::ModuleOp local);
  void reached(Stage stage, mlir::ModuleOp module);
  mlir::OwningOpRef<mlir::ModuleOp> take(Stage stage);
  llvm::LogicalResult emitCode(Stage stage, std::string &data);
  llvm::LogicalResult emitArtefact(std::string &data);
  template <typename Fn> auto timed(llvm::StringRef name, Fn fn);

  mlir::MLIRContext &context;
  std::string source;
  CompileOptions options;
  bool isLoaded = false, isPrepared = false;
  Stage start = Stage::Tessera; ///< Of the program as it was given.
  std::map<Stage, mlir::OwningOpRef<mlir::ModuleOp>> modules;
  Report report;
  llvm::json::Array timings;
};

/// Compiles `source`, a module of any stage up to `kernels`. Diagnostics go to
/// the context's engine.
llvm::LogicalResult compile(mlir::MLIRContext &context, llvm::StringRef source,
                            const CompileOptions &options,
                            CompileOutput &output);

} // namespace tessera

#endif // TESSERA_PIPELINES_COMPILER_H
