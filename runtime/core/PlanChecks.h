// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What the checks of a plan share.
#ifndef TESSERA_RUNTIME_CORE_PLANCHECKS_H
#define TESSERA_RUNTIME_CORE_PLANCHECKS_H

#include "tessera-rt/Program.h"
#include "tessera-rt/Status.h"
#include "tessera/ABI/PlanFormat.h"

#include <optional>

namespace tessera::rt {

/// More than any machine has, and small enough that sums do not overflow.
constexpr int64_t maxBytes = int64_t(1) << 46;

inline std::string str(int64_t value) { return std::to_string(value); }

inline Status check(bool condition, const std::string &message) {
  return condition ? Status::success() : Status::error(message);
}

template <typename T>
bool isIndexOf(const std::vector<T> &items, int64_t index) {
  return index >= 0 && index < static_cast<int64_t>(items.size());
}

inline bool isDType(abi::DType type) { return type <= abi::DType::F8E5M2; }

/// Bytes of a tensor, or -1 when the shape makes no sense.
int64_t bytesOf(const std::vector<int64_t> &shape, abi::DType dtype);

/// Whether the digits are places of one mixed-radix form of the numbers below
/// `numDevices`, so that each can have any value whatever the others have.
bool areIndependent(std::vector<abi::Digit> digits, int64_t numDevices);

/// Whether every device sends to one device and receives from one.
bool isPermutation(const std::vector<abi::DigitMove> &moves,
                   int64_t numDevices);

/// The memory of a plan as its blocks see it.
class PlanMemory {
public:
  PlanMemory(const abi::Plan &plan, const PlanTree &tree)
      : plan(plan), tree(tree), owners(plan.buffers.size()) {}

  /// Gives the windows of all loops their owners. Fails where a buffer is the
  /// window of two loops, or not of kind Window.
  Status addWindows();
  /// Fails where `buffer` does not exist, or is a window of a loop that `block`
  /// is not inside.
  Status checkUse(int64_t buffer, int32_t block) const;
  /// The buffer whose memory `buffer` is part of: itself unless it is a window.
  const abi::Buffer &rootOf(int32_t buffer) const;
  bool isWritable(int32_t buffer) const;
  /// Whether the two may share bytes, and whether they are one and the same.
  bool overlap(int32_t a, int32_t b) const;
  bool isSame(int32_t a, int32_t b) const;

private:
  struct Owner {
    int32_t body = -1, base = 0;
  };
  const abi::Plan &plan;
  const PlanTree &tree;
  std::vector<Owner> owners; ///< By buffer; of windows alone.
};

/// What a step is checked against: a plan whose mesh, buffers, tensors, kernels
/// and tree of blocks are right.
struct StepContext {
  const abi::Plan &plan;
  const PlanTree &tree;
  const PlanMemory &memory;
  int32_t block; ///< That the step is in.
};

/// Check one step, of any kind, a collective, or one with blocks. The message
/// goes on after the step's name: "has groups of different size".
Status checkStep(const StepContext &context, const abi::Step &step);
Status checkCollective(const StepContext &context, const abi::Step &step);
Status checkRegions(const StepContext &context, const abi::Step &step);
/// Checks that the programs of a plan have the same joint steps.
Status checkJointSteps(const abi::Plan &plan, const PlanTree &tree);
/// Checks the tokens of a block's steps.
Status checkTokens(const StepContext &context, const abi::Block &block);

/// Checks a tensor's types, shapes and splits; nothing about its buffer.
Status checkTensorForm(const abi::Tensor &tensor, int64_t numDevices);

} // namespace tessera::rt

#endif // TESSERA_RUNTIME_CORE_PLANCHECKS_H
