// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Verification.h"

using namespace mlir;
using namespace tessera;

#define GET_OP_CLASSES
#include "dialects/Tessera/IR/ContractionOps.cpp.inc"

ContractOp::Indices ContractOp::getIndices() {
  auto [inputs, out] = getSpec().split("->");
  auto [lhs, rhs] = inputs.split(",");
  return {lhs.str(), rhs.str(), out.str()};
}

static constexpr StringLiteral exampleSpec =
    "\"bsk,kn->bsn\" multiplies [b, s, k] by [k, n] and sums over k";

/// C1 and the form of one index string.
static LogicalResult verifyLetters(ContractOp op, StringRef name,
                                   StringRef letters, Value value) {
  size_t rank = shapeOf(value).size();
  if (letters.size() != rank)
    return explain(op.emitOpError()
                       << "names " << letters.size() << " indices '" << letters
                       << "' for " << name << ", which has rank " << rank,
                   op, NamedValue{value, name},
                   "give each dimension one letter, in its order");
  for (auto [i, letter] : llvm::enumerate(letters)) {
    if (!llvm::isAlpha(letter))
      return explain(op.emitOpError()
                         << "has index '" << letter << "' in \"" << op.getSpec()
                         << "\"; indices are letters",
                     op, {}, exampleSpec);
    if (letters.find(letter, i + 1) != StringRef::npos)
      return explain(op.emitOpError() << "repeats index '" << letter << "' in "
                                      << name << " '" << letters << "'",
                     op, {},
                     "diagonals are not supported: give each dimension of one "
                     "tensor a letter of its own");
  }
  return success();
}

LogicalResult ContractOp::verify() {
  if (failed(verifyOneMesh(*this)))
    return failure();
  if (getSpec().count("->") != 1 || getSpec().count(",") != 1)
    return explain(emitOpError()
                       << "expects a specification such as \"bsk,kn->bsn\", "
                          "got \""
                       << getSpec() << "\"",
                   *this, {}, exampleSpec);
  Indices indices = getIndices();
  if (failed(verifyLetters(*this, "the left factor", indices.lhs, getLhs())) ||
      failed(verifyLetters(*this, "the right factor", indices.rhs, getRhs())) ||
      failed(verifyLetters(*this, "the result", indices.out, getResult())))
    return failure();

  llvm::DenseMap<char, int64_t> sizes;
  for (auto [letter, size] : llvm::zip(indices.lhs, shapeOf(getLhs())))
    sizes[letter] = size;
  for (auto [letter, size] : llvm::zip(indices.rhs, shapeOf(getRhs()))) {
    auto [entry, isNew] = sizes.try_emplace(letter, size);
    if (isNew || entry->second == size)
      continue;
    return explain(
        emitOpError() << "index '" << letter << "' has size " << entry->second
                      << " in the left factor and " << size
                      << " in the right one",
        *this, {{getLhs(), "the left factor"}, {getRhs(), "the right factor"}});
  }
  for (auto [letter, size] : llvm::zip(indices.out, shapeOf(getResult()))) {
    auto entry = sizes.find(letter);
    if (entry == sizes.end())
      return explain(emitOpError() << "result index '" << letter
                                   << "' occurs in no factor",
                     *this, {},
                     "use the letters of \"" + indices.lhs + "," + indices.rhs +
                         "\"; tessera.broadcast adds a dimension");
    if (entry->second != size)
      return explain(
          emitOpError() << "index '" << letter << "' has size " << entry->second
                        << " in the factors and " << size << " in the result",
          *this,
          {{getLhs(), "the left factor"}, {getRhs(), "the right factor"}});
  }
  for (char letter : indices.lhs + indices.rhs) {
    bool inBoth = indices.lhs.find(letter) != std::string::npos &&
                  indices.rhs.find(letter) != std::string::npos;
    if (inBoth || indices.out.find(letter) != std::string::npos)
      continue;
    return explain(emitOpError()
                       << "index '" << letter
                       << "' occurs in one factor and not in the result",
                   *this, {}, "sum that dimension with tessera.reduce first");
  }
  Type type = getElementTypeOrSelf(getLhs());
  if (failed(verifyElementType(*this, getRhs(), "the right factor", type)))
    return failure();
  Type resultType = getElementTypeOrSelf(getType());
  bool isNarrow = type.isBF16() || type.isF16();
  if (resultType != type && !(isNarrow && resultType.isF32()))
    return explain(emitOpError()
                       << "expects a result of element type " << type
                       << (isNarrow ? " or f32" : "") << ", got " << resultType,
                   *this, NamedValue{getLhs(), "the left factor"},
                   "other types need tessera.convert behind it");
  return success();
}

InferredType ContractOp::inferResultType() {
  Indices indices = getIndices();
  llvm::SmallDenseMap<char, int64_t> sizes;
  for (auto [letter, size] : llvm::zip(indices.lhs, shapeOf(getLhs())))
    sizes[letter] = size;
  for (auto [letter, size] : llvm::zip(indices.rhs, shapeOf(getRhs())))
    sizes[letter] = size;
  InferredType type = {SmallVector<int64_t>(), getElementTypeOrSelf(getLhs())};
  for (char letter : indices.out)
    type.shape->push_back(sizes.lookup(letter));
  return type;
}

FactorRule ContractOp::getFactorRuleFor(const OpShapes &shapes) {
  Indices indices = getIndices();
  return contractionRule(indices.lhs, indices.rhs, indices.out,
                         shapes.operands[0], shapes.operands[1]);
}

PropagationRound ContractOp::getPropagationRound() {
  return PropagationRound::Compute;
}

KernelRole ContractOp::getKernelRole() { return KernelRole::Product; }

double ContractOp::getFlops() {
  double flops = 2;
  for (const Factor &factor : getFactorRule().factors)
    flops *= factor.size;
  return flops;
}

namespace {
/// A factor that `Op` moves is read where it comes from instead, its letters
/// those of the moved tile.
template <typename Op> struct AbsorbMovement : OpRewritePattern<ContractOp> {
  using OpRewritePattern<ContractOp>::OpRewritePattern;

  LogicalResult matchAndRewrite(ContractOp op,
                                PatternRewriter &rewriter) const override {
    ContractOp::Indices indices = op.getIndices();
    std::string *letters[] = {&indices.lhs, &indices.rhs};
    for (unsigned i : {0u, 1u}) {
      auto moved = op->getOperand(i).getDefiningOp<Op>();
      // A layout that the factor was annotated with must not get lost.
      const Layout *layout = moved ? layoutOf(moved.getType()) : nullptr;
      if (!moved || (layout && !layout->isFullyOpen()))
        continue;
      std::optional<std::string> source =
          lettersBefore(moved, *letters[i], *letters[1 - i], indices.out);
      if (!source)
        continue;
      *letters[i] = *source;
      rewriter.modifyOpInPlace(op, [&] {
        op->setOperand(i, moved.getInput());
        op.setSpec(indices.lhs + "," + indices.rhs + "->" + indices.out);
      });
      return success();
    }
    return rewriter.notifyMatchFailure(op, "no factor is moved needlessly");
  }

private:
  /// The letters of what `moved` has as `letters`; none if it must stay.
  static std::optional<std::string>
  lettersBefore(Op moved, StringRef letters, StringRef other, StringRef out);
};

///   %t = tessera.transpose %w [1, 0]
///   %r = tessera.contract %x, %t "mk,kn->mn"
///   -> tessera.contract %x, %w "mk,nk->mn"
template <>
std::optional<std::string>
AbsorbMovement<TransposeOp>::lettersBefore(TransposeOp moved, StringRef letters,
                                           StringRef other, StringRef out) {
  std::string source(letters.size(), ' ');
  for (auto [to, from] : llvm::enumerate(moved.getPermutation()))
    source[from] = letters[to];
  return source;
}

/// A factor that is repeated along an index of the other one and of the result
/// need not be:
///   %b = tessera.broadcast %w dims [1, 2]
///   %r = tessera.contract %x, %b "ak,akn->an"
///   -> tessera.contract %x, %w "ak,kn->an"
template <>
std::optional<std::string>
AbsorbMovement<BroadcastOp>::lettersBefore(BroadcastOp moved, StringRef letters,
                                           StringRef other, StringRef out) {
  // Dimensions of size 1 are repeated in place: they stay.
  ArrayRef<int64_t> sizes = shapeOf(moved.getInput());
  for (auto [size, dim] : llvm::zip(sizes, moved.getDims()))
    if (size != shapeOf(moved)[dim])
      return std::nullopt;
  std::string source, repeated;
  for (auto [dim, letter] : llvm::enumerate(letters))
    (llvm::is_contained(moved.getDims(), int64_t(dim)) ? source : repeated) +=
        letter;
  auto isOfBoth = [&](char letter) {
    return out.contains(letter) && other.contains(letter);
  };
  auto isSummed = [&](char letter) { return !out.contains(letter); };
  // Without a sum it is no product of matrices, but an elementwise one.
  if (!llvm::all_of(repeated, isOfBoth) || !llvm::any_of(source, isSummed))
    return std::nullopt;
  return source;
}
} // namespace

void ContractOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                             MLIRContext *context) {
  patterns.add<AbsorbMovement<TransposeOp>, AbsorbMovement<BroadcastOp>>(
      context);
}
