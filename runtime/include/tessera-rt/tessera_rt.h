// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The runtime as a C library (libtessera_rt.so): loads an artefact and runs it.
// Functions that can fail return NULL or a non-zero code and leave a sentence
// in tesseraRtLastError. Different executables may be used by different threads
// at once; calls on one executable are serialised inside.
#ifndef TESSERA_RT_TESSERA_RT_H
#define TESSERA_RT_TESSERA_RT_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define TESSERA_RT_API __attribute__((visibility("default")))
#else
#define TESSERA_RT_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct TesseraRtExecutable TesseraRtExecutable;

/// A whole tensor cut to an input's layout and resident on the devices.
typedef struct TesseraRtPlaced TesseraRtPlaced;

/// An input of a run: `placed`, or, where that is NULL, `data`: the whole
/// tensor, row-major and contiguous, read during the run only.
typedef struct TesseraRtInput {
  const void *data;
  const TesseraRtPlaced *placed;
} TesseraRtInput;

/// Why the calling thread's last failed call failed. Never NULL.
TESSERA_RT_API const char *tesseraRtLastError(void);

/// Loads an artefact; `bytes` may be freed afterwards. Options, all optional:
/// {"device": "cpu" | "emulated" | "null" | "cuda" (default: the artefact's),
///  "communicator": "inprocess",
///  "threads": threads of all devices together (default: the environment's
///  TESSERA_NUM_THREADS, else one per core that the process may use),
///  "timeoutMs": longest wait for a device or a peer (default 60000),
///  "profile": measure each step and, on the emulated device, count the
///  sectors that kernels touch (default false)}
TESSERA_RT_API TesseraRtExecutable *
tesseraRtLoad(const void *bytes, size_t size, const char *optionsJson);
TESSERA_RT_API void tesseraRtUnload(TesseraRtExecutable *executable);

/// A JSON object that lives as long as the executable:
/// {"mesh": [["dp", 2], ["tp", 4]], "target": "cpu", "device": "cpu",
///  "compiler": version, "arenaBytes": per device, "steps": how many,
///  "inputs": [{"name": "x", "shape": [2, 3], "dtype": "f32",
///  "localShape": [1, 3], "layout": "[{dp}, {}]"}], "outputs": the same,
///  "kernels": [{"name": "matmul_0", "grid": [4, 2], "threads": 1,
///  "sharedBytes": 0, "registers": 0, "spillBytes": 0}]}
/// Inputs with equal shape, dtype, layout, mesh and device may share a placed
/// tensor, across executables too.
TESSERA_RT_API const char *
tesseraRtDescribe(const TesseraRtExecutable *executable);

/// Cuts the whole tensor `data` of `size` bytes for input `index`. On a CPU
/// device a layout without splits keeps the pointer and copies nothing: `data`
/// must then outlive the result.
TESSERA_RT_API TesseraRtPlaced *tesseraRtPlace(TesseraRtExecutable *executable,
                                               int64_t index, const void *data,
                                               size_t size);
TESSERA_RT_API void tesseraRtReleasePlaced(TesseraRtPlaced *placed);

/// Runs once. `outputs[i]` points to memory for the whole result i, row-major;
/// it is complete when the call returns 0.
TESSERA_RT_API int tesseraRtRun(TesseraRtExecutable *executable,
                                const TesseraRtInput *inputs,
                                int64_t inputCount, void *const *outputs,
                                int64_t outputCount);

/// What the last run did, as JSON that lives until the next run:
/// {"ns": 0, "launches": kernels on all devices, "collectives": steps,
///  "bytesSent": what devices must receive of others, added up}, and if
/// profiling "steps": [{"step": "step 0 (launch of 'matmul_0')", "ns": 0}] and,
/// on the emulated device, "traffic": [{"kernel": "matmul_0", "argument": 0,
/// "kind": "load" | "store", "sectors": 32-byte sectors of global memory that
/// the accesses of its warps touch, "leastSectors": the fewest that hold the
/// same bytes; equal where the accesses are coalesced}]}
TESSERA_RT_API const char *tesseraRtRunReport(TesseraRtExecutable *executable);

#ifdef __cplusplus
}
#endif

#endif // TESSERA_RT_TESSERA_RT_H
