// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The devices and communicators of this build, by name. A new one is declared
// here and gets a row in Registry.cpp.
#ifndef TESSERA_RT_REGISTRY_H
#define TESSERA_RT_REGISTRY_H

#include "tessera-rt/Communicator.h"
#include "tessera-rt/Device.h"

#include <vector>

namespace tessera::rt {

Result<std::unique_ptr<Device>> createCpuDevice(const DeviceOptions &options);
Result<std::unique_ptr<Device>>
createEmulatedDevice(const DeviceOptions &options);
Result<std::unique_ptr<Device>> createNullDevice(const DeviceOptions &options);
Result<std::unique_ptr<Device>> createCudaDevice(const DeviceOptions &options);

Result<std::unique_ptr<Communicator>>
createInProcessCommunicator(const CommunicatorOptions &options);

/// Fails, saying how many there are and the way out, where a mesh needs more
/// devices than there are of a kind: TESSERA_DEVICE_COUNT, at most and by
/// default abi::maxDevices. Devices of kind cuda share the GPUs in turn, so
/// that any mesh runs on one GPU.
Status checkDeviceCount(const std::string &kind,
                        const std::vector<abi::MeshAxis> &mesh);

/// Fail on unknown names, listing the known ones, and where the machine lacks
/// what a device needs.
Result<std::unique_ptr<Device>> createDevice(const std::string &name,
                                             const DeviceOptions &options);
Result<std::unique_ptr<Communicator>>
createCommunicator(const std::string &name, const CommunicatorOptions &options);

std::vector<std::string> deviceNames();
std::vector<std::string> communicatorNames();

} // namespace tessera::rt

#endif // TESSERA_RT_REGISTRY_H
