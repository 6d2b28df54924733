# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""States of optimizers: making them, taking them apart by weights, checks, and names of their parts.

A state is a dictionary: `step`, and by the name of what is kept (a slot, or "master") a tree like the
weights, with None where a weight has nothing of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tessera._src.arrays.array import Array, ShapeDtypeStruct
from tessera._src.arrays.conversion import host_array
from tessera._src.arrays.placing import asarray, device_put
from tessera._src.core import dtypes, tree
from tessera._src.core.errors import CheckpointError, TraceError, did_you_mean
from tessera._src.functions import eager
from tessera._src.functions.trace import abstract
from tessera._src.meshes.mesh import NamedSharding
from tessera._src.ops import elementwise
from tessera._src.ops.creation import zeros_like
from tessera._src.optim.plans import Weight, leaves_of
from tessera._src.tracing.operands import convert, lift
from tessera._src.tracing.program_text import is_tracing
from tessera._src.tracing.tracer import Tracer

_LISTED = 8


# -- Making ----------------------------------------------------------------------------------------------


def host_zeros(shape: tuple[int, ...], dtype: np.dtype) -> Array:
    return Array(np.zeros(shape, dtype))


def zeros(weight: Any, dtype: np.dtype, layout: NamedSharding | None) -> Any:
    """Zeros of a weight's shape, where the weight is, in this layout; while tracing, in the weight's."""
    if is_tracing():
        # Constants are whole on every device. These zeros depend on the weight, and have its layout;
        # NaN is left out first, as the bounds would keep it.
        value = lift(weight)
        number = elementwise.where(elementwise.isnan(value), zeros_like(value), value)
        return convert(elementwise.clip(number, 0, 0), dtype)
    shape, _ = abstract(weight, "weights")
    if isinstance(weight, ShapeDtypeStruct):
        return ShapeDtypeStruct(shape, dtype, layout)
    return _placed(np.zeros(shape, dtype), weight, layout)


def _is_elsewhere(value: Array, layout: NamedSharding | None) -> bool:
    """Whether an array is on the mesh of a layout, in another one."""
    return layout is not None and value.sharding.mesh == layout.mesh and value.sharding != layout


def _placed(value: Any, weight: Any, layout: NamedSharding | None) -> Any:
    """An array in a layout, on the kind of devices that a weight is on."""
    if not isinstance(weight, Array) or layout is None:
        return asarray(value)
    # Of the kinds of devices, only cuda has memory of its own.
    is_cuda = any(device.platform == "cuda" for device in weight.devices())
    return device_put(value, layout, device="cuda" if is_cuda else "cpu")


def widened(weights: Sequence[Any], types: Sequence[np.dtype], layouts: Sequence[NamedSharding | None]
            ) -> list[Any]:
    """Weights in wider types; those on devices stay there, in these layouts; while tracing, in their own."""
    if is_tracing():
        return [convert(lift(weight), dtype) for weight, dtype in zip(weights, types)]
    result = [ShapeDtypeStruct(weight.shape, dtype, layout) if isinstance(weight, ShapeDtypeStruct)
              else weight for weight, dtype, layout in zip(weights, types, layouts)]
    at = [i for i, weight in enumerate(weights) if isinstance(weight, Array) and weight.sharding is not None]
    for i, value in zip(at, eager.run(widened, ([weights[i] for i in at], [types[i] for i in at], ()), {})
                        if at else ()):
        result[i] = value if value.sharding == layouts[i] else _placed(value, weights[i], layouts[i])
    return [value if i in at or isinstance(value, ShapeDtypeStruct)
            else Array(host_array(value, None, False).astype(types[i])) for i, value in enumerate(result)]


# -- Checks ----------------------------------------------------------------------------------------------


def check_gradients(planned: Sequence[Weight], structure: tree.TreeDef, grads: Any) -> None:
    """Raises unless gradients are like the weights."""
    leaves, given = tree.flatten(grads)
    if given != structure:
        _refuse_structure("gradients", structure, given)
    for weight, leaf in zip(planned, leaves):
        _check_leaf(f"the gradient of {weight.name}", leaf, weight.shape, _gradient_types(weight))


def _gradient_types(weight: Weight) -> tuple[np.dtype, ...]:
    return (weight.dtype, dtypes.f32) if weight.dtype.itemsize < 4 else (weight.dtype,)


def _refuse_structure(what: str, wanted: tree.TreeDef, given: tree.TreeDef) -> None:
    place = tree.first_difference(wanted, given)
    one, other = _below(wanted, place), _below(given, place)
    where = f" at '{place}'" if place else ""
    notes = []
    for said, mine, others in (("missing", wanted, given), ("unexpected", given, wanted)):
        known = set(tree.paths(others))
        found = [f"'{path}'" for path in tree.paths(mine) if path not in known]
        if found:
            more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
            notes.append(f"{said}: {', '.join(found[:_LISTED])}{more}")
    raise TraceError("TS1005", f"{what} and weights differ in structure{where}",
                     expected=tree.describe(one), got=tree.describe(other), notes=notes,
                     hint="pass the gradients by the whole tree: ts.value_and_grad(loss_of)(weights, ...)"
                     if what == "gradients" else "make the state by optimizer.init(weights)")


def _below(structure: tree.TreeDef, place: str | None) -> tree.TreeDef:
    """The part of a structure at a path that it has."""
    while place:
        key, child = next((str(key), child) for key, child in zip(structure.keys, structure.children)
                          if place == str(key) or place.startswith(f"{key}."))
        structure, place = child, place[len(key) + 1 :]
    return structure


def _check_leaf(what: str, leaf: Any, shape: tuple[int, ...], types: Sequence[np.dtype]) -> None:
    got_shape, dtype = abstract(leaf, what)
    if got_shape == shape and dtype in types:
        return
    names = " or ".join(f"{dtypes.name_of(t)}{list(shape)}" for t in types)
    kind = "shape" if got_shape != shape else "element type"
    raise TraceError("TS1050", f"{what} has the wrong {kind}", expected=names,
                     got=f"{dtypes.name_of(dtype)}{list(got_shape)}",
                     hint=None if kind == "shape"
                     else f"convert it with .astype({dtypes.public_name(types[0])})")


def check_condition(value: Any) -> Tracer:
    """A boolean without dimensions."""
    made = lift(value)
    if made.shape or made.dtype != dtypes.bool_:
        raise TraceError("TS1050", "`when` of an update is no boolean", expected="bool[]",
                         got=f"{dtypes.name_of(made.dtype)}{list(made.shape)}")
    return made


def chosen(use: Tracer | None, new: Tracer, old: Tracer) -> Tracer:
    """The new value, or where it is not to be used, the old one."""
    return new if use is None else elementwise.where(use, new, old)


# -- Apart and together ----------------------------------------------------------------------------------


def _names(planned: Sequence[Weight]) -> list[str]:
    """What the state of these weights has beside `step`, in order."""
    slots = {slot: None for weight in planned for slot in weight.slots}
    return [*slots, *(["master"] if any(weight.has_master for weight in planned) else [])]


def _has(weight: Weight, name: str) -> bool:
    return weight.has_master if name == "master" else name in weight.slots


def _structure_of(planned: Sequence[Weight], structure: tree.TreeDef, name: str) -> tree.TreeDef:
    """That of one tree of the state."""
    holes = [0 if _has(weight, name) else None for weight in planned]
    return tree.flatten(tree.unflatten(structure, holes))[1]


def taken_apart(planned: Sequence[Weight], structure: tree.TreeDef, state: Any) -> list[dict[str, Tracer]]:
    """What the state has for each weight, by name."""
    names = _names(planned)
    if not isinstance(state, Mapping) or set(state) != {"step", *names}:
        raise TraceError(
            "TS1005", "the state is not the one of this optimizer and these weights",
            expected=f"a dictionary of {', '.join(['step', *names])}",
            got=f"one of {', '.join(map(str, state))}" if isinstance(state, Mapping)
            else type(state).__name__,
            hint="make the state by optimizer.init(weights); update takes (grads, state, weights)")
    result: list[dict[str, Tracer]] = [{} for _ in planned]
    _check_leaf("`step` of the state", state["step"], (), (dtypes.i32,))
    for name in names:
        leaves, given = tree.flatten(state[name])
        wanted = _structure_of(planned, structure, name)
        if given != wanted:
            _refuse_structure(f"'{name}' of the state", wanted, given)
        at = [i for i, weight in enumerate(planned) if _has(weight, name)]
        for i, leaf in zip(at, leaves):
            _check_leaf(f"'{name}' of {planned[i].name}", leaf, planned[i].shape, (_type(planned[i], name),))
            result[i][name] = lift(leaf)
    return result


def _type(weight: Weight, name: str) -> np.dtype:
    return weight.compute if name == "master" else weight.state_dtype


def put_together(planned: Sequence[Weight], structure: tree.TreeDef, step: Any,
                 kept: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The state of what is kept for each weight."""
    return {"step": step, **{name: tree.unflatten(structure, [mine.get(name) for mine in kept])
                             for name in _names(planned)}}


# -- Names -----------------------------------------------------------------------------------------------


def by_name(state: Mapping[str, Any]) -> dict[str, Any]:
    """The leaves of a state by their paths."""
    leaves, paths, _ = leaves_of("the state", dict(state))
    return dict(zip(paths, leaves))


def from_names(what: str, planned: Sequence[Weight], structure: tree.TreeDef, weights: Sequence[Any],
               entries: Mapping[str, Any]) -> dict[str, Any]:
    """The state from arrays by name."""
    wanted: dict[str, tuple[tuple[int, ...], np.dtype, int | None]] = {"step": ((), dtypes.i32, None)}
    for name in _names(planned):
        for i, weight in enumerate(planned):
            if _has(weight, name):
                path = f"{name}.{weight.path}" if weight.path else name
                wanted[path] = (weight.shape, _type(weight, name), i)
    unknown = [name for name in entries if name not in wanted]
    problems = []
    for name, (shape, dtype, _) in wanted.items():
        if name not in entries:
            close = did_you_mean(name, unknown)
            problems.append(f"missing '{name}'" + (f" ({close})" if close else ""))
            continue
        got = abstract(entries[name], name)
        if got != (shape, dtype):
            problems.append(f"'{name}' is {dtypes.name_of(got[1])}{list(got[0])}, expected "
                            f"{dtypes.name_of(dtype)}{list(shape)}")
    problems += [f"unexpected '{name}'" for name in unknown]
    if problems:
        more = [f"and {len(problems) - _LISTED} more"] if len(problems) > _LISTED else []
        raise CheckpointError("TS6006", f"{what} does not fit the weights: {len(problems)} "
                              f"problem{'s' * (len(problems) > 1)}", notes=problems[:_LISTED] + more,
                              hint="its options (groups, momentum, state_dtype, master) decide what it keeps")
    kept: list[dict[str, Any]] = [{} for _ in planned]
    for path, (_, _, i) in wanted.items():
        if i is not None:
            value = entries[path]
            is_here = isinstance(value, (Tracer, ShapeDtypeStruct)) or getattr(value, "sharding", None)
            if not is_here:
                value = _placed(host_array(value, None, False), weights[i], planned[i].layout)
            elif isinstance(value, Array) and _is_elsewhere(value, planned[i].layout):
                value = _placed(value, weights[i], planned[i].layout)
            kept[i][path.partition(".")[0]] = value
    step = entries["step"]
    return put_together(planned, structure, step if isinstance(step, Tracer) else asarray(step), kept)
