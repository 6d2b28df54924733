// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Writes a plan.program as a plan of the ABI.
#ifndef TESSERA_LIB_TARGET_PLAN_ARTEFACTBUILDER_H
#define TESSERA_LIB_TARGET_PLAN_ARTEFACTBUILDER_H

#include "dialects/Plan/IR/Plan.h"
#include "tessera/Target/Artefact.h"

namespace tessera {

/// The ABI's name of an element type, where it has one.
std::optional<abi::DType> dtypeOf(mlir::Type type);

class ArtefactBuilder {
public:
  ArtefactBuilder(plan::ProgramOp program, const Mesh &mesh,
                  const CodeObjects &code)
      : program(program), mesh(mesh), code(code) {}

  mlir::LogicalResult build();
  abi::Artefact artefact;

private:
  // BuildArtefact.cpp
  /// A step with its token, or a buffer.
  mlir::LogicalResult addOp(mlir::Operation &op);
  /// As the program of the devices that run it.
  mlir::LogicalResult addStage(plan::StageOp op);
  mlir::LogicalResult addStepOf(mlir::Operation &op);
  int32_t addBuffer(mlir::Value value, abi::BufferKind kind, int64_t offset);
  template <typename BoundaryOp>
  mlir::FailureOr<abi::Tensor> describeTensor(BoundaryOp op);
  mlir::LogicalResult addInput(plan::InputOp op);
  mlir::LogicalResult addOutput(plan::OutputOp op);
  mlir::LogicalResult addTiedOutput(plan::TiedOutputOp op);

  // ArtefactSteps.cpp
  abi::Step &addStep(abi::StepKind kind, mlir::ValueRange buffers);
  mlir::LogicalResult addLaunch(plan::LaunchOp op);
  mlir::LogicalResult addCollective(plan::CollectiveOp op);
  void addDeviceValue(plan::DeviceValueOp op);
  mlir::LogicalResult addEffect(mlir::Operation *op, abi::StepKind kind,
                                llvm::StringRef format, mlir::ArrayAttr types,
                                bool isOrdered);
  mlir::LogicalResult addLoop(plan::LoopOp op);
  mlir::LogicalResult addWhile(plan::WhileOp op);
  mlir::LogicalResult addIf(plan::IfOp op);
  /// The steps of a region as a block of their own, which step `index` of the
  /// current block names.
  mlir::LogicalResult addBlock(mlir::Region &region, size_t index);
  std::vector<abi::Carry> carriesOf(mlir::OperandRange current,
                                    mlir::OperandRange next);

  plan::ProgramOp program;
  const Mesh &mesh;
  const CodeObjects &code;
  llvm::DenseMap<mlir::Value, int32_t> buffers;
  llvm::StringMap<int32_t> kernels;
  int32_t block = 0; ///< That steps are added to.
};

} // namespace tessera

#endif // TESSERA_LIB_TARGET_PLAN_ARTEFACTBUILDER_H
