# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Nested dicts, lists, tuples, NamedTuples, registered dataclasses and registered classes of arrays."""

import sys as _sys

from tessera._src.control_flow.stacking import stack, unstack
from tessera._src.core.missing import missing as _missing
from tessera._src.core.tree import (
    TreeDef,
    flatten,
    leaves,
    map,
    paths,
    register_dataclass,
    register_node,
    unflatten,
)

__all__ = ["TreeDef", "flatten", "leaves", "map", "paths", "register_dataclass", "register_node", "stack",
           "unflatten", "unstack"]


def __getattr__(name: str):
    raise _missing(_sys.modules[__name__], name)
