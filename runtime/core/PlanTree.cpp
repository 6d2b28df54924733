// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Blocks of a plan and the memory that is visible in them.
#include "PlanChecks.h"

#include <algorithm>

using namespace tessera;
using namespace tessera::rt;
using namespace tessera::abi;

Result<PlanTree> PlanTree::create(const Plan &plan) {
  PlanTree tree;
  tree.parents.resize(plan.blocks.size());
  tree.programs.resize(plan.blocks.size());
  std::vector<bool> isNamed(plan.blocks.size(), false);
  for (size_t p = 0; p < plan.programs.size(); ++p) {
    const Program &program = plan.programs[p];
    if (!isIndexOf(plan.blocks, program.block) || isNamed[program.block])
      return Status::error("program '" + program.name + "' has block " +
                           str(program.block) + " of " +
                           str(plan.blocks.size()) +
                           " as its entry, or shares it with another");
    isNamed[program.block] = true;
    tree.programs[program.block] = static_cast<int32_t>(p);
  }
  for (size_t b = 0; b < plan.blocks.size(); ++b) {
    if (!isNamed[b])
      return Status::error("block " + str(b) +
                           " is named by no step of a block before it");
    for (size_t s = 0; s < plan.blocks[b].steps.size(); ++s)
      for (int32_t child : plan.blocks[b].steps[s].blocks) {
        if (!isIndexOf(plan.blocks, child) || child <= static_cast<int64_t>(b))
          return Status::error("step " + str(s) + " of block " + str(b) +
                               " names block " + str(child) + " of " +
                               str(plan.blocks.size()) +
                               "; expected one after its own");
        if (isNamed[child])
          return Status::error("block " + str(child) + " is used twice");
        isNamed[child] = true;
        tree.parents[child] = {static_cast<int32_t>(b),
                               static_cast<int32_t>(s)};
        tree.programs[child] = tree.programs[b];
      }
  }
  if (plan.programs.size() > 1)
    tree.findJointSteps(plan);
  return tree;
}

void PlanTree::findJointSteps(const Plan &plan) {
  const std::vector<Digit> &digits = plan.programs[0].digits;
  joint.resize(plan.blocks.size());
  // Blocks inside a step come after its own.
  for (size_t b = plan.blocks.size(); b-- > 0;)
    for (const Step &step : plan.blocks[b].steps) {
      bool joins = step.isCollective() && abi::isJoint(step, digits);
      for (int32_t inner : step.blocks)
        joins |= std::find(joint[inner].begin(), joint[inner].end(), true) !=
                 joint[inner].end();
      joint[b].push_back(joins);
    }
}

bool PlanTree::isInside(int32_t block, int32_t ancestor) const {
  while (block > ancestor)
    block = parents[block].block;
  return block == ancestor;
}

Status PlanMemory::addWindows() {
  for (const Block &block : plan.blocks)
    for (const Step &step : block.steps)
      for (const Window &window : step.windows) {
        if (step.kind != StepKind::Loop)
          return Status::error("a step that is not a loop has windows");
        if (!isIndexOf(plan.buffers, window.buffer) ||
            plan.buffers[window.buffer].kind != BufferKind::Window)
          return Status::error("a loop has buffer " + str(window.buffer) +
                               " as a window, which is none");
        Owner &owner = owners[window.buffer];
        if (owner.body >= 0 || step.blocks.empty())
          return Status::error("buffer " + str(window.buffer) +
                               " is the window of two loops, or of one "
                               "without a body");
        owner = {step.blocks[0], window.base};
      }
  // A base that is a window belongs to a loop around this one, so that going
  // from window to base ends.
  for (size_t b = 0; b < plan.blocks.size(); ++b)
    for (const Step &step : plan.blocks[b].steps)
      for (const Window &window : step.windows)
        if (Status base = checkUse(window.base, static_cast<int32_t>(b));
            !base.ok())
          return Status::error("a loop " + base.message());
  return Status::success();
}

Status PlanMemory::checkUse(int64_t buffer, int32_t block) const {
  if (!isIndexOf(plan.buffers, buffer))
    return Status::error("uses buffer " + str(buffer) + " of " +
                         str(plan.buffers.size()));
  if (plan.buffers[buffer].kind != BufferKind::Window)
    return Status::success();
  int32_t body = owners[buffer].body;
  return check(body >= 0 && tree.isInside(block, body),
               "uses buffer " + str(buffer) +
                   ", a window, outside of the loop that it belongs to");
}

const Buffer &PlanMemory::rootOf(int32_t buffer) const {
  // A base is visible outside of the loop, so that this ends.
  while (plan.buffers[buffer].kind == BufferKind::Window)
    buffer = owners[buffer].base;
  return plan.buffers[buffer];
}

bool PlanMemory::isWritable(int32_t buffer) const {
  const Buffer &root = rootOf(buffer);
  return root.kind == BufferKind::Arena || root.kind == BufferKind::Output ||
         (root.kind == BufferKind::Input && plan.inputs[root.offset].donated);
}

bool PlanMemory::overlap(int32_t first, int32_t second) const {
  const Buffer &a = rootOf(first), &b = rootOf(second);
  if (a.kind != b.kind)
    return false;
  if (a.kind == BufferKind::Arena)
    return a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
  return a.offset == b.offset;
}

bool PlanMemory::isSame(int32_t first, int32_t second) const {
  if (first == second)
    return true;
  const Buffer &a = plan.buffers[first], &b = plan.buffers[second];
  return a.kind == b.kind && a.kind != BufferKind::Window &&
         a.offset == b.offset;
}

std::string tessera::rt::describeStep(const Plan &plan, const PlanTree &tree,
                                      int32_t block, size_t index) {
  const Step &step = plan.blocks[block].steps[index];
  std::string path = std::to_string(index);
  for (int32_t b = block; tree.parentOf(b) >= 0; b = tree.parentOf(b)) {
    int32_t at = tree.stepOf(b);
    const std::vector<int32_t> &siblings =
        plan.blocks[tree.parentOf(b)].steps[at].blocks;
    auto which = std::find(siblings.begin(), siblings.end(), b);
    std::string number = siblings.size() == 1
                             ? ""
                             : std::to_string(which - siblings.begin()) + ".";
    path = std::to_string(at) + "." + number + path;
  }
  std::string text = "step " + path;
  if (plan.programs.size() > 1)
    text += " of program '" + plan.programs[tree.programOf(block)].name + "'";
  text += " (";
  if (step.kind == StepKind::Launch && isIndexOf(plan.kernels, step.kernel))
    text += "launch of '" + plan.kernels[step.kernel].name + "'";
  else if (step.kind <= StepKind::Check)
    text += toString(step.kind);
  else
    text += "unknown kind";
  if (step.kind == StepKind::Loop)
    text += " of " + std::to_string(step.count) + " iterations";
  if (!step.what.empty())
    text += ": " + step.what;
  return text + ")";
}
