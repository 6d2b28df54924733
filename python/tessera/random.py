# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Random numbers that depend on the key and the index alone, never on mesh or layout."""

import sys as _sys

from tessera._src.core.missing import missing as _missing
from tessera._src.functions.eager import make_eager as _make_eager
from tessera._src.ops.rng import bits, fold_in, key, normal, split, uniform

_make_eager(globals())
__all__ = ["bits", "fold_in", "key", "normal", "split", "uniform"]


def __getattr__(name: str):
    raise _missing(_sys.modules[__name__], name)
