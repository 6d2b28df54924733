// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Tools/CompilerCApi.h"

#include "tessera/ABI/Capture.h"
#include "tessera/ABI/PlanCodec.h"
#include "tessera/Interpreter/Interpreter.h"
#include "tessera/Pipelines/Compiler.h"
#include "tessera/Pipelines/Version.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

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
// Options
//===----------------------------------------------------------------------===//

/// Fills `options` from JSON text; returns what is wrong with it, or "". The
/// interpreter's "stage" is the stage to emit.
static std::string readOptions(const char *text, CompileOptions &options) {
  if (!text || !*text)
    return "";
  llvm::Expected<json::Value> value = json::parse(text);
  if (!value)
    return "options are not JSON: " + llvm::toString(value.takeError());
  json::Object *object = value->getAsObject();
  if (!object)
    return "options are not a JSON object";
  for (auto &[key, entry] : *object) {
    StringRef name = key;
    if (name == "forbidImplicit") {
      if (json::Array *kinds = entry.getAsArray())
        for (json::Value &kind : *kinds)
          if (std::optional<StringRef> text = kind.getAsString())
            options.forbidImplicit.push_back(text->str());
      continue;
    }
    if (name == "jobs") {
      std::optional<int64_t> jobs = entry.getAsInteger();
      if (!jobs || *jobs < 0 || *jobs > 1024)
        return "option 'jobs' is not a number from 0 to 1024";
      options.jobs = static_cast<unsigned>(*jobs);
      continue;
    }
    std::optional<StringRef> string = entry.getAsString();
    if (!string)
      return "option '" + name.str() + "' is not a string";
    if (name == "target") {
      std::string problem;
      std::optional<Target> target = Target::parse(*string, problem);
      if (!target)
        return problem;
      options.target = *target;
    } else if (name == "emit" || name == "stage") {
      std::optional<Stage> stage = symbolizeStage(*string);
      if (!stage)
        return "unknown stage '" + string->str() + "'; expected one of " +
               listStages();
      options.emit = *stage;
    } else if (name == "entry") {
      options.entry = string->str();
    } else if (name == "sourceName") {
      options.sourceName = string->str();
    } else {
      return "unknown option '" + name.str() +
             "'; expected target, emit, stage, entry, sourceName, jobs "
             "or forbidImplicit";
    }
  }
  return "";
}

//===----------------------------------------------------------------------===//
// The interface
//===----------------------------------------------------------------------===//

const char *tesseraCompilerVersion(void) { return getVersionOnHost(); }

TesseraResult *tesseraCompile(const char *source, size_t sourceSize,
                              const char *optionsJson) {
  auto *result = new TesseraResult;
  CompileOptions options;
  std::string problem = readOptions(optionsJson, options);
  if (!problem.empty()) {
    result->diagnostics = describeError(problem);
    return result;
  }
  std::unique_ptr<MLIRContext> context = createCompilerContext();
  DiagnosticCollector collector(*context);
  CompileOutput output;
  result->ok = succeeded(
      compile(*context, StringRef(source, sourceSize), options, output));
  if (result->ok)
    result->data = std::move(output.data);
  result->diagnostics =
      !result->ok && collector.diagnostics.empty()
          ? describeError("the compiler failed without a reason")
          : toText(std::move(collector.diagnostics));
  result->report = toText(std::move(output.report));
  return result;
}

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

TesseraResult *tesseraInterpret(const char *source, size_t sourceSize,
                                const char *optionsJson,
                                const TesseraHostTensor *inputs,
                                int64_t inputCount, TesseraHostTensor *outputs,
                                int64_t outputCount) {
  auto *result = new TesseraResult;
  CompileOptions options;
  options.emit = Stage::Tessera;
  std::string problem = readOptions(optionsJson, options);
  if (problem.empty() && options.emit > Stage::Local)
    problem = "the interpreter evaluates the stages tessera, layouts, reshards "
              "and local";
  if (!problem.empty()) {
    result->diagnostics = describeError(problem);
    return result;
  }
  std::unique_ptr<MLIRContext> context = createCompilerContext();
  DiagnosticCollector collector(*context);
  std::string text(source, sourceSize);
  CompileOutput output;
  bool isLowered = true;
  if (options.emit != Stage::Tessera) {
    isLowered = succeeded(compile(*context, text, options, output));
    text = std::move(output.data);
  }
  if (isLowered) {
    ParserConfig config(context.get());
    OwningOpRef<ModuleOp> module =
        parseSourceString<ModuleOp>(text, config, options.sourceName);
    func::FuncOp entry =
        module ? module->lookupSymbol<func::FuncOp>(options.entry) : nullptr;
    if (module && !entry)
      module->emitError() << "there is no function @" << options.entry;
    SmallVector<const void *> from;
    SmallVector<void *> to;
    result->ok = entry &&
                 succeeded(collectMemory(entry, "input", inputs, inputCount,
                                         inputSpecs(entry), from)) &&
                 succeeded(collectMemory(entry, "output", outputs, outputCount,
                                         resultSpecs(entry), to)) &&
                 succeeded(interpretToBuffers(entry, from, to));
  }
  result->diagnostics = toText(std::move(collector.diagnostics));
  result->report = toText(std::move(output.report));
  return result;
}

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
