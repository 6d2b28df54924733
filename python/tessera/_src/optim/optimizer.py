# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What all optimizers have in common: their state, and the update of a tree of weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tessera._src.arrays.array import Array
from tessera._src.arrays.placing import device_put
from tessera._src.core import dtypes, tree
from tessera._src.core.errors import TraceError
from tessera._src.functions import eager
from tessera._src.ops import elementwise
from tessera._src.optim import options as checks
from tessera._src.optim import states
from tessera._src.optim.plans import Group, Weight, check_filter, check_groups, plan
from tessera._src.optim.schedules import Schedule
from tessera._src.tracing.operands import convert, lift, lift_as
from tessera._src.tracing.program_text import is_tracing
from tessera._src.tracing.tracer import Tracer


@dataclass(frozen=True, init=False, eq=False)
class Optimizer:
    """Updates a tree of weights by its gradients; ts.optim.AdamW and ts.optim.SGD are such."""

    lr: Any
    weight_decay: float
    groups: tuple[Group, ...]
    decay_filter: Callable
    state_dtype: np.dtype | None
    master: bool
    zero: str | None

    # What checks each option that a group may set.
    _checks: ClassVar[Mapping[str, Callable[[str, Any], Any]]] = {}

    def _set(self, given: Mapping[str, Any], groups: Any, decay_filter: Any, state_dtype: Any, master: Any,
             zero: Any) -> None:
        """Checks and stores what an optimizer is made with."""
        name = f"ts.optim.{type(self).__name__}"
        of_group = {**self._checks, "decay_filter": check_filter}
        values = {**checks.check_options(name, given, self._checks),
                  "groups": check_groups(groups, of_group),
                  "decay_filter": check_filter(f"decay_filter of {name}", decay_filter),
                  "state_dtype": checks.check_float_type(f"state_dtype of {name}", state_dtype),
                  "master": checks.check_flag(f"master of {name}", master),
                  "zero": checks.check_axis(f"zero of {name}", zero)}
        for key, value in values.items():
            object.__setattr__(self, key, value)
        own = {option: values[option] for option in self._checks}
        for options in (own, *({**own, **group.options} for group in self.groups)):
            self._check_together(name, options)

    def __repr__(self) -> str:
        given = {name: getattr(self, name) for name in self._checks}
        given |= {"groups": [(group.selector, dict(group.options)) for group in self.groups]} if (
            self.groups) else {}
        return f"ts.optim.{type(self).__name__}({', '.join(f'{n}={v!r}' for n, v in given.items())})"

    # -- What an optimizer defines ----------------------------------------------------------------------

    def _check_together(self, name: str, options: Mapping[str, Any]) -> None:
        """Raises for options that do not go together."""

    def _kept(self, options: Mapping[str, Any]) -> tuple[str, ...]:
        """Names of what is kept for a weight with these options."""
        raise NotImplementedError

    def _factors(self, options: Mapping[str, Any], rate: Any, step: Tracer, dtype: np.dtype
                 ) -> dict[str, Any]:
        """Numbers that the updates of all weights with these options share.

        Args:
            rate: the learning rate, a Python float or a traced number of type `dtype`.
            step: updates before this one.
            dtype: in which the updates are computed. GPUs have no f64, so that nothing else may be in it.
        """
        raise NotImplementedError

    def _updated(self, options: Mapping[str, Any], factors: Mapping[str, Any], weight: Tracer, grad: Tracer,
                 kept: Mapping[str, Tracer]) -> tuple[Tracer, dict[str, Tracer]]:
        """The weight after the update, and what is kept for it."""
        raise NotImplementedError

    # -- For users --------------------------------------------------------------------------------------

    def init(self, weights: Any) -> dict[str, Any]:
        """The state before the first update: a dictionary of `step` (i32, the updates done) and of trees
        like the weights.

        What is kept for a weight is on the same mesh, in the weight's layout, and split along `zero`, too;
        for arrays of NumPy it is on the host until a compiled function takes it. Of ts.ShapeDtypeStructs come
        others, to lower with.
        The state also has `master` if there are 16-bit weights and `master` is not False: the weights in f32.

        Raises:
            TraceError: a weight that is no array of floats; an optimizer with `zero` in a traced function,
                where layouts are not known.
            ShardingError: a mesh without the axis `zero`.
            ConfigError: groups that do not fit the weights.
        """
        if self.zero is not None and is_tracing():
            raise TraceError("TS1050", f"the state of an optimizer with zero='{self.zero}' is made in a "
                             "traced function",
                             expected="a call outside of it, with the arrays that it takes",
                             hint="pass optimizer.init(weights) to the function as an argument")
        planned, structure = self._plan(weights)
        leaves = tree.leaves(weights)
        columns: dict[str, list[Any]] = {}
        for i, (weight, leaf) in enumerate(zip(planned, leaves)):
            for slot in weight.slots:
                columns.setdefault(slot, [None] * len(planned))[i] = states.zeros(
                    leaf, weight.state_dtype, weight.layout)
        state = {"step": lift_as(0, dtypes.i32) if is_tracing() else states.host_zeros((), dtypes.i32)}
        state |= {slot: tree.unflatten(structure, column) for slot, column in columns.items()}
        if any(weight.has_master for weight in planned):
            at = [i for i, weight in enumerate(planned) if weight.has_master]
            wide = states.widened([leaves[i] for i in at], [planned[i].compute for i in at],
                                  [planned[i].layout for i in at])
            column = [None] * len(planned)
            for i, value in zip(at, wide):
                column[i] = value
            state["master"] = tree.unflatten(structure, column)
        return state

    def update(self, grads: Any, state: Mapping[str, Any], weights: Any, *, when: Any = None
               ) -> tuple[Any, dict[str, Any]]:
        """Weights and state after an update: (weights, state), like those that are passed.

        Args:
            grads: a tree like the weights, in their shapes and types. Gradients of 16-bit weights may be
                f32 as well, as ts.Precision(grad=ts.f32) and LossScale.unscale give them.
            state: what `init` or the last update gave.
            weights: a tree of arrays of floats.
            when: a boolean: where it is False, weights and state stay as they are.

        Raises:
            TraceError: gradients or a state of another structure, shape or type than the weights; the message
                names the path.
        """
        if not is_tracing():
            after, state = eager.run(self.update, (grads, state, weights), {"when": when})
            return (after if self.zero is None else tree.map(_as_before, after, weights)), state
        planned, structure = self._plan(weights)
        states.check_gradients(planned, structure, grads)
        values = [lift_as(leaf, weight.dtype) for leaf, weight in zip(tree.leaves(weights), planned)]
        given = [lift(leaf) for leaf in tree.leaves(grads)]
        kept = states.taken_apart(planned, structure, state)
        step = lift(state["step"])
        use = None if when is None else states.check_condition(when)
        shared: dict[tuple[int, np.dtype], dict[str, Any]] = {}
        result, after = [], []
        for weight, value, grad, mine in zip(planned, values, given, kept):
            key = (id(weight.options), weight.compute)
            if key not in shared:
                shared[key] = self._shared(weight, step)
            wide = {name: convert(leaf, weight.compute) for name, leaf in mine.items()}
            before = wide.pop("master", None)
            if before is None:
                before = convert(value, weight.compute)
            new, own = self._updated(weight.options, shared[key], before, convert(grad, weight.compute), wide)
            if weight.has_master:
                own = {**own, "master": new}
            rounded = {name: states.chosen(use, convert(own[name], mine[name].dtype), mine[name])
                       for name in mine}
            after.append(rounded)
            # The rounding of the master copy that is kept, so that both are always of one update.
            result.append(states.chosen(use, convert(new, weight.dtype), value))
        done = states.chosen(use, elementwise.add(step, 1), step)
        return tree.unflatten(structure, result), states.put_together(planned, structure, done, after)

    def learning_rate(self, step: Any) -> Any:
        """The learning rate of the update after `step` others, such as state["step"]; groups may have others.

        A traced counter gives a traced number; one of the host gives one of the host.
        """
        return self.lr(step) if callable(self.lr) else self.lr

    def settings(self, weights: Any) -> dict[str, dict[str, Any]]:
        """By the path of each weight, the options that apply to it: what groups and decay filter come to."""
        return {weight.path: dict(weight.options) for weight in self._plan(weights)[0]}

    def state_dict(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """The state's arrays by name, "exp_avg.layers.0.weight" and so on, to be saved."""
        return states.by_name(state)

    def load_state_dict(self, entries: Mapping[str, Any], weights: Any) -> dict[str, Any]:
        """The state for these weights from arrays by name, as `state_dict` gives them.

        Arrays on the host, or on the weights' mesh in other layouts, get those that `init` gives.

        Raises:
            CheckpointError: names that are missing or not known, other shapes or types.
        """
        planned, structure = self._plan(weights)
        return states.from_names(f"the state of ts.optim.{type(self).__name__}", planned, structure,
                                 tree.leaves(weights), entries)

    def _plan(self, weights: Any) -> tuple[list[Weight], tree.TreeDef]:
        return plan(self.groups, {name: getattr(self, name) for name in self._checks}, self.decay_filter,
                    weights, self._kept, self.state_dtype, self.master, self.zero)

    def _shared(self, weight: Weight, step: Tracer) -> dict[str, Any]:
        """What the updates of weights with the same options and type share, in that type."""
        rate = weight.options["lr"]
        if isinstance(rate, Schedule):
            rate = rate(step, weight.compute)
        elif callable(rate):
            rate = rate(step)
        if not isinstance(rate, float):
            rate = checks.check_scalar(f"the learning rate of {weight.name}", lift(rate))
            rate = convert(rate, weight.compute)
        return self._factors(weight.options, rate, step, weight.compute)


def _as_before(after: Any, before: Any) -> Any:
    """A weight after an update, in the layout that it had before."""
    layout = before.sharding if isinstance(before, Array) else None
    return after if layout is None or after.sharding == layout else device_put(after, layout)


def scalar_checks(*names: str) -> Mapping[str, Callable[[str, Any], Any]]:
    """What checks the options of these names, which several optimizers have."""
    known: dict[str, Callable[[str, Any], Any]] = {
        "lr": checks.check_rate,
        "betas": checks.check_betas,
        "eps": checks.check_number,
        "weight_decay": checks.check_number,
        "momentum": checks.check_number,
        "dampening": lambda what, value: checks.check_number(what, value, most=1.0),
        "nesterov": checks.check_flag,
    }
    return {name: known[name] for name in names}
