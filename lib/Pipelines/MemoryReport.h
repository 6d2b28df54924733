// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// How much memory a program will take, before any of it has a place.
#ifndef TESSERA_LIB_PIPELINES_MEMORYREPORT_H
#define TESSERA_LIB_PIPELINES_MEMORYREPORT_H

#include "tessera/Pipelines/Report.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace tessera {

/// Adds "memory": bytes of one device, of the arguments, the results that are
/// not in their memory, and the activations, all other values, where most of
/// these live at once, and what these are. `entry` is of stage `kernels`.
///
/// The model: a value lives from the step that computes it to the last that
/// uses it, through all of a loop that it comes from outside of. What a loop
/// carries has one place, and its next value another unless the step that
/// computes that may write it over the value. Slices of sequences and entries
/// of stacked results are parts of these. Where the memory of several values is
/// laid out, gaps may be left between them, which the model knows nothing of.
void reportMemory(mlir::func::FuncOp entry, Report &report);

} // namespace tessera

#endif // TESSERA_LIB_PIPELINES_MEMORYREPORT_H
