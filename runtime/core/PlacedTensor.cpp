// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera-rt/PlacedTensor.h"
#include "tessera-rt/BoxCopy.h"

#include <algorithm>
#include <cstring>

using namespace tessera;
using namespace tessera::rt;

Result<std::unique_ptr<PlacedTensor>>
PlacedTensor::allocate(std::shared_ptr<const Placement> placement,
                       MemoryPool &pool,
                       std::shared_ptr<TransferCounts> transfers) {
  const Placement &where = *placement;
  std::unique_ptr<PlacedTensor> tensor(new PlacedTensor(
      std::move(placement), pool.getDevice(), std::move(transfers)));
  bool isOneBlock = tensor->device->usesHostMemory();
  size_t blocks = isOneBlock ? 1 : where.shards.size();
  int64_t bytes = isOneBlock ? where.blockBytes : where.localBytes;
  for (size_t i = 0; i < blocks; ++i) {
    tensor->owned.push_back(pool.allocate(static_cast<int>(i), bytes));
    if (!tensor->owned.back())
      return Status::error("device " + std::to_string(where.shards[i].device) +
                           " has no " + std::to_string(bytes) +
                           " bytes of memory left");
  }
  for (size_t i = 0; i < where.shards.size(); ++i) {
    auto *block = static_cast<char *>(tensor->owned[isOneBlock ? 0 : i].get());
    tensor->addresses.push_back(block +
                                (isOneBlock ? where.shards[i].blockOffset : 0));
  }
  return tensor;
}

std::unique_ptr<PlacedTensor>
PlacedTensor::borrow(std::shared_ptr<const Placement> placement,
                     std::shared_ptr<Device> device, void *data,
                     std::shared_ptr<TransferCounts> transfers) {
  std::unique_ptr<PlacedTensor> tensor(new PlacedTensor(
      std::move(placement), std::move(device), std::move(transfers)));
  tensor->addresses.assign(tensor->placement->shards.size(), data);
  return tensor;
}

void PlacedTensor::release() {
  addresses.clear();
  owned.clear();
}

Status PlacedTensor::checkReadable() const {
  if (!isConsumed())
    return Status::success();
  return Status::error("the tensor was donated to a program, which has taken "
                       "its memory");
}

Status PlacedTensor::cutShard(size_t index, const void *whole) {
  const Shard &shard = placement->shards[index];
  size_t bytes = placement->localBytes;
  std::vector<char> host;
  void *local = addresses[index];
  if (!device->usesHostMemory()) {
    host.resize(bytes);
    local = host.data();
  }
  int64_t elementBytes = abi::sizeOf(placement->dtype);
  if (shard.box.valid != placement->localShape)
    std::fill_n(static_cast<char *>(local), bytes, 0);
  std::vector<int64_t> origin(placement->shape.size(), 0);
  copyBox({local, placement->localShape, origin},
          {whole, placement->shape, shard.box.begin}, shard.box.valid,
          elementBytes);
  transfers->cut += abi::numElements(shard.box.valid) * elementBytes;
  return local == addresses[index]
             ? Status::success()
             : device->copyIn(static_cast<int>(index), addresses[index], local,
                              bytes);
}

Status PlacedTensor::cut(const void *whole) {
  for (size_t i = 0; i < addresses.size(); ++i)
    if (Status status = cutShard(i, whole); !status.ok())
      return status;
  return Status::success();
}

Status tessera::rt::joinShard(const Placement &placement, size_t index,
                              Device &device, const void *local, void *whole) {
  std::vector<char> host;
  if (!device.usesHostMemory()) {
    host.resize(placement.localBytes);
    Status status = device.copyOut(static_cast<int>(index), host.data(), local,
                                   host.size());
    if (!status.ok())
      return status;
    local = host.data();
  }
  const abi::Box &box = placement.shards[index].box;
  std::vector<int64_t> origin(placement.shape.size(), 0);
  copyBox({whole, placement.shape, box.begin},
          {local, placement.localShape, origin}, box.valid,
          abi::sizeOf(placement.dtype));
  return Status::success();
}

Status PlacedTensor::join(void *whole) const {
  if (Status status = checkReadable(); !status.ok())
    return status;
  if (!placement->isComplete)
    return Status::error("other processes hold parts of the tensor; read the "
                         "shards of this one");
  for (size_t i = 0; i < addresses.size(); ++i) {
    if (!placement->shards[i].isFirst)
      continue;
    Status status = rt::joinShard(*placement, i, *device, addresses[i], whole);
    if (!status.ok())
      return status;
  }
  transfers->joined += placement->wholeBytes;
  return Status::success();
}

const void *PlacedTensor::wholeInPlace() const {
  if (isConsumed() || !device->usesHostMemory() || !placement->isComplete)
    return nullptr;
  if (!ownsMemory()) // Every device's shard is the user's whole tensor.
    return addresses[0];
  return placement->isWholeInPlace ? owned[0].get() : nullptr;
}

const void *PlacedTensor::shardInPlace(size_t index) const {
  if (isConsumed() || !device->usesHostMemory())
    return nullptr;
  const std::vector<int64_t> &valid = placement->shards[index].box.valid;
  for (size_t dim = 1; dim < valid.size(); ++dim)
    if (valid[dim] != placement->localShape[dim])
      return nullptr;
  return addresses[index];
}

Status PlacedTensor::copyShard(size_t index, void *to) const {
  if (Status status = checkReadable(); !status.ok())
    return status;
  std::vector<char> host;
  const void *local = addresses[index];
  if (!device->usesHostMemory()) {
    host.resize(placement->localBytes);
    Status status = device->copyOut(static_cast<int>(index), host.data(), local,
                                    host.size());
    if (!status.ok())
      return status;
    local = host.data();
  }
  const std::vector<int64_t> &valid = placement->shards[index].box.valid;
  std::vector<int64_t> origin(valid.size(), 0);
  int64_t elementBytes = abi::sizeOf(placement->dtype);
  copyBox({to, valid, origin}, {local, placement->localShape, origin}, valid,
          elementBytes);
  transfers->joined += abi::numElements(valid) * elementBytes;
  return Status::success();
}

/// The elements that two boxes share, as a box of the whole tensor; empty where
/// they share none.
static abi::Box intersect(const abi::Box &a, const abi::Box &b) {
  abi::Box result;
  for (size_t dim = 0; dim < a.begin.size(); ++dim) {
    int64_t begin = std::max(a.begin[dim], b.begin[dim]);
    int64_t end =
        std::min(a.begin[dim] + a.valid[dim], b.begin[dim] + b.valid[dim]);
    result.begin.push_back(begin);
    result.valid.push_back(std::max<int64_t>(0, end - begin));
  }
  return result;
}

static std::vector<int64_t> minus(const std::vector<int64_t> &a,
                                  const std::vector<int64_t> &b) {
  std::vector<int64_t> result;
  for (size_t i = 0; i < a.size(); ++i)
    result.push_back(a[i] - b[i]);
  return result;
}

/// Shard by shard in host memory; else by way of the host.
Status PlacedTensor::reshard(const PlacedTensor &from) {
  if (Status status = from.checkReadable(); !status.ok())
    return status;
  if (from.placement->shape != placement->shape ||
      from.placement->dtype != placement->dtype)
    return Status::error("a tensor " + from.placement->describe() +
                         " cannot become " + placement->describe());
  int64_t elementBytes = abi::sizeOf(placement->dtype);
  if (!device->usesHostMemory() || !from.device->usesHostMemory()) {
    std::vector<char> whole(placement->wholeBytes);
    if (Status status = from.join(whole.data()); !status.ok())
      return status;
    if (Status status = cut(whole.data()); !status.ok())
      return status;
    transfers->resharded += placement->wholeBytes;
    return Status::success();
  }
  if (!from.placement->isComplete)
    return Status::error("other processes hold parts of the tensor, which can "
                         "only be used in the layout that it has");
  for (size_t i = 0; i < addresses.size(); ++i) {
    const abi::Box &mine = placement->shards[i].box;
    if (mine.valid != placement->localShape)
      std::memset(addresses[i], 0, placement->localBytes);
    for (size_t j = 0; j < from.addresses.size(); ++j) {
      const Shard &other = from.placement->shards[j];
      if (!other.isFirst)
        continue;
      abi::Box common = intersect(mine, other.box);
      int64_t count = abi::numElements(common.valid);
      if (count == 0)
        continue;
      copyBox({addresses[i], placement->localShape,
               minus(common.begin, mine.begin)},
              {from.addresses[j], from.placement->localShape,
               minus(common.begin, other.box.begin)},
              common.valid, elementBytes);
      transfers->resharded += count * elementBytes;
    }
  }
  return Status::success();
}
