# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The extension that makes calls cheap, and its replacement in Python where it was not built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tessera._src.core import tree

if TYPE_CHECKING:
    import numpy as np

    from tessera._src.programs.runtime import Executable

try:
    from tessera._native import _dispatch
except ImportError:  # Built without Python's headers, or for another platform.
    _dispatch = None


class _PlacedFields:
    """A handle of the runtime, which is released with the object."""

    __slots__ = ("handle", "device", "keep", "placement")
    _library: Any = None  # The runtime's.

    def __init__(self, handle: int, device: str, keep: np.ndarray | None = None):
        self.handle, self.device, self.keep = handle, device, keep
        self.placement: int = self._library.tesseraRtPlacement(handle)

    def __del__(self) -> None:
        if self.handle:
            self._library.tesseraRtReleasePlaced(self.handle)
            self.handle = 0


class _TensorFields:
    """The fields of ts.Array."""

    __slots__ = ("kind", "_placed", "_host", "_view", "_others", "_gone", "_gone_index", "_given",
                 "__weakref__")


PlacedBase: Any = _PlacedFields if _dispatch is None else _dispatch.Placed
TensorBase: Any = _TensorFields if _dispatch is None else _dispatch.Tensor


def use_runtime(library: Any) -> None:
    """Tells who makes and releases tensors on devices; called when the runtime is opened."""
    _PlacedFields._library = library
    if _dispatch is not None:
        import ctypes

        _dispatch.use_runtime(*[
            ctypes.cast(getattr(library, f"tesseraRt{name}"), ctypes.c_void_p).value
            for name in ("Execute", "ReleasePlaced", "Placement", "IsConsumed")])


def make_call(executable: Executable, array: type, placed: type, **parts: Any) -> Any:
    """What calls a program with (args, kwargs), or None without the extension.

    Its `run` gives NotImplemented where the arguments are not those it is for, and where they need
    more than a look, such as a donated array that NumPy sees.

    Args:
        parts: in_tree, out_tree, kinds, names, donated (per argument), results (their kinds), function
            (its name), prepare(index, leaf) -> (address, owner), or the bytes, or None, convert(array,
            index) -> Placed and fail(), which raises the error of the last run.
    """
    if _dispatch is None:
        return None
    _dispatch.use_classes(array, placed)
    count = len(parts["kinds"])
    return _dispatch.Call(
        owner=executable, executable=executable.handle, inputs=len(executable.placements),
        placements=tuple(executable.placements[:count]), children=tree._children,
        build=tree.build_node, device=executable.device, **parts)
