// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "PlanReport.h"

#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace tessera;
namespace json = llvm::json;

/// Whether the result is computed elsewhere and copied into its buffer in the
/// end, in some stage if there are any.
static bool isCopied(plan::TiedOutputOp output) {
  return llvm::any_of(output.getBuffer().getUsers(), [&](Operation *user) {
    auto copy = dyn_cast<plan::CopyOp>(user);
    return copy && copy.getOutput() == output.getBuffer() &&
           (copy->getBlock() == output->getBlock() ||
            isa<plan::StageOp>(copy->getParentOp()));
  });
}

/// The source lines that a launch computes, "model.py:12", each once.
static json::Array placesOf(plan::LaunchOp launch) {
  json::Array places;
  llvm::StringSet<> known;
  launch->getLoc()->walk([&](Location part) {
    auto file = dyn_cast<FileLineColLoc>(part);
    if (!file)
      return WalkResult::advance();
    std::string place =
        file.getFilename().str() + ":" + std::to_string(file.getLine());
    if (known.insert(place).second)
      places.push_back(place);
    return WalkResult::advance();
  });
  return places;
}

void tessera::reportPlan(plan::ProgramOp program, Report &report) {
  json::Array ties;
  for (auto output : program.getOps<plan::TiedOutputOp>()) {
    auto input = output.getBuffer().getDefiningOp<plan::InputOp>();
    json::Object tie{{"argument", input.getName().str()},
                     {"result", output.getName().str()},
                     {"inPlace", true},
                     {"reason", "every read of the argument is before the "
                                "result is written over it"}};
    if (isCopied(output)) {
      tie["inPlace"] = false;
      tie["reason"] = "the argument may still be read when the result is "
                      "written, so that the result is computed elsewhere and "
                      "copied to the argument's memory";
    }
    ties.push_back(std::move(tie));
  }
  report.set("arenaBytes",
             static_cast<int64_t>(program.getArena().value_or(0)));
  report.set("ties", std::move(ties));
  json::Array launches;
  program.walk<WalkOrder::PreOrder>([&](plan::LaunchOp launch) {
    launches.push_back(json::Object{{"kernel", launch.getKernel().str()},
                                    {"places", placesOf(launch)}});
  });
  report.set("launches", std::move(launches));
  json::Array stages;
  for (auto stage : program.getOps<plan::StageOp>())
    stages.push_back(json::Object{
        {"name", stage.getName().str()},
        {"arenaBytes", static_cast<int64_t>(stage.getArena().value_or(0))}});
  if (!stages.empty())
    report.set("stages", std::move(stages));
}
