// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "SplitKernels.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace tessera;

static bool isShared(Operation &op) {
  if (auto function = dyn_cast<LLVM::LLVMFuncOp>(op))
    return !function.isExternal() &&
           function.getLinkage() == LLVM::Linkage::External;
  if (auto global = dyn_cast<LLVM::GlobalOp>(op))
    return global.getLinkage() == LLVM::Linkage::External;
  return false;
}

/// `roots` and all symbols that they use, directly or not.
static llvm::SetVector<Operation *> reachable(ArrayRef<Operation *> roots,
                                              const SymbolTable &symbols) {
  llvm::SetVector<Operation *> found(roots.begin(), roots.end());
  for (size_t i = 0; i < found.size(); ++i)
    if (auto uses = SymbolTable::getSymbolUses(found[i]))
      for (SymbolTable::SymbolUse use : *uses)
        if (Operation *op =
                symbols.lookup(use.getSymbolRef().getRootReference()))
          found.insert(op);
  return found;
}

/// Turns a definition into a declaration of what another module defines.
static void dropDefinition(Operation *op) {
  if (auto global = dyn_cast<LLVM::GlobalOp>(op))
    global.removeValueAttr();
  Region &body = op->getRegion(0);
  body.dropAllReferences();
  body.getBlocks().clear();
}

SmallVector<OwningOpRef<ModuleOp>> tessera::splitKernels(ModuleOp module) {
  SymbolTable symbols(module);
  SmallVector<Operation *> functions, globals;
  for (Operation &op : *module.getBody())
    if (isShared(op))
      (isa<LLVM::GlobalOp>(op) ? globals : functions).push_back(&op);

  SmallVector<SmallVector<Operation *>> rootsOfParts;
  for (Operation *function : functions)
    rootsOfParts.push_back({function});
  if (rootsOfParts.empty())
    rootsOfParts.emplace_back();
  rootsOfParts.front().append(globals);

  SmallVector<OwningOpRef<ModuleOp>> parts;
  for (ArrayRef<Operation *> roots : rootsOfParts) {
    llvm::SmallPtrSet<Operation *, 4> defined(roots.begin(), roots.end());
    OwningOpRef<ModuleOp> part = ModuleOp::create(module.getLoc());
    part->getOperation()->setAttrs(module->getAttrDictionary());
    for (Operation *op : reachable(roots, symbols)) {
      Operation *copy = op->clone();
      if (isShared(*op) && !defined.contains(op))
        dropDefinition(copy);
      part->push_back(copy);
    }
    parts.push_back(std::move(part));
  }
  return parts;
}
