// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Provenance.h"
#include "dialects/Tessera/Transforms/Passes.h"
#include "tessera/Analysis/ReshardPlanner.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;

namespace tessera {
#define GEN_PASS_DEF_CHOOSEEXPANSIONS
#include "dialects/Tessera/Transforms/Passes.h.inc"

namespace {

constexpr int maxRounds = 4;

/// Modelled time of what the layouts make a program communicate.
struct Prices {
  double whole = 0, expanded = 0;
};

SmallVector<ExpansionInterface> findCandidates(ModuleOp module) {
  SmallVector<ExpansionInterface> candidates;
  module.walk([&](ExpansionInterface op) {
    if (isa<MeshTensorType>(op->getResult(0).getType()) && op.isExpandable())
      candidates.push_back(op);
  });
  return candidates;
}

double priceOf(MeshTensorType from, const Layout &to, const Mesh &mesh) {
  return planReshard(from.getLayout(), to, from.getShape().vec(),
                     (from.getElementTypeBitWidth() + 7) / 8, mesh)
      .nanoseconds;
}

/// What gathering the dimensions that `op` needs whole costs; 0 where none of
/// them is split.
double priceOfWhole(Operation *op, const Mesh &mesh) {
  FactorRule rule = cast<FactorRuleInterface>(op).getFactorRule();
  double price = 0;
  llvm::SmallDenseSet<Value> seen;
  for (auto [operand, dims] :
       llvm::zip_equal(op->getOperands(), rule.operands)) {
    auto type = dyn_cast<MeshTensorType>(operand.getType());
    if (!type || !seen.insert(operand).second)
      continue;
    Layout whole = type.getLayout().closed();
    for (auto [dim, factors] : llvm::zip_equal(whole.dims, dims))
      if (llvm::any_of(factors, [&](int factor) {
            return rule.factors[factor].kind == FactorKind::Replicate;
          }))
        dim.axes.clear();
    if (!whole.sameSharding(type.getLayout()))
      price += priceOf(type, whole, mesh);
  }
  return price;
}

/// Whether `op` makes one value of each row that it needs whole. As for a
/// reduction, nothing is gathered for it, however few its elements are.
bool isReduction(Operation *op) {
  auto kernel = dyn_cast<KernelInterface>(op);
  if (!kernel || kernel.getKernelRole() != KernelRole::Rows)
    return false;
  FactorRule rule = cast<FactorRuleInterface>(op).getFactorRule();
  std::vector<bool> isInResult(rule.factors.size(), false);
  for (const TensorFactors &dims : rule.results)
    for (const DimFactors &factors : dims)
      for (int factor : factors)
        isInResult[factor] = true;
  for (auto [factor, isKept] : llvm::zip_equal(rule.factors, isInResult))
    if (factor.kind == FactorKind::Replicate && !isKept)
      return true;
  return false;
}

struct ChooseExpansionsPass : impl::ChooseExpansionsBase<ChooseExpansionsPass> {
  using ChooseExpansionsBase::ChooseExpansionsBase;

  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (failed(verifyRegionsAreKnown(function, getArgument())))
        return signalPassFailure();
    for (int round = 0; round < maxRounds; ++round) {
      FailureOr<bool> changed = expandOnce();
      if (failed(changed))
        return signalPassFailure();
      if (!*changed)
        return;
    }
  }

private:
  /// Writes out the ops that should be; tells whether there were any.
  FailureOr<bool> expandOnce() {
    ModuleOp module = getOperation();
    SmallVector<ExpansionInterface> candidates = findCandidates(module);
    if (candidates.empty())
      return false;
    // Passes can be run on what is nested in this module.
    ModuleOp trial = module.clone();
    module.push_back(trial);
    llvm::scope_exit eraseTrial([&] { trial.erase(); });
    OpPassManager propagate(ModuleOp::getOperationName());
    propagate.addPass(createPropagateLayouts());
    if (failed(runPipeline(propagate, trial)))
      return failure();
    bool changed = false;
    for (auto [op, laidOut] :
         llvm::zip_equal(candidates, findCandidates(trial))) {
      FailureOr<std::optional<Prices>> prices = weigh(laidOut);
      if (failed(prices))
        return failure();
      bool isForced = always || isReduction(op);
      if (!*prices || (!isForced && (*prices)->expanded >= (*prices)->whole))
        continue;
      mark(op, **prices);
      changed = true;
    }
    if (!changed)
      return false;
    DecomposeOpsOptions options;
    options.onlyMarked = true;
    for (auto function : module.getOps<func::FuncOp>()) {
      OpPassManager onFunction(func::FuncOp::getOperationName());
      onFunction.addPass(createDecomposeOps(options));
      // Ops of the same rows have parts in common, which are reduced once.
      onFunction.addPass(createCSEPass());
      if (failed(runPipeline(onFunction, function)))
        return failure();
    }
    return true;
  }

  void mark(Operation *op, const Prices &prices) {
    std::string note =
        llvm::formatv("{0}{1} is computed by parts, ~{2:F1} us instead of "
                      "~{3:F1} us for gathering what it needs whole",
                      expansionNote, op->getName().getStringRef(),
                      prices.expanded / 1e3, prices.whole / 1e3);
    if (!cast<ExpansionInterface>(op).expandInPlace())
      op->setAttr(expandAttrName, UnitAttr::get(&getContext()));
    op->setLoc(
        NameLoc::get(StringAttr::get(&getContext(), note), op->getLoc()));
  }

  /// Both prices of `op`, whose layouts are known; nothing where the op needs
  /// no gathering. Layers that repeat are asked once.
  FailureOr<std::optional<Prices>> weigh(Operation *op) {
    const Layout &layout =
        cast<MeshTensorType>(op->getResult(0).getType()).getLayout();
    std::optional<Mesh> mesh = dist::lookupMesh(op, layout.mesh);
    if (!mesh)
      return std::optional<Prices>();
    SmallVector<Attribute> types;
    for (Type type : op->getOperandTypes())
      types.push_back(TypeAttr::get(type));
    auto key = ArrayAttr::get(
        &getContext(),
        {StringAttr::get(&getContext(), op->getName().getStringRef()),
         op->getPropertiesAsAttribute(), ArrayAttr::get(&getContext(), types)});
    auto known = prices.find(key);
    if (known != prices.end())
      return known->second;
    std::optional<Prices> result;
    double whole = priceOfWhole(op, *mesh);
    if (whole > 0) {
      FailureOr<double> expanded = priceOfExpansion(op, *mesh);
      if (failed(expanded))
        return failure();
      result = Prices{whole, *expanded};
    }
    prices[key] = result;
    return result;
  }

  /// What the expansion of `op` communicates: of a program of its own, whose
  /// arguments are laid out as the operands, the reshards and exchanges.
  FailureOr<double> priceOfExpansion(Operation *op, const Mesh &mesh) {
    OpBuilder builder(&getContext());
    Location loc = op->getLoc();
    auto program = ModuleOp::create(loc);
    getOperation().push_back(program);
    llvm::scope_exit eraseProgram([&] { program.erase(); });
    builder.setInsertionPointToStart(program.getBody());
    Mesh axes = mesh;
    axes.name.clear();
    dist::MeshOp::create(builder, loc, mesh.name,
                         dist::MeshAttr::get(&getContext(), axes));
    auto result = cast<MeshTensorType>(op->getResult(0).getType());
    result = result.withLayout(
        Layout::open(result.getLayout().mesh, result.getShape().size()));
    SmallVector<Type> types(op->getOperandTypes());
    auto function = func::FuncOp::create(
        builder, loc, "expansion", builder.getFunctionType(types, {result}));
    Block *block = function.addEntryBlock();
    builder.setInsertionPointToStart(block);
    Operation *copy = builder.clone(*op);
    copy->setOperands(block->getArguments());
    copy->getResult(0).setType(result);
    copy->setDiscardableAttrs(builder.getDictionaryAttr({}));
    func::ReturnOp::create(builder, loc, copy->getResults());

    OpPassManager passes(ModuleOp::getOperationName());
    if (!cast<ExpansionInterface>(copy).expandInPlace())
      passes.addNestedPass<func::FuncOp>(createDecomposeOps());
    passes.addPass(createPropagateLayouts());
    passes.addPass(createInsertReshards());
    if (failed(runPipeline(passes, program)))
      return failure();
    double price = 0;
    program.walk([&](ReshardOp reshard) {
      price += priceOf(cast<MeshTensorType>(reshard->getOperand(0).getType()),
                       reshard.getType().getLayout(), mesh);
    });
    program.walk([&](ExpansionInterface part) {
      if (std::optional<Exchange> exchange = part.getExchange(mesh))
        price += priceOf(exchange->from, exchange->to.getLayout(), mesh);
    });
    return price;
  }

  llvm::DenseMap<Attribute, std::optional<Prices>> prices;
};

} // namespace
} // namespace tessera
