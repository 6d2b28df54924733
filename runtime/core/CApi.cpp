// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera-rt/Describe.h"
#include "tessera-rt/Json.h"
#include "tessera-rt/Program.h"
#include "tessera-rt/tessera_rt.h"

#include <mutex>

using namespace tessera::rt;

struct TesseraRtExecutable {
  std::mutex mutex;
  std::unique_ptr<Executable> executable;
  std::string description, report;
};

struct TesseraRtPlaced {
  std::unique_ptr<PlacedTensor> tensor;
};

namespace {

std::string &lastError() {
  static thread_local std::string text;
  return text;
}

/// Remembers why, for tesseraRtLastError.
int fail(const Status &status) {
  lastError() = status.message();
  return 1;
}

Result<ExecutableOptions> readOptions(const char *json) {
  ExecutableOptions options;
  if (!json || !*json)
    return options;
  auto object = parseFlatJson(json);
  if (!object.ok())
    return object.status().in("the runtime's options are not JSON");
  for (const auto &[name, value] : *object) {
    auto *string = std::get_if<std::string>(&value);
    auto *number = std::get_if<int64_t>(&value);
    auto *flag = std::get_if<bool>(&value);
    if (name == "device" && string)
      options.device = *string;
    else if (name == "communicator" && string)
      options.communicator = *string;
    else if (name == "threads" && number && *number >= 0 && *number <= 1024)
      options.threads = static_cast<int>(*number);
    else if (name == "timeoutMs" && number && *number > 0)
      options.timeoutMs = *number;
    else if (name == "profile" && flag)
      options.profile = *flag;
    else
      return Status::error(
          "runtime option '" + name +
          "' is unknown or has a wrong value; options are device and "
          "communicator (strings), threads (0 to 1024), timeoutMs (> 0), "
          "profile (true or false)");
  }
  return options;
}

Status checkCount(const char *what, int64_t expected, int64_t got) {
  if (expected == got)
    return Status::success();
  return Status::error("the program has " + std::to_string(expected) + " " +
                       what + ", got " + std::to_string(got));
}

} // namespace

const char *tesseraRtLastError(void) { return lastError().c_str(); }

TesseraRtExecutable *tesseraRtLoad(const void *bytes, size_t size,
                                   const char *optionsJson) {
  Result<ExecutableOptions> options = readOptions(optionsJson);
  if (!options.ok())
    return fail(options.status()), nullptr;
  auto artefact = loadArtefact(bytes, size);
  if (!artefact.ok())
    return fail(artefact.status()), nullptr;
  auto executable = Executable::create(std::move(*artefact), *options);
  if (!executable.ok())
    return fail(executable.status()), nullptr;
  auto *handle = new TesseraRtExecutable();
  handle->executable = std::move(*executable);
  handle->description = describeExecutable(*handle->executable);
  return handle;
}

void tesseraRtUnload(TesseraRtExecutable *executable) { delete executable; }

const char *tesseraRtDescribe(const TesseraRtExecutable *executable) {
  return executable->description.c_str();
}

TesseraRtPlaced *tesseraRtPlace(TesseraRtExecutable *executable, int64_t index,
                                const void *data, size_t size) {
  std::lock_guard<std::mutex> lock(executable->mutex);
  Executable &program = *executable->executable;
  auto count = static_cast<int64_t>(program.plan().inputs.size());
  if (index < 0 || index >= count)
    return fail(Status::error("the program has " + std::to_string(count) +
                              " inputs, there is no input " +
                              std::to_string(index))),
           nullptr;
  if (static_cast<int64_t>(size) != program.inputBytes(index))
    return fail(Status::error("input " + std::to_string(index) + " ('" +
                              program.plan().inputs[index].name + "') has " +
                              std::to_string(program.inputBytes(index)) +
                              " bytes, got " + std::to_string(size))),
           nullptr;
  auto tensor = program.place(index, data);
  if (!tensor.ok())
    return fail(tensor.status()), nullptr;
  return new TesseraRtPlaced{std::move(*tensor)};
}

void tesseraRtReleasePlaced(TesseraRtPlaced *placed) { delete placed; }

int tesseraRtRun(TesseraRtExecutable *executable, const TesseraRtInput *inputs,
                 int64_t inputCount, void *const *outputs,
                 int64_t outputCount) {
  std::lock_guard<std::mutex> lock(executable->mutex);
  Executable &program = *executable->executable;
  const tessera::abi::Plan &plan = program.plan();
  if (Status status = checkCount("inputs", plan.inputs.size(), inputCount);
      !status.ok())
    return fail(status);
  if (Status status = checkCount("outputs", plan.outputs.size(), outputCount);
      !status.ok())
    return fail(status);
  std::vector<Executable::Input> bound(inputCount);
  for (int64_t i = 0; i < inputCount; ++i) {
    bound[i].data = inputs[i].data;
    if (inputs[i].placed)
      bound[i].placed = inputs[i].placed->tensor.get();
  }
  Status status = program.run(bound.data(), outputs);
  return status.ok() ? 0 : fail(status);
}

const char *tesseraRtRunReport(TesseraRtExecutable *executable) {
  std::lock_guard<std::mutex> lock(executable->mutex);
  executable->report = describeRun(*executable->executable);
  return executable->report.c_str();
}
