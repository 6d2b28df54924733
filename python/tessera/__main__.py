# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The command `tessera`, as python -m tessera."""

import sys

from tessera._src.commands.main import main

if __name__ == "__main__":
    sys.exit(main())
