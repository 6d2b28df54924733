# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Clipping and recomputation by other names."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from tessera._src.core import tree
from tessera._src.core.errors import ConfigError, did_you_mean
from tessera._src.derivatives.checkpoint import checkpoint, checkpoint_policies
from tessera._src.nn.module import Parameter
from tessera._src.optim.clipping import clip_by_global_norm

_STRATEGIES = {"full": "nothing", "selective": "dots", "none": "everything"}


def clip_gradients(grads: Any, max_norm: Any) -> tuple[Any, Any]:
    """Gradients that together are no longer than max_norm, and the norm that they had: (grads, norm).

    It stands for ts.optim.clip_by_global_norm. PyTorch's takes parameters, and changes the gradients that
    they hold; here gradients are a tree of their own, which is passed and returned.

    Raises: TraceError (TS1050): a leaf that is no array of floats.
    """
    for leaf in tree.leaves(grads):
        if isinstance(leaf, Parameter):
            raise ConfigError("TS4006", "ts.compat.clip_gradients is given parameters without elements",
                              expected="gradients, as ts.value_and_grad gives them",
                              hint="loss, grads = ts.value_and_grad(loss_of)(model, batch)")
    return clip_by_global_norm(grads, max_norm)


def activation_checkpointing(function: Callable | None = None, *, strategy: str | None = None,
                             memory_budget: int | None = None) -> Callable:
    """A function of whose values a backward pass keeps few, and computes the others again.

    It stands for ts.checkpoint(policy=...): "full" for "nothing" (all is computed again), "selective" for
    "dots" (results of products are kept), "none" for "everything". Models take such a policy for each of
    their layers, as the setting remat.

    Args:
        strategy: one of these; "selective" if there is no budget.
        memory_budget: bytes that a call keeps at most, as of ts.checkpoint_policies.save_within_budget. No
            part of a device's memory: how much of that other values take is not known to a function.

    Raises: ConfigError (TS4006): an unknown strategy, both a strategy and a budget, or no number of bytes.
    """
    if function is None:
        return functools.partial(activation_checkpointing, strategy=strategy, memory_budget=memory_budget)
    if memory_budget is not None:
        if strategy is not None:
            raise ConfigError("TS4006", "ts.compat.activation_checkpointing has a strategy and a budget",
                              expected="one of both",
                              got=f"strategy={strategy!r}, memory_budget={memory_budget!r}")
        if isinstance(memory_budget, float):
            raise ConfigError("TS4006", "memory_budget of ts.compat.activation_checkpointing is "
                              f"{memory_budget!r}", expected="a number of bytes, such as 64 * 2**20",
                              hint=".memory() of a lowered program predicts the bytes that it needs")
        return checkpoint(function, policy=checkpoint_policies.save_within_budget(memory_budget))
    chosen = "selective" if strategy is None else strategy
    if chosen not in _STRATEGIES:
        raise ConfigError("TS4006", f"strategy of ts.compat.activation_checkpointing is {strategy!r}",
                          choices=list(_STRATEGIES), hint=did_you_mean(str(chosen), _STRATEGIES))
    return checkpoint(function, policy=_STRATEGIES[chosen])
