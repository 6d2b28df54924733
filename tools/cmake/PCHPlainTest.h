// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What tests of what has no MLIR include. Not on top of `plain`, which is
// always optimised.
#include "PCHPlain.h"
#include "PCHTest.h"
