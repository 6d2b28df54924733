// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Words for why a value is laid out as it is.
#ifndef TESSERA_DIALECTS_TESSERA_TRANSFORMS_PROVENANCE_H
#define TESSERA_DIALECTS_TESSERA_TRANSFORMS_PROVENANCE_H

#include "dialects/Tessera/IR/Tessera.h"
#include "mlir/IR/Location.h"
#include "llvm/ADT/SetVector.h"

namespace tessera {

/// Attribute on ops and arguments: a dictionary from axis to the chain of
/// reasons why it splits the value. On an op with data-flow edges, a dictionary
/// from edge, such as "carried value 0", to such a dictionary.
inline constexpr llvm::StringLiteral originsAttrName = "tessera.origins";
/// Attribute on ops that move values between devices by themselves: why, as
/// the `#dist.why` of what carries that out.
inline constexpr llvm::StringLiteral exchangeAttrName = "tessera.exchange";
/// Unit attribute of function results that no user annotated: they are laid out
/// as what computes them is.
inline constexpr llvm::StringLiteral unannotatedAttrName =
    "tessera.unannotated";
/// Argument attribute: the user's name of the argument.
inline constexpr llvm::StringLiteral argumentNameAttr = "tessera.name";

/// How the name of a location begins that says of an op's parts why the op is
/// computed by parts; the rest are the words.
inline constexpr llvm::StringLiteral expansionNote = "expanded: ";

/// Longest chain of reasons that is kept for one axis of one value.
inline constexpr int maxChain = 12;

/// `model.py:12:5`, or empty when the location is unknown.
std::string describeLocation(mlir::Location loc);

/// `tessera.add at model.py:12:5`.
std::string describeOp(mlir::Operation *op);

/// `tessera.add at model.py:12:5`, `argument 'x'`, or
/// `carried value 1 of tessera.scan at model.py:7:3`.
std::string describeValue(mlir::Value value);

/// The recorded reasons why `axis` splits `value`; empty when there are none.
llvm::SmallVector<mlir::Attribute> originsOf(mlir::Value value,
                                             llvm::StringRef axis);

/// The values that were first partial along `axis`: those after them, up to
/// `value`, passed it on.
llvm::SetVector<mlir::Value> findPartialSources(mlir::Value value,
                                                const AxisRef &axis);

/// One sentence: why `user` needs an operand that is laid out as `now` in
/// layout `wanted`.
std::string describeNeed(mlir::Operation *user, const FactorRule &rule,
                         const Layout &now, const Layout &wanted);

/// One sentence: why a source of `edge` of `op`, laid out as `now`, needs
/// another layout.
std::string describeEdgeNeed(mlir::Operation *op, const DataFlowEdge &edge,
                             const Layout &now);

/// Why `value` is brought into layout `wanted`: `rule`, and the chain of
/// reasons why it is laid out as it is, back to a user's annotation.
dist::WhyAttr explainReshard(mlir::Value value, const Layout &wanted,
                             const std::string &rule);

} // namespace tessera

#endif // TESSERA_DIALECTS_TESSERA_TRANSFORMS_PROVENANCE_H
