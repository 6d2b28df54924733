// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "AttentionKernels.h"
#include "BlockEmitter.h"
#include "KernelGroups.h"
#include "PrepareBlocks.h"
#include "ProductKernels.h"
#include "RootBlocks.h"
#include "SortKernels.h"
#include "UpdateKernels.h"
#include "lib/Conversion/TileKernels/ScratchTiles.h"
#include "tessera/Conversion/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;

namespace tessera {
#define GEN_PASS_DEF_CONVERTTESSERATOTILE
#include "lib/Conversion/Passes.h.inc"

namespace {

StringRef kindName(KernelOpClass kind) {
  switch (kind) {
  case KernelOpClass::Product:
    return "product";
  case KernelOpClass::Attention:
    return "attention";
  default:
    return "pointwise";
  }
}

/// `product_add_gelu`: the heavy op's kind or mnemonic and the last op.
std::string nameOf(const KernelGroup &group) {
  std::string name = group.kind == KernelOpClass::Rows
                         ? group.heavy->getName().stripDialect().str()
                         : kindName(group.kind).str();
  if (group.last() != group.heavy)
    name += "_" + group.last()->getName().stripDialect().str();
  return name;
}

/// The kernels of a module, by their text.
class KernelTable {
public:
  explicit KernelTable(ModuleOp module) : symbols(module) {}

  /// A kernel that is the same up to its name serves all its launches.
  tile::KernelOp share(tile::KernelOp kernel, const Twine &name) {
    std::string text;
    llvm::raw_string_ostream stream(text);
    kernel->print(stream,
                  OpPrintingFlags().printGenericOpForm().useLocalScope());
    tile::KernelOp &known = kernels[text];
    if (known) {
      kernel.erase();
      return known;
    }
    std::string full = name.str(), unique = full;
    for (int i = 1; symbols.lookup(unique); ++i)
      unique = full + "_" + std::to_string(i);
    kernel.setSymName(unique);
    symbols.insert(kernel);
    return known = kernel;
  }

private:
  SymbolTable symbols;
  llvm::StringMap<tile::KernelOp> kernels;
};

/// Converts one block of a function, then the blocks of its ops' regions.
class BlockConverter {
public:
  BlockConverter(func::FuncOp function, TileSizes sizes, KernelTable &kernels)
      : function(function), sizes(sizes), kernels(kernels) {}

  LogicalResult run(Block &block) {
    sinkFreeOps(block);
    splitConcatenations(block);
    splitReductions(block, sizes);
    splitLongRows(block, sizes);
    // Inner blocks first: what they capture is then what their kernels read.
    for (Operation &op : block)
      for (Region &region : op.getRegions())
        for (Block &inner : region)
          if (failed(BlockConverter(function, sizes, kernels).run(inner)))
            return failure();
    KernelGroups groups(block);
    std::vector<KernelGroup> formed = groups.form();
    if (failed(convert(groups, formed)))
      return failure();
    for (ArgsortOp op : llvm::to_vector(block.getOps<ArgsortOp>()))
      if (failed(convert(op)))
        return failure();
    if (failed(convertAttention(block)))
      return failure();
    eraseDead(block);
    return success();
  }

private:
  /// A shared factor and the value that holds it.
  struct PackedFactor : SharedFactor {
    Value value;
  };

  /// Values that the group reads from memory, in order of first use; instead of
  /// a factor of a product its panels.
  SmallVector<Value> inputsOf(const KernelGroup &group,
                              const std::optional<PackedFactor> &packed) {
    llvm::SetVector<Value> inputs;
    llvm::DenseSet<Operation *> seen;
    SmallVector<Operation *> worklist(llvm::reverse(group.roots));
    while (!worklist.empty()) {
      Operation *op = worklist.pop_back_val();
      if (!seen.insert(op).second)
        continue;
      // What an update writes a part of is not read.
      ValueRange operands = op->getOperands();
      if (group.kind == KernelOpClass::Update && op == group.last())
        operands = operands.drop_front();
      if (packed && op == packed->product) {
        inputs.insert(packed->value);
        operands = operands.drop_back();
      }
      for (Value operand : operands) {
        Operation *def = operand.getDefiningOp();
        bool inside = def && (group.members.contains(def) ||
                              (isFreeOp(def) && !roots.contains(def) &&
                               !readsFromMemory(op, operand)));
        if (inside)
          worklist.push_back(def);
        else
          inputs.insert(operand);
      }
    }
    return inputs.takeVector();
  }

  LogicalResult convert(const KernelGroups &groups,
                        ArrayRef<KernelGroup> formed) {
    for (const KernelGroup &group : formed)
      roots.insert(group.roots.begin(), group.roots.end());
    for (const KernelGroup &group : formed) {
      FailureOr<std::optional<PackedFactor>> packed = packFactor(group);
      if (failed(packed))
        return failure();
      SmallVector<Value> inputs = inputsOf(group, *packed);
      FailureOr<tile::KernelOp> kernel = buildFitting(group, inputs, *packed);
      if (failed(kernel))
        return failure();
      if (group.kind == KernelOpClass::Update)
        inputs.insert(inputs.begin(), group.last()->getOperand(0));
      if (*kernel) {
        launch(group, *kernel, inputs);
        continue;
      }
      std::vector<KernelGroup> parts = groups.split(group);
      if (failed(convert(groups, parts)))
        return failure();
    }
    return success();
  }

  /// Launches the kernel that packs what the programs of `group` share, if that
  /// is worth it.
  FailureOr<std::optional<PackedFactor>> packFactor(const KernelGroup &group) {
    std::optional<SharedFactor> factor = findSharedFactor(group, sizes);
    if (!factor)
      return std::optional<PackedFactor>();
    OpBuilder builder(function);
    tile::KernelOp kernel = buildPackingKernel(builder, *factor, sizes);
    if (!kernel)
      return failure();
    kernel = kernels.share(kernel, function.getSymName() + "_panels");
    builder.setInsertionPoint(group.last());
    auto launch = tile::LaunchOp::create(
        builder, factor->product->getLoc(), factor->type,
        FlatSymbolRefAttr::get(kernel.getSymNameAttr()), factor->source);
    return std::optional<PackedFactor>({*factor, launch.getResult(0)});
  }

  /// The kernel of `group`, in smaller blocks where its tiles would not fit;
  /// null when no block fits and the group can be split.
  FailureOr<tile::KernelOp>
  buildFitting(const KernelGroup &group, ArrayRef<Value> inputs,
               const std::optional<PackedFactor> &packed) {
    OpBuilder builder(function.getContext());
    TileSizes chosen = sizes;
    if (packed)
      return buildFittingProduct(builder, group, inputs, *packed);
    if (group.kind == KernelOpClass::Update)
      return buildFittingUpdate(builder, group, inputs);
    for (SmallVector<int64_t> block = chooseRootBlock(group, chosen);;) {
      builder.setInsertionPoint(function);
      auto kernel = buildKernel(builder, group, inputs, block, packed);
      if (!kernel)
        return failure();
      bool hasOwnSizes = group.kind == KernelOpClass::Product ||
                         group.kind == KernelOpClass::Attention;
      if (hasOwnSizes || estimateScratchBytes(kernel) <= sizes.scratchBytes)
        return kernel;
      SmallVector<int64_t> smaller = block;
      while (smaller == block && chosen.pointwiseElements > 1) {
        chosen.pointwiseElements /= 2;
        chosen.rowElements /= 2;
        smaller = chooseRootBlock(group, chosen);
      }
      if (smaller == block && group.members.size() < 2)
        return kernel;
      kernel.erase();
      if (smaller == block)
        return tile::KernelOp();
      block = smaller;
    }
  }

  /// What follows the product may keep tiles of the size of its block.
  FailureOr<tile::KernelOp> buildFittingProduct(OpBuilder &builder,
                                                const KernelGroup &group,
                                                ArrayRef<Value> inputs,
                                                PackedFactor packed) {
    for (;;) {
      builder.setInsertionPoint(function);
      auto kernel = buildKernel(builder, group, inputs, packed.block, packed);
      if (!kernel)
        return failure();
      if (estimateScratchBytes(kernel) <= sizes.sharedScratchBytes ||
          !halveRows(packed))
        return kernel;
      kernel.erase();
    }
  }

  FailureOr<tile::KernelOp> buildFittingUpdate(OpBuilder &builder,
                                               const KernelGroup &group,
                                               ArrayRef<Value> inputs) {
    TileSizes chosen = sizes;
    for (;; chosen.pointwiseElements /= 2) {
      builder.setInsertionPoint(function);
      auto kernel = buildUpdateKernel(builder, group.last(), inputs, chosen);
      if (!kernel)
        return failure();
      if (chosen.pointwiseElements == 1 ||
          estimateScratchBytes(kernel) <= sizes.scratchBytes)
        return kernel;
      kernel.erase();
    }
  }

  /// Launches the kernel of a sort in its place.
  LogicalResult convert(ArgsortOp op) {
    OpBuilder builder(function.getContext());
    builder.setInsertionPoint(function);
    tile::KernelOp kernel = buildSortKernel(builder, op, sizes);
    if (!kernel)
      return failure();
    kernel = kernels.share(kernel, function.getSymName() + "_argsort");
    builder.setInsertionPoint(op);
    SmallVector<Type> types = {op.getType()};
    llvm::append_range(types, sortScratchTypes(op));
    auto launch = tile::LaunchOp::create(
        builder, op.getLoc(), types,
        FlatSymbolRefAttr::get(kernel.getSymNameAttr()), op.getInput());
    op.getResult().replaceAllUsesWith(launch.getResult(0));
    op.erase();
    return success();
  }

  /// Launches the kernels of attention and its gradients in their place.
  LogicalResult convertAttention(Block &block) {
    for (const AttentionLaunch &wanted : findAttentionLaunches(block, sizes)) {
      OpBuilder builder(function.getContext());
      builder.setInsertionPoint(function);
      tile::KernelOp kernel = buildAttentionKernel(builder, wanted, sizes);
      if (!kernel)
        return failure();
      kernel = kernels.share(kernel,
                             function.getSymName() + "_" +
                                 wanted.ops.back()->getName().stripDialect());
      builder.setInsertionPoint(wanted.place);
      launchAttentionKernel(builder, wanted, kernel);
    }
    return success();
  }

  /// Those of the ops that a kernel is made of: first its last root's, which
  /// messages are at, then the others' in program order.
  static Location placeOf(const KernelGroup &group) {
    SmallVector<Operation *> members(group.members.begin(),
                                     group.members.end());
    llvm::sort(members, [](Operation *a, Operation *b) {
      return a->getBlock() == b->getBlock() && a->isBeforeInBlock(b);
    });
    SmallVector<Location> places = {group.last()->getLoc()};
    for (Operation *member : members)
      places.push_back(member->getLoc());
    return FusedLoc::get(group.last()->getContext(), places);
  }

  /// Launches `kernel` in place of the roots.
  void launch(const KernelGroup &group, tile::KernelOp kernel,
              ArrayRef<Value> inputs) {
    kernel = kernels.share(kernel, function.getSymName() + "_" + nameOf(group));
    SmallVector<Type> types;
    for (Operation *root : group.roots)
      types.push_back(root->getResult(0).getType());
    OpBuilder builder(group.last());
    auto launch = tile::LaunchOp::create(
        builder, placeOf(group), types,
        FlatSymbolRefAttr::get(kernel.getSymNameAttr()), inputs);
    for (auto [root, result] :
         llvm::zip_equal(group.roots, launch.getOutputs()))
      root->getResult(0).replaceAllUsesWith(result);
  }

  /// The kernel of one group; null, with a diagnostic, when an op cannot be
  /// part of one. It has a name of its own later.
  tile::KernelOp buildKernel(OpBuilder &builder, const KernelGroup &group,
                             ArrayRef<Value> inputs, ArrayRef<int64_t> block,
                             const std::optional<PackedFactor> &packed) {
    Location loc = group.last()->getLoc();
    SmallVector<int64_t> shape =
        BlockEmitter::shapeOf1(group.last()->getResult(0));
    SmallVector<int64_t> counts;
    int64_t total = 1;
    for (auto [extent, size] : llvm::zip_equal(shape, block)) {
      counts.push_back(size == 0 ? 1 : llvm::divideCeil(extent, size));
      total *= counts.back();
    }
    auto kernel = tile::KernelOp::create(
        builder, loc, builder.getStringAttr("kernel"),
        builder.getDenseI64ArrayAttr({std::max<int64_t>(1, total)}),
        builder.getI64IntegerAttr(inputs.size()),
        /*initial=*/DenseI64ArrayAttr());
    Block *body = builder.createBlock(&kernel.getBody());
    llvm::DenseMap<Value, Value> memories;
    for (Value input : inputs)
      memories[input] = body->addArgument(memoryTypeOf(input), loc);
    builder.setInsertionPointToEnd(body);
    BlockEmitter emitter(builder, sizes, memories);
    if (packed)
      emitter.readPanels(packed->product, packed->value);
    SmallVector<Value> outputs;
    for (Operation *root : group.roots)
      outputs.push_back(
          body->addArgument(memoryTypeOf(root->getResult(0)), loc));
    builder.setInsertionPointToEnd(body);
    ArrayRef<size_t> order;
    if (isa_and_nonnull<AttentionOp>(group.heavy))
      order = orderOfHeads;
    BlockBox box = blockOfProgram(builder, loc, emitter, block, counts, order);
    bool isComplete = true;
    auto store = [&](const BlockBox &part) {
      isComplete &= storeRoots(builder, emitter, group, part, outputs);
    };
    if (auto cumulative = dyn_cast_or_null<CumulativeOp>(group.heavy))
      emitter.forEachPiece(cumulative, box, store);
    else
      store(box);
    if (!isComplete) {
      kernel.erase();
      return {};
    }
    tile::ReturnOp::create(builder, loc);
    return kernel;
  }

  /// Computes `box` of all results before any is stored, so that a target can
  /// store them in one loop. False, with a diagnostic, where one cannot be.
  bool storeRoots(OpBuilder &builder, BlockEmitter &emitter,
                  const KernelGroup &group, const BlockBox &box,
                  ArrayRef<Value> outputs) {
    Location loc = group.last()->getLoc();
    auto concatenate = dyn_cast<ConcatenateOp>(group.last());
    if (concatenate && group.roots.size() == 1 &&
        BlockEmitter::canStoreParts(concatenate, box.sizes))
      return emitter.storeParts(concatenate, box, outputs.front());
    SmallVector<Value> tiles;
    for (auto [root, output] : llvm::zip_equal(group.roots, outputs)) {
      Value tile = emitter.emit(root->getResult(0), box);
      if (!tile)
        return false;
      auto type = cast<RankedTensorType>(tile.getType());
      if (type.getElementType().isInteger(1))
        tile = arith::ExtUIOp::create(
            builder, loc, type.clone(getElementTypeOrSelf(output.getType())),
            tile);
      tiles.push_back(tile);
    }
    for (auto [tile, output] : llvm::zip_equal(tiles, outputs))
      tile::StoreOp::create(builder, loc, tile, output, box.offsets);
    return true;
  }

  static void eraseDead(Block &block) {
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
      if (isOpTriviallyDead(&op))
        op.erase();
  }

  func::FuncOp function;
  TileSizes sizes;
  KernelTable &kernels;
  llvm::DenseSet<Operation *> roots;
};

/// Kernels are of one device: tensors have local shapes.
LogicalResult checkIsLocal(func::FuncOp function) {
  for (Type type : llvm::concat<const Type>(function.getArgumentTypes(),
                                            function.getResultTypes())) {
    if (!isa<MeshTensorType>(type))
      continue;
    InFlightDiagnostic error = function.emitError()
                               << "@" << function.getSymName()
                               << " holds whole tensors, as " << type;
    error.attachNote() << "run the passes up to tessera-partition first";
    return error;
  }
  return success();
}

/// Kernels have blocks of one element at least. Whole programs cannot hold
/// tensors without elements; a local one that is written by hand could.
LogicalResult checkHasElements(func::FuncOp function) {
  auto isEmpty = [](Type type) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    return tensor && llvm::is_contained(tensor.getShape(), 0);
  };
  auto check = [&](ValueRange values) {
    for (Value value : values) {
      if (!isEmpty(value.getType()))
        continue;
      InFlightDiagnostic error = emitError(value.getLoc())
                                 << "a value has type " << value.getType()
                                 << ", which has no elements";
      error.attachNote() << "every dimension of a program's tensors has size 1 "
                            "or more";
      return WalkResult::interrupt();
    }
    return WalkResult::advance();
  };
  WalkResult result = function.walk([&](Block *block) {
    WalkResult result = check(block->getArguments());
    for (Operation &op : *block)
      if (!result.wasInterrupted())
        result = check(op.getResults());
    return result;
  });
  return failure(result.wasInterrupted());
}

struct ConvertTesseraToTilePass
    : impl::ConvertTesseraToTileBase<ConvertTesseraToTilePass> {
  using ConvertTesseraToTileBase::ConvertTesseraToTileBase;

  void runOnOperation() override {
    if (failed(verifyRegionsAreKnown(getOperation(), getArgument())))
      return signalPassFailure();
    getOperation()->removeAttr(TesseraDialect::stageAttrName);
    FailureOr<tile::TargetAttr> made = chooseTarget();
    if (failed(made))
      return signalPassFailure();
    TileSizes sizes = tileSizesFor(*made);
    KernelTable kernels(getOperation());
    auto functions = llvm::to_vector(getOperation().getOps<func::FuncOp>());
    for (func::FuncOp function : functions) {
      if (function.isDeclaration())
        continue;
      if (failed(checkIsLocal(function)) ||
          failed(checkHasElements(function)) ||
          failed(BlockConverter(function, sizes, kernels)
                     .run(function.getBody().front())))
        return signalPassFailure();
    }
  }

  /// What the option says, which then holds for the module too, or else the
  /// module's own target.
  FailureOr<tile::TargetAttr> chooseTarget() {
    ModuleOp module = getOperation();
    MLIRContext *context = module.getContext();
    if (target.empty()) {
      auto known = tile::TargetAttr::of(module);
      return known
                 ? known
                 : tile::TargetAttr::get(context, tile::TargetKind::cpu, "", 0);
    }
    auto [name, chip] = StringRef(target).split(':');
    std::optional<tile::TargetKind> kind = tile::symbolizeTargetKind(name);
    if (!kind || (*kind == tile::TargetKind::cpu && !chip.empty()))
      return module.emitError("unknown target '")
             << target << "'; expected cpu or cuda[:<chip>]";
    auto emitError = [&] { return module.emitError(); };
    auto made = tile::TargetAttr::getChecked(
        function_ref<InFlightDiagnostic()>(emitError), context, *kind, chip,
        int64_t(0));
    if (!made)
      return failure();
    module->setAttr(tile::TargetAttr::attrName, made);
    return made;
  }
};

} // namespace
} // namespace tessera
