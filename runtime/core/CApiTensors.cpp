// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The C interface to placed tensors.
#include "CApiHandles.h"
#include "PlanChecks.h"
#include "tessera-rt/HostCores.h"
#include "tessera-rt/Registry.h"

#include <algorithm>
#include <cstring>
#include <map>

using namespace tessera;
using namespace tessera::rt;

void tesseraRtReleasePlaced(TesseraRtPlaced *placed) {
  if (!placed)
    return;
  if (placed->device)
    placed->device->release(placed->take());
  delete placed;
}

const void *tesseraRtPlacement(const TesseraRtPlaced *placed) {
  return placed->placement.get();
}

int tesseraRtIsConsumed(const TesseraRtPlaced *placed) {
  return placed->get() ? 0 : 1;
}

/// Calls `read` with the tensor, held and with its devices at rest.
template <typename Read>
static int readTensor(const TesseraRtPlaced *placed, Read read) {
  std::unique_lock<DeviceLock> lock;
  if (placed->device)
    lock = std::unique_lock<DeviceLock>(*placed->device);
  TesseraRtPlaced::Tensor tensor = placed->get();
  Status status = tensor ? read(*tensor)
                         : Status::error("the tensor was donated to a run, "
                                         "which has taken its memory");
  return status.ok() ? 0 : failCall(status);
}

static Status checkSize(int64_t expected, size_t got) {
  return check(static_cast<size_t>(expected) == got,
               "it has " + str(expected) + " bytes, got memory for " +
                   str(static_cast<int64_t>(got)));
}

int tesseraRtJoin(const TesseraRtPlaced *placed, void *data, size_t size) {
  return readTensor(placed, [&](const PlacedTensor &tensor) {
    Status status = checkSize(tensor.placement->wholeBytes, size);
    return status.ok() ? tensor.join(data) : status;
  });
}

const void *tesseraRtWhole(const TesseraRtPlaced *placed) {
  TesseraRtPlaced::Tensor tensor = placed->get();
  return tensor ? tensor->wholeInPlace() : nullptr;
}

int64_t tesseraRtShardCount(const TesseraRtPlaced *placed) {
  return static_cast<int64_t>(placed->placement->shards.size());
}

static Status checkShard(const TesseraRtPlaced *placed, int64_t index) {
  const std::vector<Shard> &shards = placed->placement->shards;
  return check(isIndexOf(shards, index),
               "the tensor has " + str(static_cast<int64_t>(shards.size())) +
                   " shards here; it does not have shard " + str(index));
}

int tesseraRtGetShard(const TesseraRtPlaced *placed, int64_t index,
                      TesseraRtShard *shard) {
  if (Status status = checkShard(placed, index); !status.ok())
    return failCall(status);
  return readTensor(placed, [&](const PlacedTensor &tensor) {
    const Placement &placement = *placed->placement;
    const Shard &from = placement.shards[index];
    shard->device = from.device;
    shard->address = tensor.addresses[index];
    shard->rank = static_cast<int64_t>(placement.shape.size());
    shard->begin = from.box.begin.data();
    shard->valid = from.box.valid.data();
    shard->localShape = placement.localShape.data();
    shard->replica = from.isFirst ? 0 : 1;
    return Status::success();
  });
}

int tesseraRtCopyShard(const TesseraRtPlaced *placed, int64_t index, void *data,
                       size_t size) {
  if (Status status = checkShard(placed, index); !status.ok())
    return failCall(status);
  return readTensor(placed, [&](const PlacedTensor &tensor) {
    const Placement &placement = *placed->placement;
    int64_t elements = abi::numElements(placement.shards[index].box.valid);
    Status status = checkSize(elements * abi::sizeOf(placement.dtype), size);
    return status.ok() ? tensor.copyShard(index, data) : status;
  });
}

namespace {

/// Devices on which tensors are placed before a program is loaded.
struct PlacingDevices {
  std::shared_ptr<MemoryPool> pool;
  std::shared_ptr<TransferCounts> transfers;
  std::shared_ptr<DeviceLock> lock;
};

} // namespace

static Result<PlacingDevices> placingDevices(const std::string &kind,
                                             int64_t count) {
  static std::mutex mutex;
  static auto *known =
      new std::map<std::pair<std::string, int64_t>, PlacingDevices>();
  std::lock_guard<std::mutex> lock(mutex);
  PlacingDevices &entry = (*known)[{kind, count}];
  if (entry.pool)
    return entry;
  Result<int> threads = defaultThreads();
  if (!threads.ok())
    return threads.status();
  DeviceOptions options;
  options.count = static_cast<int>(count);
  options.pool = ThreadPool::shared(*threads);
  Result<std::unique_ptr<Device>> device = createDevice(kind, options);
  if (!device.ok())
    return device.status();
  if (!(*device)->usesHostMemory())
    entry.lock = std::make_shared<DeviceLock>();
  entry.pool = std::make_shared<MemoryPool>(std::move(*device));
  entry.transfers = std::make_shared<TransferCounts>();
  return entry;
}

static Result<abi::DType> dtypeNamed(const std::string &name) {
  for (int i = 0; isDType(static_cast<abi::DType>(i)); ++i)
    if (name == abi::toString(static_cast<abi::DType>(i)))
      return static_cast<abi::DType>(i);
  return Status::error("unknown element type '" + name + "'");
}

static Result<abi::Tensor> tensorOf(const TesseraRtLayout &layout) {
  Result<abi::DType> dtype = dtypeNamed(layout.dtype);
  if (!dtype.ok())
    return dtype.status();
  if (layout.numDevices < 1 || layout.numDevices > abi::maxDevices)
    return Status::error("a layout on " + str(layout.numDevices) +
                         " devices; 1 to " + str(abi::maxDevices) +
                         " are possible");
  abi::Tensor tensor;
  tensor.dtype = *dtype;
  tensor.layout = layout.text;
  tensor.shape.assign(layout.shape, layout.shape + layout.rank);
  tensor.localShape = tensor.shape;
  if (bytesOf(tensor.shape, tensor.dtype) < 0)
    return Status::error("a layout of an impossible shape");
  tensor.splits.resize(layout.rank);
  const int64_t *digit = layout.digits;
  for (int64_t dim = 0; dim < layout.rank; ++dim) {
    for (int64_t left = *digit++; left > 0; --left, digit += 2) {
      if (digit[0] < 1 || digit[1] < 1)
        return Status::error("a layout with an impossible digit");
      tensor.splits[dim].push_back({digit[0], digit[1]});
    }
    tensor.localShape[dim] =
        abi::intervalOf(tensor.shape[dim], tensor.splits[dim], 0).local;
  }
  if (Status form = checkTensorForm(tensor, layout.numDevices); !form.ok())
    return form.in("a layout");
  return tensor;
}

TesseraRtPlaced *tesseraRtPlaceLayout(const TesseraRtLayout *layout,
                                      const void *data, size_t size) {
  Result<abi::Tensor> tensor = tensorOf(*layout);
  if (!tensor.ok())
    return failCall(tensor.status()), nullptr;
  Result<PlacingDevices> devices =
      placingDevices(layout->device, layout->numDevices);
  if (!devices.ok())
    return failCall(devices.status()), nullptr;
  std::vector<int32_t> all;
  for (int32_t d = 0; d < layout->numDevices; ++d)
    all.push_back(d);
  const Device &device = *devices->pool->getDevice();
  std::string space = device.usesHostMemory() ? "host" : device.name();
  auto placement = Placement::get(*tensor, layout->mesh, space, all);
  if (Status status = checkSize(placement->wholeBytes, size); !status.ok())
    return failCall(status), nullptr;
  std::unique_lock<DeviceLock> lock;
  if (devices->lock)
    lock = std::unique_lock<DeviceLock>(*devices->lock);
  auto placed =
      PlacedTensor::allocate(placement, *devices->pool, devices->transfers);
  Status status = placed.ok() ? (*placed)->cut(data) : placed.status();
  if (!status.ok())
    return failCall(status), nullptr;
  return new TesseraRtPlaced(std::move(*placed), devices->lock);
}

TesseraRtMemory tesseraRtMemory(void) {
  MemoryCounts counts = memoryCounts();
  return {counts.inUse, counts.peak, counts.kept};
}

void tesseraRtResetPeak(void) { resetPeakMemory(); }
