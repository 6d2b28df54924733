// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Tensors and steps of a plan (PlanFormat.h).
#ifndef TESSERA_ABI_PLANSTEP_H
#define TESSERA_ABI_PLANSTEP_H

#include "tessera/ABI/Digits.h"

#include <string>

namespace tessera::abi {

enum class DType : uint8_t {
  F32,
  BF16,
  F16,
  F64,
  I32,
  I64,
  UI32,
  I1, ///< A byte of 0 or 1.
  UI8,
  I8,
  UI16,
  I16,
  F8E4M3, ///< Finite: 448 is the largest, infinities do not exist.
  F8E5M2,
};
/// Bytes of one element in memory.
inline int64_t sizeOf(DType type) {
  constexpr int64_t sizes[] = {4, 2, 2, 8, 4, 8, 4, 1, 1, 1, 2, 2, 1, 1};
  return sizes[static_cast<int>(type)];
}
/// As the compiler's text has it.
inline const char *toString(DType type) {
  constexpr const char *names[] = {"f32",  "bf16", "f16",      "f64",   "i32",
                                   "i64",  "ui32", "i1",       "ui8",   "i8",
                                   "ui16", "i16",  "f8E4M3FN", "f8E5M2"};
  return names[static_cast<int>(type)];
}

inline int64_t numElements(const std::vector<int64_t> &shape) {
  int64_t count = 1;
  for (int64_t size : shape)
    count *= size;
  return count;
}

/// The part of a whole tensor that one device holds: elements
/// [begin, begin + valid) of each dimension. `begin` may be past the end where
/// `valid` is 0. The rest of the local tensor is padding.
struct Box {
  std::vector<int64_t> begin, valid;
};

/// A tensor that the devices hold parts of. No digit splits two dimensions;
/// devices that differ in other digits hold the same part.
struct Tensor {
  std::string name;
  DType dtype = DType::F32;
  std::vector<int64_t> shape, localShape;
  std::vector<std::vector<Digit>> splits; ///< Per dimension, major to minor.
  std::string layout;                     ///< For messages: "[{dp}, {}]".
  int32_t buffer = 0;
  /// Of an input: the caller gives its memory up, and steps may write it.
  uint8_t donated = 0;
  /// Of an input: the index in Artefact::captured of its value, or -1 where the
  /// caller gives it.
  int32_t captured = -1;
  /// Of an output: the donated input in whose memory it is, or -1.
  int32_t tied = -1;

  Box boxOf(int64_t device) const {
    Box box;
    for (size_t dim = 0; dim < shape.size(); ++dim) {
      Interval part = intervalOf(shape[dim], splits[dim], device);
      box.begin.push_back(part.begin);
      box.valid.push_back(part.valid);
    }
    return box;
  }
  /// The first device that holds what `device` holds.
  int64_t firstHolder(int64_t device) const {
    int64_t first = 0;
    for (const std::vector<Digit> &digits : splits)
      for (const Digit &digit : digits)
        first += digit.of(device) * digit.stride;
    return first;
  }
  template <typename V> void visit(V &v) {
    v(name, dtype, shape, localShape, splits, layout, buffer, donated, captured,
      tied);
  }
};

enum class StepKind : uint8_t {
  Launch,      ///< Runs `kernel` on `buffers` (inputs, then outputs).
  Copy,        ///< buffers[1] = buffers[0], of equal size.
  Fill,        ///< buffers[0] = the bytes `pattern` over and over.
  DeviceValue, ///< buffers[0], one i32, = `query` of `digits`.
// The collectives read buffers[0] and write buffers[1]. AllGather joins along
// `dim`, AllSlice and ReduceScatter cut along it; AllToAll cuts along `dim` and
// joins along `joinDim`; in Permute every device sends to one device.
#define TESSERA_COLLECTIVE(NAME, ...) NAME,
#include "tessera/ABI/CollectiveKinds.inc"
  Loop,  ///< Runs blocks[0] `count` times.
  While, ///< Runs blocks[0], then, while buffers[0] (i1) is set, blocks[1] and
         ///< blocks[0] again.
  If,    ///< Runs the block that buffers[0] selects: 0 or 1 by an i1, else an
         ///< i32 that is clamped to the blocks there are.
  Await, ///< Waits for the step that has the same `token`.
  Print, ///< Writes `format` with `operands`.
  Check, ///< Ends the run with `format` unless operands[0] (i1) is all set.
};
inline const char *toString(StepKind kind) {
  constexpr const char *names[] = {"launch", "copy",  "fill", "device_value",
#define TESSERA_COLLECTIVE(NAME, TEXT, ...) #TEXT,
#include "tessera/ABI/CollectiveKinds.inc"
                                   "loop",   "while", "if",   "await",
                                   "print",  "check"};
  return names[static_cast<int>(kind)];
}

enum class Reduction : uint8_t { Sum, Max, Min, Prod };

/// With the part of a dimension of size `size` that `digits` cut out.
enum class DeviceQuery : uint8_t {
  AxisIndex,   ///< The number that the digits form.
  LocalOffset, ///< Where the part begins.
  ValidExtent, ///< How many of its elements exist.
};

/// What DeviceValue gives to a device.
inline int64_t valueOf(DeviceQuery query, int64_t size,
                       const std::vector<Digit> &digits, int64_t device) {
  if (query == DeviceQuery::AxisIndex)
    return indexAlong(digits, device);
  Interval part = intervalOf(size, digits, device);
  return query == DeviceQuery::LocalOffset ? part.begin : part.valid;
}

/// A part of a buffer that moves: in iteration i of a loop of n it begins at
/// byte i * stride of `base`, or at (n - 1 - i) * stride in a reverse loop. So
/// slices of a sequence and entries of a stacked result are not copied.
struct Window {
  int32_t buffer = 0; ///< Of kind Window.
  int32_t base = 0;
  int64_t stride = 0; ///< Bytes.

  template <typename V> void visit(V &v) { v(buffer, base, stride); }
};

/// A carried value that an iteration reads in `current` and writes to `next`,
/// whose memory is exchanged behind each iteration (of a While: behind
/// blocks[1]). A value that is updated in place needs none. Once a Loop has
/// ended, the value is where it was written: in the memory of `current` if the
/// count is even, of `next` if it is odd. A While leaves it in that of
/// `current`, by a copy if need be.
struct Carry {
  int32_t current = 0, next = 0;

  template <typename V> void visit(V &v) { v(current, next); }
};

/// Streams that steps with tokens may be in, numbered from 0.
constexpr int32_t maxStreams = 64;

/// One step of a program; every device that runs the program runs all of them.
/// Buffers of a collective do not overlap, but those of AllReduce may be one
/// and the same.
///
/// A step without a token is complete when the next one begins. One with a
/// token begins when the steps before it are complete, and when those before it
/// in the same stream that have tokens are; it need not be complete before the
/// Await of its token, in the same block. Until then nothing writes what it
/// reads or touches what it writes. To complete it at once is right too.
struct Step {
  StepKind kind = StepKind::Launch;
  int32_t stream = 0; ///< Of a step with a token.
  int32_t token = 0;  ///< Above 0: may be asynchronous.
  std::vector<int32_t> buffers;
  /// For messages: "all_reduce of %12 over {tp}, layer 3".
  std::string what;

  int32_t kernel = 0;                         ///< Launch.
  std::string pattern;                        ///< Fill: one element's bytes.
  DeviceQuery query = DeviceQuery::AxisIndex; ///< DeviceValue.
  int64_t size = 0;                           ///< DeviceValue.
  /// DeviceValue: what it asks about. Collectives: the devices that differ in
  /// these alone act together, in the order of the digits, the first one major.
  std::vector<Digit> digits;

  DType dtype = DType::F32; ///< Collectives, from here on.
  Reduction reduction = Reduction::Sum;
  int64_t dim = 0, joinDim = 0;
  std::vector<int64_t> inputShape, outputShape;
  std::vector<DigitMove> moves; ///< Permute.
  /// Permute: the receiver of each device's value, where `moves` cannot say it.
  std::vector<int64_t> targets;

  /// Loop: the body. While: condition, body. If: the branches.
  std::vector<int32_t> blocks;
  int64_t count = 0;   ///< Loop.
  uint8_t reverse = 0; ///< Loop. Its buffers: none, or one i32 that holds
                       ///< i, or count - 1 - i in a reverse loop.
  std::vector<Window> windows; ///< Loop.
  std::vector<Carry> carries;  ///< Loop, While.

  /// Print, Check: text in which each {} stands for an operand in turn, and
  /// {{ and }} for braces (Format.h).
  std::string format;
  uint8_t ordered = 0;          ///< Print: after the prints before it.
  std::vector<Tensor> operands; ///< Print, Check; `buffer` has the memory.

  bool isCollective() const {
    return kind >= StepKind::AllReduce && kind <= StepKind::Permute;
  }
  bool isRegion() const {
    return kind >= StepKind::Loop && kind <= StepKind::If;
  }
  template <typename V> void visit(V &v) {
    v(kind, stream, token, buffers, what);
    switch (kind) {
    case StepKind::Launch:
      return v(kernel);
    case StepKind::Fill:
      return v(pattern);
    case StepKind::DeviceValue:
      return v(query, size, digits);
    case StepKind::AllReduce:
    case StepKind::AllGather:
    case StepKind::AllSlice:
    case StepKind::ReduceScatter:
    case StepKind::AllToAll:
      return v(dtype, reduction, dim, joinDim, inputShape, outputShape, digits);
    case StepKind::Permute:
      return v(dtype, inputShape, outputShape, moves, targets);
    case StepKind::Loop:
      return v(blocks, count, reverse, windows, carries);
    case StepKind::While:
      return v(blocks, carries);
    case StepKind::If:
      return v(blocks);
    case StepKind::Print:
    case StepKind::Check:
      return v(format, ordered, operands);
    case StepKind::Copy:
    case StepKind::Await:
      return;
    }
  }
};

} // namespace tessera::abi

#endif // TESSERA_ABI_PLANSTEP_H
