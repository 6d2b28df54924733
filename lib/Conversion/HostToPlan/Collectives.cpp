// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Ops of dist as the plan has them.
#include "ProgramBuilder.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace tessera;

std::optional<Collective> tessera::describeCollective(Operation *op) {
  using Kind = plan::CollectiveKind;
  using Result = std::optional<Collective>;
  return llvm::TypeSwitch<Operation *, Result>(op)
      .Case([](dist::AllReduceOp op) -> Result {
        return Collective{Kind::all_reduce, op.getAxes(), op.getWhyAttr(),
                          op.getKindAttr()};
      })
      .Case([](dist::AllGatherOp op) -> Result {
        return Collective{Kind::all_gather,
                          op.getAxes(),
                          op.getWhyAttr(),
                          {},
                          op.getDimAttr()};
      })
      .Case([](dist::AllSliceOp op) -> Result {
        return Collective{Kind::all_slice,
                          op.getAxes(),
                          op.getWhyAttr(),
                          {},
                          op.getDimAttr()};
      })
      .Case([](dist::ReduceScatterOp op) -> Result {
        return Collective{Kind::reduce_scatter, op.getAxes(), op.getWhyAttr(),
                          op.getKindAttr(), op.getDimAttr()};
      })
      .Case([](dist::AllToAllOp op) -> Result {
        return Collective{Kind::all_to_all,     op.getAxes(),
                          op.getWhyAttr(),      {},
                          op.getSplitDimAttr(), op.getConcatDimAttr()};
      })
      .Case([](dist::PermuteOp op) -> Result {
        auto none = dist::AxesAttr::get(op.getContext(), {});
        Collective permute{Kind::permute,
                           op.getFrom() ? op.getFromAttr() : none,
                           op.getWhyAttr()};
        permute.to = op.getToAttr();
        permute.targets = op.getTargetsAttr();
        return permute;
      })
      .Default(Result());
}
