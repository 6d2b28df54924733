// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "SplitScans.h"
#include "Provenance.h"

#include "dialects/Tessera/IR/FormulaBuilder.h"

using namespace mlir;
using namespace tessera;

namespace {

/// Writes the parts of one op.
class SplitScan : public FormulaBuilder {
public:
  SplitScan(CumulativeOp op, Value input, OpBuilder &builder)
      : FormulaBuilder(builder, op.getLoc(), input.getType()), op(op),
        dim(op.getDim()) {}

  Value combine(Value a, Value b) {
    switch (op.getKind()) {
    case dist::ReductionKind::sum:
      return create<AddOp>(a, b);
    case dist::ReductionKind::prod:
      return create<MulOp>(a, b);
    case dist::ReductionKind::max:
      return create<MaxOp>(a, b);
    case dist::ReductionKind::min:
      return create<MinOp>(a, b);
    }
    llvm_unreachable("unknown reduction");
  }

  Value scan(Value x) {
    UnitAttr yes = builder.getUnitAttr(), no;
    return create<CumulativeOp>(op.getKindAttr(), x, op.getDimAttr(),
                                op.getExclusive() ? yes : no,
                                op.getReverse() ? yes : no, no);
  }

  /// The entry of `x` that the scan reaches last, of size 1.
  Value last(Value x) {
    SmallVector<int64_t> starts(shapeOf(x).size(), 0), limits(shapeOf(x)),
        strides(limits.size(), 1);
    starts[dim] = op.getReverse() ? 0 : limits[dim] - 1;
    limits[dim] = starts[dim] + 1;
    return create<SliceOp>(x, builder.getDenseI64ArrayAttr(starts),
                           builder.getDenseI64ArrayAttr(limits),
                           builder.getDenseI64ArrayAttr(strides));
  }

  /// Of the entries of `totals`, one a device, those before this device's,
  /// combined and repeated for each entry of `shape`.
  Value before(Value totals, Value place, ArrayRef<int64_t> shape,
               LocalPart &part) {
    auto type = cast<RankedTensorType>(totals.getType());
    auto numbers = RankedTensorType::get(type.getShape(), builder.getI32Type());
    Value isBefore = compare(
        op.getReverse() ? CompareDirection::gt : CompareDirection::lt,
        iota(type.getShape(), dim), part.broadcast(loc, place, numbers));
    Value neutral =
        part.neutralLike(loc, type, dist::toReduceKind(op.getKind()));
    Value known = select(isBefore, totals, neutral);
    return repeat(reduce(op.getKind(), known, dim), shape, dim);
  }

private:
  CumulativeOp op;
  int64_t dim;
};

} // namespace

FailureOr<Value> tessera::writeSplitScan(CumulativeOp op, LocalValues &values,
                                         ReshardSteps &reshards) {
  const Mesh &mesh = values.getMesh();
  std::optional<Exchange> exchange = op.getExchange(mesh);
  if (!exchange)
    return Value();
  OpBuilder &builder = values.getBuilder();
  Location loc = op.getLoc();
  MeshTensorType type = values.logicalType(op.getInput());
  auto dim = static_cast<int64_t>(op.getDim());
  int64_t size = type.getDimSize(dim);
  const std::vector<AxisRef> &axes = type.getLayout().dims[dim].axes;
  Value x = op.getInput();
  // The last entry of a part is what its elements come to, padding or not.
  if (values.isUneven(size, axes))
    x = values.maskPadding(x, dim, size, axes,
                           dist::toReduceKind(op.getKind()));
  SplitScan parts(op, x, builder);
  x = parts.convert(x, exchange->from.getElementType());
  Value scan = parts.scan(x);
  Value total = parts.last(scan);
  if (op.getExclusive())
    total = parts.combine(total, parts.last(x));
  FailureOr<Value> totals = reshards.create(
      {op, exchange->to, op->getAttrOfType<dist::WhyAttr>(exchangeAttrName)},
      total, exchange->from);
  if (failed(totals))
    return failure();
  MLIRContext *context = op.getContext();
  Value place = dist::AxisIndexOp::create(
      builder, loc, RankedTensorType::get({}, builder.getI32Type()),
      FlatSymbolRefAttr::get(context, mesh.name),
      dist::AxesAttr::get(context, axes));
  Value before = parts.before(*totals, place, shapeOf(scan), values);
  Value result =
      parts.convert(parts.combine(before, scan), type.getElementType());
  values.setLogicalType(result, cast<MeshTensorType>(op.getType()));
  return result;
}
