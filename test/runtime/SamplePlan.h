// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A small plan that tests run and damage.
#ifndef TESSERA_TEST_RUNTIME_SAMPLEPLAN_H
#define TESSERA_TEST_RUNTIME_SAMPLEPLAN_H

#include "test/runtime/PlanBuilder.h"

namespace tessera::test {

/// Steps of many kinds on two devices. Its object is no code: it runs on the
/// null device only.
inline abi::Artefact samplePlan() {
  using abi::DType;
  using abi::StepKind;
  PlanBuilder builder(2);
  int32_t x = builder.addInput(DType::F32, {4, 3}, 0);
  int32_t y = builder.addOutput(DType::F32, {4, 3});
  int32_t local = builder.addArena(24), index = builder.addArena(4);
  builder.addCopy(x, local);
  abi::Step &value = builder.addStep(StepKind::DeviceValue, {index});
  value.query = abi::DeviceQuery::ValidExtent;
  value.size = 3;
  value.digits = {builder.allDevices()};
  builder.addStep(StepKind::Fill, {y}).pattern = std::string(4, '\0');
  builder.addCollective(StepKind::AllGather, local, y, DType::F32, {2, 3},
                        {4, 3});
  abi::Kernel kernel;
  kernel.grid = {1};
  builder.plan.kernels.push_back(kernel);
  builder.addStep(StepKind::Launch, {y});
  builder.artefact.objects = {"not code"};
  builder.artefact.constants = "0123456789";
  return builder.artefact;
}

/// Beside those: regions with windows and carried values, a permute, steps with
/// tokens, effects, a donated input with the output that is tied to it, and a
/// captured input.
inline abi::Artefact sampleRegions() {
  using abi::DType;
  using abi::StepKind;
  PlanBuilder builder(2);
  abi::Plan &plan = builder.plan;
  int32_t x = builder.addInput(DType::F32, {3, 2});
  int32_t p = builder.addInput(DType::F32, {2});
  int32_t c = builder.addInput(DType::F32, {2}, 0);
  int32_t y = builder.addOutput(DType::F32, {3, 2});
  plan.inputs[1].donated = 1;
  plan.inputs[2].captured = 0;
  builder.artefact.captured = {"8 bytes."};
  plan.outputs.push_back(builder.makeTensor("p", DType::F32, {2}, -1));
  plan.outputs[1].buffer = p;
  plan.outputs[1].tied = 1;
  int32_t index = builder.addArena(4), next = builder.addArena(8);
  int32_t predicate = builder.addArena(1), scalar = builder.addArena(4);
  int32_t xi = builder.addWindow(8), yi = builder.addWindow(8);

  abi::Step &loop = builder.addRegions(
      StepKind::Loop, {index}, {[&] {
        builder.addCopy(xi, next);
        builder.addRegions(StepKind::If, {index},
                           {[&] { builder.addCopy(p, yi); },
                            [&] { builder.addCopy(next, yi); }});
      }});
  loop.count = 3;
  loop.reverse = 1;
  loop.windows = {{xi, x, 8}, {yi, y, 8}};
  loop.carries = {{p, next}};
  builder.addCopy(next, p);
  abi::Step &repeat = builder.addRegions(
      StepKind::While, {predicate},
      {[&] { builder.addStep(StepKind::Fill, {predicate}).pattern = "0"; },
       [&] { builder.addCopy(p, next); }});
  repeat.carries = {{p, next}};
  abi::Step &permute = builder.addStep(StepKind::Permute, {c, scalar});
  permute.inputShape = permute.outputShape = {1};
  permute.moves = {{{1, 2}, 1, 1}};
  permute.stream = 1;
  permute.token = 7;
  builder.addStep(StepKind::Await, {}).token = 7;
  abi::Step &print = builder.addStep(StepKind::Print, {});
  print.format = "{}";
  print.operands = {plan.outputs[1]};
  return builder.artefact;
}

/// Two programs of two devices each: steps of their own, collectives of their
/// own devices, and a loop and collectives that join them. Both make the sum of
/// x and of ones, of which each device has one of two rows.
inline abi::Artefact samplePrograms() {
  using abi::DType;
  using abi::StepKind;
  PlanBuilder builder(4);
  abi::Plan &plan = builder.plan;
  plan.mesh = {{"pp", 2}, {"tp", 2}};
  const abi::Digit pp = {2, 2}, tp = {1, 2};
  plan.blocks.resize(2);
  plan.programs = {{"first", 0, {pp}, {0}}, {"second", 1, {pp}, {1}}};
  int32_t x = builder.addInput(DType::F32, {3});
  int32_t y = builder.addOutput(DType::F32, {2, 3});
  plan.outputs[0].splits = {{tp}, {}};
  plan.outputs[0].localShape = {1, 3};
  plan.buffers[y].bytes = 12;
  for (int32_t p : {0, 1}) {
    builder.block = p;
    // What one program has in its arena is not there for the other.
    plan.arenaBytes = 0;
    int32_t value = builder.addArena(12), other = builder.addArena(12);
    int32_t whole = builder.addArena(24), index = builder.addArena(4);
    if (p == 0) {
      builder.addCopy(x, value);
    } else {
      builder.addStep(StepKind::Fill, {value}).pattern =
          std::string("\0\0\200\77", 4);
      // One more of its own; the first program has none.
      builder
          .addCollective(StepKind::AllGather, value, whole, DType::F32, {3},
                         {6})
          .digits = {tp};
    }
    abi::Step &loop = builder.addRegions(
        StepKind::Loop, {index}, {[&] {
          abi::Step &shift = builder.addStep(StepKind::Permute, {value, other});
          shift.inputShape = shift.outputShape = {3};
          shift.moves = {{pp, 2, 1}};
        }});
    loop.count = 3;
    loop.carries = {{value, other}};
    abi::Step &print = builder.addStep(StepKind::Print, {});
    print.format = p == 0 ? "first {}" : "second {}";
    print.operands = {builder.makeTensor("v", DType::F32, {3}, -1)};
    print.operands[0].buffer = other; // The count is odd.
    builder.addCollective(StepKind::AllReduce, other, y, DType::F32, {3}, {3})
        .digits = {pp};
  }
  return builder.artefact;
}

} // namespace tessera::test

#endif // TESSERA_TEST_RUNTIME_SAMPLEPLAN_H
