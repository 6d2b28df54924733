# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""ts.jit: from a call's arguments to a traced, a lowered and a compiled function."""
