// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Writes the steps of a host function as a plan.program.
#ifndef TESSERA_LIB_CONVERSION_HOSTTOPLAN_PROGRAMBUILDER_H
#define TESSERA_LIB_CONVERSION_HOSTTOPLAN_PROGRAMBUILDER_H

#include "Storage.h"
#include "dialects/Plan/IR/Plan.h"
#include "dialects/Tile/IR/Tile.h"

namespace tessera {

/// What a plan.collective takes from an op of dist; null where its kind has
/// none.
struct Collective {
  plan::CollectiveKind kind;
  dist::AxesAttr axes;
  dist::WhyAttr why;
  dist::ReductionKindAttr reduction = {};
  mlir::IntegerAttr dim = {}, concatDim = {};
  dist::AxesAttr to = {};
  mlir::DenseI64ArrayAttr targets = {};
};

/// The collective that `op` is, if it is one.
std::optional<Collective> describeCollective(mlir::Operation *op);

class ProgramBuilder {
public:
  ProgramBuilder(mlir::func::FuncOp function, const StorageOptions &options)
      : function(function), storage(function, options), builder(function) {}

  mlir::LogicalResult build();

private:
  struct Boundary {
    mlir::StringAttr name;
    mlir::TypeAttr global;
    dist::LayoutAttr layout;
  };
  /// From one buffer to another, which steps read and write.
  struct Transfer {
    mlir::Value from, to;
  };

  // Boundaries.cpp
  mlir::FailureOr<Boundary> readBoundary(mlir::DictionaryAttr attributes,
                                         const mlir::Twine &what,
                                         const mlir::Twine &name);
  mlir::LogicalResult addInputs();
  mlir::LogicalResult addOutputs();
  void addReturn(mlir::func::ReturnOp op);

  // ProgramBuilder.cpp
  mlir::LogicalResult addStep(mlir::Operation &op);
  mlir::LogicalResult addLaunch(tile::LaunchOp op);
  void addConstant(ConstantOp op);
  void addCollective(mlir::Operation *op, const Collective &collective);
  void addDeviceValue(mlir::Operation *op, plan::DeviceQuery query,
                      dist::AxesAttr axes, int64_t size);
  void addPrint(DebugPrintOp op);
  void addCheck(DebugCheckOp op);

  // RegionSteps.cpp
  mlir::LogicalResult addScan(ScanOp op);
  mlir::LogicalResult addWhile(WhileOp op);
  mlir::LogicalResult addCond(CondOp op);
  mlir::LogicalResult addBody(mlir::Region &from, mlir::Region &to,
                              llvm::function_ref<void()> begin,
                              llvm::function_ref<void()> end);
  void addInits(mlir::Operation *loop);
  void addNexts(mlir::Operation *loop, llvm::SmallVector<Transfer> more);
  void addResults(mlir::Operation *loop, std::optional<int64_t> trips);
  void exchanged(mlir::Operation *loop, llvm::SmallVector<mlir::Value> &current,
                 llvm::SmallVector<mlir::Value> &next);
  /// Copies all at once: no source is overwritten before it is read.
  void addTransfers(llvm::SmallVector<Transfer> transfers, mlir::Location loc);

  plan::BufferType bufferType(mlir::Type tensor) {
    return plan::BufferType::get(builder.getContext(),
                                 plan::byteSizeOf(tensor));
  }
  /// The buffers of several values.
  llvm::SmallVector<mlir::Value> buffersOf(mlir::ValueRange values,
                                           mlir::Location loc);
  /// A piece of the arena, defined before the step that is written now in
  /// `scope` or around it.
  mlir::Value allocate(plan::BufferType type, mlir::Block *scope,
                       mlir::Location loc);
  /// The buffer that holds `value`; made when it is first asked for.
  mlir::Value bufferOf(mlir::Value value, mlir::Location loc);

  mlir::func::FuncOp function;
  Storage storage;
  mlir::OpBuilder builder;
  llvm::DenseMap<int, mlir::Value> buffers; ///< By set of the storage.
  /// The blocks of the program, by those of the function.
  llvm::DenseMap<mlir::Block *, mlir::Block *> blocks;
  llvm::SmallVector<mlir::Value> outputs; ///< Null for tied results.
  llvm::SmallVector<Boundary> results;
  std::string mesh;
};

} // namespace tessera

#endif // TESSERA_LIB_CONVERSION_HOSTTOPLAN_PROGRAMBUILDER_H
