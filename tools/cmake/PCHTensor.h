// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What `core` lacks of the dialects that tensor programs are written in.
#include "dialects/Tessera/IR/Effects.h"
#include "dialects/Tessera/IR/Tessera.h"
