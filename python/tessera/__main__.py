# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The command `tessera`, as python -m tessera."""

import sys

if __name__ == "__main__":
    try:
        from tessera._src.commands.main import main
    except KeyboardInterrupt:  # While modules are read.
        sys.exit(130)
    sys.exit(main())
