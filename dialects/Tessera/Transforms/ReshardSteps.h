// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The collectives that carry out the reshards of a function.
#ifndef TESSERA_DIALECTS_TESSERA_TRANSFORMS_RESHARDSTEPS_H
#define TESSERA_DIALECTS_TESSERA_TRANSFORMS_RESHARDSTEPS_H

#include "dialects/Tessera/IR/Tessera.h"
#include "tessera/Analysis/ReshardPlanner.h"

#include "mlir/IR/Builders.h"

namespace tessera {

class ReshardSteps {
public:
  ReshardSteps(mlir::OpBuilder &builder, const Mesh &mesh)
      : builder(builder), mesh(mesh) {}

  /// What is asked for, and why.
  struct Request {
    mlir::Operation *op; ///< That asks; the builder inserts before it.
    MeshTensorType to;
    dist::WhyAttr why; ///< Null where the program itself asks.
  };
  static Request requestOf(ReshardOp op);

  /// Creates the cheapest collectives that bring `value`, each device's part of
  /// a tensor of type `from`, into the layout that is asked for, and returns
  /// what the last one gives. Each says why by the request's reason, with its
  /// own bytes and time, and what else was possible, and belongs to the phase
  /// of the op. An error at the op where no
  /// plan exists.
  mlir::FailureOr<mlir::Value> create(const Request &request, mlir::Value value,
                                      MeshTensorType from);

private:
  struct Known {
    ReshardPlan plan;
    /// Per step: other plans, or other ways to do the step, with their costs.
    std::vector<mlir::ArrayAttr> alternatives;
  };
  const Known &planFor(MeshTensorType from, MeshTensorType to);
  mlir::Value createStep(mlir::Operation *op, const ReshardStep &step,
                         dist::WhyAttr why, mlir::Value value,
                         mlir::RankedTensorType type);

  mlir::OpBuilder &builder;
  const Mesh &mesh;
  /// A layer that repeats asks for the same reshards.
  llvm::DenseMap<std::pair<mlir::Type, mlir::Type>, Known> plans;
};

} // namespace tessera

#endif // TESSERA_DIALECTS_TESSERA_TRANSFORMS_RESHARDSTEPS_H
