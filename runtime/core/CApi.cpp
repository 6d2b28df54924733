// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "CApiHandles.h"
#include "tessera-rt/Describe.h"
#include "tessera-rt/Json.h"
#include "tessera-rt/PrintSink.h"
#include "tessera-rt/Program.h"

using namespace tessera::rt;

static std::string &lastError() {
  static thread_local std::string text;
  return text;
}

int tessera::rt::failCall(const Status &status) {
  lastError() = status.message();
  return 1;
}

namespace {

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

void tesseraRtSetPrint(TesseraRtPrint print) { setPrintSink(print); }

TesseraRtExecutable *tesseraRtLoad(const void *bytes, size_t size,
                                   const char *optionsJson) {
  Result<ExecutableOptions> options = readOptions(optionsJson);
  if (!options.ok())
    return failCall(options.status()), nullptr;
  auto artefact = loadArtefact(bytes, size);
  if (!artefact.ok())
    return failCall(artefact.status()), nullptr;
  auto executable = Executable::create(std::move(*artefact), *options);
  if (!executable.ok())
    return failCall(executable.status()), nullptr;
  auto *handle = new TesseraRtExecutable();
  handle->executable = std::move(*executable);
  handle->description = describeExecutable(*handle->executable);
  return handle;
}

void tesseraRtUnload(TesseraRtExecutable *executable) { delete executable; }

const char *tesseraRtDescribe(const TesseraRtExecutable *executable) {
  return executable->description.c_str();
}

/// The caller holds the executable's lock.
static Status checkIndex(const Executable &program, int64_t index) {
  auto count = static_cast<int64_t>(program.plan().inputs.size());
  if (index >= 0 && index < count)
    return Status::success();
  return Status::error("the program has " + std::to_string(count) +
                       " inputs; it does not have input " +
                       std::to_string(index));
}

/// A handle for a tensor that an executable has made.
static TesseraRtPlaced *wrap(const TesseraRtExecutable &executable,
                             TesseraRtPlaced::Tensor tensor) {
  bool isShared = executable.executable->getDevice().usesHostMemory();
  return new TesseraRtPlaced(std::move(tensor),
                             isShared ? nullptr : executable.lock);
}

/// `size` is that of the whole input.
static Status checkWhole(const Executable &program, int64_t index,
                         size_t size) {
  if (Status status = checkIndex(program, index); !status.ok())
    return status;
  if (static_cast<int64_t>(size) == program.inputBytes(index))
    return Status::success();
  return Status::error("input " + std::to_string(index) + " ('" +
                       program.plan().inputs[index].name + "') has " +
                       std::to_string(program.inputBytes(index)) +
                       " bytes, got " + std::to_string(size));
}

/// Why a program cannot be run or changed now. The caller holds its lock, which
/// the thread that runs the program may take again.
static Status checkAtRest(const TesseraRtExecutable &executable) {
  if (!executable.isRunning)
    return Status::success();
  return Status::error("the program is running: what writes its prints cannot "
                       "use the program itself");
}

int tesseraRtBind(TesseraRtExecutable *executable, int64_t index,
                  const void *data, size_t size) {
  std::lock_guard<DeviceLock> lock(*executable->lock);
  Executable &program = *executable->executable;
  Status status = checkAtRest(*executable);
  if (status.ok())
    status = checkWhole(program, index, size);
  if (status.ok())
    status = program.bind(index, data);
  return status.ok() ? 0 : failCall(status);
}

TesseraRtPlaced *tesseraRtPlace(TesseraRtExecutable *executable, int64_t index,
                                const void *data, size_t size) {
  std::lock_guard<DeviceLock> lock(*executable->lock);
  Executable &program = *executable->executable;
  if (Status status = checkWhole(program, index, size); !status.ok())
    return failCall(status), nullptr;
  auto tensor = program.place(index, data);
  if (!tensor.ok())
    return failCall(tensor.status()), nullptr;
  return wrap(*executable, std::move(*tensor));
}

TesseraRtPlaced *tesseraRtReshard(TesseraRtExecutable *executable,
                                  int64_t index,
                                  const TesseraRtPlaced *placed) {
  std::lock_guard<DeviceLock> lock(*executable->lock);
  Executable &program = *executable->executable;
  if (Status status = checkIndex(program, index); !status.ok())
    return failCall(status), nullptr;
  TesseraRtPlaced::Tensor from = placed->get();
  if (!from)
    return failCall(Status::error("the tensor was donated to a run")), nullptr;
  auto tensor = program.reshard(index, *from);
  if (!tensor.ok())
    return failCall(tensor.status()), nullptr;
  return wrap(*executable, std::move(*tensor));
}

namespace {

/// The inputs of a run, held while it lasts. Like the outputs, in memory that
/// the executable keeps: large allocations are slow, and make small ones slow.
class HeldInputs {
public:
  HeldInputs(TesseraRtExecutable &executable, const TesseraRtInput *given,
             const uint8_t *donated, int64_t count)
      : given(given), donated(donated), bound(executable.inputs),
        held(executable.held) {
    bound.assign(count, Executable::Input());
    held.assign(count, nullptr);
  }
  ~HeldInputs() {
    bound.clear();
    held.clear();
  }

  Status take();
  /// After a failure: what was not consumed goes back to where it came from.
  void giveBack();
  const Executable::Input *data() const { return bound.data(); }
  /// An input that has become a result.
  TesseraRtPlaced::Tensor giveUp(size_t index) {
    return std::move(held[index]);
  }

private:
  bool isDonated(size_t i) const { return donated && donated[i]; }

  const TesseraRtInput *given;
  const uint8_t *donated;
  std::vector<Executable::Input> &bound;
  std::vector<TesseraRtPlaced::Tensor> &held;
};

} // namespace

Status HeldInputs::take() {
  // First those that are only read, so that one that is donated as well is seen
  // to be in use.
  for (bool wantsDonated : {false, true})
    for (size_t i = 0; i < bound.size(); ++i) {
      bound[i].data = given[i].data;
      TesseraRtPlaced *placed = given[i].placed;
      if (!placed || isDonated(i) != wantsDonated)
        continue;
      held[i] = wantsDonated ? placed->take() : placed->get();
      if (!held[i]) {
        giveBack();
        return Status::error("input " + std::to_string(i) +
                             " was donated to another run, or twice to this "
                             "one");
      }
      bound[i].placed = held[i].get();
      bound[i].donated = wantsDonated && held[i].use_count() == 1;
    }
  return Status::success();
}

void HeldInputs::giveBack() {
  for (size_t i = 0; i < bound.size(); ++i)
    if (held[i] && isDonated(i) && !held[i]->isConsumed())
      given[i].placed->giveBack(std::move(held[i]));
}

/// The caller holds the executable's lock.
static Status runProgram(Executable &program, HeldInputs &held,
                         int64_t inputCount,
                         std::vector<Executable::Output> &outputs) {
  const tessera::abi::Plan &plan = program.plan();
  if (Status status = checkCount("inputs", plan.inputs.size(), inputCount);
      !status.ok())
    return status;
  if (Status status =
          checkCount("outputs", plan.outputs.size(), outputs.size());
      !status.ok())
    return status;
  if (Status status = held.take(); !status.ok())
    return status;
  Status status = program.run(held.data(), outputs.data());
  if (!status.ok())
    held.giveBack();
  return status;
}

int tesseraRtRun(TesseraRtExecutable *executable, const TesseraRtInput *inputs,
                 int64_t inputCount, void *const *outputs,
                 int64_t outputCount) {
  std::lock_guard<DeviceLock> lock(*executable->lock);
  if (Status status = checkAtRest(*executable); !status.ok())
    return failCall(status);
  std::vector<Executable::Output> wanted(outputCount);
  for (int64_t i = 0; i < outputCount; ++i)
    wanted[i].data = outputs[i];
  executable->isRunning = true;
  HeldInputs held(*executable, inputs, nullptr, inputCount);
  Status status = runProgram(*executable->executable, held, inputCount, wanted);
  executable->isRunning = false;
  return status.ok() ? 0 : failCall(status);
}

int tesseraRtExecute(TesseraRtExecutable *executable,
                     const TesseraRtInput *inputs, const uint8_t *donated,
                     int64_t inputCount, TesseraRtPlaced **results,
                     int64_t resultCount) {
  std::lock_guard<DeviceLock> lock(*executable->lock);
  if (Status status = checkAtRest(*executable); !status.ok())
    return failCall(status);
  executable->isRunning = true;
  std::vector<Executable::Output> &outputs = executable->outputs;
  outputs.clear();
  outputs.resize(resultCount);
  Executable &program = *executable->executable;
  HeldInputs held(*executable, inputs, donated, inputCount);
  Status status = runProgram(program, held, inputCount, outputs);
  executable->isRunning = false;
  for (int64_t i = 0; i < resultCount && status.ok(); ++i)
    results[i] =
        wrap(*executable,
             outputs[i].isInput
                 ? held.giveUp(program.plan().outputs[i].tied)
                 : TesseraRtPlaced::Tensor(std::move(outputs[i].placed)));
  outputs.clear();
  return status.ok() ? 0 : failCall(status);
}

TesseraRtTransfers tesseraRtTransfers(const TesseraRtExecutable *executable) {
  const TransferCounts &counts = executable->executable->transferCounts();
  return {counts.cut, counts.joined, counts.resharded};
}

const void *tesseraRtInputPlacement(const TesseraRtExecutable *executable,
                                    int64_t index) {
  return executable->executable->inputPlacement(index).get();
}

const void *tesseraRtOutputPlacement(const TesseraRtExecutable *executable,
                                     int64_t index) {
  return executable->executable->outputPlacement(index).get();
}

int tesseraRtSetTracing(TesseraRtExecutable *executable, int isOn) {
  std::lock_guard<DeviceLock> lock(*executable->lock);
  if (Status status = checkAtRest(*executable); !status.ok())
    return failCall(status);
  executable->executable->setTracing(isOn != 0);
  return 0;
}

const char *tesseraRtTrace(TesseraRtExecutable *executable) {
  std::lock_guard<DeviceLock> lock(*executable->lock);
  executable->trace = describeTrace(*executable->executable);
  return executable->trace.c_str();
}

const char *tesseraRtRunReport(TesseraRtExecutable *executable) {
  std::lock_guard<DeviceLock> lock(*executable->lock);
  executable->report = describeRun(*executable->executable);
  return executable->report.c_str();
}
