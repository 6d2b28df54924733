// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera-rt/Registry.h"

using namespace tessera::rt;

namespace {

struct DeviceRow {
  const char *name;
  Result<std::unique_ptr<Device>> (*create)(const DeviceOptions &);
};
constexpr DeviceRow devices[] = {
    {"cpu", createCpuDevice},
    {"emulated", createEmulatedDevice},
    {"null", createNullDevice},
    {"cuda", createCudaDevice},
};

struct CommunicatorRow {
  const char *name;
  Result<std::unique_ptr<Communicator>> (*create)(const CommunicatorOptions &);
};
constexpr CommunicatorRow communicators[] = {
    {"inprocess", createInProcessCommunicator},
};

std::string join(const std::vector<std::string> &names) {
  std::string text;
  for (const std::string &name : names)
    text += (text.empty() ? "'" : ", '") + name + "'";
  return text;
}

} // namespace

Result<std::unique_ptr<Device>>
tessera::rt::createDevice(const std::string &name,
                          const DeviceOptions &options) {
  for (const DeviceRow &row : devices)
    if (name == row.name)
      return row.create(options);
  return Status::error("unknown device '" + name + "'; this runtime has " +
                       join(deviceNames()));
}

Result<std::unique_ptr<Communicator>>
tessera::rt::createCommunicator(const std::string &name,
                                const CommunicatorOptions &options) {
  for (const CommunicatorRow &row : communicators)
    if (name == row.name)
      return row.create(options);
  return Status::error("unknown communicator '" + name +
                       "'; this runtime has " + join(communicatorNames()));
}

std::vector<std::string> tessera::rt::deviceNames() {
  std::vector<std::string> names;
  for (const DeviceRow &row : devices)
    names.push_back(row.name);
  return names;
}

std::vector<std::string> tessera::rt::communicatorNames() {
  std::vector<std::string> names;
  for (const CommunicatorRow &row : communicators)
    names.push_back(row.name);
  return names;
}
