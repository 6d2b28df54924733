// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Which values of a program may be in one memory: carried values and their next
// ones, results and what they are copied from.
#ifndef TESSERA_ANALYSIS_BUFFERSHARING_H
#define TESSERA_ANALYSIS_BUFFERSHARING_H

#include <cstdint>
#include <set>
#include <utility>
#include <vector>

namespace tessera {

/// The steps between which a value is in memory, both included: the one that
/// writes it and the last one that reads it. Steps are numbered in the order of
/// the program's text; a value that is used inside a loop and defined outside
/// of it lives to the end of the loop.
struct LiveRange {
  int64_t begin = 0, end = 0;
};

/// Sets of values that share memory. No two values of a set live at once, but
/// one may end at the step where another begins, where that step may write its
/// result over its operand.
class BufferSharing {
public:
  /// A value in memory of its own; values are numbered from 0. Memory that
  /// cannot be written takes no other values.
  int add(LiveRange range, bool isWritable = true);
  /// The step that reads `read` for the last time may write `written` over it.
  void allowInPlace(int read, int written);

  /// The value must be in memory, or its memory free for it, until then. No
  /// other value of its set may begin before.
  void extend(int value, int64_t end);

  /// The value, alone in its memory, begins then.
  void setBegin(int value, int64_t begin) { ranges[value].begin = begin; }
  /// The same of memory that may not be written, or may.
  void setWritable(int value, bool isWritable) { writable[value] = isWritable; }

  /// Puts the sets of both values into one memory where that is right.
  bool join(int a, int b);
  bool canJoin(int a, int b) const;
  /// A number of the set; joining changes it for one of the two.
  int setOf(int value) const;
  bool isTogether(int a, int b) const { return setOf(a) == setOf(b); }
  const std::vector<int> &membersOf(int value) const {
    return members[setOf(value)];
  }

private:
  bool meet(int a, int b) const;

  std::vector<LiveRange> ranges;
  std::vector<bool> writable;
  std::vector<int> parents;
  std::vector<std::vector<int>> members; ///< Of a set, by where they begin.
  std::set<std::pair<int, int>> inPlace;
};

} // namespace tessera

#endif // TESSERA_ANALYSIS_BUFFERSHARING_H
