// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The C interface to copies of many tensors at once.
#include "CApiHandles.h"
#include "PlanChecks.h"
#include "tessera-rt/HostCopies.h"
#include "tessera-rt/HostCores.h"

using namespace tessera;
using namespace tessera::rt;

/// Of the elements of a shard, without padding.
static size_t bytesOf(const PlacedTensor &tensor, int64_t shard) {
  const Placement &placement = *tensor.placement;
  return abi::numElements(placement.shards[shard].box.valid) *
         abi::sizeOf(placement.dtype);
}

int tesseraRtCopyAll(const TesseraRtCopy *copies, int64_t count) {
  Result<int> threads = defaultThreads();
  if (!threads.ok())
    return failCall(threads.status());
  std::vector<HostCopy> direct;
  // While they are held, no run writes into their memory.
  std::vector<TesseraRtPlaced::Tensor> held;
  for (int64_t i = 0; i < count; ++i) {
    const TesseraRtCopy &copy = copies[i];
    if (!copy.placed) {
      direct.push_back({copy.to, copy.from, copy.size});
      continue;
    }
    const std::vector<Shard> &shards = copy.placed->placement->shards;
    TesseraRtPlaced::Tensor tensor = copy.placed->get();
    const void *from = tensor && isIndexOf(shards, copy.shard)
                           ? tensor->shardInPlace(copy.shard)
                           : nullptr;
    if (from && copy.size == bytesOf(*tensor, copy.shard)) {
      direct.push_back({copy.to, from, copy.size});
      tensor->countJoined(copy.size);
      held.push_back(std::move(tensor));
      continue;
    }
    // By way of the device, row by row, or an error.
    if (tesseraRtCopyShard(copy.placed, copy.shard, copy.to, copy.size))
      return 1;
  }
  copyAll(direct, *ThreadPool::shared(*threads));
  return 0;
}
