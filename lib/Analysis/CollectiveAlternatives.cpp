// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Analysis/CollectiveAlternatives.h"

#include "tessera/Analysis/MeshGroups.h"

#include <cstdio>

namespace tessera {

static std::string listAxes(const std::vector<AxisRef> &axes) {
  std::string text;
  for (const AxisRef &axis : axes)
    text += (text.empty() ? "" : ", ") + toString(axis);
  return text;
}

static std::string describeCost(int64_t bytes, double nanoseconds) {
  char time[32];
  std::snprintf(time, sizeof(time), "%.1f", nanoseconds / 1e3);
  return ": " + std::to_string(bytes) + " bytes, ~" + time + " us";
}

std::string describePlan(const ReshardPlan &plan) {
  std::string text;
  int64_t bytes = 0;
  for (const ReshardStep &step : plan.steps) {
    text += (text.empty() ? "" : ", then ") + std::string(toString(step.kind)) +
            " over " + listAxes(step.axes);
    bytes += step.bytes;
  }
  return text + describeCost(bytes, plan.nanoseconds);
}

std::string describeOtherWay(const ReshardStep &step,
                             const std::vector<int64_t> &localShape,
                             int64_t bytesPerElement, const Mesh &mesh) {
  int64_t bytes = bytesPerElement;
  for (int64_t size : localShape)
    bytes *= size;
  int64_t k = groupSize(step.axes, mesh);
  LinkCost link = linkCost(step.axes, mesh);
  std::string text, axes = " over " + listAxes(step.axes);
  int64_t sent = 0;
  double nanoseconds = 0;
  auto add = [&](CollectiveKind kind, int64_t input) {
    sent += collectiveBytes(kind, k, input);
    nanoseconds += collectiveCost(kind, k, link, double(input));
  };
  switch (step.kind) {
  case CollectiveKind::AllReduce:
    text = "all_gather of the terms" + axes + ", combined on every device";
    add(CollectiveKind::AllGather, bytes);
    break;
  case CollectiveKind::AllGather:
    text = "all_reduce" + axes + " of the parts, each among zeros";
    add(CollectiveKind::AllReduce, bytes * k);
    break;
  case CollectiveKind::ReduceScatter:
    text = "all_reduce" + axes + ", then all_slice";
    add(CollectiveKind::AllReduce, bytes);
    add(CollectiveKind::AllSlice, bytes / k);
    break;
  case CollectiveKind::AllToAll:
  case CollectiveKind::Permute:
    text = "all_gather" + axes + ", then all_slice";
    add(CollectiveKind::AllGather, bytes);
    add(CollectiveKind::AllSlice, bytes);
    break;
  case CollectiveKind::AllSlice:
    text = "the whole value on every device";
    break;
  }
  return text + describeCost(sent, nanoseconds);
}

} // namespace tessera
