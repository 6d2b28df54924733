#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# Checks that a binary holds no second copy of MLIR or LLVM: all of it must come
# from the shared libraries. Usage: check-linkage.sh BINARY...
set -euo pipefail
status=0
for binary in "$@"; do
  # Out-of-line copies of inline functions are weak (W); a strong text symbol
  # means that a static archive of MLIR or LLVM was pulled in.
  count=$(nm -C "$binary" | grep -cE ' T (mlir|llvm)::' || true)
  if [ "$count" != 0 ]; then
    echo "$binary: $count functions of MLIR or LLVM linked statically:" >&2
    nm -C "$binary" | grep -E ' T (mlir|llvm)::' | head -3 >&2
    echo "name only the libraries MLIR and LLVM in target_link_libraries" >&2
    status=1
  fi
done
[ $status = 0 ] && echo "linkage: ok"
exit $status
