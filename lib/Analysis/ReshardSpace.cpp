// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ReshardSpace.h"

#include <algorithm>
#include <cstring>

namespace tessera {

void priceStep(ReshardStep &step, const Layout &before,
               const std::vector<int64_t> &shape, int64_t bytesPerElement,
               const Mesh &mesh) {
  // A slice sends nothing: it is priced by what it copies.
  bool isSlice = step.kind == CollectiveKind::AllSlice;
  int64_t bytes = bytesPerElement;
  for (int64_t size : (isSlice ? step.after : before).localShape(shape, mesh))
    bytes *= size;
  step.bytes = collectiveBytes(step.kind, step.axes, bytes, mesh);
  step.nanoseconds =
      collectiveCost(step.kind, step.axes, static_cast<double>(bytes), mesh);
}

//===----------------------------------------------------------------------===//
// States
//===----------------------------------------------------------------------===//

static uint64_t maskOf(const DigitList &list) {
  uint64_t mask = 0;
  for (unsigned char digit : list)
    mask |= uint64_t(1) << digit;
  return mask;
}

/// The digits of a set, in the order of their numbers.
static DigitList listOf(uint64_t mask) {
  DigitList list;
  for (int digit = 0; digit < 64; ++digit)
    if (mask >> digit & 1)
      list.push_back(static_cast<char>(digit));
  return list;
}

ReshardSpace::ReshardSpace(const Layout &from, const Layout &to,
                           const AxisDigits &digits,
                           const std::vector<int64_t> &shape,
                           int64_t bytesPerElement, const Mesh &mesh)
    : shape(shape), bytesPerElement(bytesPerElement), mesh(mesh),
      kind(from.partialKind) {
  Layout start = digits.split(from);
  goalLayout = digits.split(to);
  auto collect = [&](const std::vector<AxisRef> &axes) {
    for (const AxisRef &axis : axes)
      if (std::find(all.begin(), all.end(), axis) == all.end())
        all.push_back(axis);
  };
  for (const Layout *layout : {&goalLayout, &start}) {
    for (const DimLayout &dim : layout->dims)
      collect(dim.axes);
    collect(layout->partial);
  }
  for (const AxisRef &axis : all) {
    sizes.push_back(axis.sizeOn(mesh));
    links.push_back(linkCost(mesh.find(axis.name)->link));
  }
  startState = encode(start);
  goalState = encode(goalLayout);
  // What is in place at the start stays there.
  uint64_t moving = usedBy(startState) | usedBy(goalState);
  for (size_t d = 0; d < rank(); ++d)
    moving &=
        ~maskOf(digitsOf(startState, d).substr(0, commonPrefix(startState, d)));
  fastest = {1e30, 0};
  for (unsigned char digit : listOf(moving)) {
    fastest.latencyNs = std::min(fastest.latencyNs, links[digit].latencyNs);
    fastest.bytesPerNs = std::max(fastest.bytesPerNs, links[digit].bytesPerNs);
  }
  for (size_t d = 0; d < rank(); ++d)
    goalUsed |= maskOf(digitsOf(goalState, d));
  goalBytes = localBytes(goalState);
}

DigitList ReshardSpace::digitsOf(const ReshardState &state, size_t dim) const {
  size_t begin = rank();
  for (size_t d = 0; d < dim; ++d)
    begin += count(state, d);
  return state.substr(begin, count(state, dim));
}

uint64_t ReshardSpace::partialOf(const ReshardState &state) const {
  uint64_t mask;
  std::memcpy(&mask, state.data() + state.size() - sizeof(mask), sizeof(mask));
  return mask;
}

void ReshardSpace::setPartial(ReshardState &state, uint64_t partial) const {
  std::memcpy(&state[state.size() - sizeof(partial)], &partial,
              sizeof(partial));
}

uint64_t ReshardSpace::usedBy(const ReshardState &state) const {
  uint64_t mask = partialOf(state);
  for (size_t i = rank(); i + sizeof(mask) < state.size(); ++i)
    mask |= uint64_t(1) << static_cast<unsigned char>(state[i]);
  return mask;
}

ReshardState ReshardSpace::make(const std::vector<DigitList> &dims,
                                uint64_t partial) const {
  ReshardState state;
  for (const DigitList &list : dims)
    state.push_back(static_cast<char>(list.size()));
  for (const DigitList &list : dims)
    state += list;
  state.append(sizeof(partial), '\0');
  setPartial(state, partial);
  return state;
}

ReshardState ReshardSpace::encode(const Layout &layout) const {
  auto numbers = [&](const std::vector<AxisRef> &axes) {
    DigitList list;
    for (const AxisRef &axis : axes)
      list.push_back(static_cast<char>(std::find(all.begin(), all.end(), axis) -
                                       all.begin()));
    return list;
  };
  std::vector<DigitList> dims;
  for (const DimLayout &dim : layout.dims)
    dims.push_back(numbers(dim.axes));
  return make(dims, maskOf(numbers(layout.partial)));
}

Layout ReshardSpace::decode(const ReshardState &state) const {
  Layout layout = goalLayout;
  for (size_t d = 0; d < rank(); ++d)
    layout.dims[d].axes = axesOf(digitsOf(state, d));
  layout.partialKind = kind;
  layout.partial = axesOf(listOf(partialOf(state)));
  std::sort(layout.partial.begin(), layout.partial.end());
  return layout;
}

void ReshardSpace::push(ReshardState &state, size_t dim,
                        const DigitList &list) const {
  size_t end = rank();
  for (size_t d = 0; d <= dim; ++d)
    end += count(state, d);
  state.insert(end, list);
  state[dim] = static_cast<char>(count(state, dim) + list.size());
}

void ReshardSpace::pop(ReshardState &state, size_t dim, size_t n) const {
  size_t end = rank();
  for (size_t d = 0; d <= dim; ++d)
    end += count(state, d);
  state.erase(end - n, n);
  state[dim] = static_cast<char>(count(state, dim) - n);
}

std::vector<AxisRef> ReshardSpace::axesOf(const DigitList &list) const {
  std::vector<AxisRef> axes;
  for (unsigned char digit : list)
    axes.push_back(all[digit]);
  return axes;
}

//===----------------------------------------------------------------------===//
// Sizes and costs
//===----------------------------------------------------------------------===//

int64_t ReshardSpace::partsOf(const DigitList &list) const {
  int64_t parts = 1;
  for (unsigned char digit : list)
    parts *= sizes[digit];
  return parts;
}

int64_t ReshardSpace::localSize(const ReshardState &state, size_t dim) const {
  int64_t parts = partsOf(digitsOf(state, dim));
  return (shape[dim] + parts - 1) / parts;
}

int64_t ReshardSpace::localBytes(const ReshardState &state) const {
  int64_t bytes = bytesPerElement;
  size_t at = rank();
  for (size_t d = 0; d < rank(); ++d) {
    int64_t parts = 1;
    for (size_t end = at + count(state, d); at < end; ++at)
      parts *= sizes[static_cast<unsigned char>(state[at])];
    bytes *= (shape[d] + parts - 1) / parts;
  }
  return bytes;
}

bool ReshardSpace::isEven(const ReshardState &state) const {
  for (size_t d = 0; d < rank(); ++d)
    if (shape[d] % partsOf(digitsOf(state, d)) != 0)
      return false;
  return true;
}

bool ReshardSpace::isOneCut(int64_t size, const DigitList &list) const {
  std::vector<int64_t> parts;
  for (unsigned char digit : list)
    parts.push_back(sizes[digit]);
  return tessera::isOneCut(size, parts);
}

double ReshardSpace::cost(CollectiveKind kind, const DigitList &list,
                          int64_t bytes) const {
  LinkCost slowest = {0, 1e30};
  for (unsigned char digit : list) {
    slowest.latencyNs = std::max(slowest.latencyNs, links[digit].latencyNs);
    slowest.bytesPerNs = std::min(slowest.bytesPerNs, links[digit].bytesPerNs);
  }
  return collectiveCost(kind, partsOf(list), slowest, bytes);
}

size_t ReshardSpace::commonPrefix(const ReshardState &state, size_t dim) const {
  DigitList here = digitsOf(state, dim), there = digitsOf(goalState, dim);
  size_t n = 0;
  while (n < here.size() && n < there.size() && here[n] == there[n])
    ++n;
  return n;
}

bool ReshardSpace::hasPlan() const {
  uint64_t partial = partialOf(goalState);
  return !partial || (kind == goalLayout.partialKind &&
                      (partial & ~partialOf(startState)) == 0);
}

double ReshardSpace::lowerBound(const ReshardState &state) const {
  if (state == goalState)
    return 0;
  double message = fastest.latencyNs;
  uint64_t toReduce = partialOf(state) & ~partialOf(goalState);
  bool isEvenBoth = isEven(state) && isEven(goalState);
  if (toReduce)
    return message + (isEvenBoth ? goalBytes / fastest.bytesPerNs : 0);
  // The device whose part here and part there have least in common: nothing,
  // where both go on after the digits that they share.
  int64_t overlap = bytesPerElement;
  bool isSliced = true;
  for (size_t d = 0; d < rank(); ++d) {
    size_t shared = commonPrefix(state, d);
    size_t here = count(state, d), there = count(goalState, d);
    isSliced &= here == shared;
    if (here > shared && there > shared)
      overlap = 0;
    int64_t parts =
        std::max(partsOf(digitsOf(state, d)), partsOf(digitsOf(goalState, d)));
    overlap *= shape[d] / parts;
  }
  if (isSliced)
    return cost(CollectiveKind::AllSlice, "", 0);
  if (!isEvenBoth)
    return message;
  return message + (goalBytes - overlap) / fastest.bytesPerNs;
}

double ReshardSpace::estimate(const ReshardState &state) const {
  double misplaced = 0;
  for (size_t d = 0; d < rank(); ++d)
    misplaced += static_cast<size_t>(count(state, d)) > commonPrefix(state, d);
  return lowerBound(state) + misplaced * fastest.latencyNs;
}

//===----------------------------------------------------------------------===//
// Plans
//===----------------------------------------------------------------------===//

std::vector<ReshardMove> ReshardSpace::gatherThenSlice() const {
  std::vector<ReshardMove> moves;
  ReshardState at = startState;
  auto add = [&](CollectiveKind kind, int dim, const DigitList &list,
                 const ReshardState &after) {
    bool isSlice = kind == CollectiveKind::AllSlice;
    double nanoseconds = cost(kind, list, localBytes(isSlice ? after : at));
    moves.push_back({kind, dim, -1, list, nanoseconds, after});
    at = after;
  };
  if (uint64_t toReduce = partialOf(at) & ~partialOf(goalState)) {
    ReshardState after = at;
    setPartial(after, partialOf(goalState));
    add(CollectiveKind::AllReduce, -1, listOf(toReduce), after);
  }
  for (size_t d = 0; d < rank(); ++d)
    while (static_cast<size_t>(count(at, d)) > commonPrefix(at, d)) {
      ReshardState after = at;
      pop(after, d, 1);
      add(CollectiveKind::AllGather, static_cast<int>(d),
          digitsOf(at, d).substr(count(at, d) - 1), after);
    }
  for (size_t d = 0; d < rank(); ++d)
    while (count(at, d) < count(goalState, d)) {
      DigitList next = digitsOf(goalState, d).substr(count(at, d), 1);
      ReshardState after = at;
      push(after, d, next);
      add(CollectiveKind::AllSlice, static_cast<int>(d), next, after);
    }
  return moves;
}

bool ReshardSpace::fitsGoal(const ReshardState &state, int dim) const {
  return partsOf(digitsOf(goalState, dim)) % partsOf(digitsOf(state, dim)) == 0;
}

/// Whether `next`, after `last`, is one collective with it. Gathering minor,
/// then major digits is gathering (major, minor).
bool ReshardSpace::joins(const ReshardMove &last, const ReshardMove &next,
                         const ReshardState &before) const {
  if (last.kind != next.kind || last.dim != next.dim)
    return false;
  switch (next.kind) {
  case CollectiveKind::AllReduce:
    return true;
  case CollectiveKind::AllGather:
    return isOneCut(localSize(next.after, next.dim), next.digits + last.digits);
  case CollectiveKind::AllSlice:
  case CollectiveKind::ReduceScatter:
    return isOneCut(localSize(before, next.dim), last.digits + next.digits);
  case CollectiveKind::AllToAll:
  case CollectiveKind::Permute:
    return false;
  }
  return false;
}

ReshardPlan ReshardSpace::toPlan(const std::vector<ReshardMove> &moves) const {
  std::vector<ReshardMove> merged;
  std::vector<ReshardState> befores;
  ReshardState at = startState;
  for (const ReshardMove &move : moves) {
    if (!merged.empty() && joins(merged.back(), move, befores.back())) {
      DigitList &digits = merged.back().digits;
      digits = move.kind == CollectiveKind::AllGather ? move.digits + digits
                                                      : digits + move.digits;
      merged.back().after = move.after;
    } else {
      befores.push_back(at);
      merged.push_back(move);
    }
    at = move.after;
  }
  ReshardPlan plan;
  for (size_t i = 0; i < merged.size(); ++i) {
    ReshardStep step;
    step.kind = merged[i].kind;
    step.dim = merged[i].dim;
    step.splitDim = merged[i].splitDim;
    step.reduce = kind;
    step.axes = normalise(axesOf(merged[i].digits), mesh);
    step.after = decode(merged[i].after);
    if (step.kind == CollectiveKind::Permute)
      describePermute(step, befores[i], merged[i].after);
    priceStep(step, decode(befores[i]), shape, bytesPerElement, mesh);
    plan.nanoseconds += step.nanoseconds;
    plan.steps.push_back(std::move(step));
  }
  return plan;
}

/// The part that a device holds is determined by its index along the digits
/// that cut the dimensions; digits that are the same before and after stay out
/// of it.
void ReshardSpace::describePermute(ReshardStep &step,
                                   const ReshardState &before,
                                   const ReshardState &after) const {
  DigitList from, to;
  for (size_t d = 0; d < rank(); ++d) {
    DigitList a = digitsOf(before, d), b = digitsOf(after, d);
    while (!a.empty() && !b.empty() && a[0] == b[0]) {
      a.erase(0, 1);
      b.erase(0, 1);
    }
    while (!a.empty() && !b.empty() && a.back() == b.back()) {
      a.pop_back();
      b.pop_back();
    }
    from += a;
    to += b;
  }
  uint64_t onlyTo = maskOf(to) & ~maskOf(from);
  uint64_t onlyFrom = maskOf(from) & ~maskOf(to);
  step.axes = normalise(axesOf(from + listOf(onlyTo)), mesh);
  step.to = normalise(axesOf(to + listOf(onlyFrom)), mesh);
}

} // namespace tessera
