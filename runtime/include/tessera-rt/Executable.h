// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A program loaded onto devices, and tensors placed on them.
#ifndef TESSERA_RT_EXECUTABLE_H
#define TESSERA_RT_EXECUTABLE_H

#include "tessera-rt/Communicator.h"
#include "tessera-rt/PlacedTensor.h"
#include "tessera-rt/Program.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tessera::rt {

struct ExecutableOptions {
  std::string device; ///< Empty: the one that the artefact was compiled for.
  std::string communicator = "inprocess";
  /// Makes the communicator in place of the registry, if set.
  std::function<Result<std::unique_ptr<Communicator>>(
      const CommunicatorOptions &)>
      makeCommunicator;
  int threads = 0; ///< Of all devices together; 0: see defaultThreads.
  int64_t timeoutMs = 60000; ///< Longest wait for a device or a peer.
  bool profile = false;      ///< Measure each step and, if emulated, accesses.
};

/// How long a step of the plan took, over all the times that it ran. That of a
/// loop or conditional includes the steps inside it.
struct StepTime {
  int32_t block = 0, step = 0;
  int64_t runs = 0, nanoseconds = 0;
};

/// One time that a step of the plan ran. That of a loop or conditional contains
/// those of the steps inside it.
struct StepEvent {
  int32_t block = 0, step = 0;
  Span whole; ///< On all devices together.
};

/// What a traced run did, when. Steps are waited for before the next begins.
struct RunTrace {
  /// The run itself; its steps, before which inputs are brought into the
  /// program's layouts and after which results are brought out of them.
  Span run, steps;
  std::vector<StepEvent> events; ///< In the order in which they ended.
  /// When each local device worked on an event, devices fastest; no span where
  /// it takes no part.
  std::vector<Span> ofDevices;
  int64_t dropped = 0; ///< Events beyond maxTraceEvents.
};
constexpr size_t maxTraceEvents = size_t(1) << 17;

struct RunReport {
  int64_t nanoseconds = 0;
  int64_t launches = 0;    ///< Kernel launches, over all local devices.
  int64_t collectives = 0; ///< Collective steps, each time that they ran.
  int64_t bytesSent = 0;   ///< See bytesMoved.
  /// Copied to bring inputs into, and outputs out of, the plan's layouts.
  int64_t bytesCut = 0, bytesJoined = 0;
  /// One per step of the plan, block by block, if asked for.
  std::vector<StepTime> steps;
  /// By kernel of the plan, over all devices; if asked for, and emulated.
  std::vector<KernelTraffic> traffic;
};

/// Not thread-safe.
class Executable {
public:
  static Result<std::unique_ptr<Executable>>
  create(abi::Artefact artefact, const ExecutableOptions &options);
  ~Executable();

  const abi::Plan &plan() const { return artefact.plan; }
  /// Of the plan's blocks.
  const PlanTree &tree() const { return *blockTree; }
  const Device &getDevice() const { return *device; }
  const Communicator &getCommunicator() const { return *communicator; }
  int64_t inputBytes(size_t input) const;
  const std::shared_ptr<const Placement> &inputPlacement(size_t input) const {
    return inputPlacements[input];
  }
  const std::shared_ptr<const Placement> &outputPlacement(size_t output) const {
    return outputPlacements[output];
  }

  /// A whole tensor as input `input` wants it.
  Result<std::unique_ptr<PlacedTensor>> place(size_t input, const void *data);
  /// A placed tensor of any layout as input `input` wants it.
  Result<std::unique_ptr<PlacedTensor>> reshard(size_t input,
                                                const PlacedTensor &from);

  /// Places `data` as the value that an input has in all runs from now on, as
  /// inputs have whose value is captured in the artefact.
  Status bind(size_t input, const void *data);

  /// An input is placed, or else whole, row-major data; neither where it has a
  /// value already. A donated one is consumed: its memory may become that of a
  /// result. Where the plan writes an input that was not donated, or is not
  /// placed in memory of its own, the run works on a copy.
  struct Input {
    const void *data = nullptr;
    PlacedTensor *placed = nullptr;
    bool donated = false;
  };
  /// An output is joined into the memory at `data`, or where that is null stays
  /// on the devices: as `placed`, or where `isInput` is set as the donated
  /// input that it is tied to, which then is not consumed.
  struct Output {
    void *data = nullptr;
    std::unique_ptr<PlacedTensor> placed;
    bool isInput = false;
  };
  /// Both have the plan's counts. Donated inputs are consumed even when the run
  /// fails, unless no step was begun.
  Status run(const Input *inputs, Output *outputs);
  /// outputs[i] is memory for the whole output i.
  Status run(const Input *inputs, void *const *outputs);
  const RunReport &report() const { return lastReport; }
  /// From now on runs are traced, or not.
  void setTracing(bool isOn);
  /// Of the last run that was traced.
  const RunTrace &trace() const { return lastTrace; }
  /// What device `d` of this process is called in the mesh.
  int32_t numberOf(int d) const { return communicator->localDevices()[d]; }
  /// Devices that this process drives.
  int numDevices() const { return numLocal; }
  /// Over all runs, and over what is done with the tensors placed here.
  const TransferCounts &transferCounts() const { return *transfers; }

private:
  Executable() = default;

  /// A step's arguments, resolved to addresses. Those of a collective are
  /// argument by argument, of all else device by device.
  struct BoundStep {
    std::vector<void *> args;
    std::vector<void *const *> argsOfDevice;
    std::vector<int64_t> bytes; ///< One per argument.
    std::optional<Collective> collective;
  };
  /// A place where a buffer's address is used.
  struct Use {
    int32_t step, position;
  };

  Status open();
  static Status outOfMemory(int index, int64_t bytes, const std::string &what);
  Status allocate();
  void bindOwnBuffers();
  /// Device memory for shards that cannot be used in place; made when needed.
  Result<PlacedTensor *> stagingFor(std::unique_ptr<PlacedTensor> &memory,
                                    const std::shared_ptr<const Placement> &);
  Status checkInput(size_t index, const Input &input) const;
  Status bindInput(size_t index, const Input &input);
  Status bindOutput(size_t index, Output &output);
  Result<PlacedTensor *> writableInput(size_t index, const Input &input);
  Status joinOutput(size_t index, void *whole);
  /// Whether the plan writes the very memory of the input.
  static bool isWritable(const Input &input) {
    return input.placed && input.donated && input.placed->ownsMemory();
  }
  /// What is read of the devices' parts of a tensor while the program runs.
  Status readWhole(const abi::Tensor &tensor, void *whole);
  Result<std::unique_ptr<PlacedTensor>>
  allocateResult(const std::shared_ptr<const Placement> &placement);

  /// Sizes `steps` for the plan, and finds the uses of each buffer.
  void prepareSteps();
  /// Gives a buffer its address on a device, wherever steps use it.
  void bindBuffer(int device, int32_t buffer, void *address);
  void *&argument(BoundStep &step, int device, int32_t position) const;
  Status runSteps();
  Status runBlock(int32_t block);
  Status runStepOf(int32_t block, size_t index);
  Status runMeasured(int32_t block, size_t index);
  /// Adds an event to the trace of the run.
  void traceStep(int32_t block, size_t index, Span whole,
                 const std::vector<int> &devices);
  Status runStep(const abi::Step &step, BoundStep &bound);
  /// Devices whose numbers are in `devices` take part.
  Status runCollective(const Collective &collective, void *const *args,
                       const std::vector<int64_t> &bytes,
                       const std::vector<int> &devices);
  Status runStaged(const Collective &collective, void *const *args,
                   const std::vector<int64_t> &bytes,
                   const std::vector<int> &devices);
  /// RunPrograms.cpp: one block of each program, on the devices of each.
  Status runPrograms(const std::vector<int32_t> &blocks);
  Status runJointStep(const std::vector<int32_t> &blocks,
                      const std::vector<size_t> &indices);
  Status runJointCollective(const std::vector<BoundStep *> &bound);
  Status runJointLoop(const std::vector<const abi::Step *> &loops);
  Status runLoop(const abi::Step &step);
  /// Sets a loop's index and windows.
  Status beginIteration(const abi::Step &loop, int64_t iteration);
  Status runWhile(const abi::Step &step);
  Status runIf(const abi::Step &step);
  void exchange(const std::vector<abi::Carry> &carries);
  /// Reads a scalar that is the same on all devices.
  Result<int32_t> readScalar(int32_t buffer);
  Result<std::string> formatEffect(const abi::Step &step, size_t first);
  Status runEffect(const abi::Step &step);

  abi::Artefact artefact;
  std::optional<PlanTree> blockTree;
  ExecutableOptions options;
  std::shared_ptr<Device> device;
  std::shared_ptr<ThreadPool> pool;
  std::unique_ptr<Communicator> communicator;
  int numLocal = 1;            ///< Devices that this process drives.
  std::vector<int> allDevices; ///< 0 to numLocal - 1.
  std::vector<std::vector<int>> devicesOf; ///< Of them, those of each program.
  /// Those of the program whose steps run.
  const std::vector<int> &devices() const { return devicesOf[program]; }
  size_t program = 0;

  /// Keeps the memory that results and staging freed, up to what one run needs.
  std::shared_ptr<MemoryPool> results;
  std::shared_ptr<TransferCounts> transfers =
      std::make_shared<TransferCounts>();
  std::vector<DeviceMemory> arenas, constants;
  std::vector<std::shared_ptr<const Placement>> inputPlacements,
      outputPlacements;
  std::vector<std::unique_ptr<PlacedTensor>> inputStaging, outputStaging;
  /// Values of inputs that are captured or bound; null for others.
  std::vector<std::unique_ptr<PlacedTensor>> boundInputs;

  /// addresses[d][b] is buffer b on local device d.
  std::vector<std::vector<void *>> addresses;
  /// Those of block b begin at firstStep[b]. They follow `addresses`; see
  /// bindBuffer, by which loops move their buffers too.
  std::vector<BoundStep> steps;
  std::vector<size_t> firstStep;
  /// Those of buffer b are uses[firstUse[b]] to uses[firstUse[b + 1]].
  std::vector<Use> uses;
  std::vector<size_t> firstUse;
  std::vector<void *> streams;                    ///< One per local device.
  std::vector<std::vector<char>> hostIn, hostOut; ///< Of staged collectives.
  std::vector<void *> jointArgs;                  ///< Of a joint collective.
  std::vector<bool> becomesResult;                ///< Inputs, in a run.
  RunReport lastReport;
  bool isTracing = false;
  bool isMeasuring = false; ///< For a profile or a trace.
  RunTrace lastTrace;
  std::vector<Span> launchSpans; ///< Of the step that runs; see Launch::spans.
};

} // namespace tessera::rt

#endif // TESSERA_RT_EXECUTABLE_H
