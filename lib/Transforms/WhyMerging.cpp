// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "WhyMerging.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::dist;

/// Rules as one sentence list, origins and alternatives in turn, nothing twice.
static WhyAttr joinReasons(ArrayRef<WhyAttr> parts, int64_t bytes,
                           int64_t nanoseconds) {
  SmallVector<StringRef> rules;
  llvm::SetVector<Attribute> origins, alternatives;
  MLIRContext *context = nullptr;
  for (WhyAttr part : parts) {
    if (!part)
      continue;
    context = part.getContext();
    if (!llvm::is_contained(rules, part.getRule().getValue()))
      rules.push_back(part.getRule());
    origins.insert_range(part.getOrigins());
    alternatives.insert_range(part.getAlternatives());
  }
  if (!context)
    return {};
  return WhyAttr::get(
      context, StringAttr::get(context, llvm::join(rules, "; and ")),
      ArrayAttr::get(context, origins.getArrayRef()), bytes, nanoseconds,
      ArrayAttr::get(context, alternatives.getArrayRef()));
}

WhyAttr dist::mergeWhys(ArrayRef<WhyAttr> parts, CollectiveKind kind,
                        AxesAttr axes, Value input, const Mesh &mesh) {
  auto type = cast<RankedTensorType>(input.getType());
  int64_t bytes =
      type.getNumElements() * ((type.getElementTypeBitWidth() + 7) / 8);
  return joinReasons(parts, collectiveBytes(kind, axes.getValue(), bytes, mesh),
                     static_cast<int64_t>(collectiveCost(kind, axes.getValue(),
                                                         double(bytes), mesh)));
}

WhyAttr dist::mergeWhys(WhyAttr a, WhyAttr b) {
  if (!a || !b)
    return a ? a : b;
  return joinReasons({a, b}, a.getBytes(), a.getEstimatedNs());
}
