// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "MeshDigits.h"
#include "dialects/Plan/IR/Plan.h"
#include "tessera/Target/Artefact.h"

#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace tessera;

static std::optional<abi::DType> dtypeOf(Type type) {
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

static abi::StepKind stepKindOf(plan::CollectiveKind kind) {
  switch (kind) {
  case plan::CollectiveKind::all_reduce:
    return abi::StepKind::AllReduce;
  case plan::CollectiveKind::all_gather:
    return abi::StepKind::AllGather;
  case plan::CollectiveKind::all_slice:
    return abi::StepKind::AllSlice;
  case plan::CollectiveKind::reduce_scatter:
    return abi::StepKind::ReduceScatter;
  case plan::CollectiveKind::all_to_all:
    return abi::StepKind::AllToAll;
  case plan::CollectiveKind::permute:
    return abi::StepKind::Permute;
  }
  llvm_unreachable("unknown collective");
}

static abi::Reduction reductionOf(dist::ReductionKind kind) {
  switch (kind) {
  case dist::ReductionKind::sum:
    return abi::Reduction::Sum;
  case dist::ReductionKind::max:
    return abi::Reduction::Max;
  case dist::ReductionKind::min:
    return abi::Reduction::Min;
  case dist::ReductionKind::prod:
    return abi::Reduction::Prod;
  }
  llvm_unreachable("unknown reduction");
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

namespace {
class ArtefactBuilder {
public:
  ArtefactBuilder(plan::ProgramOp program, const Mesh &mesh,
                  const CodeObjects &code)
      : program(program), mesh(mesh), code(code) {}

  LogicalResult build();
  abi::Artefact artefact;

private:
  LogicalResult addOp(Operation &op);
  void addBuffer(Value value, abi::BufferKind kind, int64_t offset);
  void addStep(abi::Step step) {
    artefact.plan.blocks[block].steps.push_back(std::move(step));
  }
  template <typename BoundaryOp>
  LogicalResult addBoundary(BoundaryOp op, abi::BufferKind kind,
                            std::vector<abi::Tensor> &tensors);
  LogicalResult addLaunch(plan::LaunchOp op);
  LogicalResult addCollective(plan::CollectiveOp op);
  void addDeviceValue(plan::DeviceValueOp op);

  plan::ProgramOp program;
  const Mesh &mesh;
  const CodeObjects &code;
  llvm::DenseMap<Value, int32_t> buffers;
  llvm::StringMap<int32_t> kernels;
  int32_t block = 0; ///< That steps are added to.
};
} // namespace

void ArtefactBuilder::addBuffer(Value value, abi::BufferKind kind,
                                int64_t offset) {
  abi::Buffer buffer;
  buffer.kind = kind;
  buffer.offset = offset;
  buffer.bytes = cast<plan::BufferType>(value.getType()).getBytes();
  buffers[value] = static_cast<int32_t>(artefact.plan.buffers.size());
  artefact.plan.buffers.push_back(buffer);
}

template <typename BoundaryOp>
LogicalResult ArtefactBuilder::addBoundary(BoundaryOp op, abi::BufferKind kind,
                                           std::vector<abi::Tensor> &tensors) {
  addBuffer(op.getBuffer(), kind, tensors.size());
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
  tensor.buffer = buffers[op.getBuffer()];
  for (const DimLayout &dim : layout.dims)
    tensor.splits.push_back(digitsOf(dim.axes, mesh));
  tensors.push_back(std::move(tensor));
  return success();
}

LogicalResult ArtefactBuilder::addLaunch(plan::LaunchOp op) {
  StringRef name = op.getKernel();
  auto compiled = code.kernels.find(name);
  if (compiled == code.kernels.end())
    return op.emitOpError() << "launches kernel " << op.getKernelAttr()
                            << ", which was not compiled";
  auto [entry, isNew] = kernels.try_emplace(name, artefact.plan.kernels.size());
  if (isNew) {
    const KernelCode &from = compiled->second;
    abi::Kernel kernel;
    kernel.name = name.str();
    kernel.symbol = from.symbol;
    kernel.object = from.object;
    kernel.grid.assign(op.getGrid().begin(), op.getGrid().end());
    kernel.numInputs = op.getInputs().size();
    kernel.threads = from.threads;
    kernel.sharedBytes = from.sharedBytes;
    kernel.stackBytes = from.stackBytes;
    kernel.registers = from.registers;
    kernel.spillBytes = from.spillBytes;
    artefact.plan.kernels.push_back(std::move(kernel));
  }
  abi::Step step;
  step.kind = abi::StepKind::Launch;
  step.kernel = entry->second;
  for (Value buffer : op.getOperands())
    step.buffers.push_back(buffers.lookup(buffer));
  addStep(std::move(step));
  return success();
}

/// "all_reduce over {tp}: <rule>" for messages.
static std::string describe(plan::CollectiveOp op) {
  std::string text = stringifyCollectiveKind(op.getKind()).str() + " over {";
  for (const AxisRef &axis : op.getAxes().getValue())
    text += (text.back() == '{' ? "" : ", ") + toString(axis);
  text += "}";
  if (dist::WhyAttr why = op.getWhyAttr())
    text += ": " + why.getRule().getValue().str();
  return text;
}

LogicalResult ArtefactBuilder::addCollective(plan::CollectiveOp op) {
  auto input = cast<RankedTensorType>(op.getInputType());
  auto output = cast<RankedTensorType>(op.getOutputType());
  std::optional<abi::DType> dtype = dtypeOf(input.getElementType());
  if (!dtype)
    return op.emitOpError() << "has element type " << input.getElementType()
                            << ", which the runtime does not have";
  abi::Step step;
  step.kind = stepKindOf(op.getKind());
  step.buffers = {buffers.lookup(op.getInput()),
                  buffers.lookup(op.getOutput())};
  step.dtype = *dtype;
  if (std::optional<dist::ReductionKind> reduction = op.getReduction())
    step.reduction = reductionOf(*reduction);
  step.dim = op.getDim().value_or(0);
  step.joinDim = op.getConcatDim().value_or(0);
  if (auto targets = op.getTargets()) {
    step.targets.assign(targets->begin(), targets->end());
    if (auto moves = findMoves(step.targets, mesh)) {
      step.moves = std::move(*moves);
      step.targets.clear();
    }
  }
  step.inputShape = input.getShape().vec();
  step.outputShape = output.getShape().vec();
  step.digits = digitsOf(op.getAxes().getValue(), mesh);
  step.what = describe(op);
  addStep(std::move(step));
  return success();
}

void ArtefactBuilder::addDeviceValue(plan::DeviceValueOp op) {
  abi::Step step;
  step.kind = abi::StepKind::DeviceValue;
  step.buffers = {buffers.lookup(op.getOutput())};
  switch (op.getQuery()) {
  case plan::DeviceQuery::axis_index:
    step.query = abi::DeviceQuery::AxisIndex;
    break;
  case plan::DeviceQuery::local_offset:
    step.query = abi::DeviceQuery::LocalOffset;
    break;
  case plan::DeviceQuery::valid_extent:
    step.query = abi::DeviceQuery::ValidExtent;
    break;
  }
  step.size = op.getSize();
  step.digits = digitsOf(op.getAxes().getValue(), mesh);
  addStep(std::move(step));
}

LogicalResult ArtefactBuilder::addOp(Operation &operation) {
  abi::Plan &plan = artefact.plan;
  return llvm::TypeSwitch<Operation *, LogicalResult>(&operation)
      .Case([&](plan::InputOp op) {
        return addBoundary(op, abi::BufferKind::Input, plan.inputs);
      })
      .Case([&](plan::OutputOp op) {
        return addBoundary(op, abi::BufferKind::Output, plan.outputs);
      })
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
        abi::Step step;
        step.kind = abi::StepKind::Copy;
        step.buffers = {buffers.lookup(op.getInput()),
                        buffers.lookup(op.getOutput())};
        addStep(std::move(step));
        return success();
      })
      .Case([&](plan::FillOp op) {
        abi::Step step;
        step.kind = abi::StepKind::Fill;
        step.buffers = {buffers.lookup(op.getOutput())};
        step.pattern = bytesOf(op.getValue());
        addStep(std::move(step));
        return success();
      })
      .Default([](Operation *op) {
        return op->emitOpError() << "is not part of a plan";
      });
}

LogicalResult ArtefactBuilder::build() {
  abi::Plan &plan = artefact.plan;
  plan.compiler = code.compiler;
  plan.programs[0].name = program.getSymName().str();
  plan.target = code.target;
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
