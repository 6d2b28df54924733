// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ArtefactBuilder.h"
#include "MeshDigits.h"

#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace tessera;

std::optional<abi::DType> tessera::dtypeOf(Type type) {
  if (type.isF32())
    return abi::DType::F32;
  if (type.isBF16())
    return abi::DType::BF16;
  if (type.isF16())
    return abi::DType::F16;
  if (type.isF64())
    return abi::DType::F64;
  if (type.isUnsignedInteger(32))
    return abi::DType::UI32;
  if (type.isInteger(32))
    return abi::DType::I32;
  if (type.isInteger(64))
    return abi::DType::I64;
  if (type.isInteger(1))
    return abi::DType::I1;
  if (type.isInteger(8))
    return type.isUnsignedInteger() ? abi::DType::UI8 : abi::DType::I8;
  if (type.isInteger(16))
    return type.isUnsignedInteger() ? abi::DType::UI16 : abi::DType::I16;
  if (isa<Float8E4M3FNType>(type))
    return abi::DType::F8E4M3;
  if (isa<Float8E5M2Type>(type))
    return abi::DType::F8E5M2;
  return std::nullopt;
}

/// The element's bytes, little-endian; i1 is one byte.
static std::string bytesOf(Attribute element) {
  APInt bits = isa<FloatAttr>(element)
                   ? cast<FloatAttr>(element).getValue().bitcastToAPInt()
                   : cast<IntegerAttr>(element).getValue();
  unsigned size = (bits.getBitWidth() + 7) / 8;
  uint64_t word = bits.getZExtValue();
  return std::string(reinterpret_cast<const char *>(&word), size);
}

static std::string bytesOf(ElementsAttr elements) {
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(elements)) {
    ArrayRef<char> raw = resource.getRawHandle().getBlob()->getData();
    return std::string(raw.begin(), raw.end());
  }
  auto dense = dyn_cast<DenseElementsAttr>(elements);
  if (dense && !dense.isSplat() && !dense.getElementType().isInteger(1)) {
    ArrayRef<char> raw = dense.getRawData();
    return std::string(raw.begin(), raw.end());
  }
  std::string bytes;
  for (Attribute element : elements.getValues<Attribute>())
    bytes += bytesOf(element);
  return bytes;
}

int32_t ArtefactBuilder::addBuffer(Value value, abi::BufferKind kind,
                                   int64_t offset) {
  abi::Buffer buffer;
  buffer.kind = kind;
  buffer.offset = offset;
  buffer.bytes = cast<plan::BufferType>(value.getType()).getBytes();
  artefact.plan.buffers.push_back(buffer);
  return buffers[value] =
             static_cast<int32_t>(artefact.plan.buffers.size()) - 1;
}

template <typename BoundaryOp>
FailureOr<abi::Tensor> ArtefactBuilder::describeTensor(BoundaryOp op) {
  auto global = cast<RankedTensorType>(op.getGlobalType());
  auto local = cast<RankedTensorType>(op.getLocalType());
  const Layout &layout = op.getLayout().getValue();
  std::optional<abi::DType> dtype = dtypeOf(global.getElementType());
  if (!dtype)
    return op.emitOpError() << "has element type " << global.getElementType()
                            << ", which the runtime does not have";
  abi::Tensor tensor;
  tensor.name = op.getName().str();
  tensor.dtype = *dtype;
  tensor.shape = global.getShape().vec();
  tensor.localShape = local.getShape().vec();
  tensor.layout = layout.str();
  for (const DimLayout &dim : layout.dims)
    tensor.splits.push_back(digitsOf(dim.axes, mesh));
  return tensor;
}

LogicalResult ArtefactBuilder::addInput(plan::InputOp op) {
  FailureOr<abi::Tensor> tensor = describeTensor(op);
  if (failed(tensor))
    return failure();
  std::vector<abi::Tensor> &inputs = artefact.plan.inputs;
  tensor->buffer =
      addBuffer(op.getBuffer(), abi::BufferKind::Input, inputs.size());
  tensor->donated = op.getDonated();
  inputs.push_back(std::move(*tensor));
  return success();
}

LogicalResult ArtefactBuilder::addOutput(plan::OutputOp op) {
  FailureOr<abi::Tensor> tensor = describeTensor(op);
  if (failed(tensor))
    return failure();
  std::vector<abi::Tensor> &outputs = artefact.plan.outputs;
  tensor->buffer =
      addBuffer(op.getBuffer(), abi::BufferKind::Output, outputs.size());
  outputs.push_back(std::move(*tensor));
  return success();
}

LogicalResult ArtefactBuilder::addTiedOutput(plan::TiedOutputOp op) {
  FailureOr<abi::Tensor> tensor = describeTensor(op);
  if (failed(tensor))
    return failure();
  tensor->buffer = buffers.lookup(op.getBuffer());
  tensor->tied = static_cast<int32_t>(
      artefact.plan.buffers[tensor->buffer].offset); // The input's number.
  artefact.plan.outputs.push_back(std::move(*tensor));
  return success();
}

LogicalResult ArtefactBuilder::addOp(Operation &operation) {
  if (failed(addStepOf(operation)))
    return failure();
  auto async = dyn_cast<plan::AsyncStepInterface>(operation);
  if (async && async.getToken()) {
    abi::Step &step = artefact.plan.blocks[block].steps.back();
    step.token = static_cast<int32_t>(*async.getToken());
    step.stream = static_cast<int32_t>(async.getStream().value_or(0));
  }
  return success();
}

LogicalResult ArtefactBuilder::addStepOf(Operation &operation) {
  return llvm::TypeSwitch<Operation *, LogicalResult>(&operation)
      .Case([&](plan::InputOp op) { return addInput(op); })
      .Case([&](plan::OutputOp op) { return addOutput(op); })
      .Case([&](plan::TiedOutputOp op) { return addTiedOutput(op); })
      .Case([&](plan::ConstantOp op) {
        std::string &constants = artefact.constants;
        constants.resize(llvm::alignTo(constants.size(), 64));
        addBuffer(op.getBuffer(), abi::BufferKind::Constant, constants.size());
        constants += bytesOf(op.getValue());
        return success();
      })
      .Case([&](plan::AllocateOp op) -> LogicalResult {
        if (!op.getOffset())
          return op.emitOpError()
                 << "has no offset; run plan-assign-memory first";
        addBuffer(op.getBuffer(), abi::BufferKind::Arena, *op.getOffset());
        return success();
      })
      .Case([&](plan::LaunchOp op) { return addLaunch(op); })
      .Case([&](plan::CollectiveOp op) { return addCollective(op); })
      .Case([&](plan::DeviceValueOp op) {
        addDeviceValue(op);
        return success();
      })
      .Case([&](plan::CopyOp op) {
        addStep(abi::StepKind::Copy, {op.getInput(), op.getOutput()});
        return success();
      })
      .Case([&](plan::FillOp op) {
        addStep(abi::StepKind::Fill, op.getOutput()).pattern =
            bytesOf(op.getValue());
        return success();
      })
      .Case([&](plan::AwaitOp op) {
        addStep(abi::StepKind::Await, {}).token = op.getToken();
        return success();
      })
      .Case([&](plan::PrintOp op) {
        return addEffect(op, abi::StepKind::Print, op.getFormat(),
                         op.getTypes(), op.getOrdered());
      })
      .Case([&](plan::CheckOp op) {
        return addEffect(op, abi::StepKind::Check, op.getMessage(),
                         op.getTypes(), op.getOrdered());
      })
      .Case([&](plan::LoopOp op) { return addLoop(op); })
      .Case([&](plan::WhileOp op) { return addWhile(op); })
      .Case([&](plan::IfOp op) { return addIf(op); })
      .Case([&](plan::StageOp op) { return addStage(op); })
      .Default([](Operation *op) {
        return op->emitOpError() << "is not part of a plan";
      });
}

LogicalResult ArtefactBuilder::addStage(plan::StageOp op) {
  abi::Plan &plan = artefact.plan;
  // The entry of the first one is there already.
  if (!plan.programs.empty())
    plan.blocks.emplace_back();
  abi::Program &stage = plan.programs.emplace_back();
  stage.name = op.getName().str();
  stage.block = block = static_cast<int32_t>(plan.blocks.size()) - 1;
  // Axes of one device have no digit.
  for (auto [axis, coordinate] :
       llvm::zip_equal(op.getAxes().getValue(), op.getCoordinates()))
    for (const abi::Digit &digit : digitsOf({axis}, mesh)) {
      stage.digits.push_back(digit);
      stage.values.push_back(coordinate);
    }
  for (Operation &step : op.getBody().getOps())
    if (failed(addOp(step)))
      return failure();
  return success();
}

LogicalResult ArtefactBuilder::build() {
  abi::Plan &plan = artefact.plan;
  plan.compiler = code.compiler;
  if (program.getOps<plan::StageOp>().empty())
    plan.programs[0].name = program.getSymName().str();
  else
    plan.programs.clear();
  plan.target = code.target;
  if (auto structure =
          program->getAttrOfType<StringAttr>(abi::structureAttrName))
    plan.structure = structure.getValue().str();
  plan.architecture = code.architecture;
  plan.cpuFeatures = code.cpuFeatures;
  for (const MeshAxis &axis : mesh.axes)
    plan.mesh.push_back({axis.name, axis.size});
  plan.arenaBytes = program.getArena().value_or(0);
  artefact.objects = code.objects;
  for (Operation &op : program.getBody().getOps())
    if (failed(addOp(op)))
      return failure();
  return success();
}

FailureOr<abi::Artefact> tessera::buildArtefact(ModuleOp module,
                                                StringRef entry,
                                                const CodeObjects &code) {
  auto program = module.lookupSymbol<plan::ProgramOp>(entry);
  if (!program) {
    module.emitError() << "has no plan.program @" << entry
                       << "; run convert-host-to-plan";
    return failure();
  }
  Mesh mesh;
  if (!program.getMesh().empty()) {
    std::optional<Mesh> found = dist::lookupMesh(program, program.getMesh());
    if (!found) {
      program.emitOpError()
          << "is on mesh @" << program.getMesh() << ", which does not exist";
      return failure();
    }
    mesh = *found;
  }
  ArtefactBuilder builder(program, mesh, code);
  if (failed(builder.build()))
    return failure();
  return std::move(builder.artefact);
}
