// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "StageContract.h"

#include "FactorContract.h"
#include "dialects/Dist/IR/Boundary.h"
#include "dialects/Plan/IR/Lifetimes.h"
#include "dialects/Tessera/IR/Tessera.h"
#include "dialects/Tile/IR/Tile.h"
#include "tessera/ABI/KernelABI.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

#include <map>

using namespace mlir;
using namespace tessera;

namespace {
/// What is wrong, or nothing.
using Problem = std::optional<std::string>;

template <typename... Parts> std::string text(const Parts &...parts) {
  std::string result;
  llvm::raw_string_ostream stream(result);
  (stream << ... << parts);
  return result;
}

class ContractVerifier {
public:
  ContractVerifier(ModuleOp module, Stage stage, ContractParty party)
      : module(module), stage(stage), party(party) {}

  LogicalResult verify();

private:
  LogicalResult fail(Operation *op, const Problem &problem);
  /// `check` on every op below the module; the first problem ends it.
  LogicalResult forEachOp(llvm::function_ref<Problem(Operation *)> check);

  Problem checkLayouts(Operation *op);
  Problem checkReshards(Operation *op);
  Problem checkLocal(Operation *op);
  Problem checkKernels(Operation *op);
  Problem checkPlan(Operation *op);

  ModuleOp module;
  Stage stage;
  ContractParty party;
  /// Types whose layouts are in order. Many values have one, and a mesh's name
  /// means the same all over the module.
  llvm::DenseSet<Type> checked;
};
} // namespace

LogicalResult ContractVerifier::fail(Operation *op, const Problem &problem) {
  StringRef name = getStageInfo(stage).name;
  InFlightDiagnostic error = emitError(op->getLoc());
  if (party == ContractParty::Passes)
    error << "internal error: the passes to stage '" << name << "' left '"
          << op->getName() << "', which ";
  else
    error << "the input is not of stage '" << name << "': '" << op->getName()
          << "' ";
  error << *problem;
  if (party == ContractParty::Passes)
    error.attachNote() << "docs/architecture.md says what a stage holds; where "
                          "the input was a program of stage '"
                       << getStageInfo(getStageInfo(stage).from).name
                       << "', this is a defect of Tessera";
  else
    error.attachNote() << "a module of "
                       << (stage == Stage::Local ? "neither mesh tensors nor"
                                                 : "")
                       << " tile kernels is taken for that stage; "
                          "docs/architecture.md says what it holds";
  return error;
}

LogicalResult
ContractVerifier::forEachOp(llvm::function_ref<Problem(Operation *)> check) {
  WalkResult result = module.walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (op == module)
      return WalkResult::advance();
    if (Problem problem = check(op)) {
      (void)fail(op, problem);
      return WalkResult::interrupt();
    }
    return WalkResult::advance();
  });
  return failure(result.wasInterrupted());
}

//===----------------------------------------------------------------------===//
// layouts, reshards
//===----------------------------------------------------------------------===//

/// The types of an op's results and of its regions' arguments.
static SmallVector<Type, 2> definedTypes(Operation *op) {
  SmallVector<Type, 2> types(op->getResultTypes());
  if (auto function = dyn_cast<func::FuncOp>(op))
    llvm::append_range(types, function.getArgumentTypes());
  else
    for (Region &region : op->getRegions())
      llvm::append_range(types, region.getArgumentTypes());
  return types;
}

/// The regions of an op are ones that passes know.
static Problem checkRegions(Operation *op) {
  if (hasKnownRegions(op))
    return std::nullopt;
  return "has regions that no pass knows; an op with regions implements "
         "DataFlowInterface";
}

/// All ends of each edge have one layout, up to the leading dimension, which is
/// whole; what decides about control is whole.
static Problem checkEdges(DataFlowInterface op) {
  for (const DataFlowEdge &edge : op.getDataFlowEdges()) {
    std::optional<Layout> common;
    auto check = [&](Value end, bool hasLeading) -> Problem {
      const Layout *layout = layoutOf(end.getType());
      if (!layout)
        return std::nullopt;
      Layout element = layout->closed();
      if (hasLeading) {
        if (!element.dims.front().axes.empty())
          return text("splits the leading dimension of ", edge.describe(), ", ",
                      layout->str());
        element.dims.erase(element.dims.begin());
      }
      if (!common)
        common = element;
      if (element == *common)
        return std::nullopt;
      return text("has ", edge.describe(), " as ", common->str(), " and as ",
                  element.str());
    };
    for (OpOperand *source : edge.sources)
      if (Problem problem = check(source->get(), edge.hasLeadingSource()))
        return problem;
    for (Value target : edge.targets)
      if (Problem problem = check(target, edge.hasLeadingTarget()))
        return problem;
  }
  auto checkWhole = [](Value value) -> Problem {
    const Layout *layout = layoutOf(value.getType());
    if (!layout || layout->isReplicated())
      return std::nullopt;
    return text("decides by a value of layout ", layout->str());
  };
  for (OpOperand *operand : op.getControlOperands())
    if (Problem problem = checkWhole(operand->get()))
      return problem;
  for (Value value : op.getControlValues())
    if (Problem problem = checkWhole(value))
      return problem;
  return std::nullopt;
}

Problem ContractVerifier::checkLayouts(Operation *op) {
  if (Problem problem = checkRegions(op))
    return problem;
  for (Type type : definedTypes(op)) {
    const Layout *layout = layoutOf(type);
    if (!layout || !checked.insert(type).second)
      continue;
    std::optional<Mesh> mesh = dist::lookupMesh(op, layout->mesh);
    if (!mesh)
      return text("is on mesh @", layout->mesh, ", which does not exist");
    if (Problem error = findLayoutError(*layout, *mesh, layout->dims.size()))
      return text("has layout ", layout->str(), ": ", *error);
    if (*layout != layout->closed())
      return text("has layout ", layout->str(), " with an open dimension");
  }
  return std::nullopt;
}

Problem ContractVerifier::checkReshards(Operation *op) {
  if (Problem problem = checkLayouts(op))
    return problem;
  if (isa<ConstrainOp>(op))
    return "is a constraint, to be resolved by reshards";
  if (auto flow = dyn_cast<DataFlowInterface>(op))
    return checkEdges(flow);
  auto rule = dyn_cast<FactorRuleInterface>(op);
  const Layout *layout = rule && op->getNumResults()
                             ? layoutOf(op->getResult(0).getType())
                             : nullptr;
  if (!layout)
    return std::nullopt;
  return findFactorProblem(rule, *dist::lookupMesh(op, layout->mesh));
}

//===----------------------------------------------------------------------===//
// local, kernels
//===----------------------------------------------------------------------===//

/// The layout and whole tensor that a function's argument or result of type
/// `local` states.
static Problem checkBoundary(Operation *function,
                             const dist::Boundary &boundary, Type local,
                             const std::string &what) {
  auto [layout, global] = boundary;
  // Functions that no program calls, as tests have them, may lack both.
  if (!layout && !global)
    return std::nullopt;
  if (!layout || !global)
    return text("has ",
                layout ? dist::layoutAttrName : dist::globalTypeAttrName,
                " alone on ", what);
  const Layout &plain = layout.getValue();
  std::optional<Mesh> mesh = dist::lookupMesh(function, plain.mesh);
  if (!mesh)
    return text("has ", what, " on mesh @", plain.mesh,
                ", which does not exist");
  auto whole = dyn_cast<RankedTensorType>(global.getValue());
  if (!whole || !whole.hasStaticShape())
    return text("has a dist.global_type on ", what,
                ", which is not a tensor of static shape");
  if (Problem error = findLayoutError(plain, *mesh, whole.getRank()))
    return text("has ", what, " of layout ", plain.str(), ": ", *error);
  std::vector<int64_t> shape = plain.localShape(whole.getShape().vec(), *mesh);
  auto expected = RankedTensorType::get(shape, whole.getElementType());
  if (local != expected)
    return text("has ", what, " of type ", local, ", but ", whole, " as ",
                plain.str(), " has parts of type ", expected);
  return std::nullopt;
}

static Problem checkBoundaries(func::FuncOp function) {
  // Many arguments are alike, and what is in order once is so again.
  llvm::DenseSet<std::tuple<Attribute, Attribute, Type>> known;
  auto check = [&](StringRef side, unsigned i, DictionaryAttr attributes,
                   Type type) -> Problem {
    auto [layout, global] = dist::readBoundary(attributes);
    if (!known.insert({layout, global, type}).second)
      return std::nullopt;
    return checkBoundary(function, {layout, global}, type, text(side, " ", i));
  };
  for (auto [i, type] : llvm::enumerate(function.getArgumentTypes()))
    if (Problem problem =
            check("argument", i, function.getArgAttrDict(i), type))
      return problem;
  for (auto [i, type] : llvm::enumerate(function.getResultTypes()))
    if (Problem problem =
            check("result", i, function.getResultAttrDict(i), type))
      return problem;
  return std::nullopt;
}

Problem ContractVerifier::checkLocal(Operation *op) {
  if (Problem problem = checkRegions(op))
    return problem;
  for (Type type : definedTypes(op))
    if (isa<MeshTensorType>(type))
      return text("has a mesh tensor, ", type);
  if (auto function = dyn_cast<func::FuncOp>(op))
    return checkBoundaries(function);
  StringRef dialect = op->getName().getDialectNamespace();
  if (!llvm::is_contained({"tessera", "dist", "func"}, dialect))
    return "does not belong to the dialects tessera, dist and func";
  return std::nullopt;
}

Problem ContractVerifier::checkKernels(Operation *op) {
  // Kernels verify themselves.
  if (isa<tile::KernelOp>(op) || op->getParentOfType<tile::KernelOp>())
    return std::nullopt;
  if (isa<tile::LaunchOp>(op))
    return std::nullopt;
  if (Problem problem = checkLocal(op))
    return problem;
  // Loops, conditionals and effects, and what runs between kernels.
  auto role = dyn_cast<KernelInterface>(op);
  bool isOnHost = isa<DataFlowInterface>(op) || op->getNumResults() == 0 ||
                  (role && role.getKernelRole() == KernelRole::Host);
  if (isa<TesseraDialect>(op->getDialect()) && !isOnHost &&
      !isa<tessera::ConstantOp>(op))
    return "computes outside of a kernel";
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// plan
//===----------------------------------------------------------------------===//

/// The kernel exists, has the same grid, and its memory the buffers' sizes.
static Problem checkLaunch(plan::LaunchOp op) {
  auto kernel = SymbolTable::lookupNearestSymbolFrom<tile::KernelOp>(
      op, op.getKernelAttr());
  if (!kernel)
    return text("launches @", op.getKernel(), ", which does not exist");
  if (kernel.getGrid() != op.getGrid())
    return text("launches a grid that differs from that of @", op.getKernel());
  Block &block = kernel.getBlock();
  if (kernel.getNumInputs() != op.getInputs().size() ||
      block.getNumArguments() != op->getNumOperands())
    return text("has operands that differ from those of @", op.getKernel());
  for (auto [i, buffer] : llvm::enumerate(op->getOperandTypes())) {
    auto memory = cast<MemRefType>(block.getArgument(i).getType());
    int64_t bytes = plan::byteSizeOf(memory);
    int64_t got = cast<plan::BufferType>(buffer).getBytes();
    if (bytes != got)
      return text("gives argument ", i, " of @", op.getKernel(), ", ", bytes,
                  " bytes, a buffer of ", got);
  }
  return std::nullopt;
}

namespace {
/// A piece of the arena and when it holds a value.
struct LivePiece {
  int64_t begin, end; ///< Bytes, end exclusive.
  plan::Lifetime life;
};
} // namespace

/// Those that hold values at one time are disjoint. In the order in which they
/// begin to: those alive by then are disjoint, so that only neighbours count.
static Problem checkDisjoint(SmallVectorImpl<LivePiece> &pieces) {
  llvm::sort(pieces, [](const LivePiece &a, const LivePiece &b) {
    return std::tuple(a.life.begin, a.begin, a.end) <
           std::tuple(b.life.begin, b.begin, b.end);
  });
  std::map<int64_t, const LivePiece *> alive;           // By first byte.
  std::multimap<int64_t, const LivePiece *> endsOfLife; // By last place.
  for (const LivePiece &piece : pieces) {
    auto firstAlive = endsOfLife.lower_bound(piece.life.begin);
    for (auto it = endsOfLife.begin(); it != firstAlive; ++it)
      alive.erase(it->second->begin);
    endsOfLife.erase(endsOfLife.begin(), firstAlive);
    auto next = alive.lower_bound(piece.begin);
    const LivePiece *other = nullptr;
    if (next != alive.end() && next->first < piece.end)
      other = next->second;
    else if (next != alive.begin() &&
             std::prev(next)->second->end > piece.begin)
      other = std::prev(next)->second;
    if (other)
      return text("has two pieces in use at one time at bytes ", piece.begin,
                  " to ", piece.end, " and ", other->begin, " to ", other->end);
    alive[piece.begin] = &piece;
    endsOfLife.emplace(piece.life.end, &piece);
  }
  return std::nullopt;
}

/// Pieces are within the arena; those that hold values at one time are
/// disjoint.
static Problem checkArena(plan::ProgramOp program) {
  if (!program.getArena())
    return "has no size of its arena";
  for (auto stage : program.getOps<plan::StageOp>())
    if (!stage.getArena() || *stage.getArena() > *program.getArena())
      return text("has a stage @", stage.getName(),
                  " without a size of its arena, or with one that is larger "
                  "than the program's");
  plan::Lifetimes lifetimes(program);
  SmallVector<LivePiece> pieces;
  Problem problem;
  int64_t used = 0;
  program.walk([&](plan::AllocateOp op) {
    auto fail = [&](std::string text) {
      problem = std::move(text);
      return WalkResult::interrupt();
    };
    if (!op.getOffset())
      return fail("has a piece of the arena without an offset");
    auto begin = static_cast<int64_t>(*op.getOffset());
    int64_t end = begin + op.getBuffer().getType().getBytes();
    auto stage = op->getParentOfType<plan::StageOp>();
    int64_t arena = *(stage ? stage.getArena() : program.getArena());
    if (end > arena)
      return fail(text("has a piece that ends at byte ", end,
                       " of an arena of ", arena));
    used = std::max(used, end);
    auto life = lifetimes.of(op);
    if (failed(life))
      return fail("has a piece that is used where it is not defined");
    if (*life && begin < end)
      pieces.push_back({begin, end, **life});
    return WalkResult::advance();
  });
  used = llvm::alignTo(used, abi::bufferAlignment);
  if (!problem && static_cast<int64_t>(*program.getArena()) > used)
    return text("has an arena of ", *program.getArena(), " bytes, of which ",
                used, " are used; plan-assign-memory sets its size");
  return problem ? problem : checkDisjoint(pieces);
}

Problem ContractVerifier::checkPlan(Operation *op) {
  if (isa<dist::MeshOp, tile::KernelOp>(op) ||
      op->getParentOfType<tile::KernelOp>())
    return std::nullopt;
  if (!isa<plan::PlanDialect>(op->getDialect()))
    return "does not belong to a plan";
  if (auto program = dyn_cast<plan::ProgramOp>(op))
    return checkArena(program);
  if (auto launch = dyn_cast<plan::LaunchOp>(op))
    return checkLaunch(launch);
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// llvm, nvvm
//===----------------------------------------------------------------------===//

static Problem checkLLVM(Operation *op) {
  if (isa_and_nonnull<LLVM::LLVMDialect>(op->getDialect()))
    return std::nullopt;
  return "does not belong to the LLVM dialect";
}

static Problem checkNVVM(Operation *op) {
  if (isa<gpu::GPUModuleOp>(op) ||
      (op->getParentOfType<gpu::GPUModuleOp>() &&
       isa_and_nonnull<LLVM::LLVMDialect, NVVM::NVVMDialect>(op->getDialect())))
    return std::nullopt;
  return "does not belong to the dialects llvm and nvvm in a gpu.module";
}

//===----------------------------------------------------------------------===//
// All stages
//===----------------------------------------------------------------------===//

LogicalResult ContractVerifier::verify() {
  switch (stage) {
  case Stage::Layouts:
    return forEachOp([&](Operation *op) { return checkLayouts(op); });
  case Stage::Reshards:
    return forEachOp([&](Operation *op) { return checkReshards(op); });
  case Stage::Local:
    return forEachOp([&](Operation *op) { return checkLocal(op); });
  case Stage::Kernels:
    return forEachOp([&](Operation *op) { return checkKernels(op); });
  case Stage::Plan:
    return forEachOp([&](Operation *op) { return checkPlan(op); });
  case Stage::LLVM:
    return forEachOp(checkLLVM);
  case Stage::NVVM:
    return forEachOp(checkNVVM);
  case Stage::Tessera:
  case Stage::PTX:
  case Stage::Cubin:
  case Stage::Object:
  case Stage::Artefact:
    return success();
  }
  llvm_unreachable("unknown stage");
}

bool tessera::hasContract(Stage stage) {
  return !getStageInfo(stage).pipeline.empty();
}

LogicalResult tessera::verifyStage(ModuleOp module, Stage stage,
                                   ContractParty party) {
  return ContractVerifier(module, stage, party).verify();
}
