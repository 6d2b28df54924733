// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Outputs that a block updates in several steps: scatters and sorts.
#include "CPUKernelEmitter.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::tile;

//===----------------------------------------------------------------------===//
// scatter
//===----------------------------------------------------------------------===//

/// Row after row, so that the result is one and the same whatever the indices.
void CPUKernelEmitter::emitScatter(ScatterOp op) {
  Memory memory = memories.lookup(op.getMemory());
  auto type = cast<RankedTensorType>(op.getRows().getType());
  ArrayRef<int64_t> shape = type.getShape();
  auto zero = cast<TypedAttr>(builder.getZeroAttr(memory.elementType));
  auto guarded = [&](Value condition, function_ref<void()> body) {
    if (!condition)
      return body();
    FreshElements fresh(*this);
    auto check = scf::IfOp::create(builder, loc, condition, false);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPoint(check.thenBlock()->getTerminator());
    body();
  };
  auto update = [&](const Place &place, const Indices &indices, Lanes lanes) {
    Value value = code.spread(element(op.getRows(), indices, lanes), lanes);
    if (op.getKind() != ScatterKind::set) {
      Value old = loadLanes(memory, place, lanes, zero);
      value = combine(op.getKind(), code.spread(old, lanes), value);
    }
    storeLanes(memory, place, lanes, value);
  };
  forLoop(shape[0], 1, [&](Value i) {
    Value row = element(op.getIndices(), {i}, Lanes());
    row = arith::IndexCastOp::create(builder, loc, builder.getIndexType(), row);
    guarded(code.isBelow(row, constant(memory.shape[0])), [&] {
      forEachVector(shape.drop_front(), [&](Indices rest, Lanes lanes) {
        Indices indices = {i};
        indices.append(rest.begin(), rest.end());
        if (lanes.dim >= 0)
          ++lanes.dim;
        Place place{{row}, {}, {}};
        addCoordinates(place, op.getOffsets(), indices, shape, memory, lanes);
        guarded(place.condition, [&] { update(place, indices, lanes); });
      });
    });
  });
}

//===----------------------------------------------------------------------===//
// argsort
//===----------------------------------------------------------------------===//

/// Rows up to here are sorted by insertion, longer ones by their digits.
static constexpr int64_t longestInsertion = 32;
static constexpr int64_t digitBits = 8, digits = 1 << digitBits;

/// The steps of sorting one row.
class CPUKernelEmitter::RowSorter {
public:
  RowSorter(CPUKernelEmitter &emitter, ArgsortOp op)
      : emitter(emitter), builder(emitter.builder), loc(op.getLoc()), op(op),
        length(op.getKeys().getType().getShape()[op.getDim()]),
        row(emitter.scalars.lookupOrDefault(op.getRow())),
        keyType(getElementTypeOrSelf(op.getKeys())) {
    for (Value memory : {op.getKeys0(), op.getKeys1()})
      keys.push_back(emitter.memories.lookup(memory));
    for (Value memory : {op.getOrder0(), op.getOrder1()})
      orders.push_back(emitter.memories.lookup(memory));
  }

  void run() {
    fill();
    if (length <= longestInsertion) {
      insertAll();
      emitter.forLoop(length, 1,
                      [&](Value i) { putResult(i, load(orders[0], i)); });
      return;
    }
    Buffer *counts = emitter.tiles.create({digits}, builder.getI64Type());
    int64_t low = op.getLowBit(), high = op.getHighBit();
    for (int from = 0; low < high; low += digitBits, from = 1 - from)
      distribute(counts, low, from, /*isLast=*/low + digitBits >= high);
  }

private:
  Value load(const Memory &memory, Value at) {
    return emitter.code.loadAt(emitter.address(memory, {row, at}),
                               memory.elementType, 0);
  }
  void store(const Memory &memory, Value at, Value value) {
    emitter.code.storeAt(value, emitter.address(memory, {row, at}));
  }

  /// Stores the index of the element whose place in the order is `at`.
  void putResult(Value at, Value index) {
    Indices coordinates;
    for (auto [d, offset] : llvm::enumerate(op.getOffsets())) {
      Value first = emitter.scalars.lookupOrDefault(offset);
      coordinates.push_back(d == op.getDim() ? emitter.code.add(first, at)
                                             : first);
    }
    Memory memory = emitter.memories.lookup(op.getMemory());
    emitter.code.storeAt(index, emitter.address(memory, coordinates));
  }

  void fill() {
    size_t rank = op.getOffsets().size();
    emitter.forLoop(length, 1, [&](Value i) {
      Indices at(rank, emitter.constant(0));
      at[op.getDim()] = i;
      store(keys[0], i, emitter.element(op.getKeys(), at, Lanes()));
      store(orders[0], i,
            arith::IndexCastOp::create(builder, loc, builder.getI32Type(), i));
    });
  }

  /// Each element moves down past those that are greater.
  void insertAll() {
    emitter.forLoop(length, 1, [&](Value i) {
      Value key = load(keys[0], i), order = load(orders[0], i);
      Type index = builder.getIndexType();
      auto down =
          scf::WhileOp::create(builder, loc, TypeRange{index}, ValueRange{i});
      OpBuilder::InsertionGuard guard(builder);
      Block *before =
          builder.createBlock(&down.getBefore(), {}, {index}, {loc});
      Value at = before->getArgument(0);
      Value isInside = arith::CmpIOp::create(
          builder, loc, arith::CmpIPredicate::sgt, at, emitter.constant(0));
      auto check = scf::IfOp::create(builder, loc, builder.getI1Type(),
                                     isInside, /*withElseRegion=*/true);
      {
        OpBuilder::InsertionGuard inner(builder);
        builder.setInsertionPointToEnd(check.thenBlock());
        Value isGreater =
            arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ugt,
                                  load(keys[0], emitter.code.add(at, -1)), key);
        scf::YieldOp::create(builder, loc, isGreater);
        builder.setInsertionPointToEnd(check.elseBlock());
        scf::YieldOp::create(builder, loc, isInside);
      }
      scf::ConditionOp::create(builder, loc, check.getResult(0), at);
      Block *after = builder.createBlock(&down.getAfter(), {}, {index}, {loc});
      at = after->getArgument(0);
      Value below = emitter.code.add(at, -1);
      store(keys[0], at, load(keys[0], below));
      store(orders[0], at, load(orders[0], below));
      scf::YieldOp::create(builder, loc, below);
      builder.setInsertionPointAfter(down);
      store(keys[0], down.getResult(0), key);
      store(orders[0], down.getResult(0), order);
    });
  }

  Value countAddress(Buffer *counts, Value digit) {
    return emitter.code.address(counts->base, counts->elementType, {1}, 0,
                                {digit});
  }

  Value digitOf(Value key, int64_t low) {
    Value shift = emitter.constantOf(builder.getIntegerAttr(keyType, low));
    Value mask =
        emitter.constantOf(builder.getIntegerAttr(keyType, digits - 1));
    Value shifted = arith::ShRUIOp::create(builder, loc, key, shift);
    Value digit = arith::AndIOp::create(builder, loc, shifted, mask);
    return arith::IndexCastOp::create(builder, loc, builder.getIndexType(),
                                      digit);
  }

  /// One pass of a radix sort: from scratch `from` to the other, or to the
  /// result, in the order of the digit at bit `low`.
  void distribute(Buffer *counts, int64_t low, int from, bool isLast) {
    Type i64 = builder.getI64Type();
    Value zero = emitter.constantOf(builder.getI64IntegerAttr(0));
    Value one = emitter.constantOf(builder.getI64IntegerAttr(1));
    emitter.forLoop(digits, 1, [&](Value d) {
      emitter.code.storeAt(zero, countAddress(counts, d));
    });
    emitter.forLoop(length, 1, [&](Value i) {
      Value at = countAddress(counts, digitOf(load(keys[from], i), low));
      Value count = emitter.code.loadAt(at, i64, 0);
      emitter.code.storeAt(arith::AddIOp::create(builder, loc, count, one), at);
    });
    // Where the elements of each digit begin.
    emitter.forLoop(digits, 1, zero, [&](Value d, ValueRange carried) {
      Value at = countAddress(counts, d);
      Value count = emitter.code.loadAt(at, i64, 0);
      emitter.code.storeAt(carried[0], at);
      return SmallVector<Value>{
          arith::AddIOp::create(builder, loc, carried[0], count)};
    });
    emitter.forLoop(length, 1, [&](Value i) {
      Value key = load(keys[from], i), order = load(orders[from], i);
      Value at = countAddress(counts, digitOf(key, low));
      Value place = emitter.code.loadAt(at, i64, 0);
      emitter.code.storeAt(arith::AddIOp::create(builder, loc, place, one), at);
      place = arith::IndexCastOp::create(builder, loc, builder.getIndexType(),
                                         place);
      if (isLast)
        return putResult(place, order);
      store(keys[1 - from], place, key);
      store(orders[1 - from], place, order);
    });
  }

  CPUKernelEmitter &emitter;
  OpBuilder &builder;
  Location loc;
  ArgsortOp op;
  int64_t length;
  Value row;
  Type keyType;
  SmallVector<Memory> keys, orders;
};

void CPUKernelEmitter::emitArgsort(ArgsortOp op) { RowSorter(*this, op).run(); }
