// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Checkpoints.h"

#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::derivatives;

Attribute tessera::derivatives::makeCheckpointMark(CallOp call,
                                                   int64_t number) {
  Builder builder(call.getContext());
  return builder.getArrayAttr({builder.getI64IntegerAttr(number),
                               call.getCheckpointAttr(),
                               LocationAttr(call.getLoc())});
}

StringRef tessera::derivatives::policyTextOf(Attribute mark) {
  return cast<StringAttr>(cast<ArrayAttr>(mark)[1]).getValue();
}

CheckpointPolicy tessera::derivatives::policyOf(Attribute mark) {
  // The verifier of calls has checked the text.
  return *CheckpointPolicy::parse(policyTextOf(mark));
}

Location tessera::derivatives::locationOf(Attribute mark) {
  return cast<LocationAttr>(cast<ArrayAttr>(mark)[2]);
}

/// Whether `op` gives a value one of the policy's names.
static bool isNamedBy(const CheckpointPolicy &policy, Operation *op) {
  auto named = dyn_cast<CheckpointNameOp>(op);
  return named && !named.getName().empty() &&
         llvm::is_contained(policy.names, named.getName());
}

/// Whether `op` gives a value of one of the policy's names in another type or
/// shape, which is about as large.
static bool isOfNamed(const CheckpointPolicy &policy, Operation *op) {
  while (op && !isNamedBy(policy, op)) {
    if (!isa<ConvertOp, ReshapeOp, TransposeOp, ConstrainOp>(op))
      return false;
    op = op->getOperand(0).getDefiningOp();
  }
  return op;
}

/// Whether both factors and the result have an index, as products of attention
/// do.
static bool hasBatchIndex(ContractOp op) {
  ContractOp::Indices indices = op.getIndices();
  return llvm::any_of(indices.out, [&](char letter) {
    return StringRef(indices.lhs).contains(letter) &&
           StringRef(indices.rhs).contains(letter);
  });
}

bool tessera::derivatives::isKeptBy(const CheckpointPolicy &policy,
                                    Operation *op) {
  switch (policy.kind) {
  case CheckpointPolicy::Kind::Everything:
    return true;
  case CheckpointPolicy::Kind::Dots:
    return isa<ContractOp>(op);
  case CheckpointPolicy::Kind::PlainDots:
    return isa<ContractOp>(op) && !hasBatchIndex(cast<ContractOp>(op));
  case CheckpointPolicy::Kind::Names:
    return isNamedBy(policy, op);
  case CheckpointPolicy::Kind::NotNames:
    // A constraint is the same value as well: it is as large as the named one.
    return !isOfNamed(policy, op) &&
           !(isa<ConstrainOp>(op) &&
             llvm::all_of(op->getUsers(), [&](Operation *user) {
               return isNamedBy(policy, user);
             }));
  case CheckpointPolicy::Kind::Nothing:
  case CheckpointPolicy::Kind::Budget:
    return false;
  }
  llvm_unreachable("unknown policy");
}

int64_t tessera::derivatives::bytesOf(Value value) {
  auto type = cast<ShapedType>(value.getType());
  return type.getNumElements() * ((type.getElementTypeBitWidth() + 7) / 8);
}

/// The body of what an op calls; null where it is no call, or has none.
static Block *calledBlock(Operation *op) {
  auto call = dyn_cast<CallOp>(op);
  if (!call)
    return nullptr;
  auto callee = SymbolTable::lookupNearestSymbolFrom<FunctionOpInterface>(
      call, call.getCalleeAttr());
  return callee && !callee.isExternal() ? &callee.getFunctionBody().front()
                                        : nullptr;
}

bool tessera::derivatives::isFreeOfEffects(Operation *op) {
  Block *called = calledBlock(op);
  if (!called)
    return isMemoryEffectFree(op);
  return llvm::all_of(called->without_terminator(),
                      [](Operation &inner) { return isFreeOfEffects(&inner); });
}

double tessera::derivatives::flopsOf(Operation *op) {
  double flops = 0;
  if (Block *called = calledBlock(op)) {
    for (Operation &inner : *called)
      flops += flopsOf(&inner);
    return flops;
  }
  if (auto compute = dyn_cast<FactorRuleInterface>(op))
    return compute.getFlops();
  for (Region &region : op->getRegions()) {
    double inside = 0;
    for (Operation &inner : region.getOps())
      inside += flopsOf(&inner);
    auto flow = dyn_cast<DataFlowInterface>(op);
    std::optional<int64_t> trips =
        flow ? flow.getTripCount(&region) : std::nullopt;
    flops += inside * static_cast<double>(trips.value_or(1));
  }
  return flops;
}

double tessera::derivatives::workOf(Operation *op) {
  double work = flopsOf(op);
  for (Type type : op->getResultTypes())
    work += static_cast<double>(cast<ShapedType>(type).getNumElements());
  return work;
}

std::string tessera::derivatives::describePlace(Location loc) {
  std::string text;
  loc->walk([&](Location part) {
    auto file = dyn_cast<FileLineColLoc>(part);
    if (!file)
      return WalkResult::advance();
    text =
        (" at " + file.getFilename().getValue() + ":" + Twine(file.getLine()))
            .str();
    return WalkResult::interrupt();
  });
  return text;
}

std::string tessera::derivatives::describeKept(Value value) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  stream << bytesOf(value) << " bytes: ";
  for (int64_t size : shapeOf(value))
    stream << size << "x";
  stream << getElementTypeOrSelf(value.getType()) << " of ";
  if (Operation *op = value.getDefiningOp())
    stream << op->getName();
  else
    stream << "an argument";
  return text;
}
