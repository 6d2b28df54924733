// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "KernelGroups.h"
#include "AttentionKernels.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace tessera;

/// The part that `op` has in a kernel; of ops that say none, a kernel of its
/// own, whose emitter reports that it does not know the op.
static KernelRole roleOf(Operation *op) {
  auto kernel = dyn_cast<KernelInterface>(op);
  return kernel ? kernel.getKernelRole() : KernelRole::Indexed;
}

bool tessera::isHostOp(Operation *op) {
  // Loops, conditionals and barriers; effects, which have no result.
  if (auto attention = dyn_cast<AttentionOp>(op))
    return static_cast<bool>(findLogsumexp(attention));
  return isa<DataFlowInterface, func::CallOp>(op) || op->getNumRegions() > 0 ||
         op->getNumResults() == 0 ||
         isa_and_nonnull<dist::DistDialect>(op->getDialect()) ||
         roleOf(op) == KernelRole::Host || roleOf(op) == KernelRole::Alone;
}

bool tessera::isFreeOp(Operation *op) {
  auto kernel = dyn_cast<KernelInterface>(op);
  return kernel && kernel.isCheapToClone() && !isHostOp(op);
}

bool tessera::isElementwise(Operation *op) {
  return roleOf(op) == KernelRole::Elementwise;
}

bool tessera::readsFromMemory(Operation *user, Value value) {
  if (auto gather = dyn_cast<GatherOp>(user))
    return gather.getSource() == value;
  // Every block of a scatter reads all indices.
  if (auto scatter = dyn_cast<ScatterOp>(user))
    if (llvm::is_contained(scatter.getIndices(), value))
      return true;
  if (roleOf(user) == KernelRole::Update)
    return user->getOperand(0) == value;
  auto slice = dyn_cast<SliceOp>(user);
  return slice && llvm::any_of(slice.getStrides(),
                               [](int64_t stride) { return stride != 1; });
}

/// Ops that kernels may compute again where they are used.
static bool isLightOp(Operation *op) {
  if (isHostOp(op) || isFreeOp(op))
    return false;
  KernelRole role = roleOf(op);
  return role == KernelRole::Elementwise || role == KernelRole::Movement ||
         role == KernelRole::Indexed;
}

/// Whether only dimensions of size one come and go.
static bool isUnitReshape(Operation *op) {
  auto reshape = dyn_cast<ReshapeOp>(op);
  if (!reshape)
    return false;
  auto sizes = [](Value value) {
    return llvm::make_filter_range(shapeOf(value),
                                   [](int64_t size) { return size != 1; });
  };
  return llvm::equal(sizes(reshape.getInput()), sizes(reshape.getResult()));
}

std::optional<int64_t> tessera::cutDim(ReshapeOp op) {
  ArrayRef<int64_t> from = shapeOf(op.getInput()), to = shapeOf(op.getResult());
  if (to.size() != from.size() + 1)
    return std::nullopt;
  for (size_t d = 0; d < from.size(); ++d)
    if (to[d] > 1 && to[d + 1] > 1 && to[d] * to[d + 1] == from[d] &&
        to.take_front(d) == from.take_front(d) &&
        to.drop_front(d + 2) == from.drop_front(d + 1))
      return static_cast<int64_t>(d);
  return std::nullopt;
}

/// Whether `value` is used, through elementwise ops, by reductions alone that
/// take dimension `dim + 1` whole and keep `dim`: blocks of them have one piece
/// of what was cut.
static bool isReducedByPiece(Value value, int64_t dim) {
  constexpr int mostLinks = 4;
  for (int links = 0; links < mostLinks; ++links) {
    auto takesPieces = [&](Operation *user) {
      auto reduce = dyn_cast<ReduceOp>(user);
      return reduce && llvm::is_contained(reduce.getDims(), dim + 1) &&
             !llvm::is_contained(reduce.getDims(), dim);
    };
    if (llvm::all_of(value.getUsers(), takesPieces))
      return true;
    if (!value.hasOneUse() || !isElementwise(*value.user_begin()))
      return false;
    value = (*value.user_begin())->getResult(0);
  }
  return false;
}

/// Whether kernels can do it; else the host renames the bytes.
static bool isKernelReshape(Operation *op) {
  if (isUnitReshape(op))
    return true;
  auto reshape = dyn_cast<ReshapeOp>(op);
  std::optional<int64_t> dim = reshape ? cutDim(reshape) : std::nullopt;
  return dim && isReducedByPiece(op->getResult(0), *dim);
}

static KernelOpClass classOf(Operation *op) {
  // Of what kernels compute.
  if (isKernelReshape(op))
    if (Operation *def = op->getOperand(0).getDefiningOp();
        def && def->getBlock() == op->getBlock() && isLightOp(def))
      return KernelOpClass::Moving;
  if (isHostOp(op) || op->getNumResults() == 0)
    return KernelOpClass::Host;
  if (isFreeOp(op))
    return KernelOpClass::Free;
  switch (roleOf(op)) {
  case KernelRole::Elementwise:
    return KernelOpClass::Elementwise;
  case KernelRole::Rows:
    return KernelOpClass::Rows;
  case KernelRole::Product:
    return KernelOpClass::Product;
  case KernelRole::Attention:
    return KernelOpClass::Attention;
  case KernelRole::Update:
    return KernelOpClass::Update;
  default:
    return KernelOpClass::Moving;
  }
}

/// Simple instructions per element, roughly.
static double costOf(Operation *op) {
  // A comparison and a choice for each input after the first.
  if (auto concatenate = dyn_cast<ConcatenateOp>(op))
    return 2.0 * static_cast<double>(concatenate.getInputs().size() - 1);
  if (isa<PadOp>(op))
    return 2;
  auto kernel = dyn_cast<KernelInterface>(op);
  int64_t cost = kernel ? kernel.getElementCost() : 1;
  switch (roleOf(op)) {
  case KernelRole::Host:
  case KernelRole::Movement:
    return 0;
  case KernelRole::Indexed:
    return static_cast<double>(std::max(cost, expensiveElement));
  default:
    return static_cast<double>(cost);
  }
}

/// Scalars count as tensors of shape [1].
static SmallVector<int64_t> shapeOf1(Value value) {
  SmallVector<int64_t> shape(shapeOf(value));
  if (shape.empty())
    shape.push_back(1);
  return shape;
}

static int64_t numElementsOf(Value value) {
  if (!isa<ShapedType>(value.getType()))
    return 1;
  return ShapedType::getNumElements(shapeOf(value));
}

static unsigned bitsOf(Value value) {
  return getElementTypeOrSelf(value.getType()).getIntOrFloatBitWidth();
}

static std::vector<int64_t> keyOf(int64_t tag, ArrayRef<int64_t> rest) {
  std::vector<int64_t> key = {tag};
  key.insert(key.end(), rest.begin(), rest.end());
  return key;
}

/// Which boxes ops read, as keys of KernelGroups::numberOf.
enum BoxKey : int64_t {
  Shifted,
  Permuted,
  Broadcast,
  Reduced,
  Columns,
  Reshaped,
  Other,
  ShapeKey,
  WholeDimKey,
};

int KernelGroups::numberOf(ArrayRef<int64_t> key) {
  int next = static_cast<int>(numbers.size()) + 1;
  return numbers.try_emplace(key.vec(), next).first->second;
}

/// The node of a value; values from outside of the block are in memory.
int KernelGroups::nodeOf(Value value) {
  auto [place, isNew] =
      nodeOfValue.try_emplace(value, static_cast<int>(nodes.size()));
  if (isNew) {
    nodes.emplace_back().elements = numElementsOf(value);
    ops.push_back(nullptr);
  }
  return place->second;
}

KernelGroups::KernelGroups(Block &block) {
  for (Operation &op : block)
    describe(&op);
}

void KernelGroups::describe(Operation *op) {
  KernelNode node;
  node.kind = classOf(op);
  if (node.kind == KernelOpClass::Host) {
    auto add = [&](Value value) {
      node.operands.push_back({nodeOf(value), KernelAccess::Memory});
    };
    llvm::for_each(op->getOperands(), add);
    // What the ops of its regions read is in memory, too.
    op->walk([&](Operation *inner) {
      for (Value operand : inner->getOperands())
        if (inner != op && operand.getParentBlock() == op->getBlock())
          add(operand);
    });
  } else {
    node.elements = numElementsOf(op->getResult(0));
    node.cost = costOf(op);
    node.shape = numberOf(keyOf(ShapeKey, shapeOf1(op->getResult(0))));
    node.isPrologue = isa<TransposeOp, ConvertOp>(op);
    if (auto convert = dyn_cast<ConvertOp>(op))
      node.isWidening =
          bitsOf(convert.getInput()) < bitsOf(convert.getResult());
    node.isConstant = isa<ConstantOp>(op);
    node.isRenaming = isa<ReshapeOp>(op);
    describeOperands(op, node);
  }
  int index = static_cast<int>(nodes.size());
  for (Value result : op->getResults())
    nodeOfValue[result] = index;
  nodeOfOp[op] = index;
  nodes.push_back(std::move(node));
  ops.push_back(op);
}

/// What an op of a kernel reads of its operands.
void KernelGroups::describeOperands(Operation *op, KernelNode &node) {
  auto elements = static_cast<double>(std::max<int64_t>(1, node.elements));
  auto read = [&](Value value, KernelAccess access, int transform) {
    KernelOperand operand{nodeOf(value), access, transform};
    operand.share =
        static_cast<double>(nodes[operand.node].elements) / elements;
    node.operands.push_back(operand);
  };
  // Of ops that compute an operand's element for each of their own.
  auto readBox = [&](Value value, ArrayRef<int64_t> key) {
    bool isSame = key[0] == Shifted &&
                  llvm::all_of(key.drop_front(),
                               [](int64_t shift) { return shift == 0; });
    node.operands.push_back(
        {nodeOf(value), KernelAccess::Element, isSame ? 0 : numberOf(key), 1});
  };
  auto readAlone = [&](Value value, KernelAccess access) {
    read(value, access,
         numberOf({Other, static_cast<int64_t>(ops.size()),
                   static_cast<int64_t>(node.operands.size())}));
  };
  auto rows = [&](ArrayRef<int64_t> shape, ArrayRef<int64_t> dims) {
    std::vector<int64_t> key = keyOf(WholeDimKey, shape);
    key.insert(key.end(), dims.begin(), dims.end());
    key.push_back(static_cast<int64_t>(dims.size()));
    node.rowClass = numberOf(key);
  };

  // Of ops that combine elements along `dims` of an operand.
  auto readReduced = [&](Value value, ArrayRef<int64_t> dims) {
    rows(shapeOf(value), dims);
    std::vector<int64_t> key = keyOf(Reduced, dims);
    llvm::append_range(key, shapeOf(value));
    read(value, KernelAccess::Element, dims.empty() ? 0 : numberOf(key));
  };

  if (isElementwise(op)) {
    for (Value operand : op->getOperands())
      node.operands.push_back({nodeOf(operand), KernelAccess::Element, 0, 1});
    return;
  }
  llvm::TypeSwitch<Operation *>(op)
      .Case([&](BroadcastOp op) {
        std::vector<int64_t> key = keyOf(Broadcast, op.getDims());
        llvm::append_range(key, shapeOf(op.getInput()));
        read(op.getInput(), KernelAccess::Repeated, numberOf(key));
      })
      .Case([&](ReshapeOp op) {
        std::vector<int64_t> key = keyOf(Reshaped, shapeOf(op.getInput()));
        key.push_back(-1);
        llvm::append_range(key, shapeOf(op.getResult()));
        readBox(op.getInput(), key);
      })
      .Case([&](TransposeOp op) {
        readBox(op.getInput(), keyOf(Permuted, op.getPermutation()));
      })
      .Case([&](SliceOp op) {
        if (readsFromMemory(op, op.getInput()))
          return read(op.getInput(), KernelAccess::Memory, 0);
        readBox(op.getInput(), keyOf(Shifted, op.getStarts()));
      })
      .Case([&](PadOp op) {
        std::vector<int64_t> key = keyOf(Shifted, op.getLow());
        for (int64_t &shift : llvm::drop_begin(key))
          shift = -shift;
        readBox(op.getInput(), key);
      })
      .Case([&](ConcatenateOp op) {
        std::vector<int64_t> key(shapeOf(op.getResult()).size() + 1, 0);
        key[0] = Shifted;
        for (Value input : op.getInputs()) {
          readBox(input, key);
          key[op.getDim() + 1] -= shapeOf(input)[op.getDim()];
        }
      })
      .Case([&](GatherOp op) {
        read(op.getSource(), KernelAccess::Memory, 0);
        for (Value indices : op.getIndices())
          readAlone(indices, KernelAccess::Element);
      })
      .Case([&](DynamicSliceOp op) {
        readBox(op.getInput(), {Other, static_cast<int64_t>(ops.size()), 0});
        for (Value start : op.getStarts())
          readAlone(start, KernelAccess::Repeated);
      })
      .Case([&](DynamicUpdateSliceOp op) {
        read(op.getInput(), KernelAccess::Memory, 0);
        for (Value start : op.getStarts())
          readAlone(start, KernelAccess::Repeated);
        readAlone(op.getUpdate(), KernelAccess::Element);
      })
      .Case([&](ScatterOp op) {
        read(op.getInput(), KernelAccess::Memory, 0);
        for (Value indices : op.getIndices())
          read(indices, KernelAccess::Memory, 0);
        readAlone(op.getUpdates(), KernelAccess::Element);
      })
      .Case([&](ReduceOp op) { readReduced(op.getInput(), op.getDims()); })
      .Case([&](LogsumexpOp op) {
        readReduced(op.getInput(), static_cast<int64_t>(op.getDim()));
      })
      .Case([&](CrossEntropyOp op) {
        auto rank = static_cast<int64_t>(shapeOf(op.getLogits()).size());
        readReduced(op.getLogits(), rank - 1);
        read(op.getLabels(), KernelAccess::Element, 0);
      })
      .Case([&](CumulativeOp op) {
        // Rows that it carries on from piece to piece are its own.
        rows(shapeOf(op.getResult()), {-1, static_cast<int64_t>(ops.size())});
        read(op.getInput(), KernelAccess::Element, 0);
      })
      .Case([&](SoftmaxOp op) {
        auto dim = static_cast<int64_t>(op.getDim());
        rows(shapeOf(op.getResult()), dim);
        read(op.getInput(), KernelAccess::Element, 0);
      })
      .Case<LayerNormOp, RmsNormOp>([&](auto op) {
        auto last = static_cast<int64_t>(shapeOf(op.getResult()).size()) - 1;
        rows(shapeOf(op.getResult()), last);
        read(op.getInput(), KernelAccess::Element, 0);
        for (Value column : op->getOperands().drop_front())
          read(column, KernelAccess::Repeated, numberOf({Columns, last}));
      })
      .Case([&](NormTangentOp op) {
        auto last = static_cast<int64_t>(shapeOf(op.getResult()).size()) - 1;
        rows(shapeOf(op.getResult()), last);
        for (Value operand : op->getOperands())
          read(operand, KernelAccess::Element, 0);
      })
      .Case([&](ContractOp op) {
        for (Value operand : op->getOperands())
          readAlone(operand, KernelAccess::Blocks);
      })
      .Case([&](AttentionOp op) {
        for (Value operand : op->getOperands())
          readAlone(operand, KernelAccess::Streamed);
      })
      .Case<IotaOp>([&](auto op) {
        for (Value operand : op->getOperands())
          readAlone(operand, KernelAccess::Repeated);
      })
      .Default([&](Operation *op) {
        for (Value operand : op->getOperands())
          readAlone(operand, KernelAccess::Element);
      });
}

KernelGroup KernelGroups::translate(const KernelGroupPlan &plan) const {
  KernelGroup group;
  for (int root : plan.roots)
    group.roots.push_back(ops[root]);
  llvm::sort(group.roots,
             [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  group.kind = plan.kind;
  group.heavy = plan.heavy < 0 ? nullptr : ops[plan.heavy];
  for (int member : plan.members)
    group.members.insert(ops[member]);
  return group;
}

std::vector<KernelGroup> KernelGroups::form() const {
  std::vector<KernelGroup> groups;
  for (const KernelGroupPlan &plan : planKernelGroups(nodes))
    groups.push_back(translate(plan));
  return groups;
}

std::vector<KernelGroup> KernelGroups::split(const KernelGroup &group) const {
  KernelGroupPlan plan;
  for (Operation *root : llvm::reverse(group.roots))
    plan.roots.push_back(nodeOfOp.lookup(root));
  for (Operation *member : group.members)
    plan.members.push_back(nodeOfOp.lookup(member));
  std::vector<KernelGroup> groups;
  for (const KernelGroupPlan &part : splitKernelGroup(nodes, plan))
    groups.push_back(translate(part));
  return groups;
}
