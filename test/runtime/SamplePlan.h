// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A small plan that tests run and damage.
#ifndef TESSERA_TEST_RUNTIME_SAMPLEPLAN_H
#define TESSERA_TEST_RUNTIME_SAMPLEPLAN_H

#include "test/runtime/PlanBuilder.h"

namespace tessera::test {

/// One step of every kind on two devices. Its object is no code: it runs on the
/// null device only.
inline abi::Artefact samplePlan() {
  using abi::DType;
  using abi::StepKind;
  PlanBuilder builder(2);
  int32_t x = builder.addInput(DType::F32, {4, 3}, 0);
  int32_t y = builder.addOutput(DType::F32, {4, 3});
  int32_t local = builder.addArena(24), index = builder.addArena(4);
  abi::Step step;
  step.kind = StepKind::Copy;
  step.buffers = {x, local};
  builder.plan.steps.push_back(step);
  step.kind = StepKind::DeviceValue;
  step.buffers = {index};
  step.values = {0, 1};
  builder.plan.steps.push_back(step);
  step.kind = StepKind::Fill;
  step.buffers = {y};
  step.pattern = std::string(4, '\0');
  builder.plan.steps.push_back(step);
  builder.addCollective(StepKind::AllGather, local, y, DType::F32, {2, 3},
                        {4, 3});
  abi::Kernel kernel;
  kernel.grid = {1};
  builder.plan.kernels.push_back(kernel);
  step = abi::Step();
  step.buffers = {y};
  builder.plan.steps.push_back(step);
  builder.artefact.objects = {"not code"};
  builder.artefact.constants = "0123456789";
  return builder.artefact;
}

} // namespace tessera::test

#endif // TESSERA_TEST_RUNTIME_SAMPLEPLAN_H
