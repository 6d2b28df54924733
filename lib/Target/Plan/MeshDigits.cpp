// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "MeshDigits.h"

using namespace tessera;
using abi::Digit;
using abi::DigitMove;

static bool isMadeBy(const std::vector<DigitMove> &moves,
                     const std::vector<int64_t> &targets) {
  for (size_t device = 0; device < targets.size(); ++device)
    if (abi::targetOf(moves, static_cast<int64_t>(device)) != targets[device])
      return false;
  return true;
}

/// Moves without shifts, from the minor digit on: device `stride` differs from
/// device 0 in the next digit alone, so its target shows where that goes, and
/// the digit ends where the targets stop growing in step.
static std::vector<DigitMove>
findReordering(const std::vector<int64_t> &targets) {
  std::vector<DigitMove> moves;
  auto count = static_cast<int64_t>(targets.size());
  for (int64_t stride = 1; stride < count;) {
    int64_t to = targets[stride], size = 2;
    while (size * stride < count && targets[size * stride] == size * to)
      ++size;
    // What follows must be a whole number of these digits.
    while (count % (stride * size) != 0)
      --size;
    if (size < 2 || to < 1)
      return {};
    if (to != stride)
      moves.push_back({{stride, size}, to, 0});
    stride *= size;
  }
  return moves;
}

std::optional<std::vector<DigitMove>>
tessera::findMoves(const std::vector<int64_t> &targets, const Mesh &mesh) {
  if (targets.empty() ||
      static_cast<int64_t>(targets.size()) != mesh.numDevices())
    return std::nullopt;
  if (targets[0] == 0) {
    std::vector<DigitMove> moves = findReordering(targets);
    if (isMadeBy(moves, targets))
      return moves;
    return std::nullopt;
  }
  for (const MeshAxis &axis : mesh.axes)
    for (const Digit &digit : digitsOf({{axis.name}}, mesh)) {
      std::vector<DigitMove> moves = {
          {digit, digit.stride, digit.of(targets[0])}};
      if (isMadeBy(moves, targets))
        return moves;
    }
  return std::nullopt;
}
