// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Tools/TesseraCompileMain.h"

#include "DiagnosticPrinter.h"
#include "OutputFile.h"
#include "PythonProgram.h"
#include "tessera/ABI/PlanCodec.h"
#include "tessera/Pipelines/Compiler.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/raw_ostream.h"

#include <csignal>

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
      cl::desc("cpu (this machine's), cpu:<model> (x86-64-v3, ...), "
               "cuda:<chip> or emulated[:<chip>]")};
  cl::opt<unsigned> jobs{
      "jobs", cl::init(0), cl::cat(category),
      cl::desc("Kernels compiled at once; 0: one per usable core")};
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
  cl::opt<std::string> shapes{
      "shapes", cl::cat(category), cl::value_desc("NAME=SIZE,..."),
      cl::desc("Sizes of named dimensions of module.py:function")};
  cl::opt<std::string> python{
      "python", cl::init("python3"), cl::cat(category),
      cl::desc("The interpreter for module.py:function")};
};
} // namespace

static constexpr StringRef toolName = "tessera-compile";

static int fail(const llvm::Twine &message) {
  llvm::errs() << toolName << ": error: " << printable(message.str()) << "\n";
  return 1;
}

/// What is wrong with files that would be written over the program or over each
/// other, or "".
static std::string checkDistinct(const Arguments &arguments) {
  StringRef program = arguments.input;
  if (size_t colon = program.rfind(".py:"); colon != StringRef::npos)
    program = program.take_front(colon + 3);
  SmallVector<std::pair<StringRef, std::string>> files = {
      {"the program", program.str()},
      {"-o", arguments.output},
      {"--report", arguments.report}};
  if (!arguments.dumpStages.empty())
    for (const StageInfo &info : getStages()) {
      llvm::SmallString<128> path(arguments.dumpStages);
      llvm::sys::path::append(path, info.name + ".mlir");
      files.emplace_back("--dump-stages", path.str());
    }
  for (auto [i, file] : llvm::enumerate(files))
    for (auto &[what, path] : ArrayRef(files).take_front(i))
      if (!path.empty() && isSameFile(path, file.second))
        return (file.first + " would overwrite " + what + ", '" + path +
                "'; name another file")
            .str();
  if (arguments.output == "-" && arguments.report == "-")
    return "-o and --report both go to standard output; name a file for one";
  return "";
}

/// What is wrong with where the results go, or "".
static std::string checkOutputs(const Arguments &arguments) {
  if (arguments.output == "-" && llvm::sys::Process::StandardOutIsDisplayed() &&
      llvm::is_contained({"artefact", "cubin", "object"},
                         arguments.emit.getValue()))
    return "the result is binary and standard output is a terminal; name a "
           "file with -o";
  std::string problem = checkWritable(arguments.output);
  if (problem.empty() && !arguments.report.empty())
    problem = checkWritable(arguments.report);
  return problem.empty() ? checkDistinct(arguments) : problem;
}

/// Hands `module.py:function` to the Python package, which traces the function
/// and compiles it through the C interface.
static int compilePython(const Arguments &arguments, const char *program) {
  std::vector<std::string> command = {
      "--target=" + arguments.target, "--emit=" + arguments.emit,
      "--shapes=" + arguments.shapes, "--output=" + arguments.output,
      "--jobs=" + std::to_string(arguments.jobs)};
  if (!arguments.forbid.empty())
    command.push_back("--forbid-implicit=" + llvm::join(arguments.forbid, ","));
  if (!arguments.report.empty())
    command.push_back("--report=" + arguments.report);
  if (!arguments.dumpStages.empty())
    command.push_back("--dump-stages=" + arguments.dumpStages);
  command.push_back("--");
  command.push_back(arguments.input);
  return fail(becomePython(arguments.python, command, program));
}

/// Reads the options of a compilation; returns what is wrong with them, or "".
static std::string readOptions(const Arguments &arguments,
                               CompileOptions &options) {
  std::string problem;
  std::optional<Target> target = Target::parse(arguments.target, problem);
  if (!target)
    return problem;
  std::optional<Stage> stage = symbolizeStage(arguments.emit);
  if (!stage)
    return "unknown stage '" + arguments.emit + "'; expected one of " +
           listStages();
  options.target = *target;
  options.emit = *stage;
  options.entry = arguments.entry;
  options.jobs = arguments.jobs;
  options.sourceName = arguments.input;
  if (options.sourceName == "-")
    options.sourceName = "<stdin>";
  options.forbidImplicit.assign(arguments.forbid.begin(),
                                arguments.forbid.end());
  return "";
}

/// Has every stage written into `folder`; returns why it cannot be, or "".
static std::string dumpStagesTo(const std::string &folder,
                                CompileOptions &options) {
  if (std::error_code error = llvm::sys::fs::create_directories(folder))
    return "cannot make folder '" + folder + "': " + error.message();
  options.onStage = [folder](const StageInfo &info, ModuleOp module) {
    llvm::SmallString<128> path(folder);
    llvm::sys::path::append(path, info.name + ".mlir");
    std::string text;
    llvm::raw_string_ostream(text) << module << "\n";
    std::string error = writeFile(path, text);
    if (!error.empty())
      llvm::errs() << "tessera-compile: warning: " << error << "\n";
  };
  return "";
}

static int compileModule(const Arguments &arguments) {
  CompileOptions options;
  std::string problem = readOptions(arguments, options);
  if (!problem.empty())
    return fail(problem);
  llvm::ErrorOr<std::unique_ptr<llvm::MemoryBuffer>> file =
      llvm::MemoryBuffer::getFileOrSTDIN(arguments.input);
  if (!file)
    return fail("cannot read '" + arguments.input +
                "': " + file.getError().message());
  std::string source = (*file)->getBuffer().str();
  if (StringRef(source).starts_with(
          StringRef(abi::artefactMagic, sizeof abi::artefactMagic)))
    return fail("'" + arguments.input +
                "' is an artefact: it is compiled, and tessera-run runs it");
  if (!arguments.dumpStages.empty())
    problem = dumpStagesTo(arguments.dumpStages, options);
  if (!problem.empty())
    return fail(problem);

  std::unique_ptr<MLIRContext> context = createCompilerContext();
  DiagnosticPrinter printer(context.get(), toolName, options.sourceName,
                            source);
  CompileOutput output;
  if (failed(compile(*context, source, options, output)))
    return 1;
  problem = writeFile(arguments.output, output.data);
  if (problem.empty() && !arguments.report.empty()) {
    // Spread over lines, for people.
    std::string text = llvm::formatv(
        "{0:2}\n", llvm::cantFail(llvm::json::parse(output.report)));
    problem = writeFile(arguments.report, text);
  }
  return problem.empty() ? 0 : fail(problem);
}

int tessera::tesseraCompileMain(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  Arguments arguments;
  cl::HideUnrelatedOptions(arguments.category);
  cl::ParseCommandLineOptions(
      argc, argv, "Tessera: compiles a tensor program ahead of time\n");

  std::string problem = checkOutputs(arguments);
  if (!problem.empty())
    return fail(problem);
  // What is opened from here on takes the place of no closed standard stream.
  llvm::sys::Process::FixupStandardFileDescriptors();
  // A pipe whose reader is gone is an error like any other.
  std::signal(SIGPIPE, SIG_IGN);
  bool isPython = StringRef(arguments.input).contains(".py:");
  if (StringRef(arguments.input).ends_with(".py"))
    return fail("expected a function of '" + arguments.input +
                "', one that ts.jit decorates; name it as '" + arguments.input +
                ":function'");
  if (isPython && arguments.entry.getNumOccurrences())
    return fail("--entry is for .mlir files; '" + arguments.input +
                "' names its function");
  if (!isPython && !arguments.shapes.empty())
    return fail("--shapes is for module.py:function; '" + arguments.input +
                "' has its shapes in its types");
  return isPython ? compilePython(arguments, argv[0])
                  : compileModule(arguments);
}
