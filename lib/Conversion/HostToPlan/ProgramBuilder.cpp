// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ProgramBuilder.h"
#include "tessera/ABI/PlanFormat.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace tessera;

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Value ProgramBuilder::allocate(plan::BufferType type, Block *scope,
                               Location loc) {
  OpBuilder::InsertionGuard guard(builder);
  Block *target = blocks.lookup(scope);
  Block *here = builder.getInsertionBlock();
  if (here != target)
    builder.setInsertionPoint(
        target->findAncestorOpInBlock(*here->getParentOp()));
  return plan::AllocateOp::create(builder, loc, type, nullptr);
}

Value ProgramBuilder::bufferOf(Value value, Location loc) {
  int set = storage.setOf(value);
  if (Value known = buffers.lookup(set))
    return known;
  const Memory &memory = storage.memoryOf(value);
  Value buffer;
  if (memory.kind == Memory::Kind::Output)
    buffer = outputs[memory.output];
  else
    buffer = allocate(bufferType(value.getType()), memory.scope, loc);
  buffers[set] = buffer;
  return buffer;
}

SmallVector<Value> ProgramBuilder::buffersOf(ValueRange values, Location loc) {
  return llvm::map_to_vector(values,
                             [&](Value value) { return bufferOf(value, loc); });
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

void ProgramBuilder::addCollective(Operation *op,
                                   const Collective &collective) {
  Value input = op->getOperand(0), result = op->getResult(0);
  Value from = bufferOf(input, op->getLoc());
  Value to = bufferOf(result, op->getLoc());
  plan::CollectiveOp::create(
      builder, op->getLoc(),
      plan::CollectiveKindAttr::get(op->getContext(), collective.kind), from,
      to, collective.axes, TypeAttr::get(input.getType()),
      TypeAttr::get(result.getType()), collective.reduction, collective.dim,
      collective.concatDim, collective.to, collective.targets, collective.why,
      /*token=*/nullptr, /*stream=*/nullptr);
}

void ProgramBuilder::addDeviceValue(Operation *op, plan::DeviceQuery query,
                                    dist::AxesAttr axes, int64_t size) {
  plan::DeviceValueOp::create(
      builder, op->getLoc(),
      plan::DeviceQueryAttr::get(op->getContext(), query), axes,
      builder.getI64IntegerAttr(size),
      bufferOf(op->getResult(0), op->getLoc()));
}

void ProgramBuilder::addPrint(DebugPrintOp op) {
  plan::PrintOp::create(builder, op.getLoc(), op.getFormatAttr(),
                        buffersOf(op.getValues(), op.getLoc()),
                        builder.getTypeArrayAttr(op->getOperandTypes()),
                        op.getOrderedAttr());
}

void ProgramBuilder::addCheck(DebugCheckOp op) {
  plan::CheckOp::create(
      builder, op.getLoc(), bufferOf(op.getPredicate(), op.getLoc()),
      op.getMessageAttr(), buffersOf(op.getValues(), op.getLoc()),
      builder.getTypeArrayAttr(op->getOperandTypes()), op.getOrderedAttr());
}

LogicalResult ProgramBuilder::addLaunch(tile::LaunchOp op) {
  auto kernel = SymbolTable::lookupNearestSymbolFrom<tile::KernelOp>(
      op, op.getKernelAttr());
  if (!kernel)
    return op.emitOpError() << "refers to kernel " << op.getKernelAttr()
                            << ", which does not exist";
  SmallVector<Value> inputs = buffersOf(op.getInputs(), op.getLoc());
  SmallVector<Value> results;
  for (auto [i, output] : llvm::enumerate(op.getOutputs())) {
    results.push_back(bufferOf(output, op.getLoc()));
    std::optional<unsigned> from = kernel.getInitialInput(i);
    if (from && inputs[*from] != results.back())
      plan::CopyOp::create(builder, op.getLoc(), inputs[*from], results.back());
  }
  plan::LaunchOp::create(builder, op.getLoc(), op.getKernelAttr(),
                         kernel.getGridAttr(), inputs, results,
                         /*token=*/nullptr, /*stream=*/nullptr);
  return success();
}

void ProgramBuilder::addConstant(tessera::ConstantOp op) {
  Location loc = op.getLoc();
  if (!isFilled(op)) {
    buffers[storage.setOf(op)] = plan::ConstantOp::create(
        builder, loc, bufferType(op.getType()), op.getValue());
    return;
  }
  auto element =
      cast<DenseElementsAttr>(op.getValue()).getSplatValue<Attribute>();
  plan::FillOp::create(builder, loc, bufferOf(op, loc),
                       cast<TypedAttr>(element));
}

LogicalResult ProgramBuilder::addStep(Operation &step) {
  if (std::optional<Collective> collective = describeCollective(&step))
    return addCollective(&step, *collective), success();
  using Query = plan::DeviceQuery;
  return llvm::TypeSwitch<Operation *, LogicalResult>(&step)
      .Case([&](tile::LaunchOp op) { return addLaunch(op); })
      .Case([&](tessera::ConstantOp op) { return addConstant(op), success(); })
      .Case([&](tessera::ReshapeOp) { return success(); })
      .Case([&](tessera::BarrierOp) { return success(); })
      .Case([&](tessera::YieldOp) { return success(); }) // At the op around it.
      .Case([&](func::ReturnOp op) { return addReturn(op), success(); })
      .Case([&](ScanOp op) { return addScan(op); })
      .Case([&](tessera::WhileOp op) { return addWhile(op); })
      .Case([&](CondOp op) { return addCond(op); })
      .Case([&](DebugPrintOp op) { return addPrint(op), success(); })
      .Case([&](DebugCheckOp op) { return addCheck(op), success(); })
      .Case([&](dist::AxisIndexOp op) {
        addDeviceValue(op, Query::axis_index, op.getAxes(), 0);
        return success();
      })
      .Case([&](dist::LocalOffsetOp op) {
        addDeviceValue(op, Query::local_offset, op.getAxes(), op.getSize());
        return success();
      })
      .Case([&](dist::ValidExtentOp op) {
        addDeviceValue(op, Query::valid_extent, op.getAxes(), op.getSize());
        return success();
      })
      .Default([](Operation *op) -> LogicalResult {
        InFlightDiagnostic error = op->emitOpError()
                                   << "is not part of stage 'kernels'";
        error.attachNote() << "the host function holds tile.launch, dist ops, "
                              "tessera.reshape, tessera.constant, prints and "
                              "checks, and loops and conditionals around "
                              "them; run "
                              "convert-tessera-to-tile first";
        return failure();
      });
}

LogicalResult ProgramBuilder::build() {
  Location loc = function.getLoc();
  auto program = plan::ProgramOp::create(builder, loc, function.getSymName(),
                                         "", IntegerAttr());
  if (Attribute structure = function->getAttr(abi::structureAttrName))
    program->setAttr(abi::structureAttrName, structure);
  Block *block = &program.getBody().emplaceBlock();
  blocks[&function.getBody().front()] = block;
  builder.setInsertionPointToStart(block);
  if (failed(addInputs()) || failed(addOutputs()))
    return failure();
  for (Operation &op : function.getBody().getOps())
    if (failed(addStep(op)))
      return failure();
  if (mesh.empty())
    for (auto declared :
         function->getParentOfType<ModuleOp>().getOps<dist::MeshOp>())
      mesh = declared.getSymName().str();
  if (mesh.empty()) {
    InFlightDiagnostic error = function.emitError()
                               << "@" << function.getSymName()
                               << " does not say which mesh it runs on";
    error.attachNote() << "declare the devices in the module, such as: "
                          "dist.mesh @mesh <[tp = 1]>";
    return failure();
  }
  program.setMesh(mesh);
  return success();
}
