// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What every tool registers.
#ifndef TESSERA_PIPELINES_REGISTRATION_H
#define TESSERA_PIPELINES_REGISTRATION_H

#include "mlir/IR/DialectRegistry.h"

namespace tessera {

/// All dialects that any stage holds.
void registerTesseraDialects(mlir::DialectRegistry &registry);
/// All passes, and the named pipelines `tessera-<stage>-to-<stage>`. May be
/// called more than once.
void registerTesseraPasses();

} // namespace tessera

#endif // TESSERA_PIPELINES_REGISTRATION_H
