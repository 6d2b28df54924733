// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Tools/CompilerCApi.h"

#include "dialects/Tessera/Batching/Vectorize.h"
#include "dialects/Tessera/Derivatives/Differentiate.h"
#include "tessera/ABI/Capture.h"
#include "tessera/ABI/PlanCodec.h"
#include "tessera/Interpreter/Interpreter.h"
#include "tessera/Pipelines/Compiler.h"
#include "tessera/Pipelines/Version.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

#include <mutex>

using namespace mlir;
using namespace tessera;
namespace json = llvm::json;

struct TesseraResult {
  bool ok = false;
  std::string data, diagnostics = "[]", report = "{}";
};

//===----------------------------------------------------------------------===//
// Diagnostics
//===----------------------------------------------------------------------===//

static const char *severityName(DiagnosticSeverity severity) {
  switch (severity) {
  case DiagnosticSeverity::Error:
    return "error";
  case DiagnosticSeverity::Warning:
    return "warning";
  case DiagnosticSeverity::Note:
  case DiagnosticSeverity::Remark:
    return "remark";
  }
  llvm_unreachable("unknown severity");
}

static json::Object describe(Diagnostic &diagnostic) {
  json::Object object{
      {"message", diagnostic.str()}, {"file", ""}, {"line", 0}, {"column", 0}};
  diagnostic.getLocation()->walk([&](Location part) {
    auto file = dyn_cast<FileLineColLoc>(part);
    if (!file)
      return WalkResult::advance();
    object["file"] = file.getFilename().str();
    object["line"] = file.getLine();
    object["column"] = file.getColumn();
    return WalkResult::interrupt();
  });
  return object;
}

/// Collects what the context reports while it lives.
namespace {
class DiagnosticCollector {
public:
  explicit DiagnosticCollector(MLIRContext &context)
      : handler(&context, [this](Diagnostic &diagnostic) {
          json::Object object = describe(diagnostic);
          object["severity"] = severityName(diagnostic.getSeverity());
          json::Array notes;
          for (Diagnostic &note : diagnostic.getNotes())
            notes.push_back(describe(note));
          object["notes"] = std::move(notes);
          diagnostics.push_back(std::move(object));
        }) {}

  json::Array diagnostics;

private:
  ScopedDiagnosticHandler handler;
};
} // namespace

static std::string toText(json::Value value) {
  std::string text;
  llvm::raw_string_ostream(text) << value;
  return text;
}

/// An error without a place, as the only diagnostic.
static std::string describeError(StringRef message) {
  return toText(json::Array{json::Object{{"severity", "error"},
                                         {"message", message.str()},
                                         {"file", ""},
                                         {"line", 0},
                                         {"column", 0},
                                         {"notes", json::Array()}}});
}

//===----------------------------------------------------------------------===//
// Compilations
//===----------------------------------------------------------------------===//

struct TesseraCompilation {
  /// Why it is none, or "".
  std::string problem;
  std::mutex mutex; ///< Calls take turns: they share the context.
  std::unique_ptr<MLIRContext> context;
  std::unique_ptr<Compilation> compilation;
  std::string entry;
};

/// Fills `options`; returns what is wrong with what is given, or "".
static std::string readOptions(const TesseraCompileOptions *given,
                               CompileOptions &options) {
  if (!given)
    return "";
  if (given->target) {
    std::string problem;
    std::optional<Target> target = Target::parse(given->target, problem);
    if (!target)
      return problem;
    options.target = *target;
  }
  if (given->entry)
    options.entry = given->entry;
  if (given->sourceName)
    options.sourceName = given->sourceName;
  for (int64_t i = 0; i < given->numForbidden; ++i)
    options.forbidImplicit.push_back(given->forbidImplicit[i]);
  if (given->jobs < 0 || given->jobs > 1024)
    return "jobs is " + std::to_string(given->jobs) +
           "; expected 0 (one per core) to 1024";
  options.jobs = static_cast<unsigned>(given->jobs);
  options.keepsStages = given->keepsStages;
  return "";
}

const char *tesseraCompilerVersion(void) { return getVersionOnHost(); }

TesseraCompilation *
tesseraCompilationCreate(const char *source, size_t sourceSize,
                         const TesseraCompileOptions *given) {
  auto *made = new TesseraCompilation;
  CompileOptions options;
  made->problem = readOptions(given, options);
  if (!made->problem.empty())
    return made;
  made->context = createCompilerContext();
  made->entry = options.entry;
  made->compilation = std::make_unique<Compilation>(
      *made->context, StringRef(source, sourceSize), std::move(options));
  return made;
}

void tesseraCompilationDestroy(TesseraCompilation *compilation) {
  delete compilation;
}

/// A result of `run`, which is told the stage, with what it reports.
static TesseraResult *
withStage(TesseraCompilation *compilation, const char *name,
          llvm::function_ref<LogicalResult(Stage, TesseraResult &)> run) {
  auto *result = new TesseraResult;
  std::optional<Stage> stage = symbolizeStage(name);
  std::string problem = compilation->problem;
  if (problem.empty() && !stage)
    problem = "unknown stage '" + std::string(name) + "'; expected one of " +
              listStages();
  if (!problem.empty()) {
    result->diagnostics = describeError(problem);
    return result;
  }
  std::lock_guard<std::mutex> lock(compilation->mutex);
  DiagnosticCollector collector(*compilation->context);
  result->ok = succeeded(run(*stage, *result));
  if (!result->ok)
    result->data.clear();
  result->diagnostics =
      !result->ok && collector.diagnostics.empty()
          ? describeError("the compiler failed without a reason")
          : toText(std::move(collector.diagnostics));
  result->report = compilation->compilation->getReport();
  return result;
}

TesseraResult *tesseraCompilationEmit(TesseraCompilation *compilation,
                                      const char *stage) {
  return withStage(compilation, stage, [&](Stage stage, TesseraResult &result) {
    return compilation->compilation->emit(stage, result.data);
  });
}

//===----------------------------------------------------------------------===//
// The interpreter
//===----------------------------------------------------------------------===//

/// `tensor` has the shape and type that the program states; else an error that
/// calls it `what`.
static LogicalResult checkTensor(func::FuncOp function, const Twine &what,
                                 const TesseraHostTensor &tensor,
                                 const TensorSpec &spec) {
  Shape shape(tensor.shape, tensor.shape + tensor.rank);
  if (shape == spec.shape && StringRef(tensor.dtype) == toString(spec.kind))
    return success();
  InFlightDiagnostic error = function.emitError()
                             << what << " is expected to be "
                             << toString(spec.shape, spec.kind) << ", got "
                             << tensor.dtype << "[";
  llvm::interleaveComma(shape, error);
  return error << "]";
}

/// Checks all tensors of one side and collects their memory.
template <typename Pointer>
static LogicalResult collectMemory(func::FuncOp function, StringRef side,
                                   const TesseraHostTensor *tensors,
                                   int64_t count,
                                   FailureOr<std::vector<TensorSpec>> specs,
                                   SmallVectorImpl<Pointer> &memory) {
  if (failed(specs))
    return failure();
  if (static_cast<int64_t>(specs->size()) != count)
    return function.emitError() << "has " << specs->size() << " " << side
                                << "s, " << count << " are given";
  for (int64_t i = 0; i < count; ++i) {
    if (failed(checkTensor(function, side + " " + Twine(i), tensors[i],
                           (*specs)[i])))
      return failure();
    memory.push_back(tensors[i].data);
  }
  return success();
}

void tesseraCompilerSetPrint(int (*print)(const char *, size_t)) {
  setPrintSink(print);
}

/// The outputs of `module`, of a stage that the interpreter evaluates.
static LogicalResult interpretModule(ModuleOp module, StringRef name,
                                     const TesseraHostTensor *inputs,
                                     int64_t inputCount,
                                     const TesseraHostTensor *outputs,
                                     int64_t outputCount) {
  auto entry = module.lookupSymbol<func::FuncOp>(name);
  if (!entry)
    return module.emitError() << "there is no function @" << name;
  SmallVector<const void *> from;
  SmallVector<void *> to;
  if (failed(collectMemory(entry, "input", inputs, inputCount,
                           inputSpecs(entry), from)) ||
      failed(collectMemory(entry, "output", outputs, outputCount,
                           resultSpecs(entry), to)))
    return failure();
  return interpretToBuffers(entry, from, to);
}

TesseraResult *
tesseraCompilationInterpret(TesseraCompilation *compilation, const char *stage,
                            const TesseraHostTensor *inputs, int64_t inputCount,
                            TesseraHostTensor *outputs, int64_t outputCount) {
  return withStage(
      compilation, stage,
      [&](Stage stage, TesseraResult &result) -> LogicalResult {
        if (stage > Stage::Local)
          return emitError(UnknownLoc::get(compilation->context.get()))
                 << "the interpreter evaluates the stages tessera, layouts, "
                    "reshards and local, not '"
                 << getStageInfo(stage).name << "'";
        FailureOr<ModuleOp> module = compilation->compilation->reach(stage);
        if (failed(module))
          return failure();
        return interpretModule(*module, compilation->entry, inputs, inputCount,
                               outputs, outputCount);
      });
}

//===----------------------------------------------------------------------===//
// Derivatives and batches
//===----------------------------------------------------------------------===//

static json::Array describeTypes(TypeRange types) {
  json::Array result;
  for (Type type : types) {
    std::string text;
    llvm::raw_string_ostream(text) << type;
    result.push_back(std::move(text));
  }
  return result;
}

/// Appends a function's text, with its places, and what it takes and gives.
static void describeFunction(func::FuncOp function, std::string &text,
                             json::Array &descriptions) {
  size_t before = text.size();
  {
    llvm::raw_string_ostream stream(text);
    OpPrintingFlags flags;
    function.print(stream, flags.enableDebugInfo().useLocalScope());
    stream << "\n";
  }
  descriptions.push_back(
      json::Object{{"name", function.getName().str()},
                   {"bytes", static_cast<int64_t>(text.size() - before)},
                   {"arguments", describeTypes(function.getArgumentTypes())},
                   {"results", describeTypes(function.getResultTypes())}});
}

static json::Array describeResiduals(ArrayRef<ResidualSource> residuals) {
  json::Array result;
  for (ResidualSource source : residuals) {
    StringRef kind = source.kind == ResidualSource::Kind::Argument ? "argument"
                     : source.kind == ResidualSource::Kind::Result ? "result"
                                                                   : "kept";
    result.push_back(json::Array{kind.str(), source.number});
  }
  return result;
}

static LogicalResult differentiate(func::FuncOp function, StringRef mode,
                                   StringRef prefix,
                                   const Differentiated &wanted,
                                   std::string &text, json::Object &report) {
  json::Array functions;
  if (mode == "jvp") {
    FailureOr<func::FuncOp> made = makeJvp(function, wanted, prefix);
    if (failed(made))
      return failure();
    describeFunction(*made, text, functions);
  } else if (mode == "vjp" || mode == "linearize") {
    FailureOr<DerivativeFunctions> made =
        mode == "vjp" ? makeVjp(function, wanted, prefix)
                      : makeLinearized(function, wanted, prefix);
    if (failed(made))
      return failure();
    describeFunction(made->forward, text, functions);
    describeFunction(made->derivative, text, functions);
    report["residuals"] = describeResiduals(made->residuals);
  } else {
    return function.emitError()
           << "mode is '" << mode << "'; expected vjp, linearize or jvp";
  }
  report["functions"] = std::move(functions);
  return success();
}

/// What `make` adds beside a function of `source`: its texts and the report.
static TesseraResult *deriveFunctions(
    StringRef source, StringRef name, StringRef what,
    llvm::function_ref<LogicalResult(func::FuncOp, std::string &text,
                                     json::Object &report)>
        make) {
  auto *result = new TesseraResult;
  std::unique_ptr<MLIRContext> context = createCompilerContext();
  DiagnosticCollector collector(*context);
  json::Object report;
  auto run = [&]() -> LogicalResult {
    ParserConfig config(context.get());
    OwningOpRef<ModuleOp> module =
        parseSourceString<ModuleOp>(source, config, "<input>");
    if (!module)
      return failure();
    auto function = module->lookupSymbol<func::FuncOp>(name);
    if (!function)
      return module->emitError() << "there is no function @" << name;
    return make(function, result->data, report);
  };
  result->ok = succeeded(run());
  result->diagnostics =
      !result->ok && collector.diagnostics.empty()
          ? describeError((what + " failed without a reason").str())
          : toText(std::move(collector.diagnostics));
  result->report = toText(std::move(report));
  return result;
}

TesseraResult *tesseraDifferentiate(const char *source, size_t sourceSize,
                                    const char *name, const char *mode,
                                    const char *prefix, const int64_t *wanted,
                                    int64_t count, const int64_t *results,
                                    int64_t resultCount) {
  return deriveFunctions(
      StringRef(source, sourceSize), name, "differentiating",
      [&](func::FuncOp function, std::string &text, json::Object &report) {
        Differentiated numbers;
        numbers.arguments.assign(wanted, wanted + count);
        if (resultCount < 0)
          numbers.results = floatResults(function);
        else
          numbers.results.assign(results, results + resultCount);
        return differentiate(function, mode, prefix, numbers, text, report);
      });
}

TesseraResult *tesseraVectorize(const char *source, size_t sourceSize,
                                const char *name, const char *prefix,
                                int64_t size, const int64_t *batched,
                                int64_t count, const char *const *axes,
                                int64_t axisCount) {
  return deriveFunctions(
      StringRef(source, sourceSize), name, "batching",
      [&](func::FuncOp function, std::string &text,
          json::Object &report) -> LogicalResult {
        SmallVector<bool> arguments(function.getNumArguments(), false);
        for (int64_t number : ArrayRef<int64_t>(batched, count)) {
          if (number < 0 || number >= function.getNumArguments())
            return function.emitError()
                   << "there is no argument " << number << " to batch";
          arguments[number] = true;
        }
        BatchOptions options;
        options.size = size;
        options.axes.assign(axes, axes + axisCount);
        FailureOr<BatchedFunction> made = makeBatched(
            function, arguments, BatchedResult::AsComputed, options, prefix);
        if (failed(made))
          return failure();
        json::Array functions;
        describeFunction(made->function, text, functions);
        for (func::FuncOp called : made->called)
          describeFunction(called, text, functions);
        report["functions"] = std::move(functions);
        json::Array results;
        for (bool isBatched : made->results)
          results.push_back(isBatched);
        report["batched"] = std::move(results);
        return success();
      });
}

//===----------------------------------------------------------------------===//
// Artefacts and results
//===----------------------------------------------------------------------===//

TesseraResult *tesseraCapture(const char *artefact, size_t artefactSize,
                              const int64_t *inputs, const void *const *data,
                              const size_t *sizes, int64_t count) {
  auto *result = new TesseraResult();
  abi::Artefact decoded;
  std::string problem = abi::decodeArtefact(artefact, artefactSize, decoded);
  if (!problem.empty())
    problem = "the artefact " + problem;
  for (int64_t i = 0; i < count && problem.empty(); ++i)
    problem = abi::captureInput(decoded, inputs[i], data[i], sizes[i]);
  if (!problem.empty()) {
    result->diagnostics = describeError(problem);
    return result;
  }
  result->data = abi::encodeArtefact(decoded);
  result->ok = true;
  return result;
}

int tesseraResultOk(const TesseraResult *result) { return result->ok; }

static const char *give(const std::string &text, size_t *size) {
  if (size)
    *size = text.size();
  return text.c_str();
}

const char *tesseraResultData(const TesseraResult *result, size_t *size) {
  return give(result->data, size);
}

const char *tesseraResultDiagnostics(const TesseraResult *result,
                                     size_t *size) {
  return give(result->diagnostics, size);
}

const char *tesseraResultReport(const TesseraResult *result, size_t *size) {
  return give(result->report, size);
}

void tesseraResultDestroy(TesseraResult *result) { delete result; }
