# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a compiled program depends on in an array: its shape, element type and layout."""

from __future__ import annotations

import threading

import numpy as np

from tessera._src.meshes.layouts import spec_of
from tessera._src.meshes.mesh import Mesh, NamedSharding

_known: dict[tuple, Kind] = {}
_lock = threading.Lock()


class Kind:
    """Shape, dtype and layout of an array. Equal ones are one object: compare with `is`.

    Attributes:
        mesh, layout: where it lies, as "[{dp}, {}]"; None where that is open.
        is_asked: the user gave the layout; one that a program computed may be ignored on another mesh.
        plain: the same without a layout.
    """

    __slots__ = ("shape", "dtype", "mesh", "layout", "is_asked", "plain", "size")

    def __repr__(self) -> str:
        return f"Kind({self.dtype}{list(self.shape)}, {self.layout} on {self.mesh!r})"

    @property
    def sharding(self) -> NamedSharding | None:
        """The layout as users see it."""
        return None if self.layout is None else NamedSharding(self.mesh, spec_of(self.layout))

    def on(self, mesh: Mesh) -> Kind:
        """What it is to a function on a mesh: a layout computed on another one does not count."""
        if self.mesh is None or self.is_asked or self.mesh is mesh or self.mesh == mesh:
            return self
        return self.plain


def kind_of(shape: tuple[int, ...], dtype: np.dtype, mesh: Mesh | None = None,
            layout: str | None = None, is_asked: bool = False) -> Kind:
    """The Kind that is shared by all arguments like this."""
    key = (shape, dtype, mesh, layout, is_asked)
    kind = _known.get(key)
    if kind is not None:
        return kind
    plain = None if layout is None else kind_of(shape, dtype)
    with _lock:
        kind = _known.get(key)
        if kind is None:
            kind = Kind()
            kind.shape, kind.dtype, kind.mesh, kind.layout = shape, dtype, mesh, layout
            kind.is_asked, kind.plain = is_asked, kind if plain is None else plain
            kind.size = int(np.prod(shape, dtype=np.int64))
            _known[key] = kind
    return kind
