// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Makes the ops of a function agree about layouts: the working of
// tessera-insert-reshards. Ops with a factor rule are in InsertReshards.cpp,
// those with data-flow edges in ReshardEdges.cpp.
#ifndef TESSERA_DIALECTS_TESSERA_TRANSFORMS_RESHARDER_H
#define TESSERA_DIALECTS_TESSERA_TRANSFORMS_RESHARDER_H

#include "dialects/Tessera/IR/DataFlow.h"
#include "dialects/Tessera/IR/Tessera.h"
#include "tessera/Analysis/FactorAssignment.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <map>

namespace tessera {

/// The layout of a mesh tensor.
const Layout &layoutOfValue(mlir::Value value);
/// What resharding the whole tensor moves.
double bytesOfValue(mlir::Value value);

class Resharder {
public:
  Resharder(mlir::func::FuncOp function, const Mesh &mesh)
      : function(function), mesh(mesh), builder(function.getContext()) {}

  mlir::LogicalResult run() { return visit(function.getBody().front()); }

private:
  /// Ops in the order of the program. Reshards that this makes stand between
  /// them and are not visited.
  mlir::LogicalResult visit(mlir::Block &block);
  void makeConsistent(mlir::Operation *op, const FactorRule &rule);
  /// Says of an op that moves a value between devices by itself why it does.
  void explainExchange(mlir::Operation *op);
  /// How the op is split, by how what it takes and gives is laid out. What is
  /// free in any layout has no vote, and axes along which operands vary split
  /// nothing: along them each device computes on values of its own.
  FactorAssignment assign(mlir::Operation *op, const FactorRule &rule);
  /// Axes along which the operands stay partial: those of a linear group whose
  /// operands are all partial there with the group's kind, and which no
  /// other part of the op uses, in whole or in part: x uses x:(1)2.
  std::vector<AxisRef> passedPartials(mlir::Operation *op,
                                      const FactorRule &rule,
                                      const FactorAssignment &axes);
  bool overlaps(const std::vector<AxisRef> &list, const AxisRef &axis);
  /// Whether exactly the operands of `group` are partial along `axis`, up to
  /// neutral elements, which are so at no cost. Only values with one use pass:
  /// another use would have to reduce the value by itself. And only where the
  /// op does not increase the bytes that are to be reduced, or may.
  bool passesThrough(mlir::Operation *op, const LinearGroup &group,
                     const AxisRef &axis);
  /// Whether the result of `op` may be partial though it is larger than the
  /// terms of its operands: where it is only passed on to what a region yields,
  /// so that a loop may reduce it less often.
  bool mayGrow(mlir::Operation *op);
  /// Whether `op` is the only user of `value`, each time that it is computed: a
  /// loop around `op` would reduce it in every iteration, and of branches only
  /// one is executed.
  bool belongsTo(mlir::Value value, mlir::Operation *op);
  ReduceKind kindOfPartial(mlir::Operation *op, const AxisRef &axis);
  void setResults(mlir::Operation *op, const FactorRule &rule,
                  const FactorAssignment &axes,
                  const std::vector<AxisRef> &passed);
  /// `value` laid out as `wanted`, made once for all users of a phase: what the
  /// forward pass gathers need not live until the backward pass. Made once for
  /// all users where it is no larger than `value`, as a sum of terms is, which
  /// would have to live just as long.
  mlir::Value reshard(mlir::Value value, const Layout &wanted,
                      mlir::Operation *user, const std::string &rule);
  void resolve(ConstrainOp op);
  void resolve(mlir::func::ReturnOp op);
  /// The layout of a function's result that no user annotated: that of what
  /// computes it. What is partial is reduced, into the layout that propagation
  /// gave the result where that is cheaper.
  Layout layoutOfResult(mlir::Value value, const Layout &propagated);

  //===--------------------------------------------------------------------===//
  // Ops with data-flow edges
  //===--------------------------------------------------------------------===//

  /// What a trial of an op's regions shows.
  struct Trial {
    llvm::SmallVector<Layout> yields; ///< By edge, before they are resharded.
    std::map<ReduceKind, std::vector<AxisRef>> made; ///< Partial anywhere.
    /// By edge: along which axes the yield has a term of more than neutral
    /// elements.
    llvm::SmallVector<std::vector<AxisRef>> termsAlong;
    /// Modelled time of the reshards, as often as they run, and of reducing
    /// what stays partial behind the op.
    double nanoseconds = 0;
  };
  /// Layouts of edges, and the modelled time of what they communicate.
  struct PartialChoice {
    llvm::SmallVector<Layout> layouts;
    double nanoseconds = 0;
  };

  /// All ends of an edge get one layout. For loops that includes what is left
  /// to be reduced: an accumulator may stay partial from iteration to iteration
  /// and be reduced once behind the loop. Where terms would have to become
  /// larger for that, it is done if the trials communicate less so.
  mlir::LogicalResult makeConsistent(DataFlowInterface op);
  /// How most bytes of the edge's ends are split; without leading dimension.
  Layout chooseSplits(const DataFlowEdge &edge);
  std::vector<AxisRef> varyingOfEnds(const DataFlowEdge &edge);
  /// Gives all ends the layouts of their edges, and resolves the regions in
  /// between. `trial`, if any, is told what they yield.
  mlir::LogicalResult apply(DataFlowInterface op,
                            llvm::SmallVector<Layout> layouts,
                            Trial *trial = nullptr);
  void resolve(DataFlowInterface op, const DataFlowEdge &edge,
               mlir::OpOperand &source, const Layout &layout);
  /// What all sources of an edge are partial along stays so behind the op,
  /// where it is reduced once: after all iterations, or whichever branch ran.
  /// Neutral elements are partial along whatever the others are.
  void keepCommonPartial(const DataFlowEdge &edge, Layout &layout);
  /// Chooses what carried values are partial along: the most with which the
  /// regions yield just that. It starts from all that may be and takes away
  /// what a trial of the regions does not yield, or yields of neutral elements
  /// alone, until nothing changes. `candidates` are the edges that may.
  mlir::FailureOr<PartialChoice>
  choosePartials(DataFlowInterface op, const llvm::SmallVector<Layout> &layouts,
                 llvm::ArrayRef<size_t> candidates);
  /// Whether a carried value can begin as partial at no cost, and is used by no
  /// region but the one that yields it.
  bool mayStayPartial(DataFlowInterface op, const DataFlowEdge &edge);
  /// Sets what `layout`, of a value that starts as `init`, may be partial along
  /// at most.
  void choosePartial(mlir::Value init, const Trial &whole, Layout &layout);
  /// Resolves the regions of a copy of `op`, which then is gone.
  mlir::LogicalResult tryOut(DataFlowInterface op,
                             const llvm::SmallVector<Layout> &layouts,
                             Trial &trial);
  /// What the regions of `copy` show, whose ends have their layouts; `outside`
  /// are ops before it that it takes.
  void inspect(DataFlowInterface copy,
               llvm::ArrayRef<mlir::Operation *> outside, Trial &trial);
  /// Modelled time of a reshard.
  double priceOf(MeshTensorType from, MeshTensorType to);
  /// Whether a copy stands for the op that `user` is in.
  bool isShadowed(mlir::Operation *user);

  mlir::func::FuncOp function;
  const Mesh &mesh;
  mlir::OpBuilder builder;
  llvm::DenseMap<std::pair<mlir::Value, std::pair<mlir::Type, mlir::Attribute>>,
                 mlir::Value>
      cache;
  llvm::SmallVector<mlir::Operation *>
      created; ///< In this order, to be taken back.
  llvm::SmallVector<mlir::Operation *>
      shadows; ///< Ops that are being tried out.
  /// Whether terms may become larger on the way to what a loop carries, and
  /// whether some did not pass an op for that reason.
  bool allowsGrowth = false, refusedGrowth = false;
  llvm::DenseMap<std::pair<mlir::Type, mlir::Type>, double> prices;
};

} // namespace tessera

#endif // TESSERA_DIALECTS_TESSERA_TRANSFORMS_RESHARDER_H
