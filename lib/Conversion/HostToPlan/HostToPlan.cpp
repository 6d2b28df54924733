// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Dist/IR/Boundary.h"
#include "dialects/Plan/IR/Plan.h"
#include "dialects/Tessera/IR/Tessera.h"
#include "dialects/Tile/IR/Tile.h"
#include "tessera/Conversion/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/TypeSwitch.h"

namespace tessera {
#define GEN_PASS_DEF_CONVERTHOSTTOPLAN
#include "lib/Conversion/Passes.h.inc"
} // namespace tessera

using namespace mlir;
using namespace tessera;

/// Splats above this size are filled at run time instead of stored.
static constexpr int64_t maxStoredSplatBytes = 4096;

static bool isFilled(tessera::ConstantOp constant) {
  return constant.getValue().isSplat() &&
         plan::byteSizeOf(constant.getType()) > maxStoredSplatBytes;
}

namespace {
/// Which tensors of the host function share a buffer. The root of a class is
/// its first value.
class Storage {
public:
  explicit Storage(func::FuncOp function) {
    for (auto [position, op] : llvm::enumerate(function.getBody().getOps())) {
      for (Value operand : op.getOperands())
        lastUse[rootOf(operand)] = position;
      if (auto reshape = dyn_cast<ReshapeOp>(op))
        join(reshape.getResult(), reshape.getInput());
    }
    for (auto [position, op] : llvm::enumerate(function.getBody().getOps()))
      if (auto reduce = dyn_cast<dist::AllReduceOp>(op))
        if (isWritten(reduce.getInput()) &&
            lastUse[rootOf(reduce.getInput())] ==
                static_cast<int64_t>(position))
          join(reduce.getResult(), reduce.getInput());
  }

  Value rootOf(Value value) const {
    for (auto parent = parents.find(value); parent != parents.end();
         parent = parents.find(value))
      value = parent->second;
    return value;
  }

  /// Whether some step of the program writes the buffer of `value`.
  bool isWritten(Value value) const {
    Operation *op = rootOf(value).getDefiningOp();
    if (!op)
      return false;
    auto constant = dyn_cast<tessera::ConstantOp>(op);
    return !constant || isFilled(constant);
  }

private:
  /// `value` takes the buffer of `other`.
  void join(Value value, Value other) {
    Value root = rootOf(other);
    auto use = lastUse.find(value);
    if (use != lastUse.end())
      lastUse[root] = std::max(lastUse[root], use->second);
    parents[value] = root;
  }

  llvm::DenseMap<Value, Value> parents;
  llvm::DenseMap<Value, int64_t> lastUse;
};

/// What a plan.collective takes from an op of dist; null where its kind has
/// none.
struct Collective {
  plan::CollectiveKind kind;
  dist::AxesAttr axes;
  dist::WhyAttr why;
  dist::ReductionKindAttr reduction = {};
  IntegerAttr dim = {}, concatDim = {};
  dist::AxesAttr to = {};
  DenseI64ArrayAttr targets = {};
};

/// Builds the program of one function.
class PlanBuilder {
public:
  PlanBuilder(func::FuncOp function)
      : function(function), storage(function), builder(function) {}

  LogicalResult build();

private:
  struct Boundary {
    StringAttr name;
    TypeAttr global;
    dist::LayoutAttr layout;
  };

  FailureOr<Boundary> readBoundary(DictionaryAttr attributes, const Twine &what,
                                   const Twine &name);
  LogicalResult addBoundaries();
  LogicalResult addStep(Operation &op);
  LogicalResult addLaunch(tile::LaunchOp op);
  void addConstant(tessera::ConstantOp op);
  void addReturn(func::ReturnOp op);
  void addCollective(Operation *op, const Collective &collective);
  void addDeviceValue(Operation *op, plan::DeviceQuery query,
                      dist::AxesAttr axes, int64_t size);

  plan::BufferType bufferType(Type tensor) {
    return plan::BufferType::get(builder.getContext(),
                                 plan::byteSizeOf(tensor));
  }
  /// The buffer that holds `value`, a piece of the arena where it has none yet.
  Value bufferOf(Value value, Location loc) {
    Value &buffer = buffers[storage.rootOf(value)];
    if (!buffer)
      buffer = plan::AllocateOp::create(builder, loc,
                                        bufferType(value.getType()), nullptr);
    return buffer;
  }

  func::FuncOp function;
  Storage storage;
  OpBuilder builder;
  llvm::DenseMap<Value, Value> buffers;
  SmallVector<Value> outputs;
  std::string mesh;
};
} // namespace

FailureOr<PlanBuilder::Boundary>
PlanBuilder::readBoundary(DictionaryAttr attributes, const Twine &what,
                          const Twine &name) {
  Boundary boundary;
  if (attributes) {
    auto [layout, globalType] = dist::readBoundary(attributes);
    boundary.layout = layout;
    boundary.global = globalType;
    boundary.name = attributes.getAs<StringAttr>("tessera.name");
  }
  if (!boundary.layout || !boundary.global) {
    InFlightDiagnostic error = function.emitError()
                               << what
                               << " has no dist.layout and dist.global_type";
    error.attachNote() << "tessera-partition adds them; they say how whole "
                          "tensors are cut and joined";
    return failure();
  }
  if (!boundary.layout.getValue().partial.empty())
    return function.emitError()
           << what << " is partial (" << boundary.layout.getValue().str()
           << "); what enters and leaves a program is whole tensors or pieces "
              "of them: combine the terms within it, with tessera.reshard";
  if (!boundary.name)
    boundary.name = builder.getStringAttr(name);
  if (mesh.empty())
    mesh = boundary.layout.getValue().mesh;
  return boundary;
}

LogicalResult PlanBuilder::addBoundaries() {
  for (BlockArgument argument : function.getArguments()) {
    unsigned i = argument.getArgNumber();
    FailureOr<Boundary> boundary = readBoundary(
        function.getArgAttrDict(i), "argument " + Twine(i), "arg" + Twine(i));
    if (failed(boundary))
      return failure();
    buffers[argument] = plan::InputOp::create(
        builder, argument.getLoc(), bufferType(argument.getType()),
        boundary->name, boundary->global, TypeAttr::get(argument.getType()),
        boundary->layout);
  }
  auto returnOp =
      cast<func::ReturnOp>(function.getBody().front().getTerminator());
  for (auto [i, value] : llvm::enumerate(returnOp.getOperands())) {
    FailureOr<Boundary> boundary =
        readBoundary(function.getResultAttrDict(i), "result " + Twine(i),
                     "result" + Twine(i));
    if (failed(boundary))
      return failure();
    Value output = plan::OutputOp::create(
        builder, returnOp.getLoc(), bufferType(value.getType()), boundary->name,
        boundary->global, TypeAttr::get(value.getType()), boundary->layout);
    outputs.push_back(output);
    if (storage.isWritten(value))
      buffers.try_emplace(storage.rootOf(value), output);
  }
  return success();
}

/// The collective that `op` is, if it is one.
static std::optional<Collective> describeCollective(Operation *op) {
  using Kind = plan::CollectiveKind;
  using Result = std::optional<Collective>;
  return llvm::TypeSwitch<Operation *, Result>(op)
      .Case([](dist::AllReduceOp op) -> Result {
        return Collective{Kind::all_reduce, op.getAxes(), op.getWhyAttr(),
                          op.getKindAttr()};
      })
      .Case([](dist::AllGatherOp op) -> Result {
        return Collective{Kind::all_gather,
                          op.getAxes(),
                          op.getWhyAttr(),
                          {},
                          op.getDimAttr()};
      })
      .Case([](dist::AllSliceOp op) -> Result {
        return Collective{Kind::all_slice,
                          op.getAxes(),
                          op.getWhyAttr(),
                          {},
                          op.getDimAttr()};
      })
      .Case([](dist::ReduceScatterOp op) -> Result {
        return Collective{Kind::reduce_scatter, op.getAxes(), op.getWhyAttr(),
                          op.getKindAttr(), op.getDimAttr()};
      })
      .Case([](dist::AllToAllOp op) -> Result {
        return Collective{Kind::all_to_all,     op.getAxes(),
                          op.getWhyAttr(),      {},
                          op.getSplitDimAttr(), op.getConcatDimAttr()};
      })
      .Case([](dist::PermuteOp op) -> Result {
        auto none = dist::AxesAttr::get(op.getContext(), {});
        Collective permute{Kind::permute,
                           op.getFrom() ? op.getFromAttr() : none,
                           op.getWhyAttr()};
        permute.to = op.getToAttr();
        permute.targets = op.getTargetsAttr();
        return permute;
      })
      .Default(Result());
}

void PlanBuilder::addCollective(Operation *op, const Collective &collective) {
  Value input = op->getOperand(0), result = op->getResult(0);
  Value from = bufferOf(input, op->getLoc());
  Value to = bufferOf(result, op->getLoc());
  plan::CollectiveOp::create(
      builder, op->getLoc(),
      plan::CollectiveKindAttr::get(op->getContext(), collective.kind), from,
      to, collective.axes, TypeAttr::get(input.getType()),
      TypeAttr::get(result.getType()), collective.reduction, collective.dim,
      collective.concatDim, collective.to, collective.targets, collective.why);
}

void PlanBuilder::addDeviceValue(Operation *op, plan::DeviceQuery query,
                                 dist::AxesAttr axes, int64_t size) {
  plan::DeviceValueOp::create(
      builder, op->getLoc(),
      plan::DeviceQueryAttr::get(op->getContext(), query), axes,
      builder.getI64IntegerAttr(size),
      bufferOf(op->getResult(0), op->getLoc()));
}

void PlanBuilder::addReturn(func::ReturnOp op) {
  for (auto [value, output] : llvm::zip_equal(op.getOperands(), outputs)) {
    Value buffer = bufferOf(value, op.getLoc());
    if (buffer != output)
      plan::CopyOp::create(builder, op.getLoc(), buffer, output);
  }
}

LogicalResult PlanBuilder::addLaunch(tile::LaunchOp op) {
  auto kernel = SymbolTable::lookupNearestSymbolFrom<tile::KernelOp>(
      op, op.getKernelAttr());
  if (!kernel)
    return op.emitOpError() << "refers to kernel " << op.getKernelAttr()
                            << ", which does not exist";
  SmallVector<Value> inputs, results;
  for (Value input : op.getInputs())
    inputs.push_back(bufferOf(input, op.getLoc()));
  for (Value output : op.getOutputs())
    results.push_back(bufferOf(output, op.getLoc()));
  plan::LaunchOp::create(builder, op.getLoc(), op.getKernelAttr(),
                         kernel.getGridAttr(), inputs, results);
  return success();
}

void PlanBuilder::addConstant(tessera::ConstantOp op) {
  Location loc = op.getLoc();
  if (!isFilled(op)) {
    buffers[op] = plan::ConstantOp::create(
        builder, loc, bufferType(op.getType()), op.getValue());
    return;
  }
  auto element =
      cast<DenseElementsAttr>(op.getValue()).getSplatValue<Attribute>();
  plan::FillOp::create(builder, loc, bufferOf(op, loc),
                       cast<TypedAttr>(element));
}

LogicalResult PlanBuilder::addStep(Operation &step) {
  if (std::optional<Collective> collective = describeCollective(&step))
    return addCollective(&step, *collective), success();
  using Query = plan::DeviceQuery;
  return llvm::TypeSwitch<Operation *, LogicalResult>(&step)
      .Case([&](tile::LaunchOp op) { return addLaunch(op); })
      .Case([&](tessera::ConstantOp op) { return addConstant(op), success(); })
      .Case([&](tessera::ReshapeOp) { return success(); })
      .Case([&](func::ReturnOp op) { return addReturn(op), success(); })
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
                              "tessera.reshape and tessera.constant; run "
                              "convert-tessera-to-tile first";
        return failure();
      });
}

LogicalResult PlanBuilder::build() {
  Location loc = function.getLoc();
  auto program = plan::ProgramOp::create(builder, loc, function.getSymName(),
                                         "", IntegerAttr());
  builder.setInsertionPointToStart(&program.getBody().emplaceBlock());
  if (failed(addBoundaries()))
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
                               << " is the program of no mesh";
    error.attachNote() << "declare the devices in the module, such as: "
                          "dist.mesh @mesh <[tp = 1]>";
    return failure();
  }
  program.setMesh(mesh);
  return success();
}

namespace {
struct ConvertHostToPlanPass
    : tessera::impl::ConvertHostToPlanBase<ConvertHostToPlanPass> {
  using ConvertHostToPlanBase::ConvertHostToPlanBase;

  void runOnOperation() override {
    if (failed(verifyRegionsAreKnown(getOperation(), getArgument())))
      return signalPassFailure();
    ModuleOp module = getOperation();
    module->removeAttr(TesseraDialect::stageAttrName);
    if (entry.empty())
      entry = TesseraDialect::getEntry(module).str();
    auto function = module.lookupSymbol<func::FuncOp>(entry);
    if (!function || function.isExternal()) {
      InFlightDiagnostic error = module.emitError() << "has no function @"
                                                    << entry << " with a body";
      for (auto other : module.getOps<func::FuncOp>())
        error.attachNote(other.getLoc())
            << "there is a function @" << other.getSymName();
      return signalPassFailure();
    }
    if (failed(PlanBuilder(function).build()))
      return signalPassFailure();
    for (auto other : llvm::make_early_inc_range(module.getOps<func::FuncOp>()))
      other.erase();
  }
};
} // namespace
