// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What `tensor` lacks of the dialects that kernels and plans are written in.
#include "dialects/Plan/IR/Plan.h"
#include "dialects/Tile/IR/Tile.h"
