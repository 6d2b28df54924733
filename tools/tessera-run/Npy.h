// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// NumPy's .npy files, version 1, C order, little-endian.
#ifndef TESSERA_TOOLS_TESSERA_RUN_NPY_H
#define TESSERA_TOOLS_TESSERA_RUN_NPY_H

#include "tessera-rt/Status.h"
#include "tessera/ABI/PlanFormat.h"

namespace tessera::run {

/// Reads an array that must have `dtype` and `shape`. Of bf16 the bits are
/// kept, as '<u2'; ml_dtypes' '<V2' is read too.
rt::Result<std::string> readNpy(const std::string &path, abi::DType dtype,
                                const std::vector<int64_t> &shape);
/// Writes an array; the file is there whole or not at all.
rt::Status writeNpy(const std::string &path, abi::DType dtype,
                    const std::vector<int64_t> &shape,
                    const std::string &bytes);

} // namespace tessera::run

#endif // TESSERA_TOOLS_TESSERA_RUN_NPY_H
