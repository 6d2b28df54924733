// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What `lowering` lacks of the dialects: pipelines have all of them.
#include "dialects/Plan/IR/Plan.h"
#include "dialects/Tessera/IR/Effects.h"
#include "dialects/Tessera/IR/Tessera.h"
