// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Whether the machine has the devices that a mesh needs.
#include "tessera-rt/Registry.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

using namespace tessera;
using namespace tessera::rt;

/// "Mesh(dp=2, tp=4)", as Python prints it.
static std::string describe(const std::vector<abi::MeshAxis> &mesh) {
  std::string text;
  for (const abi::MeshAxis &axis : mesh)
    text += (text.empty() ? "" : ", ") + axis.name + "=" +
            std::to_string(axis.size);
  return "Mesh(" + text + ")";
}

Status tessera::rt::checkDeviceCount(const std::string &kind,
                                     const std::vector<abi::MeshAxis> &mesh) {
  int64_t needed = 1, available = abi::maxDevices;
  for (const abi::MeshAxis &axis : mesh)
    needed *= axis.size;
  const char *text = std::getenv("TESSERA_DEVICE_COUNT");
  if (kind != "cuda" && text && *text) {
    if (std::strspn(text, "0123456789") != std::strlen(text) ||
        std::strspn(text, "0") == std::strlen(text))
      return Status::error(
          "TESSERA_DEVICE_COUNT is not a number of devices: '" +
          std::string(text) + "'; expected 1 to " +
          std::to_string(abi::maxDevices));
    available = static_cast<int64_t>(
        std::min<uint64_t>(std::strtoull(text, nullptr, 10), abi::maxDevices));
  }
  if (needed <= available)
    return Status::success();
  return Status::error(
      describe(mesh) + " needs " + std::to_string(needed) +
      " devices, but there are " + std::to_string(available) + " of kind '" +
      kind + "'; compile for a mesh of at most " + std::to_string(available) +
      ", or raise TESSERA_DEVICE_COUNT");
}
