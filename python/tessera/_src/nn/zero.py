# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Weights and gradients that are split over data-parallel devices: stages 2 and 3 of ZeRO."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

from tessera._src.core import tree
from tessera._src.derivatives import marks
from tessera._src.derivatives.checkpoint import checkpoint, checkpoint_policies
from tessera._src.nn.module import Module, Parameter, check_unshared
from tessera._src.nn.parallel import GATHERED, Parallel, constrained

M = TypeVar("M", bound=Module)


def fully_shard(module: M, parallel: Parallel) -> M:
    """The module with its parameters split over parallel.dp as well, in stage 3."""
    if parallel.zero < 3:
        return module
    check_unshared(module)
    return tree.map(lambda leaf: dataclasses.replace(leaf, zero=parallel.dp)
                    if isinstance(leaf, Parameter) else leaf, module)


def apply_layer(parallel: Parallel, function: Callable, *args: Any, remat: Any = None) -> Any:
    """function(*args), for which the weights of modules among the arguments are whole along parallel.dp.

    In stages 2 and 3 their gradients are added up over the devices right behind it in the backward pass,
    each device getting its part. In stage 3 the weights are gathered before the function, and once more
    before its backward pass.

    Args:
        remat: what a backward pass keeps of it: a policy of ts.checkpoint; None keeps all but what is
            gathered, as far as `parallel` says so.
    """
    def body(*args: Any) -> Any:
        return function(*[_gathered(arg) if isinstance(arg, Module) else arg for arg in args])

    if parallel.zero < 2:
        body = function
    if remat is None and (parallel.zero == 3 or not parallel.save_gathered):
        remat = checkpoint_policies.save_anything_except_these_names(GATHERED)
    return (body if remat is None else checkpoint(body, policy=remat))(*args)


def _gathered(module: M) -> M:
    """The module with its weights in the layouts that parameters were made with."""
    leaves, structure = tree.flatten(module)
    whole = [leaf if spec is None else marks.checkpoint_name(
        constrained(leaf, [*spec, *[None] * (leaf.ndim - len(spec))]), GATHERED)
        for leaf, spec in zip(leaves, module.specs(), strict=True)]
    return tree.unflatten(structure, whole)
