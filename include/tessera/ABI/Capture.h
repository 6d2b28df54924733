// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Values that an artefact has for its inputs, so that the text of a program
// need not hold the elements of its constants.
#ifndef TESSERA_ABI_CAPTURE_H
#define TESSERA_ABI_CAPTURE_H

#include "tessera/ABI/PlanFormat.h"

namespace tessera::abi {

/// Appends the whole, row-major tensor `data` to the artefact as the value of
/// an input; returns why it cannot be, or "".
inline std::string captureInput(Artefact &artefact, int64_t input,
                                const void *data, size_t size) {
  std::vector<Tensor> &inputs = artefact.plan.inputs;
  if (input < 0 || input >= static_cast<int64_t>(inputs.size()))
    return "the program has " + std::to_string(inputs.size()) +
           " inputs; it does not have input " + std::to_string(input);
  Tensor &tensor = inputs[input];
  std::string name =
      "input " + std::to_string(input) + " ('" + tensor.name + "')";
  int64_t bytes = numElements(tensor.shape) * sizeOf(tensor.dtype);
  if (static_cast<int64_t>(size) != bytes)
    return name + " has " + std::to_string(bytes) + " bytes, got " +
           std::to_string(size);
  if (tensor.donated)
    return name + " is donated, and would not have its value any more after a "
                  "run; compile without the donation to capture it";
  if (tensor.captured >= 0)
    return name + " has a captured value already";
  tensor.captured = static_cast<int32_t>(artefact.captured.size());
  artefact.captured.emplace_back(static_cast<const char *>(data), size);
  return "";
}

} // namespace tessera::abi

#endif // TESSERA_ABI_CAPTURE_H
