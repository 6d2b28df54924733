// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Outputs that a block updates in several steps: scatters and sorts.
#include "NVVMKernelEmitter.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::tile;

/// A thread has its own columns and takes all rows one after the other: no
/// atomics, and one result whatever the indices.
void NVVMKernelEmitter::emitScatter(ScatterOp op) {
  Memory memory = memories.lookup(op.getMemory());
  auto type = cast<RankedTensorType>(op.getRows().getType());
  ArrayRef<int64_t> shape = type.getShape();
  bool reads = readsShared(op.getRows()) || readsShared(op.getIndices());
  beginNest(reads, /*writesShared=*/false);
  auto update = [&](const Place &place, const Indices &indices) {
    Value at = memoryAddress(memory, place);
    Value value = element(op.getRows(), indices);
    if (op.getKind() != ScatterKind::set) {
      Value old = LLVM::LoadOp::create(builder, loc, memory.elementType, at);
      value = combine(op.getKind(), old, value);
    }
    LLVM::StoreOp::create(builder, loc, value, at);
  };
  auto column = [&](Indices rest) {
    forLoop(constant(0), shape[0], constant(1), {}, [&](Value i, ValueRange) {
      Indices indices = {i};
      indices.append(rest.begin(), rest.end());
      Value row = element(op.getIndices(), {i});
      row =
          arith::IndexCastOp::create(builder, loc, builder.getIndexType(), row);
      Place place =
          placeOf(op.getOffsets(), indices, shape, memory, /*firstDim=*/1);
      place.coordinates.insert(place.coordinates.begin(), row);
      place.fits.insert(place.fits.begin(), isBelow(row, memory.shape[0]));
      place.behind.insert(place.behind.begin(), 0);
      memo.clear();
      auto guard = scf::IfOp::create(builder, loc, allFit(place), false);
      OpBuilder::InsertionGuard restore(builder);
      builder.setInsertionPoint(guard.thenBlock()->getTerminator());
      update(place, indices);
      memo.clear();
      return SmallVector<Value>();
    });
  };
  SmallVector<int64_t> columns(shape.drop_front());
  forEachElement(
      columns.empty() ? SmallVector<int64_t>{1} : columns,
      [&](Indices rest) { column(columns.empty() ? Indices() : rest); });
  endNest(reads, /*writesShared=*/false);
}

/// A sorting network on the row in scratch memory, of comparators that all put
/// the greater element behind, so that rows of any length are rows of the next
/// power of two whose last elements are greatest. Equal keys compare by index,
/// which makes the sort stable. Source: Batcher's bitonic sorter in the form
/// that begins each merge by comparing with the mirrored position.
class NVVMKernelEmitter::RowSorter {
public:
  RowSorter(NVVMKernelEmitter &emitter, ArgsortOp op)
      : emitter(emitter), builder(emitter.builder), loc(op.getLoc()), op(op),
        length(op.getKeys().getType().getShape()[op.getDim()]),
        row(emitter.scalars.lookupOrDefault(op.getRow())),
        keys(emitter.memories.lookup(op.getKeys0())),
        orders(emitter.memories.lookup(op.getOrder0())) {}

  void run() {
    auto whole = static_cast<int64_t>(llvm::PowerOf2Ceil(length));
    fill();
    for (int64_t size = 2; size <= whole; size *= 2) {
      merge(whole, size / 2, /*isMirrored=*/true);
      for (int64_t distance = size / 4; distance > 0; distance /= 2)
        merge(whole, distance, /*isMirrored=*/false);
    }
    emitter.barrier();
    forEach(length, [&](Value i) { putResult(i, load(orders, i)); });
  }

private:
  void forEach(int64_t count, function_ref<void(Value)> body) {
    emitter.forLoop(emitter.threadId, count, emitter.constant(emitter.threads),
                    {}, [&](Value i, ValueRange) {
                      body(i);
                      return SmallVector<Value>();
                    });
  }

  Value addressOf(const Memory &memory, const Indices &coordinates) {
    Place place;
    place.coordinates = coordinates;
    place.behind.assign(coordinates.size(), 0);
    return emitter.memoryAddress(memory, place);
  }
  Value load(const Memory &memory, Value at) {
    return LLVM::LoadOp::create(builder, loc, memory.elementType,
                                addressOf(memory, {row, at}));
  }
  void store(const Memory &memory, Value at, Value value) {
    LLVM::StoreOp::create(builder, loc, value, addressOf(memory, {row, at}));
  }

  void putResult(Value at, Value index) {
    Indices coordinates;
    for (auto [d, offset] : llvm::enumerate(op.getOffsets())) {
      Value place = emitter.scalars.lookupOrDefault(offset);
      if (d == op.getDim())
        place = arith::AddIOp::create(builder, loc, place, at);
      coordinates.push_back(place);
    }
    Memory memory = emitter.memories.lookup(op.getMemory());
    LLVM::StoreOp::create(builder, loc, index, addressOf(memory, coordinates));
  }

  void fill() {
    bool reads = emitter.readsShared(op.getKeys());
    emitter.beginNest(reads, /*writesShared=*/false);
    size_t rank = op.getOffsets().size();
    forEach(length, [&](Value i) {
      Indices at(rank, emitter.constant(0));
      at[op.getDim()] = i;
      store(keys, i, emitter.element(op.getKeys(), at));
      store(orders, i,
            arith::IndexCastOp::create(builder, loc, builder.getI32Type(), i));
    });
    emitter.endNest(reads, /*writesShared=*/false);
  }

  Value guarded(Value condition) {
    auto guard = scf::IfOp::create(builder, loc, condition, false);
    builder.setInsertionPoint(guard.thenBlock()->getTerminator());
    return condition;
  }

  /// Compares elements `distance` apart, or mirrored in blocks of twice that.
  void merge(int64_t whole, int64_t distance, bool isMirrored) {
    emitter.barrier();
    forEach(whole / 2, [&](Value pair) {
      Value by = emitter.constant(distance);
      Value block = arith::DivUIOp::create(builder, loc, pair, by);
      Value within = arith::RemUIOp::create(builder, loc, pair, by);
      Value first = arith::MulIOp::create(builder, loc, block,
                                          emitter.constant(2 * distance));
      Value low = arith::AddIOp::create(builder, loc, first, within);
      Value last = arith::AddIOp::create(builder, loc, first,
                                         emitter.constant(2 * distance - 1));
      Value high =
          isMirrored
              ? arith::SubIOp::create(builder, loc, last, within).getResult()
              : arith::AddIOp::create(builder, loc, low, by).getResult();
      OpBuilder::InsertionGuard restore(builder);
      guarded(emitter.isBelow(high, length));
      exchange(low, high);
    });
  }

  void exchange(Value low, Value high) {
    using Predicate = arith::CmpIPredicate;
    Value keyLow = load(keys, low), keyHigh = load(keys, high);
    Value orderLow = load(orders, low), orderHigh = load(orders, high);
    auto compare = [&](Predicate predicate, Value a, Value b) -> Value {
      return arith::CmpIOp::create(builder, loc, predicate, a, b);
    };
    Value isGreater = compare(Predicate::ugt, keyLow, keyHigh);
    Value isEqual = compare(Predicate::eq, keyLow, keyHigh);
    Value isBehind = compare(Predicate::ugt, orderLow, orderHigh);
    Value isWrong = arith::OrIOp::create(
        builder, loc, isGreater,
        arith::AndIOp::create(builder, loc, isEqual, isBehind));
    guarded(isWrong);
    store(keys, low, keyHigh);
    store(keys, high, keyLow);
    store(orders, low, orderHigh);
    store(orders, high, orderLow);
  }

  NVVMKernelEmitter &emitter;
  OpBuilder &builder;
  Location loc;
  ArgsortOp op;
  int64_t length;
  Value row;
  Memory keys, orders;
};

void NVVMKernelEmitter::emitArgsort(ArgsortOp op) {
  RowSorter(*this, op).run();
}
