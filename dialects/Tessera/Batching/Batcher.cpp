// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Batcher.h"

#include "Rules.h"

#include "dialects/Tessera/IR/Calls.h"

#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::batching;

SmallVector<int64_t> tessera::batching::withFront(int64_t size,
                                                  ArrayRef<int64_t> shape) {
  SmallVector<int64_t> result = {size};
  llvm::append_range(result, shape);
  return result;
}

SmallVector<int64_t> tessera::batching::shifted(ArrayRef<int64_t> dims) {
  return llvm::map_to_vector(dims, [](int64_t dim) { return dim + 1; });
}

Value tessera::batching::moveToFront(FormulaBuilder &build, Value value,
                                     int64_t dim) {
  if (dim == 0)
    return value;
  SmallVector<int64_t> permutation = {dim};
  for (int64_t d = 0, rank = shapeOf(value).size(); d < rank; ++d)
    if (d != dim)
      permutation.push_back(d);
  return build.transpose(value, permutation);
}

//===----------------------------------------------------------------------===//
// One op
//===----------------------------------------------------------------------===//

/// A type on the mesh of the op's values, or of those that its regions use.
static Type modelOf(Operation *op) {
  if (op->getNumResults())
    return op->getResult(0).getType();
  Type found;
  op->walk<WalkOrder::PreOrder>([&](Operation *inner) {
    if (inner->getNumOperands() == 0)
      return WalkResult::advance();
    found = inner->getOperand(0).getType();
    return WalkResult::interrupt();
  });
  return found;
}

BatchedOp::BatchedOp(Operation *op, Batcher &batcher)
    : op(op), batcher(batcher),
      build(batcher.getBuilder(), op->getLoc(), modelOf(op)) {}

bool BatchedOp::isAnyBatched(ValueRange values) const {
  return llvm::any_of(values, [&](Value value) { return isBatched(value); });
}

Value BatchedOp::batched(Value value) {
  Value copy = get(value);
  if (isBatched(value))
    return copy;
  return build.repeat(copy, withFront(size(), shapeOf(copy)), 0);
}

SmallVector<Value> BatchedOp::getAll(ValueRange values) {
  return llvm::map_to_vector(values, [&](Value value) { return get(value); });
}

SmallVector<Value> BatchedOp::batchedAll(ValueRange values) {
  return llvm::map_to_vector(values,
                             [&](Value value) { return batched(value); });
}

Type BatchedOp::typeOf(Value value, bool isBatched) {
  ArrayRef<int64_t> shape = shapeOf(value);
  Type element = getElementTypeOrSelf(value.getType());
  return isBatched ? build.typeOf(withFront(size(), shape), element)
                   : build.typeOf(shape, element);
}

Operation *BatchedOp::copyWith(ArrayRef<Value> operands) {
  Operation *copy = op->clone();
  copy->setOperands(operands);
  for (auto [result, made] : llvm::zip(op->getResults(), copy->getResults())) {
    made.setType(typeOf(result, true));
    set(result, made);
  }
  return getBuilder().insert(copy);
}

Operation *BatchedOp::copy() { return copyWith(batchedAll(op->getOperands())); }

bool tessera::batching::mayHaveDerivative(Value value) {
  return isa<FloatType>(getElementTypeOrSelf(value.getType())) &&
         !isa_and_nonnull<ConstantOp>(value.getDefiningOp());
}

Value BatchedOp::stopUnless(Value predicate, Value value) {
  SmallVector<int64_t> dims(shapeOf(predicate).size(), 0);
  Value stopped =
      StopGradientOp::create(getBuilder(), getLoc(), value.getType(), value);
  return build.select(build.broadcast(predicate, shapeOf(value), dims), value,
                      stopped);
}

//===----------------------------------------------------------------------===//
// Blocks
//===----------------------------------------------------------------------===//

void Batcher::set(Value value, Value copy, bool isBatched) {
  mapping.map(value, copy);
  if (isBatched)
    batched.insert(value);
  else
    batched.erase(value);
}

Type Batcher::batchedType(Type type) const {
  auto shaped = cast<ShapedType>(type);
  SmallVector<int64_t> shape = withFront(getSize(), shaped.getShape());
  auto meshTensor = dyn_cast<MeshTensorType>(type);
  if (!meshTensor)
    return RankedTensorType::get(shape, shaped.getElementType());
  Layout layout = meshTensor.getLayout();
  DimLayout front;
  front.open = true;
  layout.dims.insert(layout.dims.begin(), front);
  return MeshTensorType::get(type.getContext(), shape, shaped.getElementType(),
                             layout);
}

/// Whether the op, or one in its regions, uses a batched value.
static bool usesBatched(Operation *op, const Batcher &batcher) {
  WalkResult result = op->walk([&](Operation *inner) {
    return llvm::any_of(inner->getOperands(),
                        [&](Value v) { return batcher.isBatched(v); })
               ? WalkResult::interrupt()
               : WalkResult::advance();
  });
  return result.wasInterrupted();
}

LogicalResult Batcher::runOp(Operation *op) {
  if (!usesBatched(op, *this)) {
    // A condition is copied twice; arguments that are known would be no
    // arguments of the second copy.
    op->walk([&](Operation *inner) {
      for (Region &region : inner->getRegions())
        for (Block &block : region)
          for (Value argument : block.getArguments())
            mapping.erase(argument);
    });
    builder.clone(*op, mapping);
    for (Value result : op->getResults())
      batched.erase(result);
    return success();
  }
  if (!taken)
    return runBatched(op);
  llvm::SetVector<Value> shared;
  for (Region &region : op->getRegions())
    getUsedValuesDefinedAbove(region, shared);
  shared.insert_range(op->getOperands());
  shared.remove_if([&](Value value) {
    return isBatched(value) || !mayHaveDerivative(value);
  });
  if (auto product = dyn_cast<ContractOp>(op);
      product && !shared.empty() && !needsOtherEntries)
    return runSharedProduct(product);
  SmallVector<Value> before =
      llvm::map_to_vector(shared, [&](Value value) { return get(value); });
  BatchedOp context(op, *this);
  for (Value value : shared)
    set(value, context.stopUnless(taken, context.batched(value)), true);
  LogicalResult done = runBatched(op);
  for (auto [value, copy] : llvm::zip_equal(shared, before))
    set(value, copy, false);
  return done;
}

/// A shared factor is not repeated for each entry, as its derivatives would be
/// then: those of entries that do not take the branch are 0 times 0.
LogicalResult Batcher::runSharedProduct(ContractOp op) {
  Value factor = isBatched(op.getLhs()) ? op.getLhs() : op.getRhs();
  BatchedOp context(op, *this);
  FormulaBuilder &build = context.build;
  Value before = get(factor);
  Value isOwn = build.broadcast(taken, shapeOf(before), {0});
  set(factor, build.select(isOwn, before, build.numberLike(0, before)), true);
  LogicalResult done = runBatched(op);
  set(factor, before, true);
  if (succeeded(done))
    set(op.getResult(), context.stopUnless(taken, get(op.getResult())), true);
  return done;
}

LogicalResult Batcher::runBatched(Operation *op) {
  const BatchingRule *rule = getBatchingRules().find(op);
  if (!rule)
    return op->emitError() << "'" << op->getName()
                           << "' has no rule for batches of entries";
  if (!rule->refusal.empty()) {
    InFlightDiagnostic error = op->emitError()
                               << "'" << op->getName()
                               << "' cannot compute a batch of entries";
    error.attachNote() << rule->refusal;
    return error;
  }
  BatchedOp context(op, *this);
  return rule->batch(op, context);
}

LogicalResult Batcher::run(Block &block) {
  for (Operation &op : block.without_terminator()) {
    Block *target = builder.getInsertionBlock();
    Operation *before = target->empty() ? nullptr : &target->back();
    if (failed(runOp(&op)))
      return failure();
    Attribute phase = op.getAttr(TesseraDialect::phaseAttrName);
    if (!phase)
      continue;
    Operation *made = before ? before->getNextNode() : &target->front();
    for (; made; made = made->getNextNode())
      if (!made->hasAttr(TesseraDialect::phaseAttrName))
        made->setAttr(TesseraDialect::phaseAttrName, phase);
  }
  return success();
}
