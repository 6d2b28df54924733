// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Decides which ops of a local program share a kernel.
//
// A group has one root, whose value is the kernel's output; the other ops of
// the group are computed inside it, block by block. An op joins the group of
// its users when all of them are in one group and computing it there costs no
// more than once: elementwise ops and movement nearly always, a product, an
// attention or a row operation only where its consumers work element by element
// on the same block.
#ifndef TESSERA_LIB_CONVERSION_TESSERATOTILE_KERNELGROUPS_H
#define TESSERA_LIB_CONVERSION_TESSERATOTILE_KERNELGROUPS_H

#include "dialects/Tessera/IR/Tessera.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace tessera {

/// What shapes a kernel: decided by its heaviest op.
enum class KernelKind { Pointwise, Rows, Product, Attention };

struct KernelGroup {
  mlir::Operation *root = nullptr;
  KernelKind kind = KernelKind::Pointwise;
  /// The op that makes it of its kind; null for pointwise kernels.
  mlir::Operation *heavy = nullptr;
  llvm::DenseSet<mlir::Operation *> members;
};

/// Ops that stay on the host: collectives, renamings of bytes, constants that
/// are not splat, and the function's end.
bool isHostOp(mlir::Operation *op);

/// Ops that every kernel that uses them makes anew: splats, iota, broadcasts.
bool isFreeOp(mlir::Operation *op);

/// Whether `user` reads `value` at places that only memory has: the source of a
/// gather, and what a strided slice takes a view of.
bool readsFromMemory(mlir::Operation *user, mlir::Value value);

/// Whether elements of the result come one by one from elements at the same
/// indices of operands of the same shape.
bool isElementwise(mlir::Operation *op);

/// The groups of `function`, in the order of their roots.
std::vector<KernelGroup> formKernelGroups(mlir::func::FuncOp function);

} // namespace tessera

#endif // TESSERA_LIB_CONVERSION_TESSERATOTILE_KERNELGROUPS_H
