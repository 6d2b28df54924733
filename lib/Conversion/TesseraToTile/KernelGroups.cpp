// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "KernelGroups.h"

using namespace mlir;
using namespace tessera;

/// The part that `op` has in a kernel; of ops that say none, a kernel of its
/// own, whose emitter reports that it does not know the op.
static KernelRole roleOf(Operation *op) {
  auto kernel = dyn_cast<KernelInterface>(op);
  return kernel ? kernel.getKernelRole() : KernelRole::Indexed;
}

bool tessera::isHostOp(Operation *op) {
  return isa<func::ReturnOp, func::CallOp>(op) ||
         isa_and_nonnull<dist::DistDialect>(op->getDialect()) ||
         roleOf(op) == KernelRole::Host;
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
  auto slice = dyn_cast<SliceOp>(user);
  return slice && llvm::any_of(slice.getStrides(),
                               [](int64_t stride) { return stride != 1; });
}

/// Ops that take many instructions an element.
static bool isExpensive(Operation *op) {
  auto kernel = dyn_cast<KernelInterface>(op);
  return kernel && kernel.getElementCost() >= expensiveElement;
}

static KernelKind kindOf(Operation *op) {
  switch (roleOf(op)) {
  case KernelRole::Product:
    return KernelKind::Product;
  case KernelRole::Attention:
    return KernelKind::Attention;
  case KernelRole::Rows:
    return KernelKind::Rows;
  default:
    return KernelKind::Pointwise;
  }
}

namespace {

class Grouper {
public:
  std::vector<KernelGroup> run(func::FuncOp function) {
    Block &block = function.getBody().front();
    for (Operation &op : llvm::reverse(block))
      visit(&op);
    std::reverse(groups.begin(), groups.end());
    std::vector<KernelGroup> result;
    for (auto &group : groups)
      result.push_back(std::move(*group));
    return result;
  }

private:
  void visit(Operation *op) {
    if (isHostOp(op) || op->getNumResults() == 0)
      return;
    Users users = usersOf(op->getResult(0));
    if (isFreeOp(op)) {
      // Made anew by each kernel that does not need it in memory. A splat that
      // the host brings there is best left a constant.
      if ((users.onHost || users.fromMemory) && !isa<ConstantOp>(op))
        start(op);
      return;
    }
    if (users.onHost || users.groups.size() != 1 ||
        !canJoin(op, **users.groups.begin(), users)) {
      if (!users.onHost && users.groups.empty())
        return;
      start(op);
      return;
    }
    KernelGroup *group = *users.groups.begin();
    group->members.insert(op);
    groupOf[op] = group;
    if (kindOf(op) != KernelKind::Pointwise) {
      group->kind = kindOf(op);
      group->heavy = op;
    }
    if (isElementwise(op) && allIdentity(users))
      identity.insert(op);
  }

  void start(Operation *op) {
    auto group = std::make_unique<KernelGroup>();
    group->root = op;
    group->kind = kindOf(op);
    if (group->kind != KernelKind::Pointwise)
      group->heavy = op;
    group->members.insert(op);
    groupOf[op] = group.get();
    if (isElementwise(op))
      identity.insert(op);
    groups.push_back(std::move(group));
  }

  /// Who uses a value, seen through ops that are made anew.
  struct Users {
    bool onHost = false;
    bool fromMemory = false;
    bool throughBroadcast = false;
    SmallPtrSet<KernelGroup *, 4> groups;
    SmallVector<Operation *> ops;
  };

  Users usersOf(Value value) {
    Users users;
    collect(value, users);
    return users;
  }

  void collect(Value value, Users &users) {
    for (Operation *user : value.getUsers()) {
      if (isHostOp(user)) {
        users.onHost = true;
        continue;
      }
      users.fromMemory |= readsFromMemory(user, value);
      if (KernelGroup *group = groupOf.lookup(user)) {
        users.groups.insert(group);
        users.ops.push_back(user);
      }
      if (isFreeOp(user)) {
        users.throughBroadcast = true;
        Users further;
        collect(user->getResult(0), further);
        users.groups.insert(further.groups.begin(), further.groups.end());
        llvm::append_range(users.ops, further.ops);
      }
    }
  }

  /// All users work element by element up to the root, on the same block.
  bool allIdentity(const Users &users) {
    return !users.throughBroadcast &&
           llvm::all_of(users.ops, [&](Operation *user) {
             return identity.contains(user);
           });
  }

  bool canJoin(Operation *op, KernelGroup &group, const Users &users) {
    if (users.fromMemory)
      return false;
    if (kindOf(op) != KernelKind::Pointwise)
      return group.kind == KernelKind::Pointwise && allIdentity(users);
    // Attention loads its operands from memory, block by block, many times.
    bool feedsHeavy = llvm::any_of(users.ops, [&](Operation *user) {
      return roleOf(user) == KernelRole::Product ||
             roleOf(user) == KernelRole::Attention;
    });
    if (feedsHeavy)
      return isa<TransposeOp, ConvertOp>(op) &&
             llvm::none_of(users.ops, [](Operation *user) {
               return roleOf(user) == KernelRole::Attention;
             });
    // What is repeated by a broadcast or read by several places of a
    // concatenation would be computed as often.
    KernelRole role = roleOf(op);
    if (users.throughBroadcast &&
        (isExpensive(op) || role == KernelRole::Indexed))
      return false;
    return role == KernelRole::Elementwise || role == KernelRole::Movement ||
           role == KernelRole::Indexed;
  }

  std::vector<std::unique_ptr<KernelGroup>> groups;
  llvm::DenseMap<Operation *, KernelGroup *> groupOf;
  /// Members whose element (i, j) the root needs for its element (i, j) alone.
  llvm::DenseSet<Operation *> identity;
};

} // namespace

std::vector<KernelGroup> tessera::formKernelGroups(func::FuncOp function) {
  return Grouper().run(function);
}
