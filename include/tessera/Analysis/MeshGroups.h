// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Which devices of a mesh act together along a list of axes, and which of them
// a permute connects.
#ifndef TESSERA_ANALYSIS_MESHGROUPS_H
#define TESSERA_ANALYSIS_MESHGROUPS_H

#include "tessera/ABI/Digits.h"
#include "tessera/Analysis/Layout.h"

namespace tessera {

/// The digits of the devices' numbers that are their coordinates along `axes`:
/// the form that a plan and its runtime have them in. Axes of one device have
/// none.
std::vector<abi::Digit> digitsOf(const std::vector<AxisRef> &axes,
                                 const Mesh &mesh);

/// Number of devices that `axes` span.
int64_t groupSize(const std::vector<AxisRef> &axes, const Mesh &mesh);

/// This device's linear index along `axes`, major to minor.
int64_t indexAlong(const std::vector<AxisRef> &axes, const Mesh &mesh,
                   int64_t device);

/// The groups of devices that differ in their digits along `axes` alone, each
/// ordered by those digits; groups by their first device.
std::vector<std::vector<int32_t>> groupsAlong(const std::vector<AxisRef> &axes,
                                              const Mesh &mesh);

/// Whether `a` and `b` span the same devices, in any order.
bool spanSameDevices(const std::vector<AxisRef> &a,
                     const std::vector<AxisRef> &b, const Mesh &mesh);

/// The receiver of each device's value where the device of index i along `from`
/// sends to that of index i along `to`. Both span the same devices.
std::vector<int64_t> permuteTargets(const std::vector<AxisRef> &from,
                                    const std::vector<AxisRef> &to,
                                    const Mesh &mesh);

/// The same by moves of digits; nullopt where sizes of digits do not match, as
/// in from 2 x 3 to 3 x 2 devices.
std::optional<std::vector<abi::DigitMove>>
permuteMoves(const std::vector<AxisRef> &from, const std::vector<AxisRef> &to,
             const Mesh &mesh);

} // namespace tessera

#endif // TESSERA_ANALYSIS_MESHGROUPS_H
