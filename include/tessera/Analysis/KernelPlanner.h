// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Decides which ops of a straight-line program share a kernel.
#ifndef TESSERA_ANALYSIS_KERNELPLANNER_H
#define TESSERA_ANALYSIS_KERNELPLANNER_H

#include <cstdint>
#include <vector>

namespace tessera {

/// What an op is to the planner.
enum class KernelOpClass {
  Memory,      ///< A value that the program is given: an argument.
  Host,        ///< Runs between kernels; its operands are in memory.
  Free,        ///< Recomputed by every kernel that uses it: splat, iota,
               ///< broadcast.
  Elementwise, ///< Element i of the result comes from elements i.
  Moving,      ///< Reads elements at other indices: slice, gather.
  Rows,        ///< Works on whole rows: reductions, softmax, norms.
  Product,
  Attention,
  Update, ///< Writes a part of an operand: the only root of its kernel.
};

/// How an op reads an operand.
enum class KernelAccess {
  Element,  ///< A box of the result reads one box of the operand.
  Repeated, ///< As Element, but elements are read again and again.
  Blocks,   ///< In blocks, each read by several blocks of the result.
  Streamed, ///< As Blocks, and only from memory.
  Memory,   ///< At places that only memory has, such as those of a gather.
};

struct KernelOperand {
  int node = 0; ///< The operand's producer, an earlier node.
  KernelAccess access = KernelAccess::Element;
  /// 0 where a box of the result reads the same box of the operand. Else a
  /// number: equal numbers of one box are equal boxes.
  int transform = 0;
  /// Elements of the operand that are computed per element of the result.
  double share = 1;
};

/// One op and its result.
struct KernelNode {
  KernelOpClass kind = KernelOpClass::Memory;
  int64_t elements = 1;
  /// Simple instructions per element. At 8 and above the op is expensive.
  double cost = 1;
  /// Equal for results of one shape.
  int shape = 0;
  /// Of Rows: equal for ops that can be computed block by block together.
  int rowClass = 0;
  /// Whether a product can read the result as it is brought into cache.
  bool isPrologue = false;
  /// Whether a kernel may compute the result for users on the host. Not so for
  /// constants, which the host has.
  bool isConstant = false;
  /// Whether the host can do it at no cost if no kernel does: the result has
  /// the operand's bytes.
  bool isRenaming = false;
  /// Whether it only writes the operand's elements in a larger type: reading
  /// the operand again costs less than reading the result.
  bool isWidening = false;
  std::vector<KernelOperand> operands;
};

struct KernelLimits {
  /// What storing an element and loading it again costs, in simple
  /// instructions, and what starting a kernel costs.
  double memoryCost = 16;
  double launchCost = 16384;
  /// Simple instructions in a kernel's program, and those of them that compute
  /// again what another part of it computes.
  double maxCode = 2048;
  double maxRepeatedCode = 512;
  /// Values that a kernel reads from memory, and those it writes.
  int maxInputs = 256;
  int maxResults = 8;
};

struct KernelGroupPlan {
  KernelOpClass kind = KernelOpClass::Elementwise;
  int heavy = -1;           ///< The op that makes it of its kind; -1: none.
  std::vector<int> roots;   ///< In reverse program order.
  std::vector<int> members; ///< Roots included, in reverse program order.
  /// Where in the program the kernel runs: its last root.
  int position() const { return roots.front(); }
};

/// Groups the ops of `nodes`, which are in program order, into kernels, in the
/// order in which they run. Free ops are members of no group unless they are
/// its root.
///
/// Nodes are visited from the last to the first. One joins the group of its
/// users when all are in one group and computing it there, once for each box
/// that they read, costs less than storing it and loading it again
/// (RecomputationCost.h); else it is a root. What is only widened for several
/// groups joins all of them. A value that is needed in memory
/// becomes a further root of a group that computes it anyhow, and groups of one
/// shape that read one operand become one, if all other users run later. Linear
/// in the number of operands, times bounds.
std::vector<KernelGroupPlan>
planKernelGroups(const std::vector<KernelNode> &nodes,
                 const KernelLimits &limits = {});

/// Groups of the members of one group alone, whose roots stay in memory: what
/// to do when a kernel does not fit its target. Empty if the group is one op.
std::vector<KernelGroupPlan>
splitKernelGroup(const std::vector<KernelNode> &nodes,
                 const KernelGroupPlan &group, KernelLimits limits = {});

} // namespace tessera

#endif // TESSERA_ANALYSIS_KERNELPLANNER_H
