// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The compiler as a C library (libtessera_compiler.so): program text in; text
// or bytes, diagnostics and a report as JSON out. The Python package calls it
// through ctypes. Every call may come from any thread.
#ifndef TESSERA_TOOLS_COMPILERCAPI_H
#define TESSERA_TOOLS_COMPILERCAPI_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define TESSERA_COMPILER_API __attribute__((visibility("default")))
#else
#define TESSERA_COMPILER_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/// What a call produced; freed by tesseraResultDestroy. The strings that the
/// getters return live as long as it does, and end with a zero byte that
/// `size` does not count.
typedef struct TesseraResult TesseraResult;

/// A host tensor: row-major, contiguous, of the entry's logical shape.
typedef struct TesseraHostTensor {
  const char *dtype; ///< "f32", "bf16", "f16", "f64", "i32", "i64" or "i1"
                     ///< (one byte an element)
  int64_t rank;
  const int64_t *shape;
  void *data;
} TesseraHostTensor;

/// Names the compiler's build and the machine's CPU; equal strings compile
/// equal programs alike.
TESSERA_COMPILER_API const char *tesseraCompilerVersion(void);

/// All members may be 0: their defaults.
typedef struct TesseraCompileOptions {
  /// "cpu" (this machine's, the default) | "cpu:x86-64-v3" and so on |
  /// "emulated[:sm_NN]" | "cuda:sm_80" | "cuda:sm_90a" | "cuda:sm_100a".
  const char *target;
  const char *entry;      ///< Name of the entry function, by default "main".
  const char *sourceName; ///< Of the text in diagnostics, by default "<input>".
  /// Kinds of collectives that are an error, such as "all_gather".
  const char *const *forbidImplicit;
  int64_t numForbidden;
  /// Kernels compiled at once; 0: one per usable core. The result does not
  /// depend on it.
  int64_t jobs;
  /// Whether each stage is kept, so that calls for several of them make each
  /// once. It takes the memory of the modules.
  int32_t keepsStages;
} TesseraCompileOptions;

/// A program in the compiler. Calls on one from several threads take turns.
typedef struct TesseraCompilation TesseraCompilation;

/// Begins with `source`, a module of any stage. `options` may be NULL. Never
/// NULL; the calls on it report what is wrong with the options or the source.
TESSERA_COMPILER_API TesseraCompilation *
tesseraCompilationCreate(const char *source, size_t sourceSize,
                         const TesseraCompileOptions *options);

TESSERA_COMPILER_API void
tesseraCompilationDestroy(TesseraCompilation *compilation);

/// Compiles to a stage, named as in include/tessera/Pipelines/Stages.h;
/// "artefact" is what a runtime executes.
TESSERA_COMPILER_API TesseraResult *
tesseraCompilationEmit(TesseraCompilation *compilation, const char *stage);

/// Evaluates the program at stage "tessera", "layouts", "reshards" or "local"
/// by the reference interpreter on simulated devices. Inputs are whole tensors;
/// the interpreter cuts them. The outputs' `data` must hold the entry's
/// results; they are filled whole.
TESSERA_COMPILER_API TesseraResult *
tesseraCompilationInterpret(TesseraCompilation *compilation, const char *stage,
                            const TesseraHostTensor *inputs, int64_t inputCount,
                            TesseraHostTensor *outputs, int64_t outputCount);

/// Adds derivatives of a function of `source`, a module of stage "tessera", by
/// its arguments `wanted`. Of its results those numbered `results` have
/// tangents and cotangents: all of floats where `resultCount` is negative.
/// `mode` is "vjp" (functions <prefix>.fwd and <prefix>.bwd), "linearize"
/// (<prefix>.fwd and <prefix>.lin) or "jvp" (<prefix>.jvp); the pass
/// tessera-differentiate says what these take and give. The result's data are
/// the texts of the new functions, which call others of `source` by name. The
/// report is {"functions": [{"name": ..., "bytes": of its text, "arguments":
/// [types...], "results": [types...]}...], "residuals":
/// [[kind, number]...]}, where kind is "argument", "result" or "kept".
TESSERA_COMPILER_API TesseraResult *
tesseraDifferentiate(const char *source, size_t sourceSize,
                     const char *function, const char *mode, const char *prefix,
                     const int64_t *wanted, int64_t count,
                     const int64_t *results, int64_t resultCount);

/// Where programs print that the interpreter evaluates, as TesseraRtPrint of
/// the runtime. NULL: standard output.
TESSERA_COMPILER_API void tesseraCompilerSetPrint(int (*print)(const char *line,
                                                               size_t size));

/// Adds a function `prefix` that computes a function of `source`, a module of
/// stage "tessera", for each of `size` entries. Of its arguments those numbered
/// `batched` have the entries as a first dimension, and of the results those
/// that depend on them. `axes` are names of mesh axes that split the entries
/// where the function states layouts. The result's data are the texts of the
/// function and of others that it calls, which may call more of `source` by
/// name. The report is {"functions": as for tesseraDifferentiate, "batched":
/// [true or false for each result...]}.
TESSERA_COMPILER_API TesseraResult *
tesseraVectorize(const char *source, size_t sourceSize, const char *function,
                 const char *prefix, int64_t size, const int64_t *batched,
                 int64_t count, const char *const *axes, int64_t axisCount);

/// Appends values for inputs to an artefact: inputs[i] gets the whole,
/// row-major tensor `data[i]` of `sizes[i]` bytes, and runs give it none. So
/// the program's text has an argument in place of each large constant. The
/// result's data are the new artefact's bytes.
TESSERA_COMPILER_API TesseraResult *
tesseraCapture(const char *artefact, size_t artefactSize, const int64_t *inputs,
               const void *const *data, const size_t *sizes, int64_t count);

/// 1 if the call succeeded, else 0; then the diagnostics hold an error.
TESSERA_COMPILER_API int tesseraResultOk(const TesseraResult *result);

/// The stage's text, or the artefact's bytes. Empty after an error.
TESSERA_COMPILER_API const char *tesseraResultData(const TesseraResult *result,
                                                   size_t *size);

/// A JSON array: [{"severity": "error" | "warning" | "remark", "message": "",
///   "file": "", "line": 0, "column": 0,
///   "notes": [{"message": "", "file": "", "line": 0, "column": 0}]}].
/// Lines and columns count from 1; 0 is unknown.
TESSERA_COMPILER_API const char *
tesseraResultDiagnostics(const TesseraResult *result, size_t *size);

/// A JSON object of what the compilation has found so far; members of stages
/// that it has not reached are absent: {
///   "collectives": [{"kind": "all_reduce", "reduction": "sum",
///     "axes": ["tp"], "groupSize": 4, "shape": [2, 3], "dtype": "f32",
///     "bytes": 0, "estimatedNs": 0, "rule": "", "origins": [""],
///     "alternatives": [""], "file": "", "line": 0}],
///   "checkpoints": [{"policy": "nothing", "bytes": of whole tensors that are
///     kept for one call, "kept": [""], "flops": that compute the rest again,
///     "count": calls, "file": "", "line": 0}],
///   "arguments": [{"name": "", "shape": [], "dtype": "", "localShape": [],
///     "layout": "[{dp}, {tp}]"}], "results": the same,
///   "flops": of one device, "bytes": moved to and from memory,
///   "memory": bytes of one device as the model of lib/Pipelines/MemoryReport.h
///     predicts them: {"arguments": 0, "results": 0, "activations": where most
///     of all other values live at once, "alive": what does then, [{"bytes":
///     of each, "count": 0, "file": "", "line": 0}]},
///   "kernels": [{"name": "", "registers": 0, "spillBytes": 0,
///     "sharedBytes": 0, "threads": 0}],
///   "arenaBytes": of one device, where they differ the largest,
///   "stages": [{"name": "first", "arenaBytes": 0}], of a plan by stages,
///   "launches": [{"kernel": "", "places": the source lines that it computes,
///     as "model.py:12"}], in the order of the plan's text,
///   "ties": [{"argument": "p", "result": "result0", "inPlace": true,
///     "reason": ""}], of donated arguments whose memory a result has,
///   "timings": [{"stage": "layouts", "ms": 0.0}]
/// }
TESSERA_COMPILER_API const char *
tesseraResultReport(const TesseraResult *result, size_t *size);

TESSERA_COMPILER_API void tesseraResultDestroy(TesseraResult *result);

#ifdef __cplusplus
}
#endif

#endif // TESSERA_TOOLS_COMPILERCAPI_H
