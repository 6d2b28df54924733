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

/// A tensor that lives on the devices, cut to a layout. Outlives the executable
/// that made it. Any thread may use one at any time.
typedef struct TesseraRtPlaced TesseraRtPlaced;

/// An input of a run: `placed`, or, where that is NULL, `data`: the whole
/// tensor, row-major and contiguous, read during the run only.
typedef struct TesseraRtInput {
  const void *data;
  TesseraRtPlaced *placed;
} TesseraRtInput;

/// Why the calling thread's last failed call failed. Never NULL.
TESSERA_RT_API const char *tesseraRtLastError(void);

/// Takes a line that a program prints: `size` bytes of UTF-8 without an end of
/// line. Not 0 ends the run with an error.
typedef int (*TesseraRtPrint)(const char *line, size_t size);

/// Where programs of this process print; NULL: standard output, as from the
/// beginning. `print` is called by the thread that runs the program, in the
/// order of the prints, and may use everything but that program.
TESSERA_RT_API void tesseraRtSetPrint(TesseraRtPrint print);

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
///  "compiler": version, "arenaBytes": per device, "steps": how many, those
///  inside loops once,
///  "inputs": [{"name": "x", "shape": [2, 3], "dtype": "f32",
///  "localShape": [1, 3], "layout": "[{dp}, {}]", "donated": true where a run
///  may write it, "captured": true where the artefact has its value}],
///  "outputs": the same, with "tied": the input in whose memory it is,
///  "kernels": [{"name": "matmul_0", "grid": [4, 2], "threads": 1,
///  "sharedBytes": 0, "registers": 0, "spillBytes": 0}]}
TESSERA_RT_API const char *
tesseraRtDescribe(const TesseraRtExecutable *executable);

/// Cuts the whole tensor `data` of `size` bytes for input `index`. On a CPU
/// device a layout without splits keeps the pointer and copies nothing: `data`
/// must then outlive the result, which never writes it.
TESSERA_RT_API TesseraRtPlaced *tesseraRtPlace(TesseraRtExecutable *executable,
                                               int64_t index, const void *data,
                                               size_t size);

/// A copy of `placed` in the layout of input `index`, which has its shape and
/// element type: on the devices where their memory is the host's, else by way
/// of the host.
TESSERA_RT_API TesseraRtPlaced *
tesseraRtReshard(TesseraRtExecutable *executable, int64_t index,
                 const TesseraRtPlaced *placed);
TESSERA_RT_API void tesseraRtReleasePlaced(TesseraRtPlaced *placed);

/// Makes the whole tensor `data` of `size` bytes the value of input `index` in
/// all runs from now on, which give it none: for constants that a program takes
/// as arguments. `data` must live as long as for tesseraRtPlace.
TESSERA_RT_API int tesseraRtBind(TesseraRtExecutable *executable, int64_t index,
                                 const void *data, size_t size);

/// Runs once. `outputs[i]` points to memory for the whole result i, row-major;
/// it is complete when the call returns 0.
TESSERA_RT_API int tesseraRtRun(TesseraRtExecutable *executable,
                                const TesseraRtInput *inputs,
                                int64_t inputCount, void *const *outputs,
                                int64_t outputCount);

/// Runs once and leaves the results on the devices: results[i] becomes a new
/// tensor in the layout of output i. `donated` is NULL or has an entry per
/// input; a placed input whose entry is not 0 is consumed: its memory becomes
/// that of the result it is tied to, or is freed after the run. It stays as it
/// is when the call fails before the program begins, and must be released in
/// any case.
TESSERA_RT_API int tesseraRtExecute(TesseraRtExecutable *executable,
                                    const TesseraRtInput *inputs,
                                    const uint8_t *donated, int64_t inputCount,
                                    TesseraRtPlaced **results,
                                    int64_t resultCount);

/// What the last run did, as JSON that lives until the next run:
/// {"ns": 0, "launches": kernels on all devices, "collectives": steps,
///  "bytesSent": what devices must receive of others, added up,
///  "bytesCut", "bytesJoined": copied to bring inputs into the layouts of the
///  program, and whole results out of them}, and if
/// profiling "steps": [{"step": "step 0 (launch of 'matmul_0')", "runs": how
/// often, "ns": of all those runs}], where "step 2.1 (...)" is step 1 of the
/// loop that is step 2, and, on the emulated device, "traffic": [{"kernel":
/// "matmul_0", "argument": 0, "kind": "load" | "store", "sectors": 32-byte
/// sectors of global memory that the accesses of its warps touch,
/// "leastSectors": the fewest that hold the same bytes; equal where the
/// accesses are coalesced}]}
TESSERA_RT_API const char *tesseraRtRunReport(TesseraRtExecutable *executable);

/// Has runs record, from now on or no longer, when each step began and ended.
/// Steps are waited for one by one meanwhile.
TESSERA_RT_API int tesseraRtSetTracing(TesseraRtExecutable *executable,
                                       int isOn);
/// The last run that was traced, as JSON that lives until the next call:
/// {"run": [begin, end] of the run, in nanoseconds of a clock of this process,
///  "program": of its steps, before which inputs are brought into the layouts
///  of the program and after which results are brought out of them,
///  "devices": their numbers in the mesh,
///  "steps": of the plan, also those inside loops: [{"step": "step 0 (launch of
///  'matmul_0')", "kind": "launch", "bytes": of the buffers that one device
///  reads and writes, "kernel": "matmul_0" of a launch, "what": what describes
///  it, such as why a collective is there, if there is that}],
///  "events": in the order in which they ended, [step, begin, end, then of each
///  of the devices begin and end, -1 where it took no part],
///  "dropped": events that were too many to keep}
TESSERA_RT_API const char *tesseraRtTrace(TesseraRtExecutable *executable);

/// Bytes copied because a tensor was wanted in another form, by an executable
/// and by what was done with the tensors that it placed or computed. What is
/// used in place is not copied and not counted.
typedef struct TesseraRtTransfers {
  int64_t cut;       ///< From whole tensors to the devices.
  int64_t joined;    ///< From the devices to whole tensors.
  int64_t resharded; ///< From one layout to another.
} TesseraRtTransfers;
TESSERA_RT_API TesseraRtTransfers
tesseraRtTransfers(const TesseraRtExecutable *executable);

/// Identifies where the elements of a tensor, input or result are stored:
/// a run takes a placed tensor for an input if and only if both are equal. It
/// stays valid while what it was asked of does.
TESSERA_RT_API const void *tesseraRtPlacement(const TesseraRtPlaced *placed);
TESSERA_RT_API const void *
tesseraRtInputPlacement(const TesseraRtExecutable *executable, int64_t index);
TESSERA_RT_API const void *
tesseraRtOutputPlacement(const TesseraRtExecutable *executable, int64_t index);

/// Joins a tensor into `size` bytes of host memory.
TESSERA_RT_API int tesseraRtJoin(const TesseraRtPlaced *placed, void *data,
                                 size_t size);
/// The whole tensor if it is row-major and contiguous in host memory, else
/// NULL. Valid until the tensor is released or donated.
TESSERA_RT_API const void *tesseraRtWhole(const TesseraRtPlaced *placed);
/// Whether the tensor was donated to a run.
TESSERA_RT_API int tesseraRtIsConsumed(const TesseraRtPlaced *placed);

/// What one device of this process holds of a tensor. Pointers live as long as
/// the tensor; arrays have `rank` entries.
typedef struct TesseraRtShard {
  int64_t device; ///< Its number in the mesh.
  void *address;  ///< On the device.
  int64_t rank;
  const int64_t *begin;      ///< Of the whole tensor's elements it holds those
  const int64_t *valid;      ///< of [begin, begin + valid) per dimension.
  const int64_t *localShape; ///< Of the memory; beyond `valid` is padding.
  int replica;               ///< Not 0: a device before it holds the same.
} TesseraRtShard;
TESSERA_RT_API int64_t tesseraRtShardCount(const TesseraRtPlaced *placed);
TESSERA_RT_API int tesseraRtGetShard(const TesseraRtPlaced *placed,
                                     int64_t index, TesseraRtShard *shard);
/// Copies the elements of a shard, without padding, to host memory.
TESSERA_RT_API int tesseraRtCopyShard(const TesseraRtPlaced *placed,
                                      int64_t index, void *data, size_t size);

/// A copy to host memory: of a shard without padding, or where `placed` is null
/// of other host memory.
typedef struct TesseraRtCopy {
  void *to;
  size_t size; ///< In bytes.
  const TesseraRtPlaced *placed;
  int64_t shard;
  const void *from; ///< Where `placed` is null.
} TesseraRtCopy;
/// Makes many copies on all threads, with as little use of the caches as can
/// be: for much memory that is read later.
TESSERA_RT_API int tesseraRtCopyAll(const TesseraRtCopy *copies, int64_t count);

/// A layout by itself, for placing tensors before there is a program.
typedef struct TesseraRtLayout {
  const char *device; ///< "cpu", "emulated", "null" or "cuda".
  const char *dtype;  ///< "f32".
  int64_t rank;
  const int64_t *shape;
  const char *text; ///< For messages: "[{dp}, {}]".
  const char *mesh; ///< For messages: "dp=2 tp=4".
  int64_t numDevices;
  /// Per dimension the number of its digits, then for each digit, major to
  /// minor, its stride in device numbers and its size: a dimension cut by the
  /// axis "dp" of a mesh dp=2, tp=4 has one, of stride 4 and size 2.
  const int64_t *digits;
} TesseraRtLayout;
/// Cuts the whole tensor `data` of `size` bytes into memory of its own.
TESSERA_RT_API TesseraRtPlaced *
tesseraRtPlaceLayout(const TesseraRtLayout *layout, const void *data,
                     size_t size);

/// Bytes of device memory in this process, over all devices: what programs and
/// tensors hold, the most they have held since the last tesseraRtResetPeak, and
/// what is kept for reuse.
typedef struct TesseraRtMemory {
  int64_t inUse, peak, kept;
} TesseraRtMemory;
TESSERA_RT_API TesseraRtMemory tesseraRtMemory(void);
TESSERA_RT_API void tesseraRtResetPeak(void);

#ifdef __cplusplus
}
#endif

#endif // TESSERA_RT_TESSERA_RT_H
