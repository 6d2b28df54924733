// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Tensors that live on the devices, cut as a layout says.
#ifndef TESSERA_RT_PLACEDTENSOR_H
#define TESSERA_RT_PLACEDTENSOR_H

#include "tessera-rt/DeviceMemory.h"
#include "tessera-rt/Status.h"

#include <atomic>
#include <string>

namespace tessera::rt {

/// What one local device holds of a tensor.
struct Shard {
  int device = 0; ///< Its number in the mesh.
  abi::Box box;   ///< Of the whole tensor; the rest of the shard is padding.
  /// Byte offset in the whole tensor where the shard is one piece of it without
  /// padding, else -1.
  int64_t wholeOffset = -1;
  /// No local device before this one holds the same elements.
  bool isFirst = true;
  /// Byte offset in the one block that host memory has for all shards.
  int64_t blockOffset = 0;
};

/// Where each element of a tensor is stored on this process's devices. Equal
/// ones are one object, so that comparing pointers tells whether a program
/// takes a tensor as it is; names of mesh axes do not matter.
struct Placement {
  abi::DType dtype = abi::DType::F32;
  std::vector<int64_t> shape, localShape;
  std::string layout, mesh;  ///< For messages: "[{dp}, {}]", "dp=2 tp=4".
  std::string space;         ///< Which devices share addresses: "host", "cuda".
  std::vector<Shard> shards; ///< One per local device, in their order.
  bool isComplete = false;   ///< The local shards have every element.
  /// In host memory the shards that come first form the whole tensor.
  bool isWholeInPlace = false;
  int64_t wholeBytes = 0, localBytes = 0, blockBytes = 0;

  static std::shared_ptr<const Placement>
  get(const abi::Tensor &tensor, const std::string &mesh,
      const std::string &space, const std::vector<int32_t> &localDevices);

  /// "f32[6, 4] as [{tp}, {}] on mesh tp=2, host memory".
  std::string describe() const;
};

/// Bytes that were copied because a tensor was wanted in another form; what is
/// used in place is not copied.
struct TransferCounts {
  std::atomic<int64_t> cut{0};       ///< From whole tensors to shards.
  std::atomic<int64_t> joined{0};    ///< From shards to whole tensors.
  std::atomic<int64_t> resharded{0}; ///< From shards to other shards.
};

class PlacedTensor {
public:
  /// With uninitialised memory on every local device.
  static Result<std::unique_ptr<PlacedTensor>>
  allocate(std::shared_ptr<const Placement> placement, MemoryPool &pool,
           std::shared_ptr<TransferCounts> transfers);
  /// Takes the user's memory as the shard of every device, which must be whole
  /// and in host memory; it is never written.
  static std::unique_ptr<PlacedTensor>
  borrow(std::shared_ptr<const Placement> placement,
         std::shared_ptr<Device> device, void *data,
         std::shared_ptr<TransferCounts> transfers);

  const std::shared_ptr<const Placement> placement;
  std::vector<void *> addresses; ///< One per local device; empty once consumed.

  /// A program has taken the memory; nothing can be read any more.
  bool isConsumed() const { return addresses.empty(); }
  bool ownsMemory() const { return !owned.empty(); }
  void release();

  /// Writes one shard from a whole tensor in host memory, padding as zeros.
  Status cutShard(size_t index, const void *whole);
  Status cut(const void *whole);
  /// Copies to a whole tensor in host memory.
  Status join(void *whole) const;
  /// The whole tensor where the shards form it in host memory, else null.
  const void *wholeInPlace() const;
  /// Copies the elements of a shard to host memory, without padding.
  Status copyShard(size_t index, void *to) const;
  /// The elements of a shard where they are, if that is in host memory and
  /// without padding between them; else null.
  const void *shardInPlace(size_t index) const;
  /// Counts bytes that were read in place as joined.
  void countJoined(int64_t bytes) const { transfers->joined += bytes; }
  /// Fills this tensor from one of equal shape and element type in any layout.
  Status reshard(const PlacedTensor &from);

private:
  PlacedTensor(std::shared_ptr<const Placement> placement,
               std::shared_ptr<Device> device,
               std::shared_ptr<TransferCounts> transfers)
      : placement(std::move(placement)), device(std::move(device)),
        transfers(std::move(transfers)) {}
  Status checkReadable() const;
  Status joinShard(size_t index, void *whole) const;

  std::vector<DeviceMemory> owned; ///< One, or one per device; or the user's.
  std::shared_ptr<Device> device;
  std::shared_ptr<TransferCounts> transfers;
};

/// Joins one shard, stored at `local`, into a whole tensor in host memory.
Status joinShard(const Placement &placement, size_t index, Device &device,
                 const void *local, void *whole);

} // namespace tessera::rt

#endif // TESSERA_RT_PLACEDTENSOR_H
