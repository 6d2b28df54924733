// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The moves of ReshardSpace.
#include "ReshardSpace.h"

#include <algorithm>

namespace tessera {

static uint64_t bit(unsigned char digit) { return uint64_t(1) << digit; }

/// What the moves from one state share.
struct ReshardSpace::MoveBuilder {
  const ReshardState &at;
  const std::function<void(ReshardMove)> &visit;
  std::vector<DigitList> dims;
  uint64_t partial, used;
  int64_t bytes;
  std::vector<int64_t> local;

  void add(CollectiveKind kind, int dim, int splitDim, DigitList digits,
           double nanoseconds, ReshardState after) const {
    visit({kind, dim, splitDim, std::move(digits), nanoseconds,
           std::move(after)});
  }
};

void ReshardSpace::forEachMove(
    const ReshardState &state,
    const std::function<void(ReshardMove)> &visit) const {
  MoveBuilder builder{
      state, visit, {}, partialOf(state), usedBy(state), localBytes(state), {}};
  for (size_t d = 0; d < rank(); ++d) {
    builder.dims.push_back(digitsOf(state, d));
    builder.local.push_back(localSize(state, d));
  }
  if (addCutInPlace(builder))
    return;
  addReductions(builder);
  addCuts(builder);
  addGathers(builder);
  addPermutes(builder);
}

/// Reduces one digit or all; scatters one digit into any dimension, or
/// all that the goal has next in a dimension that is in place so far.
void ReshardSpace::addReductions(MoveBuilder &builder) const {
  uint64_t toReduce = builder.partial & ~partialOf(goalState);
  if (!toReduce)
    return;
  DigitList all;
  for (size_t digit = 0; digit < sizes.size(); ++digit)
    if (toReduce & bit(digit))
      all.push_back(static_cast<char>(digit));
  auto addReduce = [&](const DigitList &list) {
    ReshardState after = builder.at;
    uint64_t rest = builder.partial;
    for (unsigned char digit : list)
      rest &= ~bit(digit);
    setPartial(after, rest);
    builder.add(CollectiveKind::AllReduce, -1, -1, list,
                cost(CollectiveKind::AllReduce, list, builder.bytes), after);
  };
  auto addScatter = [&](size_t d, const DigitList &list) {
    if (!isOneCut(builder.local[d], list))
      return;
    ReshardState after = builder.at;
    uint64_t rest = builder.partial;
    for (unsigned char digit : list)
      rest &= ~bit(digit);
    setPartial(after, rest);
    push(after, d, list);
    builder.add(CollectiveKind::ReduceScatter, static_cast<int>(d), -1, list,
                cost(CollectiveKind::ReduceScatter, list, builder.bytes),
                after);
  };
  for (char digit : all)
    addReduce(DigitList(1, digit));
  if (all.size() > 1)
    addReduce(all);
  // What the goal does not cut by.
  DigitList gone, kept;
  for (char digit : all)
    (goalUsed & bit(digit) ? kept : gone).push_back(digit);
  if (gone.size() > 1 && !kept.empty())
    addReduce(gone);
  for (size_t d = 0; d < rank(); ++d) {
    for (char digit : all)
      addScatter(d, DigitList(1, digit));
    if (all.size() > 1)
      addScatter(d, all);
    if (commonPrefix(builder.at, d) != builder.dims[d].size())
      continue;
    DigitList next = digitsOf(goalState, d).substr(builder.dims[d].size());
    size_t n = 0;
    while (n < next.size() && (toReduce & bit(next[n])))
      ++n;
    if (n > 1)
      addScatter(d, next.substr(0, n));
  }
}

/// A cut that is in place makes all later moves smaller and costs almost
/// nothing: where there is one, no other move is considered.
bool ReshardSpace::addCutInPlace(MoveBuilder &builder) const {
  for (size_t d = 0; d < rank(); ++d) {
    size_t n = builder.dims[d].size();
    if (commonPrefix(builder.at, d) != n)
      continue;
    DigitList next = digitsOf(goalState, d).substr(n, 1);
    if (next.empty() || (builder.used & bit(next[0])))
      continue;
    addCut(builder, d, next);
    return true;
  }
  return false;
}

/// Cuts by digits whose place is not ready, in dimensions that the goal cuts
/// into more parts: an exchange or a permute brings them there. Digits of one
/// size stand for each other.
void ReshardSpace::addCuts(MoveBuilder &builder) const {
  std::vector<int64_t> seen;
  for (size_t digit = 0; digit < sizes.size(); ++digit) {
    if (builder.used & bit(digit) || !(goalUsed & bit(digit)) ||
        std::find(seen.begin(), seen.end(), sizes[digit]) != seen.end())
      continue;
    seen.push_back(sizes[digit]);
    for (size_t d = 0; d < rank(); ++d) {
      int64_t parts = partsOf(builder.dims[d]) * sizes[digit];
      if (partsOf(digitsOf(goalState, d)) % parts == 0)
        addCut(builder, d, DigitList(1, static_cast<char>(digit)));
    }
  }
}

void ReshardSpace::addCut(MoveBuilder &builder, size_t d,
                          const DigitList &digit) const {
  ReshardState after = builder.at;
  push(after, d, digit);
  double nanoseconds = cost(CollectiveKind::AllSlice, digit, localBytes(after));
  builder.add(CollectiveKind::AllSlice, static_cast<int>(d), -1, digit,
              nanoseconds, std::move(after));
}

/// Gathers the last digits of a dimension, or moves them to another. What is in
/// place stays.
void ReshardSpace::addGathers(MoveBuilder &builder) const {
  for (size_t d = 0; d < rank(); ++d) {
    const DigitList &digits = builder.dims[d];
    size_t most = digits.size() - commonPrefix(builder.at, d);
    for (size_t n = 1; n <= most; ++n) {
      DigitList list = digits.substr(digits.size() - n);
      ReshardState gathered = builder.at;
      pop(gathered, d, n);
      if (!isOneCut(localSize(gathered, d), list))
        break;
      builder.add(CollectiveKind::AllGather, static_cast<int>(d), -1, list,
                  cost(CollectiveKind::AllGather, list, builder.bytes),
                  gathered);
      for (size_t to = 0; to < rank(); ++to) {
        if (to == d || !isOneCut(builder.local[to], list))
          continue;
        ReshardState moved = gathered;
        push(moved, to, list);
        builder.add(CollectiveKind::AllToAll, static_cast<int>(d),
                    static_cast<int>(to), list,
                    cost(CollectiveKind::AllToAll, list, builder.bytes),
                    std::move(moved));
      }
    }
  }
}

/// Each dimension begins with the digits of the goal that fit the number of its
/// parts; the rest is filled with digits that no dimension has taken.
std::optional<std::vector<DigitList>>
ReshardSpace::alignWithGoal(const ReshardState &state) const {
  std::vector<DigitList> dims(rank());
  uint64_t taken = partialOf(state);
  std::vector<int64_t> left(rank());
  for (size_t d = 0; d < rank(); ++d) {
    left[d] = partsOf(digitsOf(state, d));
    for (unsigned char digit : digitsOf(goalState, d)) {
      if (left[d] % sizes[digit] != 0 || (taken & bit(digit)))
        break;
      dims[d].push_back(static_cast<char>(digit));
      left[d] /= sizes[digit];
      taken |= bit(digit);
    }
  }
  auto fill = [&](size_t d, unsigned char digit) {
    if ((taken & bit(digit)) || left[d] == 1 || left[d] % sizes[digit] != 0)
      return;
    dims[d].push_back(static_cast<char>(digit));
    left[d] /= sizes[digit];
    taken |= bit(digit);
  };
  for (size_t d = 0; d < rank(); ++d)
    for (unsigned char digit : digitsOf(state, d))
      fill(d, digit);
  for (size_t d = 0; d < rank(); ++d) {
    for (size_t digit = 0; digit < sizes.size(); ++digit)
      fill(d, static_cast<unsigned char>(digit));
    if (left[d] != 1)
      return std::nullopt;
  }
  return dims;
}

/// Permutes that bring digits to their places in the goal: one by one, and all
/// that fit. Parts keep their sizes, so they must be equal.
void ReshardSpace::addPermutes(MoveBuilder &builder) const {
  if (!isEven(builder.at))
    return;
  auto add = [&](const std::vector<DigitList> &dims) {
    ReshardState after = make(dims, builder.partial);
    if (after == builder.at)
      return;
    DigitList moved;
    for (size_t d = 0; d < rank(); ++d)
      for (size_t i = 0; i < dims[d].size(); ++i)
        if (builder.dims[d].size() != dims[d].size() ||
            dims[d][i] != builder.dims[d][i]) {
          moved.push_back(dims[d][i]);
          if (i < builder.dims[d].size())
            moved.push_back(builder.dims[d][i]);
        }
    double nanoseconds = cost(CollectiveKind::Permute, moved, builder.bytes);
    builder.add(CollectiveKind::Permute, -1, -1, moved, nanoseconds,
                std::move(after));
  };
  if (auto aligned = alignWithGoal(builder.at))
    add(*aligned);
  for (size_t d = 0; d < rank(); ++d) {
    size_t at = commonPrefix(builder.at, d);
    DigitList wanted = digitsOf(goalState, d);
    if (at >= builder.dims[d].size() || at >= wanted.size())
      continue;
    char digit = wanted[at], instead = builder.dims[d][at];
    if (sizes[static_cast<unsigned char>(digit)] !=
            sizes[static_cast<unsigned char>(instead)] ||
        (builder.partial & bit(digit)))
      continue;
    std::vector<DigitList> dims = builder.dims;
    for (DigitList &list : dims)
      std::replace(list.begin(), list.end(), digit, instead);
    dims[d][at] = digit;
    add(dims);
  }
}

} // namespace tessera
