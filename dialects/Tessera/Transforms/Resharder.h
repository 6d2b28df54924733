// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Makes the ops of a function agree about layouts: the working of
// tessera-insert-reshards. Ops with a factor rule are in InsertReshards.cpp,
// how they are split in AssignByPrice.cpp, those with data-flow edges in
// ReshardEdges.cpp.
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
/// Elements of a value on each device.
int64_t localSizeOf(MeshTensorType type, const Mesh &mesh);
/// The phase of what asks for `value`: of `user`, or of an op around it.
/// Returns and what stands in no phase ask for what `value` belongs to.
mlir::Attribute phaseOf(mlir::Operation *user, mlir::Value value);

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
  /// How the op is split: as most bytes of what it takes and gives are laid
  /// out, or as one of them is where that costs less to communicate and cuts
  /// the work into as many parts. With `sharesReshards`, what others ask for
  /// costs nothing.
  FactorAssignment assign(mlir::Operation *op, const FactorRule &rule,
                          bool sharesReshards = true);
  /// The first of these. What is free in any layout has no vote, and axes along
  /// which operands vary split nothing: along them each device computes on
  /// values of its own.
  FactorAssignment assignByBytes(mlir::Operation *op, const FactorRule &rule);
  /// Whether an operand that would be gathered for `axes`, and for no other
  /// user, is less so for `others`. Users split weights so that they do not
  /// take the memory of whole ones, even where moving them would be faster.
  bool gathersMore(mlir::Operation *op, const FactorRule &rule,
                   const FactorAssignment &axes, const FactorAssignment &others,
                   bool sharesReshards);
  /// Modelled time of giving the op its operands under `axes`, and of bringing
  /// its results into the layouts that propagation chose for them.
  double priceOf(mlir::Operation *op, const FactorRule &rule,
                 const FactorAssignment &axes, bool sharesReshards);
  /// How the result of an op is wanted: as propagation has it, or where that
  /// does not split it, as its one user does.
  Layout layoutForUser(mlir::Value result);
  /// Whether `value` is resharded to `wanted` in this phase without `op`, too:
  /// it has been, or another user that is still to come asks for it by itself.
  bool isMadeAnyway(mlir::Value value, const Layout &wanted,
                    mlir::Operation *op);
  Layout layoutOfOperand(mlir::Operation *op, const FactorRule &rule,
                         size_t index, const FactorAssignment &axes,
                         const std::vector<AxisRef> &passed);
  /// The layout that the op gives its result under `axes`.
  Layout layoutMade(mlir::Operation *op, const FactorRule &rule, size_t index,
                    const FactorAssignment &axes,
                    const std::vector<AxisRef> &passed);
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

  using PartialAxes = std::map<ReduceKind, std::vector<AxisRef>>;
  /// What a trial of an op's regions shows.
  struct Trial {
    llvm::SmallVector<Layout> yields; ///< By edge, before they are resharded.
    PartialAxes made;                 ///< Partial anywhere.
    /// By edge: along which axes terms of the yield are partial.
    llvm::SmallVector<PartialAxes> reached;
    /// By edge: along which axes the yield has a term of more than neutral
    /// elements.
    llvm::SmallVector<std::vector<AxisRef>> termsAlong;
    /// Modelled time of the reshards, as often as they run, and of reducing
    /// what stays partial behind the op.
    double nanoseconds = 0;
  };
  /// Layouts of edges, and the modelled time of what they communicate.
  struct PartialChoice {
    llvm::SmallVector<Layout> splits; ///< By edge, without partial axes.
    llvm::SmallVector<Layout> layouts;
    double nanoseconds = 0;
    llvm::SmallVector<PartialAxes> reached; ///< As Trial has it.
    bool allowsGrowth = false;
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
  /// Neutral elements are partial along whatever the others are. With
  /// `mayGrow`, also along axes that split `layout`, where terms may be larger.
  void keepCommonPartial(const DataFlowEdge &edge, Layout &layout,
                         bool mayGrow);
  /// As choosePartials, with the terms larger on their way or not.
  mlir::FailureOr<PartialChoice>
  chooseGrowth(DataFlowInterface op, const llvm::SmallVector<Layout> &layouts,
               llvm::ArrayRef<size_t> candidates);
  /// Axes that split carried values whose terms are partial along them, and
  /// these values: they may be terms themselves instead, larger in the loop,
  /// and scattered once behind it.
  std::map<AxisRef, std::vector<size_t>>
  findTerms(const PartialChoice &choice, llvm::ArrayRef<size_t> candidates);
  /// As chooseGrowth, with as many of `terms` as can be partial along `axis`
  /// instead of split.
  mlir::FailureOr<PartialChoice> chooseTerms(DataFlowInterface op,
                                             const PartialChoice &choice,
                                             const AxisRef &axis,
                                             std::vector<size_t> terms,
                                             llvm::ArrayRef<size_t> candidates);
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
  void choosePartial(mlir::Value init, const PartialAxes &reached,
                     Layout &layout);
  /// Axes along which `value`, or what it is a linear function of, is partial,
  /// as far as that is not a product.
  PartialAxes axesReaching(mlir::Value value);
  /// Resolves the regions of a copy of `op`, which then is gone.
  mlir::LogicalResult tryOut(DataFlowInterface op,
                             const llvm::SmallVector<Layout> &layouts,
                             Trial &trial);
  /// What the regions of `copy` of `op` show, whose ends have their layouts;
  /// `outside` are ops before it that it takes.
  void inspect(DataFlowInterface op, DataFlowInterface copy,
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
