# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Running a Python function on traced values to get its program."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tessera._src.arrays.array import Array
from tessera._src.arrays.conversion import as_numpy
from tessera._src.core import dtypes, source, tree, tree_text
from tessera._src.core.calls import raise_misuse
from tessera._src.core.errors import (
    ConfigError,
    ShapeError,
    ShardingError,
    TesseraError,
    TraceError,
    without_internal_frames,
)
from tessera._src.functions.donation import Ties, tie
from tessera._src.meshes.annotations import MeshTensorSpec, Unifier, result_specs
from tessera._src.meshes.mesh import Mesh, NamedSharding, PartitionSpec, check_spec, layout_text
from tessera._src.tracing import program_text
from tessera._src.tracing.named_dims import with_names
from tessera._src.tracing.operands import (
    NO_ELEMENTS_HINT,
    is_resident,
    is_scalar,
    lift,
    refuse_masked,
    weak_scalar_dtype,
)
from tessera._src.tracing.tracer import Tracer


class Argument(NamedTuple):
    """One leaf of the arguments: its place, and the layout the user asked for, if any."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    spec: PartitionSpec | None
    dims: tuple[str | None, ...] = ()  # Their names by the annotation, for messages.
    root: str = ""  # The argument it is, or is in.
    is_donated: bool = False
    is_weak: bool = False  # A Python number, which takes the type of tensors beside it.
    has_arrived: bool = False  # The layout is that of the array that was passed.


@dataclass
class Program:
    """A traced function."""

    text: str
    mesh: Mesh
    arguments: list[Argument]
    results: list[tuple[tuple[int, ...], np.dtype]]
    result_tree: tree.TreeDef
    location: source.Location | None
    ties: Ties = Ties()
    # Values of further arguments, which follow those of the caller: host arrays from outside.
    captured: tuple[Array, ...] = ()
    name: str = "the function"


def is_spec(value: Any) -> bool:
    """A leaf of a tree of layouts."""
    return isinstance(value, (PartitionSpec, NamedSharding, MeshTensorSpec))


def plain_spec(value: Any, mesh: Mesh, what: str) -> PartitionSpec | None:
    """The PartitionSpec of an entry of in_shardings or out_shardings."""
    if isinstance(value, NamedSharding):
        if value.mesh != mesh:
            raise ShardingError("TS2007", f"{what} has a layout on another mesh than the function",
                                expected=mesh, got=value.mesh)
        return value.spec
    if isinstance(value, MeshTensorSpec):
        return value.spec
    return value


def argument_as_numpy(leaf: Any, name: str) -> np.ndarray:
    """An argument of another library for NumPy, without a copy where possible."""
    try:
        return as_numpy(leaf)
    except (RuntimeError, TypeError) as error:
        if isinstance(error, TesseraError):
            raise
        raise TraceError("TS1022", f"argument '{name}' does not convert to NumPy: {error}",
                         hint="pass ts.from_dlpack(x), or detach it and move it to the CPU"
                         ) from None


def abstract(leaf: Any, name: str, may_be_static: bool = True) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and dtype of an argument; numbers are tensors without dimensions.

    Args:
        may_be_static: whether it is of a function that the user gave to ts.jit.
    """
    shape, dtype = getattr(leaf, "shape", None), getattr(leaf, "dtype", None)
    if shape is not None and isinstance(dtype, np.dtype) and dtype in dtypes.MLIR_NAMES and not isinstance(
            leaf, np.ma.MaskedArray):
        return tuple(shape), dtype
    refuse_masked(leaf, f"argument '{name}'")
    if shape is not None and isinstance(dtype, np.dtype):
        return tuple(shape), dtypes.canonical(dtype, f"argument '{name}'")
    if is_scalar(leaf):
        return (), weak_scalar_dtype(leaf, None, f" (argument '{name}')")
    if shape is not None and hasattr(leaf, "__array__"):  # torch, jax: by NumPy's eyes.
        return abstract(argument_as_numpy(leaf, name), name, may_be_static)
    if name == "self":
        raise TraceError(
            "TS1022", f"'self' is a {type(leaf).__name__}, not a tree of arrays",
            hint="register its class with ts.tree.register_dataclass, or pass "
                 "static_argnames='self'",
        )
    raise TraceError(
        "TS1022",
        f"argument '{name}' is a {type(leaf).__name__}, not an array",
        choices=["numpy arrays", "ts.Array", "numbers", "trees of them"],
        hint="register its class with ts.tree.register_dataclass" if dataclasses.is_dataclass(leaf)
        else f"if it selects what is computed, pass static_argnames=('{name}',)" if may_be_static
        else "make an array of it, or let the function use it from outside, as a variable of the code around",
    )


def trace(function: Callable, mesh: Mesh, leaves: Sequence[Argument], build: Callable,
          out_shardings: Any, result_annotation: Any, unifier: Unifier) -> Program:
    """The program of `function`; `build(tracers)` gives its positional and named arguments."""
    location = source.function_location(inspect.unwrap(function))
    owner = program_text.ProgramText(mesh)
    tracers = []
    layouts: dict[tuple, str] = {}  # Of what arguments have in common.
    for leaf in leaves:
        if 0 in leaf.shape:
            raise ShapeError("TS3020", f"argument '{leaf.name}' is a zero-size tensor", got=leaf.shape,
                             expected="sizes of at least 1", hint=NO_ELEMENTS_HINT)
        layout = None
        if leaf.spec is not None:
            key = (leaf.spec.dims, len(leaf.shape))
            layout = layouts.get(key)
            if layout is None:
                check_spec(leaf.spec, mesh, leaf.shape, f"argument '{leaf.name}'")
                layout = layouts[key] = layout_text(leaf.spec, len(leaf.shape))
        value, text = owner.add_argument(leaf.name, leaf.shape, leaf.dtype, layout, location)
        tracer = Tracer(owner, value, text, leaf.shape, leaf.dtype)
        tracer.is_weak = leaf.is_weak
        tracers.append(with_names(tracer, leaf.dims, leaf.name))
    with program_text.tracing(owner):
        args, kwargs = build(tracers)
        try:
            result = function(*args, **kwargs)
        except TesseraError as error:
            raise without_internal_frames(error) from None
        except Exception as error:  # The user's own: as if the function were called plainly.
            raise_misuse(error)
            raise without_internal_frames(error)
        flat, structure = constrained_results(result, mesh, out_shardings, result_annotation, unifier,
                                              location)
    results = [(r.shape, r.dtype) for r in flat]
    ties = tie(leaves, tree.paths(structure), results)
    for argument, result in ties.results.items():
        owner.tie_argument(argument, result)
    text = owner.module([r.value for r in flat], [r.type for r in flat], location,
                        tree_text.to_text(structure))
    captured = tuple(elements if is_resident(elements) else Array(elements)
                     for _, elements, _ in owner.captured.values())
    return Program(text, mesh, list(leaves), results, structure, location, ties, captured,
                   getattr(function, "__name__", type(function).__name__))


def _as_result(value: Any, path: str, location: source.Location | None) -> Tracer:
    if isinstance(value, Tracer) or is_scalar(value) or hasattr(value, "__array__"):
        return lift(value)
    what = f"result '{path}'" if path else "the result"
    raise TraceError("TS1023", f"{what} is a {type(value).__name__}, not an array",
                     choices=["traced values", "arrays", "numbers", "trees of them", "None"],
                     location=location)


def _per_result(what: str, given: Any, structure: tree.TreeDef) -> list[Any]:
    """What a tree that may stop early says about each result."""
    try:
        return tree.broadcast_prefix(given, structure, is_spec)
    except TraceError as error:
        raise ConfigError("TS4007", f"{what} does not fit the result: {error.message}",
                          got=f"a result {tree.describe(structure)}", hint=error.hint) from None


def constrained_results(value: Any, mesh: Mesh, out_shardings: Any, annotation: Any, unifier: Unifier,
                        location: source.Location | None) -> tuple[list[Tracer], tree.TreeDef]:
    """The leaves of a result in the layouts asked for, and its structure."""
    flat, structure = tree.flatten(value)
    paths = tree.paths(structure)
    flat = [_as_result(r, path, location) for r, path in zip(flat, paths)]
    names = [f"result '{path}'" if path else "the result" for path in paths]
    noted = _per_result("the result's annotation", result_specs(annotation), structure)
    for name, value, entry in zip(names, flat, noted):
        if entry is not None:
            unifier.check(name, entry, value.shape, value.dtype)
    specs = noted if out_shardings is None else _per_result("out_shardings", out_shardings, structure)
    result = []
    for what, value, entry in zip(names, flat, specs):
        spec = plain_spec(entry, mesh, what)
        if spec is not None:
            check_spec(spec, mesh, value.shape, what)
            layout = layout_text(spec, value.ndim)
            closed = program_text.type_text(value.shape, value.dtype, layout)
            name = value.program.emit(
                f"tessera.constrain {value.value} to <@mesh, {layout}> : {value.type} -> {closed}"
            )
            value = Tracer(value.program, name, closed, value.shape, value.dtype)
        result.append(value)
    return result, structure
