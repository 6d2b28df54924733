// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Tools/TesseraCompileMain.h"

#include "tessera/Pipelines/Compiler.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace tessera;
namespace cl = llvm::cl;

namespace {
struct Arguments {
  cl::OptionCategory category{"tessera-compile"};
  cl::opt<std::string> input{
      cl::Positional, cl::Required, cl::cat(category),
      cl::desc("<program.mlir | module.py:function | ->")};
  cl::opt<std::string> output{"o", cl::init("-"), cl::cat(category),
                              cl::desc("Where to write; - is standard output"),
                              cl::value_desc("file")};
  cl::opt<std::string> target{
      "target", cl::init("cpu"), cl::cat(category),
      cl::desc("cpu, cuda:<chip> or emulated[:<chip>]")};
  cl::opt<std::string> emit{"emit", cl::init("artefact"), cl::cat(category),
                            cl::desc("The stage to write")};
  cl::opt<std::string> entry{"entry", cl::init("main"), cl::cat(category),
                             cl::desc("The entry function")};
  cl::opt<std::string> dumpStages{
      "dump-stages", cl::cat(category), cl::value_desc("folder"),
      cl::desc("Write every stage on the way there")};
  cl::opt<std::string> report{
      "report", cl::cat(category), cl::value_desc("file"),
      cl::desc("Write collectives, kernels, costs and timings as JSON")};
  cl::list<std::string> forbid{
      "forbid-implicit", cl::CommaSeparated, cl::cat(category),
      cl::desc("Kinds of collectives that are an error: all_gather, ...")};
  cl::opt<std::string> python{
      "python", cl::init("python3"), cl::cat(category),
      cl::desc("The interpreter for module.py:function")};
};
} // namespace

static int fail(const llvm::Twine &message) {
  llvm::errs() << "tessera-compile: error: " << message << "\n";
  return 1;
}

/// Writes `data` to `path` whole or not at all.
static std::string writeFile(StringRef path, StringRef data) {
  if (path == "-") {
    llvm::outs() << data;
    llvm::outs().flush();
    return "";
  }
  llvm::SmallString<128> model(path);
  model += ".%%%%%%.tmp";
  llvm::Expected<llvm::sys::fs::TempFile> file =
      llvm::sys::fs::TempFile::create(model);
  if (!file)
    return "cannot write '" + path.str() +
           "': " + llvm::toString(file.takeError());
  llvm::raw_fd_ostream os(file->FD, /*shouldClose=*/false);
  os << data;
  os.flush();
  bool isWritten = !os.has_error();
  os.clear_error();
  if (!isWritten) {
    llvm::consumeError(file->discard());
    return "cannot write '" + path.str() + "': the disk may be full";
  }
  if (llvm::Error error = file->keep(path))
    return "cannot write '" + path.str() +
           "': " + llvm::toString(std::move(error));
  return "";
}

/// `module.py:function` as program text, traced by the Python package.
static int traceProgram(const Arguments &arguments, std::string &text) {
  llvm::ErrorOr<std::string> python =
      llvm::sys::findProgramByName(arguments.python);
  if (!python)
    return fail("cannot find '" + arguments.python +
                "', which traces Python programs; name it with --python");
  llvm::SmallString<128> path;
  if (llvm::sys::fs::createTemporaryFile("tessera", "mlir", path))
    return fail("cannot make a temporary file");
  int code = llvm::sys::ExecuteAndWait(
      *python, {*python, "-m", "tessera._src.trace_entry", arguments.input,
                std::string(path.str())});
  llvm::ErrorOr<std::unique_ptr<llvm::MemoryBuffer>> buffer =
      llvm::MemoryBuffer::getFile(path);
  if (code == 0 && buffer)
    text = (*buffer)->getBuffer().str();
  llvm::sys::fs::remove(path);
  return code;
}

int tessera::tesseraCompileMain(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  Arguments arguments;
  cl::HideUnrelatedOptions(arguments.category);
  cl::ParseCommandLineOptions(
      argc, argv, "Tessera: compiles a tensor program ahead of time\n");

  CompileOptions options;
  std::string problem;
  std::optional<Target> target = Target::parse(arguments.target, problem);
  if (!target)
    return fail(problem);
  options.target = *target;
  std::optional<Stage> stage = symbolizeStage(arguments.emit);
  if (!stage)
    return fail("unknown stage '" + arguments.emit + "'; expected one of " +
                listStages());
  options.emit = *stage;
  options.entry = arguments.entry;
  options.sourceName = arguments.input;
  options.forbidImplicit.assign(arguments.forbid.begin(),
                                arguments.forbid.end());

  std::string source;
  if (StringRef(arguments.input).contains(".py:")) {
    if (int code = traceProgram(arguments, source))
      return code;
  } else {
    llvm::ErrorOr<std::unique_ptr<llvm::MemoryBuffer>> file =
        llvm::MemoryBuffer::getFileOrSTDIN(arguments.input);
    if (!file)
      return fail("cannot read '" + arguments.input +
                  "': " + file.getError().message());
    source = (*file)->getBuffer().str();
  }

  if (!arguments.dumpStages.empty()) {
    if (std::error_code error =
            llvm::sys::fs::create_directories(arguments.dumpStages))
      return fail("cannot make folder '" + arguments.dumpStages +
                  "': " + error.message());
    options.onStage = [&](const StageInfo &info, ModuleOp module) {
      llvm::SmallString<128> path(arguments.dumpStages);
      llvm::sys::path::append(path, info.name + ".mlir");
      std::string text;
      llvm::raw_string_ostream(text) << module << "\n";
      std::string error = writeFile(path, text);
      if (!error.empty())
        llvm::errs() << "tessera-compile: warning: " << error << "\n";
    };
  }

  std::unique_ptr<MLIRContext> context = createCompilerContext();
  llvm::SourceMgr sources;
  sources.AddNewSourceBuffer(
      llvm::MemoryBuffer::getMemBuffer(source, options.sourceName), {});
  SourceMgrDiagnosticHandler handler(sources, context.get());
  CompileOutput output;
  LogicalResult result = compile(*context, source, options, output);
  if (!arguments.report.empty()) {
    std::string text;
    llvm::raw_string_ostream(text) << llvm::formatv(
        "{0:2}\n", llvm::json::Value(std::move(output.report)));
    problem = writeFile(arguments.report, text);
    if (!problem.empty())
      return fail(problem);
  }
  if (failed(result))
    return 1;
  problem = writeFile(arguments.output, output.data);
  return problem.empty() ? 0 : fail(problem);
}
