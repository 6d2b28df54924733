// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera-rt/PlacedTensor.h"
#include "tessera/ABI/KernelABI.h"

#include <algorithm>
#include <map>
#include <unordered_map>

using namespace tessera;
using namespace tessera::rt;

using Shape = std::vector<int64_t>;

/// Byte offset of a box in the whole tensor where it is one piece of it without
/// padding, else -1.
static int64_t wholeOffset(const abi::Tensor &tensor, const abi::Box &box) {
  if (box.valid != tensor.localShape)
    return -1;
  // No part exists; `begin` may be past the end.
  if (abi::numElements(box.valid) == 0)
    return 0;
  int64_t rank = static_cast<int64_t>(tensor.shape.size());
  // One piece: dimensions of size 1, then one that is cut, then whole ones.
  int64_t dim = rank - 1;
  while (dim >= 0 && box.valid[dim] == tensor.shape[dim])
    --dim;
  for (--dim; dim >= 0; --dim)
    if (box.valid[dim] != 1)
      return -1;
  int64_t offset = 0;
  for (int64_t i = 0; i < rank; ++i)
    offset = offset * tensor.shape[i] + box.begin[i];
  return offset * abi::sizeOf(tensor.dtype);
}

static int64_t aligned(int64_t bytes) {
  constexpr int64_t alignment = abi::bufferAlignment;
  return (bytes + alignment - 1) / alignment * alignment;
}

/// Gives each shard its place in the block of host memory: where all that come
/// first are pieces of the whole tensor they form it, and the others follow.
static void placeShards(Placement &placement) {
  int64_t end = 0;
  placement.isWholeInPlace = placement.isComplete;
  for (const Shard &shard : placement.shards)
    if (shard.isFirst && shard.wholeOffset < 0)
      placement.isWholeInPlace = false;
  if (placement.isWholeInPlace)
    end = aligned(placement.wholeBytes);
  for (Shard &shard : placement.shards) {
    if (placement.isWholeInPlace && shard.isFirst) {
      shard.blockOffset = shard.wholeOffset;
      continue;
    }
    shard.blockOffset = end;
    end += aligned(placement.localBytes);
  }
  placement.blockBytes = end;
}

static std::string keyOf(const Placement &placement) {
  std::string key = placement.space;
  key += static_cast<char>(placement.dtype);
  auto append = [&](const Shape &values) {
    key.append(reinterpret_cast<const char *>(values.data()),
               values.size() * sizeof(int64_t));
  };
  append({static_cast<int64_t>(placement.shape.size())});
  append(placement.shape);
  append(placement.localShape);
  for (const Shard &shard : placement.shards) {
    append({shard.device});
    append(shard.box.begin);
    append(shard.box.valid);
  }
  return key;
}

std::shared_ptr<const Placement>
Placement::get(const abi::Tensor &tensor, const std::string &mesh,
               const std::string &space,
               const std::vector<int32_t> &localDevices) {
  auto placement = std::make_shared<Placement>();
  placement->dtype = tensor.dtype;
  placement->shape = tensor.shape;
  placement->localShape = tensor.localShape;
  placement->layout = tensor.layout;
  placement->mesh = mesh;
  placement->space = space;
  placement->wholeBytes =
      abi::numElements(tensor.shape) * abi::sizeOf(tensor.dtype);
  placement->localBytes =
      abi::numElements(tensor.localShape) * abi::sizeOf(tensor.dtype);
  std::map<std::pair<Shape, Shape>, int32_t> seen;
  int64_t elements = 0;
  for (int32_t device : localDevices) {
    abi::Box box = tensor.boxOf(device);
    Shard shard;
    shard.device = device;
    shard.box = box;
    shard.wholeOffset = wholeOffset(tensor, box);
    shard.isFirst = seen.insert({{box.begin, box.valid}, device}).second;
    if (shard.isFirst)
      elements += abi::numElements(box.valid);
    placement->shards.push_back(std::move(shard));
  }
  // Boxes of a layout are equal or disjoint.
  placement->isComplete = elements == abi::numElements(tensor.shape);
  placeShards(*placement);

  static std::mutex mutex;
  static auto *known =
      new std::unordered_map<std::string, std::weak_ptr<const Placement>>();
  std::string key = keyOf(*placement);
  std::lock_guard<std::mutex> lock(mutex);
  std::weak_ptr<const Placement> &entry = (*known)[key];
  if (std::shared_ptr<const Placement> existing = entry.lock())
    return existing;
  entry = placement;
  // Forgets those that nothing uses, at a cost that grows with what is used.
  static size_t bound = 1024;
  if (known->size() > bound) {
    for (auto it = known->begin(); it != known->end();)
      it = it->second.expired() ? known->erase(it) : std::next(it);
    bound = std::max<size_t>(1024, 2 * known->size());
  }
  return placement;
}

std::string Placement::describe() const {
  std::string text = std::string(abi::toString(dtype)) + "[";
  for (size_t i = 0; i < shape.size(); ++i)
    text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "] as " + layout + " on mesh " + mesh + ", " + space +
         " memory";
}
