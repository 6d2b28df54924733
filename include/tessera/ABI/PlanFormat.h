// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The host program as data: what the compiler puts into an artefact and the
// runtime executes. Nothing in it grows with the number of devices: what
// differs between them is stated in digits of their numbers (Digits.h), from
// which the runtime derives boxes, groups and values. PlanCodec.h has the byte
// form.
#ifndef TESSERA_ABI_PLANFORMAT_H
#define TESSERA_ABI_PLANFORMAT_H

#include "tessera/ABI/PlanStep.h"

namespace tessera::abi {

/// Raised with every change of the structs below: their byte form has no
/// redundancy. A runtime reads its own version only.
constexpr uint32_t planVersion = 6;

/// The attribute of functions, and then of their plans, that becomes
/// `Plan::structure`.
constexpr char structureAttrName[] = "tessera.structure";

/// Devices that one process drives, at most. Python's MAX_DEVICES is the same
/// number.
constexpr int64_t maxDevices = 256;
/// Devices of a mesh, at most.
constexpr int64_t maxMeshDevices = int64_t(1) << 20;

/// Where a buffer's memory comes from.
enum class BufferKind : uint8_t {
  Arena,    ///< `offset` in the device's arena.
  Input,    ///< This device's part of input `offset`; read only unless donated.
  Output,   ///< This device's part of output `offset`.
  Constant, ///< `offset` in the constants section; read only, same on all.
  Window,   ///< Placed anew in each iteration of the loop that lists it.
};

struct Buffer {
  BufferKind kind = BufferKind::Arena;
  int64_t offset = 0; ///< A multiple of bufferAlignment in the arena.
  int64_t bytes = 0;

  template <typename V> void visit(V &v) { v(kind, offset, bytes); }
};

/// A kernel in one of the artefact's objects.
struct Kernel {
  std::string name;          ///< For messages.
  std::string symbol;        ///< In the object.
  int32_t object = 0;        ///< Index among the artefact's objects.
  std::vector<int64_t> grid; ///< Blocks per dimension, 1 to 3 entries.
  int32_t numInputs = 0;     ///< Leading arguments that are only read.
  int32_t threads = 1;       ///< Per block; cuda and emulated.
  int64_t sharedBytes = 0;   ///< Per block, at launch; cuda, emulated.
  int64_t stackBytes = 0;    ///< Scratch on a thread's stack; cpu.
  int32_t registers = 0;     ///< Per thread, from ptxas; 0 where unknown.
  int64_t spillBytes = 0;    ///< Per thread, from ptxas.

  template <typename V> void visit(V &v) {
    v(name, symbol, object, grid, numInputs, threads, sharedBytes, stackBytes,
      registers, spillBytes);
  }
};

/// Steps that run in order.
struct Block {
  std::vector<Step> steps;

  template <typename V> void visit(V &v) { v(steps); }
};

/// What the devices of one pipeline stage run: those whose digits have the
/// given values; all devices where there are no digits. All programs of a plan
/// have the same digits, and every device runs exactly one program.
///
/// A collective is *joint* where devices of several programs act together in it
/// (see isJoint); a loop is joint if a step inside it is. Joint steps are not
/// inside a While or an If. Entries of all programs have the same joint steps
/// in the same order, and so have the bodies of joint loops: collectives that
/// are equal in all but buffers, tokens and text, and loops of equal count. All
/// other steps run on the program's own devices alone.
struct Program {
  std::string name;
  int32_t block = 0; ///< Its entry.
  std::vector<Digit> digits;
  std::vector<int64_t> values; ///< One per digit.

  bool runsOn(int64_t device) const {
    for (size_t i = 0; i < digits.size(); ++i)
      if (digits[i].of(device) != values[i])
        return false;
    return true;
  }
  template <typename V> void visit(V &v) { v(name, block, digits, values); }
};

/// Whether devices of several programs act together in a collective, where
/// `digits` tell the programs apart.
inline bool isJoint(const Step &collective, const std::vector<Digit> &digits) {
  for (const DigitMove &move : collective.moves)
    if (haveCommonPlace({move.from, {move.to, move.from.size}}, digits))
      return true;
  for (size_t device = 0; device < collective.targets.size(); ++device)
    for (const Digit &digit : digits)
      if (digit.of(static_cast<int64_t>(device)) !=
          digit.of(collective.targets[device]))
        return true;
  return haveCommonPlace(collective.digits, digits);
}

struct MeshAxis {
  std::string name;
  int64_t size = 1;

  template <typename V> void visit(V &v) { v(name, size); }
};

struct Plan {
  std::string compiler; ///< Version of the compiler that wrote it.
  std::string target;   ///< "cpu", "emulated:sm_90a", "cuda:sm_90a", ...
  /// How the caller's language nests the outputs, in words of that language;
  /// the runtime hands it on. Empty where nobody said.
  std::string structure;
  /// What host objects run on: "x86_64" or "aarch64" (empty without host
  /// objects), and the names in CpuFeatures.h of what they use beyond its base.
  std::string architecture;
  std::vector<std::string> cpuFeatures;
  std::vector<MeshAxis> mesh; ///< Devices are numbered row-major over it.
  int64_t arenaBytes = 0;     ///< Per device.
  std::vector<Buffer> buffers;
  std::vector<Tensor> inputs, outputs;
  std::vector<Kernel> kernels;
  /// The first is an entry. Every other one is the entry of one program, or
  /// named by one step of a block before it.
  std::vector<Block> blocks = std::vector<Block>(1);
  std::vector<Program> programs = std::vector<Program>(1);

  int64_t numDevices() const {
    int64_t count = 1;
    for (const MeshAxis &axis : mesh)
      count *= axis.size;
    return count;
  }
  /// The steps of the first program's entry.
  const std::vector<Step> &entrySteps() const { return blocks[0].steps; }

  template <typename V> void visit(V &v) {
    v(compiler, target, structure, architecture, cpuFeatures, mesh, arenaBytes,
      buffers, inputs, outputs, kernels, blocks, programs);
  }
};

/// A plan with what it refers to: shared objects (cpu, emulated) or cubins
/// (cuda), the constants' bytes, and the whole, row-major tensors that captured
/// inputs have as their values.
struct Artefact {
  Plan plan;
  std::vector<std::string> objects;
  std::string constants;
  std::vector<std::string> captured;
};

} // namespace tessera::abi

#endif // TESSERA_ABI_PLANFORMAT_H
