# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What NumPy and Python ask of an array: operators, conversions, protocols, methods."""

from __future__ import annotations

from typing import Any

import numpy as np

from tessera._src.core import dtypes
from tessera._src.core.errors import TraceError, did_you_mean
from tessera._src.tracing.tracer import Tracer

# Methods and properties of np.ndarray that Arrays pass on.
_OF_NUMPY = frozenset(
    "T mT all any argmax argmin argsort astype clip copy cumprod cumsum dot flat flatten imag itemsize "
    "max mean min nonzero prod ravel real repeat reshape round squeeze std sum swapaxes take tobytes "
    "tolist trace transpose var".split()
)
# What is on other libraries' arrays, or would change the array.
_HINTS = {
    "at": "inside ts.jit, traced values have .at[...]; on the host, change a copy: np.array(x)",
    "cpu": "np.asarray(x) is on the host", "detach": "leave it out", "to": "use ts.device_put",
    "sort": "use np.sort(x)", "fill": "arrays do not change; use np.full_like(x, value)",
    "view": "use np.asarray(x).view(dtype)", "is_cuda": "use x.devices()",
    "put": "arrays do not change; change a copy: np.array(x)",
    "resize": "arrays do not change; use x.reshape(...)",
}


class NumpyProtocol(np.lib.mixins.NDArrayOperatorsMixin):
    """The side of ts.Array that NumPy sees; `_read` gives the elements."""

    __slots__ = ()

    def _read(self) -> np.ndarray:
        raise NotImplementedError

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        host = self._read()
        if dtype is not None and np.dtype(dtype) != host.dtype:
            if copy is False:
                raise ValueError(f"an array of {host.dtype} converts to {np.dtype(dtype)} by a copy only")
            return host.astype(dtype)
        return host.copy() if copy else host.view()

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if any(isinstance(i, Tracer) for i in inputs):
            return NotImplemented
        for out in options.get("out", ()):
            if isinstance(out, NumpyProtocol):
                raise TraceError("TS1026", f"np.{ufunc.__name__} cannot write into a ts.Array: arrays do "
                                 "not change", hint=f"y = np.{ufunc.__name__}(...), or out= a NumPy array")
        plain = [_plain(i) for i in inputs]
        options = {name: _plain(value) for name, value in options.items()}
        return getattr(ufunc, method)(*plain, **options)

    def __dlpack__(self, **options: Any) -> Any:
        host = self._read()
        if host.dtype == dtypes.bf16:
            raise TraceError("TS1021", "NumPy does not export bf16 by DLPack",
                             hint="torch.from_dlpack(np.array(x).view(np.int16)).view(torch.bfloat16)")
        says_read_only = (options.get("max_version") or (0, 0)) >= (1, 0)
        return (host.view() if says_read_only else host.copy()).__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    def __getattr__(self, name: str) -> Any:
        if name in _OF_NUMPY:
            return getattr(self._read().view(), name)
        text = f"'Array' object has no attribute '{name}'"
        if name.startswith("_"):
            raise AttributeError(text)
        known = [*_OF_NUMPY, *(n for n in dir(type(self)) if not n.startswith("_"))]
        hint = _HINTS.get(name) or did_you_mean(name, known)
        raise AttributeError(text + (f"; {hint}" if hint else ""))

    def item(self, *args: Any) -> Any:
        """The only element, or the one of this index, as a Python scalar."""
        return self._read().item(*args)

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TraceError("TS1026", "arrays do not change",
                         hint="change a copy: x = np.array(x); inside ts.jit, use x.at[index].set(value)")

    def __format__(self, spec: str) -> str:
        return format(self._read(), spec)

    def __getitem__(self, index: Any) -> Any:
        return self._read().view()[_plain(index)]

    def __contains__(self, value: Any) -> bool:
        return value in self._read()

    def __len__(self) -> int:
        return len(self._read())

    def __iter__(self):
        return iter(self._read().view())

    def __float__(self) -> float:
        return float(self._read())

    def __int__(self) -> int:
        return int(self._read())

    def __complex__(self) -> complex:
        return complex(self._read())

    def __bool__(self) -> bool:
        return bool(self._read())

    def __index__(self) -> int:
        return self._read().__index__()

    def __round__(self, digits: int | None = None) -> Any:
        host = self._read()
        return round(host.item(), digits) if host.ndim == 0 else np.round(host, digits or 0)


def _plain(value: Any) -> Any:
    """Arrays as NumPy's, also within a tuple (an index of several dimensions)."""
    if isinstance(value, NumpyProtocol):
        return value._read().view()
    return tuple(_plain(entry) for entry in value) if type(value) is tuple else value


# Arrays do not change, so `y += 1` binds y to a new array, as it does for numbers.
for _name in ("add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "pow", "lshift", "rshift",
              "and", "xor", "or"):
    setattr(NumpyProtocol, f"__i{_name}__", getattr(np.lib.mixins.NDArrayOperatorsMixin, f"__{_name}__"))
del _name
