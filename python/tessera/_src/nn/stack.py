# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Layers of one structure, one after the other."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tessera._src.control_flow.loops import scan
from tessera._src.core import tree
from tessera._src.core.errors import ConfigError
from tessera._src.meshes.mesh import PartitionSpec
from tessera._src.nn.initializers import Initializer
from tessera._src.nn.module import Entry, Module, Parameter, check_unshared
from tessera._src.nn.parallel import Parallel
from tessera._src.nn.zero import apply_layer
from tessera._src.ops.shaping import stack
from tessera._src.ops import rng


@dataclass(frozen=True)
class _EachLayer:
    """First elements of a stacked weight: each layer's are drawn from a key of its own."""

    init: Initializer

    def __call__(self, key: Any, shape: tuple[int, ...], dtype: np.dtype) -> Any:
        return stack([self.init(rng.fold_in(key, i), shape[1:], dtype) for i in range(shape[0])])


class Stack(Module):
    """`count` layers like `layer`, whose weights are stacked along a first dimension.

    A program computes them by a loop, so that it and its compile time do not grow with their number.
    state_dict() has each layer's weights by themselves, as torch's ModuleList does.

    Args:
        remat: what a backward pass keeps of each layer: a policy of ts.checkpoint; None keeps all that
            it needs.
        parallel: how weights and activations are split; of it, `zero` and `save_gathered` concern a stack.
    """

    stacked_dims = 1

    def __init__(self, layer: Module, count: int, *, remat: Any = None, parallel: Parallel = Parallel()):
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise ConfigError("TS4012", f"nn.Stack of {count!r} layers", expected="an integer of at least 1")
        self.count, self.remat, self.parallel = count, remat, parallel
        check_unshared(layer)
        self.layer = tree.map(lambda leaf: _stacked(leaf, count), layer)

    def scan(self, function: Callable[[Module, Any, Any], tuple[Any, Any]], carry: Any, xs: Any = None
             ) -> tuple[Any, Any]:
        """As ts.scan: `carry, y = function(layer, carry, x)` for each layer and slice x of xs."""
        def body(carry: Any, given: tuple[Module, Any]) -> tuple[Any, Any]:
            layer, x = given
            return apply_layer(self.parallel, function, layer, carry, x, remat=self.remat)

        return scan(body, carry, (self.layer, xs))

    def __call__(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        return self.scan(lambda layer, x, _: (layer(x, *args, **kwargs), None), x)[0]

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> Module:
        if not -self.count <= number < self.count:
            raise IndexError(f"layer {number} of a stack of {self.count}")
        return tree.map(lambda leaf: leaf[number], self.layer)

    def specs(self) -> Iterator[None]:
        """No layouts: each layer is used by itself."""
        yield from itertools.repeat(None, len(tree.leaves(self.layer)))

    def entries(self, prefix: str, numbers: Iterator[int]) -> Iterator[Entry]:
        """Those of each layer, under its number."""
        whole = list(self.layer.entries("", itertools.count()))
        first = [next(numbers) for _ in tree.leaves(self.layer)]
        for i in range(self.count):
            for entry in whole:
                yield entry._replace(name=f"{prefix}{i}.{entry.name}", leaf=first[entry.leaf],
                                     index=(i, *entry.index))


def _stacked(leaf: Any, count: int) -> Any:
    if isinstance(leaf, Parameter):
        return dataclasses.replace(leaf, shape=(count, *leaf.shape), init=_EachLayer(leaf.init),
                                   spec=PartitionSpec(None, *leaf.spec), stacked=leaf.stacked + 1)
    return np.broadcast_to(np.asarray(leaf), (count, *leaf.shape))
