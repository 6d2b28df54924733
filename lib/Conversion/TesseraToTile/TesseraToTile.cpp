// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "BlockEmitter.h"
#include "KernelGroups.h"
#include "tessera/Conversion/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;

namespace tessera {
#define GEN_PASS_DEF_CONVERTTESSERATOTILE
#include "lib/Conversion/Passes.h.inc"

namespace {

/// Memory of a kernel argument: i8 for booleans, signless integers, shape [1]
/// for scalars.
MemRefType memoryType(Value value) {
  Type type = getElementTypeOrSelf(value.getType());
  MLIRContext *context = type.getContext();
  if (type.isInteger(1))
    type = IntegerType::get(context, 8);
  else if (auto integer = dyn_cast<IntegerType>(type))
    type = IntegerType::get(context, integer.getWidth());
  return MemRefType::get(BlockEmitter::shapeOf1(value), type);
}

/// The block of the root's value that one program of the kernel computes.
SmallVector<int64_t> chooseRootBlock(const KernelGroup &group,
                                     const TileSizes &sizes) {
  Value root = group.root->getResult(0);
  SmallVector<int64_t> shape = BlockEmitter::shapeOf1(root);
  std::vector<int64_t> plain(shape.begin(), shape.end());
  std::vector<bool> whole(shape.size(), false);
  if (auto attention = dyn_cast_or_null<AttentionOp>(group.heavy)) {
    int64_t queries = attentionRows(sizes, sizes.attentionQueries,
                                    BlockEmitter::headElements(attention));
    return {1, chooseChunk(shape[1], queries), 1, shape[3]};
  }
  if (auto contract = dyn_cast_or_null<ContractOp>(group.heavy)) {
    ContractOp::Indices indices = contract.getIndices();
    // Rows and columns are cut apart, each from its last dimension on.
    std::vector<int64_t> rows(shape.size(), 1), columns(shape.size(), 1);
    std::vector<bool> notRow(shape.size(), true), notColumn(shape.size(), true);
    for (auto [d, letter] : llvm::enumerate(indices.out)) {
      bool inLhs = indices.lhs.find(letter) != std::string::npos;
      bool inRhs = indices.rhs.find(letter) != std::string::npos;
      if (inLhs && inRhs)
        continue;
      (inLhs ? rows : columns)[d] = shape[d];
      (inLhs ? notRow : notColumn)[d] = false;
    }
    std::vector<int64_t> rowBlock =
        chooseBlock(rows, notRow, sizes.productRows);
    std::vector<int64_t> columnBlock =
        chooseBlock(columns, notColumn, sizes.productColumns);
    SmallVector<int64_t> block;
    for (size_t d = 0; d < shape.size(); ++d)
      block.push_back(rowBlock[d] * columnBlock[d]);
    return block;
  }
  int64_t most = sizes.pointwiseElements;
  if (group.kind == KernelKind::Rows) {
    most = sizes.rowElements;
    if (auto softmax = dyn_cast<SoftmaxOp>(group.heavy)) {
      whole[softmax.getDim()] = true;
    } else if (auto reduce = dyn_cast<ReduceOp>(group.heavy)) {
      // What is left of the budget after the reduced dimensions.
      int64_t in = 1, out = 1;
      for (int64_t size : shapeOf(reduce.getInput()))
        in *= size;
      for (int64_t size : plain)
        out *= size;
      most = std::max<int64_t>(1, most / std::max<int64_t>(1, in / out));
    } else {
      whole.back() = true;
    }
  }
  std::vector<int64_t> block = chooseBlock(plain, whole, most);
  return SmallVector<int64_t>(block.begin(), block.end());
}

/// The block of sizes `block` that this program of the kernel computes, of
/// `counts` blocks along each dimension, the last one numbered fastest.
BlockBox blockOfProgram(OpBuilder &builder, Location loc, BlockEmitter &emitter,
                        ArrayRef<int64_t> block, ArrayRef<int64_t> counts) {
  Value rest = tile::ProgramIdOp::create(builder, loc, builder.getIndexType(),
                                         builder.getI64IntegerAttr(0));
  int64_t left = 1; // Blocks that `rest` numbers.
  for (int64_t count : counts)
    left *= count;
  BlockBox box;
  box.offsets.resize(block.size());
  box.sizes = llvm::to_vector(block);
  for (size_t d = block.size(); d-- > 0;) {
    if (counts[d] == 1) {
      box.offsets[d] = emitter.constantIndex(0);
      continue;
    }
    Value index = rest;
    left /= counts[d];
    if (left > 1) {
      Value count = emitter.constantIndex(counts[d]);
      index = arith::RemUIOp::create(builder, loc, rest, count);
      rest = arith::DivUIOp::create(builder, loc, rest, count);
    }
    if (block[d] != 1)
      index = arith::MulIOp::create(builder, loc, index,
                                    emitter.constantIndex(block[d]));
    box.offsets[d] = index;
  }
  return box;
}

StringRef kindName(KernelKind kind) {
  switch (kind) {
  case KernelKind::Pointwise:
    return "pointwise";
  case KernelKind::Rows:
    return "rows";
  case KernelKind::Product:
    return "product";
  case KernelKind::Attention:
    return "attention";
  }
  return "kernel";
}

/// `product_add_gelu`: the heavy op's kind or mnemonic and the last ops.
std::string nameOf(const KernelGroup &group) {
  std::string name = group.kind == KernelKind::Rows
                         ? group.heavy->getName().stripDialect().str()
                         : kindName(group.kind).str();
  if (group.root != group.heavy)
    name += "_" + group.root->getName().stripDialect().str();
  return name;
}

class FunctionConverter {
public:
  FunctionConverter(func::FuncOp function, TileSizes sizes,
                    llvm::StringMap<tile::KernelOp> &kernels)
      : function(function), sizes(sizes), kernels(kernels) {}

  LogicalResult run() {
    std::vector<KernelGroup> groups = formKernelGroups(function);
    llvm::DenseSet<Operation *> roots;
    for (const KernelGroup &group : groups)
      roots.insert(group.root);
    for (const KernelGroup &group : groups)
      if (failed(convert(group, roots)))
        return failure();
    eraseDead();
    return success();
  }

private:
  /// Values that the group reads from memory, in order of first use.
  SmallVector<Value> inputsOf(const KernelGroup &group,
                              const llvm::DenseSet<Operation *> &roots) {
    llvm::SetVector<Value> inputs;
    llvm::DenseSet<Operation *> seen;
    SmallVector<Operation *> worklist = {group.root};
    while (!worklist.empty()) {
      Operation *op = worklist.pop_back_val();
      if (!seen.insert(op).second)
        continue;
      for (Value operand : op->getOperands()) {
        Operation *def = operand.getDefiningOp();
        bool inside = def && (group.members.contains(def) ||
                              (isFreeOp(def) && !roots.contains(def) &&
                               !readsFromMemory(op, operand)));
        if (inside)
          worklist.push_back(def);
        else
          inputs.insert(launched.lookup(operand) ? launched.lookup(operand)
                                                 : operand);
      }
    }
    return inputs.takeVector();
  }

  LogicalResult convert(const KernelGroup &group,
                        const llvm::DenseSet<Operation *> &roots) {
    Value root = group.root->getResult(0);
    SmallVector<Value> inputs = inputsOf(group, roots);
    OpBuilder builder(function.getContext());
    builder.setInsertionPoint(function);
    auto kernel = buildKernel(builder, group, inputs);
    if (!kernel)
      return failure();
    kernel = shared(kernel, nameOf(group));
    builder.setInsertionPoint(group.root);
    auto launch = tile::LaunchOp::create(
        builder, group.root->getLoc(), root.getType(),
        FlatSymbolRefAttr::get(kernel.getSymNameAttr()), inputs);
    root.replaceAllUsesWith(launch.getResult(0));
    launched[root] = launch.getResult(0);
    return success();
  }

  /// The kernel of one group; null, with a diagnostic, when an op cannot be
  /// part of one. It has a name of its own later.
  tile::KernelOp buildKernel(OpBuilder &builder, const KernelGroup &group,
                             ArrayRef<Value> inputs) {
    Location loc = group.root->getLoc();
    Value root = group.root->getResult(0);
    SmallVector<int64_t> block = chooseRootBlock(group, sizes), counts;
    int64_t total = 1;
    for (auto [extent, size] :
         llvm::zip_equal(BlockEmitter::shapeOf1(root), block)) {
      counts.push_back(size == 0 ? 1 : llvm::divideCeil(extent, size));
      total *= counts.back();
    }
    auto kernel = tile::KernelOp::create(
        builder, loc, builder.getStringAttr("kernel"),
        builder.getDenseI64ArrayAttr({std::max<int64_t>(1, total)}),
        builder.getI64IntegerAttr(inputs.size()));
    Block *body = builder.createBlock(&kernel.getBody());
    llvm::DenseMap<Value, Value> memories;
    for (Value input : inputs)
      memories[input] = body->addArgument(memoryType(input), loc);
    Value output = body->addArgument(memoryType(root), loc);
    builder.setInsertionPointToEnd(body);
    BlockEmitter emitter(builder, sizes, memories);
    BlockBox box = blockOfProgram(builder, loc, emitter, block, counts);
    Value tile = emitter.emit(root, box);
    if (!tile) {
      kernel.erase();
      return {};
    }
    Type stored = cast<MemRefType>(output.getType()).getElementType();
    auto tileType = cast<RankedTensorType>(tile.getType());
    if (tileType.getElementType().isInteger(1))
      tile = arith::ExtUIOp::create(builder, loc, tileType.clone(stored), tile);
    tile::StoreOp::create(builder, loc, tile, output, box.offsets);
    tile::ReturnOp::create(builder, loc);
    return kernel;
  }

  /// A kernel that is the same up to its name serves all its launches.
  tile::KernelOp shared(tile::KernelOp kernel, StringRef name) {
    std::string text;
    llvm::raw_string_ostream stream(text);
    kernel->print(stream,
                  OpPrintingFlags().printGenericOpForm().useLocalScope());
    tile::KernelOp &known = kernels[text];
    if (known) {
      kernel.erase();
      return known;
    }
    std::string full = (function.getSymName() + "_" + name).str();
    SymbolTable symbols(kernel->getParentOp());
    std::string unique = full;
    for (int i = 1; symbols.lookup(unique); ++i)
      unique = full + "_" + std::to_string(i);
    kernel.setSymName(unique);
    return known = kernel;
  }

  void eraseDead() {
    Block &block = function.getBody().front();
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
      if (isOpTriviallyDead(&op))
        op.erase();
  }

  func::FuncOp function;
  TileSizes sizes;
  llvm::StringMap<tile::KernelOp> &kernels;
  /// Roots and the launch results that took their place.
  llvm::DenseMap<Value, Value> launched;
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

struct ConvertTesseraToTilePass
    : impl::ConvertTesseraToTileBase<ConvertTesseraToTilePass> {
  using ConvertTesseraToTileBase::ConvertTesseraToTileBase;

  void runOnOperation() override {
    if (target != "cpu" && target != "cuda") {
      getOperation().emitError("unknown target '")
          << target << "'; expected cpu or cuda";
      return signalPassFailure();
    }
    TileSizes sizes =
        tileSizesFor(target == "cpu" ? TileTarget::CPU : TileTarget::CUDA);
    llvm::StringMap<tile::KernelOp> kernels;
    auto functions = llvm::to_vector(getOperation().getOps<func::FuncOp>());
    for (func::FuncOp function : functions) {
      if (function.isDeclaration())
        continue;
      if (failed(checkIsLocal(function)) ||
          failed(FunctionConverter(function, sizes, kernels).run()))
        return signalPassFailure();
    }
  }
};

} // namespace
} // namespace tessera
