// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What a function's types and attributes say about whole tensors and devices.
#include "lib/Interpreter/Signature.h"

#include "dialects/Dist/IR/Boundary.h"
#include "dialects/Tessera/IR/Tessera.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::dist;
using namespace tessera::interpreter;

InterpretMode tessera::interpretModeOf(func::FuncOp function) {
  auto isMesh = [](Type type) { return isa<MeshTensorType>(type); };
  if (llvm::any_of(function.getArgumentTypes(), isMesh) ||
      llvm::any_of(function.getResultTypes(), isMesh))
    return InterpretMode::Logical;
  bool hasMeshTensor = false;
  function.walk([&](Operation *op) {
    hasMeshTensor |= llvm::any_of(op->getResultTypes(), isMesh);
  });
  return hasMeshTensor ? InterpretMode::Logical : InterpretMode::Devices;
}

bool interpreter::fitsInterpreter(ArrayRef<int64_t> shape, int64_t numDevices) {
  int64_t left = maxInterpretedElements / numDevices;
  for (int64_t size : shape) {
    if (size == 0)
      return true;
    left /= size;
  }
  return left > 0;
}

Endpoint interpreter::argumentOf(func::FuncOp function, unsigned i) {
  auto [layout, globalType] = readArgument(function, i);
  return {function.getArgumentTypes()[i], layout, globalType};
}

Endpoint interpreter::resultOf(func::FuncOp function, unsigned i) {
  auto [layout, globalType] = readResult(function, i);
  return {function.getResultTypes()[i], layout, globalType};
}

/// Collects the names of the meshes that `function` and its callees mention.
static void collectMeshes(func::FuncOp function,
                          llvm::SetVector<StringRef> &names,
                          llvm::DenseSet<Operation *> &seen) {
  if (!seen.insert(function).second)
    return;
  auto add = [&](LayoutAttr layout) {
    if (layout)
      names.insert(layout.getValue().mesh);
  };
  for (unsigned i = 0; i < function.getNumArguments(); ++i)
    add(argumentOf(function, i).layout);
  for (unsigned i = 0; i < function.getNumResults(); ++i)
    add(resultOf(function, i).layout);
  function.walk([&](Operation *op) {
    if (isa_and_nonnull<DistDialect>(op->getDialect()))
      if (auto mesh = op->getAttrOfType<FlatSymbolRefAttr>("mesh"))
        names.insert(mesh.getValue());
    if (auto call = dyn_cast<func::CallOp>(op))
      if (auto callee = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(
              call, call.getCalleeAttr()))
        collectMeshes(callee, names, seen);
  });
}

FailureOr<Mesh> tessera::meshOf(func::FuncOp function) {
  llvm::SetVector<StringRef> names;
  llvm::DenseSet<Operation *> seen;
  collectMeshes(function, names, seen);
  if (names.size() > 1) {
    InFlightDiagnostic error = function.emitOpError()
                               << "runs on more than one mesh: @" << names[0]
                               << " and @" << names[1];
    error.attachNote() << "one program runs on the devices of one mesh";
    return failure();
  }
  if (names.empty()) {
    auto module = function->getParentOfType<ModuleOp>();
    if (module && llvm::hasSingleElement(module.getOps<MeshOp>()))
      return (*module.getOps<MeshOp>().begin()).getPlainMesh();
    return Mesh();
  }
  if (std::optional<Mesh> mesh = lookupMesh(function, names[0]))
    return *mesh;
  function.emitOpError() << "runs on mesh @" << names[0]
                         << ", which does not exist";
  return failure();
}

static FailureOr<TensorSpec> specOf(func::FuncOp function,
                                    const Endpoint &boundary, StringRef what,
                                    unsigned i) {
  Type type =
      boundary.globalType ? boundary.globalType.getValue() : boundary.type;
  if (boundary.layout && !boundary.globalType) {
    function.emitOpError() << what << " " << i
                           << " has dist.layout, but no dist.global_type";
    return failure();
  }
  auto shaped = dyn_cast<ShapedType>(type);
  std::optional<ElementKind> kind = shaped && shaped.hasStaticShape()
                                        ? elementKindOf(shaped.getElementType())
                                        : std::nullopt;
  if (!kind) {
    function.emitOpError() << what << " " << i << " has type " << type
                           << "; expected a mesh tensor or a statically "
                              "shaped tensor of a type that programs use";
    return failure();
  }
  if (!fitsInterpreter(shaped.getShape(), /*numDevices=*/1)) {
    function.emitOpError() << what << " " << i << " has more than "
                           << maxInterpretedElements
                           << " elements, the most that the interpreter holds";
    return failure();
  }
  return TensorSpec{Shape(shaped.getShape().begin(), shaped.getShape().end()),
                    *kind};
}

FailureOr<std::vector<TensorSpec>> tessera::inputSpecs(func::FuncOp function) {
  std::vector<TensorSpec> specs;
  for (unsigned i = 0; i < function.getNumArguments(); ++i) {
    FailureOr<TensorSpec> spec =
        specOf(function, argumentOf(function, i), "argument", i);
    if (failed(spec))
      return failure();
    specs.push_back(*spec);
  }
  return specs;
}

FailureOr<std::vector<TensorSpec>> tessera::resultSpecs(func::FuncOp function) {
  std::vector<TensorSpec> specs;
  for (unsigned i = 0; i < function.getNumResults(); ++i) {
    FailureOr<TensorSpec> spec =
        specOf(function, resultOf(function, i), "result", i);
    if (failed(spec))
      return failure();
    specs.push_back(*spec);
  }
  return specs;
}
