// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Reference evaluator of tessera and dist programs on simulated devices, which
// execute every op in lock step: the oracle that rewrites are tested against.
#ifndef TESSERA_INTERPRETER_INTERPRETER_H
#define TESSERA_INTERPRETER_INTERPRETER_H

#include "tessera/Interpreter/Sharding.h"
#include "tessera/Interpreter/Tensor.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

#include <map>

namespace tessera {

/// What an execution communicated.
struct InterpretStats {
  /// Executions of each collective by op name, such as "dist.all_reduce".
  std::map<std::string, int64_t> collectives;
  /// Bytes device 0 sends, if groups form rings: a term of n bytes costs
  /// 2 (k-1)/k n in an all_reduce and (k-1)/k n in a reduce_scatter; a chunk of
  /// n bytes costs (k-1) n in an all_gather and (k-1)/k n in an all_to_all.
  double bytesSent = 0;
};

/// A function on mesh tensors is evaluated once, on logical values, where
/// layouts mean nothing; any other on every device of its mesh.
enum class InterpretMode { Logical, Devices };
InterpretMode interpretModeOf(mlir::func::FuncOp function);

/// The mesh that a function on builtin tensors runs on: the one its argument
/// and result layouts and its dist ops name, else the module's only one, else
/// one device without axes. Errors are emitted at the function.
mlir::FailureOr<Mesh> meshOf(mlir::func::FuncOp function);

/// A tensor as the user sees it: logical shape and element kind.
struct TensorSpec {
  Shape shape;
  ElementKind kind = ElementKind::F32;

  bool operator==(const TensorSpec &o) const {
    return shape == o.shape && kind == o.kind;
  }
};
/// The whole tensors that `function` takes and gives, as mesh tensor types or
/// `dist.global_type` state them.
mlir::FailureOr<std::vector<TensorSpec>> inputSpecs(mlir::func::FuncOp);
mlir::FailureOr<std::vector<TensorSpec>> resultSpecs(mlir::func::FuncOp);

/// Evaluates `function` on whole tensors: cuts the inputs by their
/// `dist.layout`, runs all devices, joins the results by theirs, and checks
/// that devices that hold the same part agree bit for bit. Every device gets
/// the same value of a varying argument; of a varying result that of the first
/// devices is returned. An argument or a result without layout is whole on each
/// device.
mlir::FailureOr<std::vector<Tensor>> interpret(mlir::func::FuncOp function,
                                               llvm::ArrayRef<Tensor> inputs,
                                               InterpretStats *stats = nullptr);

/// Evaluates a function on builtin tensors given what each device holds.
/// Returns per result what each device holds.
mlir::FailureOr<std::vector<interpreter::PerDevice>>
interpretOnDevices(mlir::func::FuncOp function,
                   llvm::ArrayRef<interpreter::PerDevice> inputs,
                   InterpretStats *stats = nullptr);

/// The same as interpret() on dense row-major memory of the whole tensors; the
/// caller allocates `outputs`.
mlir::LogicalResult interpretToBuffers(mlir::func::FuncOp function,
                                       llvm::ArrayRef<const void *> inputs,
                                       llvm::ArrayRef<void *> outputs,
                                       InterpretStats *stats = nullptr);

/// Where programs print: takes a line without its end; not 0 where it cannot be
/// written. Null: standard output. Of the whole process.
using PrintSink = int (*)(const char *line, size_t size);
void setPrintSink(PrintSink sink);

/// Reproducible inputs. Floats are in [-1, 1). Integers that index a
/// tessera.gather of n slices are in [0, n), others in [0, 8).
mlir::FailureOr<std::vector<Tensor>> randomInputs(mlir::func::FuncOp function,
                                                  uint64_t seed);
/// Inputs whose element i is i.
mlir::FailureOr<std::vector<Tensor>> iotaInputs(mlir::func::FuncOp function);

/// Element kind of a builtin type, or nullopt for one no program computes on.
std::optional<ElementKind> elementKindOf(mlir::Type type);
/// The elements of a constant.
mlir::FailureOr<Tensor> tensorOf(mlir::ElementsAttr attr, Shape shape);

} // namespace tessera

#endif // TESSERA_INTERPRETER_INTERPRETER_H
