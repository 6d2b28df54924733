// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Which ops of a block share a kernel: describes the block to the planner of
// lib/Analysis/KernelPlanner and translates its answer back.
#ifndef TESSERA_LIB_CONVERSION_TESSERATOTILE_KERNELGROUPS_H
#define TESSERA_LIB_CONVERSION_TESSERATOTILE_KERNELGROUPS_H

#include "dialects/Tessera/IR/Tessera.h"
#include "tessera/Analysis/KernelPlanner.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <map>

namespace tessera {

struct KernelGroup {
  /// The ops whose values are the kernel's results, all of one shape, in
  /// program order.
  llvm::SmallVector<mlir::Operation *> roots;
  KernelOpClass kind = KernelOpClass::Elementwise;
  /// The op that makes it of its kind; null for elementwise kernels.
  mlir::Operation *heavy = nullptr;
  llvm::DenseSet<mlir::Operation *> members;

  /// Where the kernel is launched: at its last root.
  mlir::Operation *last() const { return roots.back(); }
};

/// Ops that stay on the host: collectives, renamings of bytes, constants that
/// are not splat, ops with regions, sorts, and the block's end.
bool isHostOp(mlir::Operation *op);

/// Ops that every kernel that uses them makes anew: splats, iota, broadcasts.
bool isFreeOp(mlir::Operation *op);

/// Whether `user` needs `value` in memory: the source of a gather, which is
/// read anywhere, what a strided slice takes a view of, and what an update
/// writes a part of.
bool readsFromMemory(mlir::Operation *user, mlir::Value value);

/// Whether elements of the result come one by one from elements at the same
/// indices of operands of the same shape.
bool isElementwise(mlir::Operation *op);

/// The dimension that `op` cuts into pieces, if it does and nothing else:
/// tensor<..., n, ...> to tensor<..., pieces, piece, ...>.
std::optional<int64_t> cutDim(ReshapeOp op);

/// The groups of one block; ops of nested regions are users on the host.
class KernelGroups {
public:
  explicit KernelGroups(mlir::Block &block);

  /// In the order in which the kernels run.
  std::vector<KernelGroup> form() const;

  /// The ops of `group` in smaller groups, or none if it is one op.
  std::vector<KernelGroup> split(const KernelGroup &group) const;

private:
  int nodeOf(mlir::Value value);
  void describe(mlir::Operation *op);
  void describeOperands(mlir::Operation *op, KernelNode &node);
  int numberOf(llvm::ArrayRef<int64_t> key);
  KernelGroup translate(const KernelGroupPlan &plan) const;

  std::vector<KernelNode> nodes;
  std::vector<mlir::Operation *> ops; ///< By node; null for arguments.
  llvm::DenseMap<mlir::Value, int> nodeOfValue;
  llvm::DenseMap<mlir::Operation *, int> nodeOfOp;
  std::map<std::vector<int64_t>, int> numbers;
};

} // namespace tessera

#endif // TESSERA_LIB_CONVERSION_TESSERATOTILE_KERNELGROUPS_H
