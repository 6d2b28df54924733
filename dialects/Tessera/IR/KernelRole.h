// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What part an op has in a kernel. KernelInterface tells it for an op.
#ifndef TESSERA_DIALECTS_TESSERA_IR_KERNELROLE_H
#define TESSERA_DIALECTS_TESSERA_IR_KERNELROLE_H

#include <cstdint>

namespace tessera {

enum class KernelRole {
  /// In no kernel: it renames bytes, or its value is in memory already.
  Host,
  /// Made by each kernel that reads it, from indices or from an operand that
  /// is repeated.
  Generated,
  /// An element of the result is made of elements at the same indices of
  /// operands of the same shape.
  Elementwise,
  /// Elements move to other indices known when compiling.
  Movement,
  /// An element is read, or computed, at indices known when running.
  Indexed,
  /// A part of the first operand is written, in a kernel whose output begins
  /// as that operand and takes its memory where it is dead.
  Update,
  /// Whole operands are read from memory, in a kernel of its own.
  Alone,
  /// Rows of the input are combined.
  Rows,
  /// Products are summed.
  Product,
  /// Attention.
  Attention,
};

/// Element costs from which computing an element twice costs more than reading
/// it from memory.
inline constexpr int64_t expensiveElement = 8;

} // namespace tessera

#endif // TESSERA_DIALECTS_TESSERA_IR_KERNELROLE_H
