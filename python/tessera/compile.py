# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiles a function ahead of time: python -m tessera.compile module.py:function.

The function is decorated with ts.jit; its arguments' shapes come from MeshTensor annotations, with
names sized by --shapes B=8,D=64. tessera-compile does the same for such inputs.
"""

import sys

from tessera._src.tools.command import main

if __name__ == "__main__":
    sys.exit(main())
