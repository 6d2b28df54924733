# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Arrays of other libraries, and nested numbers, for NumPy."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from tessera._src.core import dtypes
from tessera._src.core.errors import TraceError
from tessera._src.tracing.operands import (
    array_of_numbers,
    is_python_number,
    refuse_lossy_cast,
    refuse_masked,
    type_of_list,
)


def resolved(x: Any) -> Any:
    """A tensor of torch without the marks for signs and conjugation, which others would overlook."""
    for mark, resolve in (("is_conj", "resolve_conj"), ("is_neg", "resolve_neg")):
        if hasattr(x, resolve) and getattr(x, mark)():
            x = getattr(x, resolve)()
    return x


def torch_bf16(x: Any) -> np.ndarray | None:
    """The memory of a torch tensor of bf16, for which NumPy has no type of its own; else None."""
    if str(getattr(x, "dtype", "")) != "torch.bfloat16":
        return None
    words = x.detach().contiguous().view(sys.modules["torch"].int16)
    return np.from_dlpack(words).view(dtypes.bf16)


def as_numpy(x: Any) -> np.ndarray:
    """An array of any library, or nested numbers, for NumPy; without a copy where possible."""
    refuse_masked(x, "an array")
    x = resolved(x)
    words = None if getattr(x, "requires_grad", False) else torch_bf16(x)
    return np.asarray(x) if words is None else words


def host_array(x: Any, dtype: Any, copy: bool | None) -> np.ndarray:
    """An array of any library, or nested numbers, for NumPy, contiguous and of a supported dtype."""
    try:
        array = as_numpy(x)
    except ValueError as error:
        raise TraceError("TS1014", f"a {type(x).__name__} is not an array: {error}",
                         expected="numbers, arrays, or lists of them of one shape") from None
    wanted = None if dtype is None else dtypes.canonical(dtype)
    if isinstance(x, (list, tuple)):
        array = array_of_numbers(array, type_of_list(x) if wanted is None else wanted)
    elif is_python_number(x):
        array = array_of_numbers(array, wanted)
    if array.dtype == object:
        raise TraceError("TS1014", f"a {type(x).__name__} is not an array", got=repr(x)[:80],
                         expected="numbers, arrays, or lists of them of one shape")
    refuse_lossy_cast(array)
    wanted = dtypes.canonical(array.dtype) if wanted is None else wanted
    if copy:
        return np.array(array, dtype=wanted, order="C")
    return np.require(array, wanted, ["C"])
