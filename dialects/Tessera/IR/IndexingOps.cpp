// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Verification.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace tessera;

#define GET_OP_CLASSES
#include "dialects/Tessera/IR/IndexingOps.cpp.inc"

//===----------------------------------------------------------------------===//
// What gather and scatter share
//===----------------------------------------------------------------------===//

namespace {
/// A gather or a scatter, as far as they are alike.
struct Indexing {
  Operation *op;
  Value source;
  StringRef sourceName;
  OperandRange indices;
  ArrayRef<int64_t> dims, sourceBatch, indicesBatch;

  IndexedDims getDims() const {
    IndexedDims result;
    result.sourceRank = shapeOf(source).size();
    result.indicesRank = indices.empty() ? 0 : shapeOf(indices.front()).size();
    result.indexed.assign(dims.begin(), dims.end());
    result.sourceBatch.assign(sourceBatch.begin(), sourceBatch.end());
    result.indicesBatch.assign(indicesBatch.begin(), indicesBatch.end());
    return result;
  }

  /// The shape of the slices, of dimensions that are well formed.
  SmallVector<int64_t> sliceShape() const;
  /// Checks dimensions and indices, and gives the shape of the slices.
  FailureOr<SmallVector<int64_t>> verify() const;

private:
  LogicalResult verifyBatch() const;
};
} // namespace

static Indexing indexingOf(GatherOp op) {
  return {
      op,           op.getSource(),      "the source",        op.getIndices(),
      op.getDims(), op.getSourceBatch(), op.getIndicesBatch()};
}

static Indexing indexingOf(ScatterOp op) {
  return {
      op,           op.getInput(),      "the input",         op.getIndices(),
      op.getDims(), op.getInputBatch(), op.getIndicesBatch()};
}

LogicalResult Indexing::verifyBatch() const {
  if (sourceBatch.size() != indicesBatch.size())
    return explain(op->emitOpError()
                       << "pairs batch dimensions "
                       << shapeToString(sourceBatch) << " of " << sourceName
                       << " with dimensions " << shapeToString(indicesBatch)
                       << " of the indices",
                   op, {},
                   "name one dimension of the indices per batch dimension of " +
                       sourceName.str());
  SmallVector<int64_t> ofIndices;
  for (auto [ours, theirs] : llvm::zip_equal(sourceBatch, indicesBatch)) {
    if (failed(verifyDim(op, ours, {source, sourceName})) ||
        failed(verifyDim(op, theirs, {indices.front(), "the indices"})))
      return failure();
    if (llvm::is_contained(dims, ours) || llvm::count(sourceBatch, ours) > 1 ||
        llvm::is_contained(ofIndices, theirs))
      return explain(
          op->emitOpError() << "pairs dimension " << ours << " of "
                            << sourceName << " with dimension " << theirs
                            << " of the indices, but one of the two is already "
                               "indexed or paired",
          op, {}, "a dimension is indexed, or one of a batch, or neither");
    ofIndices.push_back(theirs);
    int64_t size = shapeOf(source)[ours],
            indexSize = shapeOf(indices.front())[theirs];
    if (size != indexSize)
      return explain(op->emitOpError()
                         << "pairs dimension " << ours << " of size " << size
                         << " of " << sourceName << " with dimension " << theirs
                         << " of size " << indexSize << " of the indices",
                     op,
                     {NamedValue{source, sourceName},
                      NamedValue{indices.front(), "the first indices"}},
                     "batch dimensions that are paired have one size; "
                     "tessera.broadcast repeats one of size 1");
  }
  return success();
}

FailureOr<SmallVector<int64_t>> Indexing::verify() const {
  if (failed(verifyOneMesh(op)) ||
      failed(verifyAscendingDims(op, "dims", dims, {source, sourceName})))
    return failure();
  if (dims.empty() || indices.size() != dims.size())
    return LogicalResult(
        explain(op->emitOpError()
                    << "has " << indices.size() << " tensors of indices for "
                    << dims.size() << " indexed dimensions",
                op, {}, "give at least one, and one per indexed dimension"));
  for (auto [i, value] : llvm::enumerate(indices))
    if (failed(verifyShape(op, value, "indices " + std::to_string(i),
                           shapeOf(indices.front()),
                           "all indices have one shape; tessera.broadcast "
                           "gives them that")))
      return failure();
  if (failed(verifyBatch()))
    return failure();
  return sliceShape();
}

SmallVector<int64_t> Indexing::sliceShape() const {
  SmallVector<int64_t> shape;
  for (IndexedDims::Slice slice : getDims().slices())
    shape.push_back(slice.source >= 0
                        ? shapeOf(source)[slice.source]
                        : shapeOf(indices.front())[slice.indices]);
  return shape;
}

namespace {
/// The factors of a gather or a scatter.
struct IndexingFactors {
  TensorFactors source, indices, slices;
};
} // namespace

/// Adds the factors of an op with operands of `shapes`, source and indices
/// first, to `rule`: indexed dimensions are of kind `indexed`, those of the
/// indices alone of kind `positions`.
static IndexingFactors addFactors(FactorRule &rule, const IndexedDims &dims,
                                  const OpShapes &shapes, FactorKind indexed,
                                  FactorKind positions, ReduceKind reduce) {
  IndexingFactors factors;
  factors.source.resize(dims.sourceRank);
  factors.indices.resize(dims.indicesRank);
  for (auto [d, size] : llvm::enumerate(shapes.operands[0]))
    factors.source[d] = {
        dims.isIndexed(d)
            ? rule.addFactor("n" + std::to_string(d), size, indexed)
            : rule.addFactor("s" + std::to_string(d), size)};
  for (IndexedDims::Slice slice : dims.slices()) {
    if (slice.source < 0) {
      int64_t size = shapes.operands[1][slice.indices];
      factors.indices[slice.indices] = {rule.addFactor(
          "i" + std::to_string(slice.indices), size, positions, reduce)};
      factors.slices.push_back(factors.indices[slice.indices]);
      continue;
    }
    factors.slices.push_back(factors.source[slice.source]);
    if (slice.indices >= 0)
      factors.indices[slice.indices] = factors.slices.back();
  }
  return factors;
}

/// Indices count within this device's part of each indexed dimension of
/// `source`; those of other devices' parts become -1, which is neither read nor
/// written.
static void shiftIndices(LocalValues &parts, Value source,
                         ArrayRef<int64_t> dims, MutableOperandRange indices) {
  MeshTensorType type = parts.logicalType(source);
  for (auto [k, dim] : llvm::enumerate(dims)) {
    const std::vector<AxisRef> &axes = type.getLayout().dims[dim].axes;
    if (axes.empty())
      continue;
    OpOperand &operand = indices[k];
    MeshTensorType logical = parts.logicalType(operand.get());
    Value local = parts.localIndices(operand.getOwner()->getLoc(),
                                     operand.get(), axes, type.getDimSize(dim));
    operand.set(local);
    parts.setLogicalType(local, logical);
  }
}

//===----------------------------------------------------------------------===//
// gather
//===----------------------------------------------------------------------===//

IndexedDims GatherOp::getIndexedDims() { return indexingOf(*this).getDims(); }

LogicalResult GatherOp::verify() {
  if (failed(indexingOf(*this).verify()))
    return failure();
  return verifyInferredResult(*this, "the indices' shape stands in place of "
                                     "the indexed dimension");
}

InferredType GatherOp::inferResultType() {
  return {indexingOf(*this).sliceShape(), getElementTypeOrSelf(getSource())};
}

FactorRule GatherOp::getFactorRuleFor(const OpShapes &shapes) {
  FactorRule rule;
  // Of rows that another device holds this one adds nothing, so lookups in a
  // split source are summed; truth values have no sum.
  FactorKind indexed = getElementTypeOrSelf(getSource()).isInteger(1)
                           ? FactorKind::Replicate
                           : FactorKind::Reduce;
  IndexingFactors factors = addFactors(rule, getIndexedDims(), shapes, indexed,
                                       FactorKind::Pass, ReduceKind::Sum);
  rule.operands = {factors.source};
  rule.operands.resize(1 + getIndices().size(), factors.indices);
  rule.results = {factors.slices};
  rule.linear = {{{0}, ReduceKind::Sum}};
  return rule;
}

double GatherOp::getFlops() { return 0; }

PropagationRound GatherOp::getPropagationRound() {
  return PropagationRound::Compute;
}

KernelRole GatherOp::getKernelRole() { return KernelRole::Indexed; }

/// Where elements of the slices lie in parts of `op`'s source that other
/// devices hold, by its logical indices: an i1 for each element of the indices.
/// Null where each device has all, and for integers, of which there is one
/// zero.
static Value findElsewhere(GatherOp op, LocalValues &parts) {
  MeshTensorType source = parts.logicalType(op.getSource());
  Value result;
  if (!isa<FloatType>(source.getElementType()))
    return result;
  for (auto [dim, indices] : llvm::zip_equal(op.getDims(), op.getIndices())) {
    const std::vector<AxisRef> &axes = source.getLayout().dims[dim].axes;
    if (axes.empty())
      continue;
    Value elsewhere =
        parts.isElsewhere(op.getLoc(), indices, axes, source.getDimSize(dim));
    result = result ? OrOp::create(parts.getBuilder(), op.getLoc(),
                                   elsewhere.getType(), result, elsewhere)
                    : elsewhere;
  }
  return result;
}

/// `mask`, of the shape of the indices, for each element of slices of `shape`.
static Value spreadOverSlices(OpBuilder &builder, Location loc, Value mask,
                              const IndexedDims &dims,
                              ArrayRef<int64_t> shape) {
  SmallVector<int64_t> order, places;
  for (auto [d, slice] : llvm::enumerate(dims.slices()))
    if (slice.indices >= 0) {
      order.push_back(slice.indices);
      places.push_back(d);
    }
  SmallVector<int64_t> permuted;
  for (int64_t d : order)
    permuted.push_back(shapeOf(mask)[d]);
  Type flag = builder.getI1Type();
  if (!llvm::is_sorted(order))
    mask = TransposeOp::create(
        builder, loc, RankedTensorType::get(permuted, flag), mask, order);
  if (ArrayRef<int64_t>(permuted) == shape)
    return mask;
  return BroadcastOp::create(builder, loc, RankedTensorType::get(shape, flag),
                             mask, places);
}

/// Lookups in a split source are summed: what another device reads is here the
/// neutral element, -0.0, where the op itself would read 0.0.
void GatherOp::localiseOperands(const FactorRule &, LocalValues &parts) {
  OpBuilder &builder = parts.getBuilder();
  Value mask = findElsewhere(*this, parts);
  shiftIndices(parts, getSource(), getDims(), getIndicesMutable());
  if (!mask)
    return;
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointAfter(*this);
  auto logical = cast<MeshTensorType>(getType());
  RankedTensorType type = logical.getLocalType(parts.getMesh());
  mask = spreadOverSlices(builder, getLoc(), mask, getIndexedDims(),
                          type.getShape());
  Value neutral = parts.neutralLike(getLoc(), type, ReduceKind::Sum);
  auto masked =
      SelectOp::create(builder, getLoc(), type, mask, neutral, getResult());
  getResult().replaceAllUsesExcept(masked, masked);
  parts.setLogicalType(masked, logical);
}

//===----------------------------------------------------------------------===//
// scatter
//===----------------------------------------------------------------------===//

IndexedDims ScatterOp::getIndexedDims() { return indexingOf(*this).getDims(); }

LogicalResult ScatterOp::verify() {
  FailureOr<SmallVector<int64_t>> shape = indexingOf(*this).verify();
  Type type = getElementTypeOrSelf(getInput());
  if (failed(shape) ||
      failed(verifyShape(*this, getUpdates(), "updates", *shape,
                         "a scatter writes what a gather of the same "
                         "dimensions reads")) ||
      failed(verifyElementType(*this, getUpdates(), "updates", type)) ||
      failed(verifyShape(*this, getResult(), "a result", shapeOf(getInput()))))
    return failure();
  if (getKind() == ScatterKind::add && type.isInteger(1))
    return explain(emitOpError() << "adds truth values, which have no sum",
                   *this, NamedValue{getInput(), "the input"},
                   "use max for `or`, or convert them to i32");
  return verifyElementType(*this, getResult(), "a result", type);
}

InferredType ScatterOp::inferResultType() {
  return {SmallVector<int64_t>(shapeOf(getInput())),
          getElementTypeOrSelf(getInput())};
}

FactorRule ScatterOp::getFactorRuleFor(const OpShapes &shapes) {
  FactorRule rule;
  ReduceKind reduce = getKind() == ScatterKind::max   ? ReduceKind::Max
                      : getKind() == ScatterKind::min ? ReduceKind::Min
                                                      : ReduceKind::Sum;
  // The order of updates decides which one `set` leaves, so one device has all.
  FactorKind positions = getKind() == ScatterKind::set ? FactorKind::Replicate
                                                       : FactorKind::Reduce;
  IndexingFactors factors = addFactors(rule, getIndexedDims(), shapes,
                                       FactorKind::Pass, positions, reduce);
  rule.operands = {factors.source};
  rule.operands.resize(1 + getIndices().size(), factors.indices);
  rule.operands.push_back(factors.slices);
  rule.results = {factors.source};
  int updates = static_cast<int>(getIndices().size()) + 1;
  rule.linear = {{{0, updates}, reduce}};
  return rule;
}

double ScatterOp::getFlops() {
  if (getKind() == ScatterKind::set)
    return 0;
  return static_cast<double>(ShapedType::getNumElements(shapeOf(getUpdates())));
}

PropagationRound ScatterOp::getPropagationRound() {
  return PropagationRound::Compute;
}

KernelRole ScatterOp::getKernelRole() { return KernelRole::Update; }

void ScatterOp::localiseOperands(const FactorRule &rule, LocalValues &parts) {
  shiftIndices(parts, getInput(), getDims(), getIndicesMutable());
  parts.maskReducedPadding(*this, rule);
  if (getKind() != ScatterKind::add)
    return;
  // Where devices add different updates their results are summed: the input
  // counts on the first of them alone.
  std::vector<AxisRef> axes;
  MeshTensorType updates = parts.logicalType(getUpdates());
  for (auto [d, list] : llvm::enumerate(rule.operands.back()))
    if (list.size() == 1 && rule.factors[list[0]].kind == FactorKind::Reduce)
      llvm::append_range(axes, updates.getLayout().dims[d].axes);
  if (axes.empty())
    return;
  MeshTensorType logical = parts.logicalType(getInput());
  Value once = parts.onFirstDevice(getInput(), axes);
  parts.setLogicalType(once, logical);
  getInputMutable().assign(once);
}

//===----------------------------------------------------------------------===//
// argsort
//===----------------------------------------------------------------------===//

LogicalResult ArgsortOp::verify() {
  if (failed(verifyOneMesh(*this)) ||
      failed(verifyDim(*this, getDim(), {getInput(), "the input"})) ||
      failed(verifyShape(*this, getResult(), "a result", shapeOf(getInput()))))
    return failure();
  int64_t size = shapeOf(getInput())[getDim()];
  if (size > std::numeric_limits<int32_t>::max())
    return explain(emitOpError() << "sorts " << size
                                 << " elements, more than an i32 can number",
                   *this, NamedValue{getInput(), "the input"},
                   "sort parts of at most 2147483647 elements");
  return verifyElementType(*this, getResult(), "a result",
                           IntegerType::get(getContext(), 32));
}

InferredType ArgsortOp::inferResultType() {
  return {SmallVector<int64_t>(shapeOf(getInput())),
          IntegerType::get(getContext(), 32)};
}

FactorRule ArgsortOp::getFactorRuleFor(const OpShapes &shapes) {
  FactorRule rule;
  TensorFactors dims;
  for (auto [d, size] : llvm::enumerate(shapes.operands[0]))
    dims.push_back({rule.addFactor("d" + std::to_string(d), size,
                                   d == getDim() ? FactorKind::Replicate
                                                 : FactorKind::Pass)});
  rule.operands = {dims};
  rule.results = {dims};
  return rule;
}

double ArgsortOp::getFlops() {
  auto length = static_cast<double>(shapeOf(getInput())[getDim()]);
  auto elements =
      static_cast<double>(ShapedType::getNumElements(shapeOf(getInput())));
  return elements * std::ceil(std::log2(std::max(2.0, length)));
}

KernelRole ArgsortOp::getKernelRole() { return KernelRole::Alone; }
