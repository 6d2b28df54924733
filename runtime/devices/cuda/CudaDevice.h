// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The cuda device on a driver of the caller's choice.
#ifndef TESSERA_RUNTIME_DEVICES_CUDA_CUDADEVICE_H
#define TESSERA_RUNTIME_DEVICES_CUDA_CUDADEVICE_H

#include "CudaDriver.h"
#include "tessera-rt/Device.h"

namespace tessera::rt {

/// `driver` outlives the device.
Result<std::unique_ptr<Device>> createCudaDevice(const CudaDriver &driver,
                                                 const DeviceOptions &options);

} // namespace tessera::rt

#endif // TESSERA_RUNTIME_DEVICES_CUDA_CUDADEVICE_H
