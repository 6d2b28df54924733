# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Recomputation: what a backward pass computes again instead of keeping it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tessera._src.control_flow import bodies
from tessera._src.core import tree
from tessera._src.core.errors import ConfigError, NoAttribute, did_you_mean
from tessera._src.derivatives import marks, traced
from tessera._src.functions import eager
from tessera._src.functions.calling import check_call, positions_of_parameters, takes_any_number
from tessera._src.tracing.program_text import is_tracing, quoted

_POLICIES = ("everything", "nothing", "dots", "dots_with_no_batch_dims")


class Policy:
    """What a backward pass keeps of a checkpointed function; made by the names in ts.checkpoint_policies."""

    def __init__(self, text: str):
        self.text = text

    def __repr__(self) -> str:
        return f"<policy {self.text}>"


class _Policies(type):
    """The type of the namespace below, whose names it lists where one is missing."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        names = [known for known in vars(cls) if not known.startswith("_")]
        raise NoAttribute("TS1027", f"ts.checkpoint_policies has no '{name}'", choices=names,
                          hint=did_you_mean(name, names))


class checkpoint_policies(metaclass=_Policies):  # noqa: N801 (a namespace, as jax.checkpoint_policies)
    """Policies for ts.checkpoint, under JAX's names."""

    everything_saveable = Policy("everything")
    nothing_saveable = Policy("nothing")
    dots_saveable = checkpoint_dots = Policy("dots")
    dots_with_no_batch_dims_saveable = Policy("dots_with_no_batch_dims")
    checkpoint_dots_with_no_batch_dims = dots_with_no_batch_dims_saveable

    @staticmethod
    def save_only_these_names(*names: str) -> Policy:
        """Keeps the values that ts.checkpoint_name calls so, and nothing else."""
        for name in names:
            marks.check_name(name)
        return Policy("names:" + ",".join(names))

    @staticmethod
    def save_anything_except_these_names(*names: str) -> Policy:
        """Keeps all but the values that ts.checkpoint_name calls so.

        A layout that is stated of a value right before it is named is stated again, from what was there
        before: so a gathered value is not kept, and its parts are.
        """
        for name in names:
            marks.check_name(name)
        return Policy("except:" + ",".join(names))

    @staticmethod
    def save_within_budget(max_bytes: int) -> Policy:
        """Keeps at most so many bytes for each call, those that save most work.

        Bytes are those of whole arrays; on a mesh, a device holds its part of them. All that a call keeps
        counts: what it computes, its arguments, and results that its own derivative needs. What is
        alive anyway does not: arguments of the function that is differentiated, and in the body of a loop,
        where each iteration is a call, slices of sequences and values from outside.

        Raises:
            ConfigError: max_bytes is no number of bytes. Where the function is differentiated, an error at
                the checkpoint's line says the least budget that can be met.
        """
        if isinstance(max_bytes, bool) or not isinstance(max_bytes, (int, np.integer)) or max_bytes < 0:
            raise ConfigError("TS4006", f"max_bytes of save_within_budget is {max_bytes!r}",
                              expected="a number of bytes, such as 64 * 2**20")
        return Policy(f"budget:{int(max_bytes)}")


def checkpoint(fun: Callable | None = None, *, policy: Any = None, prevent_cse: bool = True,
               static_argnums: int | Sequence[int] = ()) -> Callable:
    """A function that computes what `fun` does, and of which a backward pass keeps little.

    The values inside of `fun` that derivatives need are computed again from its arguments when the
    backward pass gets there, behind a barrier, so that no pass of the compiler merges them with the first
    computation. Its arguments are kept, and its results where others use them.

        layer = ts.checkpoint(layer, policy="dots")

    `.explain()` of the lowered program says what is kept for each checkpoint, and `.memory()` how much
    memory the whole program takes.

    Args:
        policy: what is kept all the same: "nothing" (the default), "dots" (results of products),
            "dots_with_no_batch_dims" (of those with weights, say: none where an index is in both factors
            and the result, as in attention), "everything", or one of ts.checkpoint_policies.
        prevent_cse: must be True: without the barrier nothing would be computed again.
        static_argnums: positions of arguments that are Python values.

    Raises:
        ConfigError: a policy that there is not, or positions of no parameters.
    """
    if fun is None:
        return functools.partial(checkpoint, policy=policy, prevent_cse=prevent_cse,
                                 static_argnums=static_argnums)
    bodies.check_callable("ts.checkpoint", "the function", fun)
    if not prevent_cse:
        raise ConfigError("TS4006", "ts.checkpoint has prevent_cse=False", expected="True",
                          hint="without the barrier that it stands for nothing would be computed again")
    text = _policy_text(policy)
    takes_any = takes_any_number(fun)
    statics = positions_of_parameters("static_argnums", fun, static_argnums)

    def traced_call(*args: Any, **kwargs: Any) -> Any:
        fixed = {n % len(args) for n in statics if -len(args) <= n < len(args)}
        moving = tuple(value for i, value in enumerate(args) if i not in fixed)
        given = bodies.lifted((moving, kwargs), "an argument of a checkpointed function")

        def build(leaves: list) -> tuple[tuple, dict]:
            values, named = tree.unflatten(given.structure, leaves)
            rest = iter(values)
            return tuple(args[i] if i in fixed else next(rest) for i in range(len(args))), named

        of = traced.trace("ts.checkpoint", fun, given.leaves, build, rewrites=False)
        results = traced.call(of.function, of.operands, f" checkpoint {quoted(text)}")
        return tree.unflatten(of.structure, of.marked(results))

    @functools.wraps(fun)
    def recomputed(*args: Any, **kwargs: Any) -> Any:
        check_call(fun, args, kwargs)
        for number in statics if takes_any else ():
            if not -len(args) <= number < len(args):
                raise ConfigError("TS4006", f"static_argnums of ts.checkpoint has {number}, but the function "
                                  f"is called with {len(args)} positional arguments")
        if is_tracing():
            return traced_call(*args, **kwargs)
        return eager.run(traced_call, args, kwargs, fun)

    return recomputed


def _policy_text(policy: Any) -> str:
    if policy is None:
        return "nothing"
    if isinstance(policy, Policy):
        return policy.text
    if policy in _POLICIES:
        return policy
    raise ConfigError("TS4006", f"policy of ts.checkpoint is {policy!r}",
                      choices=[*_POLICIES, "ts.checkpoint_policies.save_only_these_names(...)",
                               "ts.checkpoint_policies.save_anything_except_these_names(...)",
                               "ts.checkpoint_policies.save_within_budget(...)"],
                      hint=did_you_mean(policy, _POLICIES) if isinstance(policy, str) else None)
