// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The host program as data: what the compiler puts into an artefact and the
// runtime executes. Everything that depends on layouts is resolved by the
// compiler (which device holds which box, who forms a group), so that the
// runtime needs no notion of a layout. PlanCodec.h has the byte form.
#ifndef TESSERA_ABI_PLANFORMAT_H
#define TESSERA_ABI_PLANFORMAT_H

#include <cstdint>
#include <string>
#include <vector>

namespace tessera::abi {

/// Raised with every change of the structs below: their byte form has no
/// redundancy. A runtime reads its own version only.
constexpr uint32_t planVersion = 4;

/// Devices of a mesh, at most: one process drives them all. Python's
/// MAX_DEVICES is the same number.
constexpr int64_t maxDevices = 256;

enum class DType : uint8_t { F32, BF16, F16, F64, I32, I64, UI32, I1 };
/// Bytes of one element in memory; I1 is a byte of 0 or 1.
inline int64_t sizeOf(DType type) {
  constexpr int64_t sizes[] = {4, 2, 2, 8, 4, 8, 4, 1};
  return sizes[static_cast<int>(type)];
}
inline const char *toString(DType type) {
  constexpr const char *names[] = {"f32", "bf16", "f16",  "f64",
                                   "i32", "i64",  "ui32", "i1"};
  return names[static_cast<int>(type)];
}

inline int64_t numElements(const std::vector<int64_t> &shape) {
  int64_t count = 1;
  for (int64_t size : shape)
    count *= size;
  return count;
}

/// Where a buffer's memory comes from.
enum class BufferKind : uint8_t {
  Arena,    ///< `offset` in the device's arena.
  Input,    ///< This device's part of input `offset`; read only.
  Output,   ///< This device's part of output `offset`.
  Constant, ///< `offset` in the constants section; read only, same on all.
};

struct Buffer {
  BufferKind kind = BufferKind::Arena;
  int64_t offset = 0; ///< A multiple of bufferAlignment in the arena.
  int64_t bytes = 0;

  template <typename V> void visit(V &v) { v(kind, offset, bytes); }
};

/// The part of a whole tensor that one device holds: elements
/// [begin, begin + valid) of each dimension. `begin` may lie past the end where
/// `valid` is 0. The rest of the local tensor is padding.
struct Box {
  std::vector<int64_t> begin, valid;

  template <typename V> void visit(V &v) { v(begin, valid); }
};

/// An argument or result of the entry function.
struct Tensor {
  std::string name;
  DType dtype = DType::F32;
  std::vector<int64_t> shape, localShape;
  std::string layout; ///< For messages: "[{dp}, {}]".
  int32_t buffer = 0;
  std::vector<Box> boxes; ///< One per device.

  template <typename V> void visit(V &v) {
    v(name, dtype, shape, localShape, layout, buffer, boxes);
  }
};

/// A kernel in one of the artefact's objects.
struct Kernel {
  std::string name;          ///< For messages.
  std::string symbol;        ///< In the object.
  int32_t object = 0;        ///< Index among the artefact's objects.
  std::vector<int64_t> grid; ///< Blocks per dimension, 1 to 3 entries.
  int32_t numInputs = 0;     ///< Leading arguments that are only read.
  int32_t threads = 1;       ///< Per block; cuda and emulated.
  int64_t sharedBytes = 0;   ///< Per block, at launch; cuda, emulated.
  int64_t stackBytes = 0;    ///< Scratch on a thread's stack; cpu.
  int32_t registers = 0;     ///< Per thread, from ptxas; 0 where unknown.
  int64_t spillBytes = 0;    ///< Per thread, from ptxas.

  template <typename V> void visit(V &v) {
    v(name, symbol, object, grid, numInputs, threads, sharedBytes, stackBytes,
      registers, spillBytes);
  }
};

enum class StepKind : uint8_t {
  Launch,        ///< Runs `kernel` on `buffers` (inputs, then outputs).
  Copy,          ///< buffers[1] = buffers[0], of equal size.
  Fill,          ///< buffers[0] = the bytes `pattern` over and over.
  DeviceValue,   ///< buffers[0], one i32, = values[device].
  AllReduce,     ///< The collectives read buffers[0] and write buffers[1].
  AllGather,     ///< Joins along `dim`.
  AllSlice,      ///< Cuts along `dim`.
  ReduceScatter, ///< Combines, then cuts along `dim`.
  AllToAll,      ///< Cuts along `dim`, joins along `joinDim`.
  Permute,       ///< Device d sends to values[d].
};
enum class Reduction : uint8_t { Sum, Max, Min, Prod };

/// One step of the program; every device runs all of them in order. Buffers of
/// a collective do not overlap, but those of AllReduce may be one and the same.
struct Step {
  StepKind kind = StepKind::Launch;
  std::vector<int32_t> buffers;
  int32_t kernel = 0;          ///< Launch.
  std::string pattern;         ///< Fill: the bytes of one element.
  std::vector<int64_t> values; ///< DeviceValue, Permute: one per device.
  DType dtype = DType::F32;    ///< Collectives, from here on.
  Reduction reduction = Reduction::Sum;
  int64_t dim = 0, joinDim = 0;
  std::vector<int64_t> inputShape, outputShape;
  /// Devices that act together, in order. Every device is in one group.
  std::vector<std::vector<int32_t>> groups;
  std::string what; ///< For messages: "all_reduce of %12 over {tp}, layer 3".

  bool isCollective() const { return kind >= StepKind::AllReduce; }
  template <typename V> void visit(V &v) {
    v(kind, buffers, kernel, pattern, values, dtype, reduction, dim, joinDim,
      inputShape, outputShape, groups, what);
  }
};

struct MeshAxis {
  std::string name;
  int64_t size = 1;

  template <typename V> void visit(V &v) { v(name, size); }
};

struct Plan {
  std::string compiler; ///< Version of the compiler that wrote it.
  std::string target;   ///< "cpu", "emulated:sm_90a", "cuda:sm_90a", ...
  /// What host objects run on: "x86_64" or "aarch64" (empty without host
  /// objects), and the names in CpuFeatures.h of what they use beyond its base.
  std::string architecture;
  std::vector<std::string> cpuFeatures;
  std::vector<MeshAxis> mesh;
  int64_t arenaBytes = 0; ///< Per device.
  std::vector<Buffer> buffers;
  std::vector<Tensor> inputs, outputs;
  std::vector<Kernel> kernels;
  std::vector<Step> steps;

  int64_t numDevices() const {
    int64_t count = 1;
    for (const MeshAxis &axis : mesh)
      count *= axis.size;
    return count;
  }
  template <typename V> void visit(V &v) {
    v(compiler, target, architecture, cpuFeatures, mesh, arenaBytes, buffers,
      inputs, outputs, kernels, steps);
  }
};

/// A plan with what it refers to: shared objects (cpu, emulated) or cubins
/// (cuda), and the constants' bytes.
struct Artefact {
  Plan plan;
  std::vector<std::string> objects;
  std::string constants;
};

} // namespace tessera::abi

#endif // TESSERA_ABI_PLANFORMAT_H
