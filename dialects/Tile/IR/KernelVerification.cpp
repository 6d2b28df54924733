// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What a kernel's grid, arguments and body may be.
#include "Verification.h"

using namespace mlir;
using namespace tessera::tile;

LogicalResult KernelOp::verify() {
  if (getGrid().empty() || getGrid().size() > 3)
    return emitOpError() << "has a grid of " << getGrid().size()
                         << " dimensions; expected 1 to 3";
  for (auto [d, size] : llvm::enumerate(getGrid()))
    if (size < 1)
      return emitOpError() << "has " << size << " blocks along grid dimension "
                           << d << "; expected at least 1";
  // What targets count blocks in.
  constexpr int64_t maxBlocks = int64_t(1) << 48;
  int64_t blocks = 1;
  for (int64_t size : getGrid()) {
    if (size > maxBlocks / blocks)
      return emitOpError() << "has a grid of more than " << maxBlocks
                           << " blocks, " << shapeToString(getGrid());
    blocks *= size;
  }
  return success();
}

static LogicalResult verifyArgument(BlockArgument argument) {
  auto kernel = cast<KernelOp>(argument.getOwner()->getParentOp());
  auto fail = [&]() {
    return kernel.emitOpError() << "argument " << argument.getArgNumber()
                                << " has type " << argument.getType() << "; ";
  };
  auto type = dyn_cast<MemRefType>(argument.getType());
  if (!type || !isMemoryType(type))
    return fail() << "expected a memref of static shape, rank 1 or more, and "
                     "elements of f64, f32, bf16, f16, i8, i32 or i64; "
                     "booleans are stored as i8, scalars as 1 element";
  if (!type.getLayout().isIdentity())
    return fail() << "arguments are row-major and contiguous; take a "
                     "view of one with memref.reinterpret_cast";
  if (type.getMemorySpace())
    return fail() << "arguments are in global memory, which has no memory "
                     "space attribute";
  return success();
}

/// The kernel argument that `memory` is or is a view of; null for other memory.
static BlockArgument rootOf(KernelOp kernel, Value memory) {
  while (auto view = memory.getDefiningOp<memref::ReinterpretCastOp>())
    memory = view.getSource();
  auto argument = dyn_cast<BlockArgument>(memory);
  bool isOurs = argument && argument.getOwner() == &kernel.getBlock();
  return isOurs ? argument : BlockArgument();
}

/// `op` reads or writes `memory`, which must be an input or an output.
static LogicalResult verifyAccess(KernelOp kernel, Operation *op, Value memory,
                                  bool writes) {
  BlockArgument root = rootOf(kernel, memory);
  if (!root) {
    InFlightDiagnostic error = op->emitOpError(
        "works on memory that is not an argument of the kernel");
    error.attachNote(memory.getLoc()) << "the memory is defined here";
    error.attachNote() << "kernels see memory through their arguments, and "
                          "views of them by memref.reinterpret_cast";
    return error;
  }
  bool isInput = root.getArgNumber() < kernel.getNumInputs();
  if (isInput != writes)
    return success();
  InFlightDiagnostic error = op->emitOpError()
                             << (writes ? "writes an input" : "reads an output")
                             << ", argument " << root.getArgNumber();
  error.attachNote(kernel.getLoc())
      << "the kernel has " << kernel.getNumInputs()
      << " inputs, which come first";
  error.attachNote() << (writes ? "other blocks may read it; write to an output"
                                : "its elements have no value before they are "
                                  "written; keep the tile that was stored");
  return error;
}

/// Rows are combined with what an output begins with.
static LogicalResult verifyScatter(KernelOp kernel, ScatterOp op) {
  if (failed(verifyAccess(kernel, op, op.getMemory(), /*writes=*/true)))
    return failure();
  BlockArgument root = rootOf(kernel, op.getMemory());
  if (kernel.getInitialInput(root.getArgNumber() - kernel.getNumInputs()))
    return success();
  InFlightDiagnostic error = op.emitOpError()
                             << "updates output "
                             << root.getArgNumber() - kernel.getNumInputs()
                             << ", whose elements have no value before";
  error.attachNote(kernel.getLoc())
      << "name the input that it begins as a copy of: initial [...]";
  return error;
}

/// A view has a fixed place inside of what it views.
static LogicalResult verifyView(memref::ReinterpretCastOp view) {
  auto from = dyn_cast<MemRefType>(view.getSource().getType());
  auto to = cast<MemRefType>(view.getType());
  SmallVector<int64_t> strides, fromStrides;
  int64_t offset, fromOffset;
  bool isStatic =
      from && succeeded(to.getStridesAndOffset(strides, offset)) &&
      succeeded(from.getStridesAndOffset(fromStrides, fromOffset)) &&
      from.hasStaticShape() && to.hasStaticShape() &&
      !ShapedType::isDynamicShape(strides) && !ShapedType::isDynamic(offset);
  if (!isStatic) {
    InFlightDiagnostic error =
        view.emitOpError("needs static sizes, strides and offset in a kernel");
    error.attachNote() << "what depends on the block goes into the offsets of "
                          "tile.load and tile.store";
    return error;
  }
  int64_t last = offset;
  for (auto [size, stride] : llvm::zip(to.getShape(), strides)) {
    if (stride < 0)
      return view.emitOpError()
             << "has a stride of " << stride << "; expected 0 or more";
    int64_t span;
    if (llvm::MulOverflow(size - 1, stride, span) ||
        llvm::AddOverflow(last, span, last))
      return view.emitOpError()
             << "of " << size << " elements with a stride of " << stride
             << " reaches beyond 64 bits";
  }
  // Views of views count from the start of the argument, too.
  Value root = view.getSource();
  while (auto inner = root.getDefiningOp<memref::ReinterpretCastOp>())
    root = inner.getSource();
  auto rootType = dyn_cast<MemRefType>(root.getType());
  if (!rootType || !rootType.hasStaticShape() ||
      (offset >= 0 && last < rootType.getNumElements()))
    return success();
  InFlightDiagnostic error = view.emitOpError()
                             << "reaches elements " << offset << " to " << last
                             << " of memory of " << rootType.getNumElements();
  error.attachNote(root.getLoc()) << "the memory has type " << rootType;
  return error;
}

/// Constant tiles are computed lane by lane, so all lanes are one number.
static LogicalResult verifyConstant(arith::ConstantOp constant) {
  if (!isa<TensorType>(constant.getType()) ||
      isa<SplatElementsAttr>(constant.getValue()))
    return success();
  InFlightDiagnostic error =
      constant.emitOpError("holds different elements in a kernel");
  error.attachNote() << "only splats are made inside of kernels; load others "
                        "from an input";
  return error;
}

/// Each output has an entry in `initial`: an input of its type, which nothing
/// else uses.
static LogicalResult verifyInitial(KernelOp kernel) {
  if (!kernel.getInitial())
    return success();
  ArrayRef<int64_t> initial = *kernel.getInitial();
  Block &block = kernel.getBlock();
  auto inputs = static_cast<int64_t>(kernel.getNumInputs());
  size_t outputs = block.getNumArguments() - inputs;
  if (initial.size() != outputs)
    return kernel.emitOpError()
           << "says of " << initial.size()
           << " outputs how they begin, but has " << outputs;
  for (auto [i, input] : llvm::enumerate(initial)) {
    if (input == -1)
      continue;
    if (input < 0 || input >= inputs)
      return kernel.emitOpError()
             << "output " << i << " begins as a copy of argument " << input
             << "; expected an input, 0 to " << inputs - 1 << ", or -1";
    BlockArgument from = block.getArgument(input);
    Type type = block.getArgument(inputs + i).getType();
    if (from.getType() != type)
      return kernel.emitOpError() << "output " << i << " of type " << type
                                  << " cannot begin as a copy of input "
                                  << input << " of type " << from.getType();
    if (from.use_empty() && llvm::count(initial, input) == 1)
      continue;
    InFlightDiagnostic error = kernel.emitOpError()
                               << "input " << input << ", which output " << i
                               << " begins as a copy of, is used";
    error.attachNote()
        << "the output may share its memory; pass the value that is read "
           "as another input";
    return error;
  }
  return success();
}

LogicalResult KernelOp::verifyRegions() {
  auto count = static_cast<int64_t>(getBlock().getNumArguments());
  auto inputs = static_cast<int64_t>(getNumInputs());
  if (inputs < 0 || inputs > count)
    return emitOpError() << "has " << count << " arguments, but " << inputs
                         << " inputs; expected 0 to " << count;
  for (BlockArgument argument : getBlock().getArguments())
    if (failed(verifyArgument(argument)))
      return failure();
  if (failed(verifyInitial(*this)))
    return failure();
  auto verify = [&](Operation *op) -> LogicalResult {
    if (auto load = dyn_cast<LoadOp>(op))
      return verifyAccess(*this, op, load.getMemory(), /*writes=*/false);
    if (auto gather = dyn_cast<GatherOp>(op))
      return verifyAccess(*this, op, gather.getMemory(), /*writes=*/false);
    if (auto store = dyn_cast<StoreOp>(op))
      return verifyAccess(*this, op, store.getMemory(), /*writes=*/true);
    if (auto scatter = dyn_cast<ScatterOp>(op))
      return verifyScatter(*this, scatter);
    if (auto sort = dyn_cast<ArgsortOp>(op)) {
      for (Value memory : {sort.getMemory(), sort.getKeys0(), sort.getKeys1(),
                           sort.getOrder0(), sort.getOrder1()})
        if (failed(verifyAccess(*this, op, memory, /*writes=*/true)))
          return failure();
      return success();
    }
    if (auto view = dyn_cast<memref::ReinterpretCastOp>(op))
      return verifyView(view);
    if (auto constant = dyn_cast<arith::ConstantOp>(op))
      return verifyConstant(constant);
    return success();
  };
  WalkResult result = getBody().walk([&](Operation *op) {
    return failed(verify(op)) ? WalkResult::interrupt() : WalkResult::advance();
  });
  return failure(result.wasInterrupted());
}
