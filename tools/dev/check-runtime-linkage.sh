#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# Checks that the runtime's binaries need neither LLVM nor MLIR: they run on
# machines that have neither. Usage: check-runtime-linkage.sh BINARY...
set -euo pipefail
status=0
for binary in "$@"; do
  needed=$(ldd "$binary" | grep -iE 'llvm|mlir' || true)
  if [ -n "$needed" ]; then
    echo "$binary needs $needed; link only TesseraRuntime" >&2
    status=1
  fi
done
[ $status = 0 ] && echo "runtime linkage: ok"
exit $status
