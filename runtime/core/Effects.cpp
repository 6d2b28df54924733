// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Steps that a user sees: prints and checks.
#include "tessera-rt/Elements.h"
#include "tessera-rt/Executable.h"
#include "tessera-rt/PrintSink.h"
#include "tessera/ABI/Format.h"

#include <algorithm>
#include <atomic>
#include <cstdio>

using namespace tessera;
using namespace tessera::rt;

/// Elements of a row that are printed, the same number as tessera-run --print.
constexpr int64_t maxShown = 64;

static std::atomic<PrintSink> printSink{nullptr};

void tessera::rt::setPrintSink(PrintSink sink) { printSink = sink; }

Status tessera::rt::printLine(const std::string &line) {
  if (PrintSink sink = printSink) {
    if (sink(line.data(), line.size()))
      return Status::error("'" + line + "' could not be written");
    return Status::success();
  }
  std::fputs((line + "\n").c_str(), stdout);
  std::fflush(stdout);
  return Status::success();
}

/// `step.format` with its operands from `first` on in the places of {}.
Result<std::string> Executable::formatEffect(const abi::Step &step,
                                             size_t first) {
  std::vector<std::string> parts = *abi::splitFormat(step.format);
  std::string text = parts.front();
  for (size_t i = first; i < step.operands.size(); ++i) {
    const abi::Tensor &tensor = step.operands[i];
    std::string bytes(
        abi::numElements(tensor.shape) * abi::sizeOf(tensor.dtype), '\0');
    if (Status status = readWhole(tensor, bytes.data()); !status.ok())
      return status;
    text += tensorText(tensor.dtype, bytes.data(), tensor.shape, maxShown);
    text += parts[i - first + 1];
  }
  return text;
}

Status Executable::runEffect(const abi::Step &step) {
  if (!device->computes())
    return Status::success();
  if (step.kind == abi::StepKind::Check) {
    const abi::Tensor &condition = step.operands[0];
    std::string bytes(abi::numElements(condition.shape), '\0');
    if (Status status = readWhole(condition, bytes.data()); !status.ok())
      return status;
    if (std::find(bytes.begin(), bytes.end(), '\0') == bytes.end())
      return Status::success();
  }
  Result<std::string> text =
      formatEffect(step, step.kind == abi::StepKind::Check ? 1 : 0);
  if (!text.ok())
    return text.status();
  if (step.kind == abi::StepKind::Check)
    return Status::error(*text);
  return printLine(*text);
}
