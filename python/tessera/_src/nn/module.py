# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Modules: objects of layers that are trees of their weights, with torch's names for these."""

from __future__ import annotations

import functools
import itertools
import math
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np

from tessera._src.arrays.array import Array, ShapeDtypeStruct
from tessera._src.arrays.conversion import as_numpy
from tessera._src.arrays.placing import device_put
from tessera._src.control_flow import bodies
from tessera._src.core import dtypes, tree
from tessera._src.core.errors import CheckpointError, TesseraError, TraceError, without_internal_frames
from tessera._src.functions.calling import names_in_call
from tessera._src.functions.jit import jit
from tessera._src.meshes.mesh import (
    SINGLE,
    Mesh,
    NamedSharding,
    PartitionSpec,
    current_mesh,
    split_further,
)
from tessera._src.models.checkpoint import check_names
from tessera._src.nn.initializers import Initializer
from tessera._src.nn.parallel import on_mesh
from tessera._src.ops import rng
from tessera._src.tracing.program_text import is_tracing

M = TypeVar("M", bound="Module")


@dataclass(frozen=True)
class Parameter:
    """A weight before it has elements: modules are made of these, and Module.init makes arrays of them.

    Attributes:
        shape: its sizes.
        dtype: the type of its elements.
        init: its first elements, from a key, the shape and the type; see tessera.nn.initializers.
        spec: its layout. Axes that the mesh lacks split nothing.
        zero: a further axis that splits it while no layer uses it; see nn.Parallel.
        stacked: how many of its dimensions count layers.
    """

    # What messages say where elements are needed.
    call_hint: ClassVar[str] = ("make the weights with model.init(ts.random.key(0)), or read them with "
                                "model.load_state_dict(...)")

    shape: tuple[int, ...]
    dtype: np.dtype
    init: Initializer
    spec: PartitionSpec = PartitionSpec()
    zero: str | None = None
    stacked: int = 0

    def on_mesh(self, mesh: Mesh) -> PartitionSpec:
        """Its layout on a mesh."""
        spec = on_mesh(self.spec, mesh)
        return spec if self.zero is None else split_further(spec, self.shape, mesh, self.zero, self.stacked)

    def __repr__(self) -> str:
        split = f", {self.spec!r}" if any(self.spec) else ""
        return f"Parameter({dtypes.name_of(self.dtype)}{list(self.shape)}{split})"


class Entry(NamedTuple):
    """Where a tensor of a state dict is: all of a leaf, or that of one layer of a stack.

    Attributes:
        name: in the state dict.
        leaf: its number.
        index: of the layer, in each stack around it.
        shape: in the state dict, where that is not the leaf's; -1 is what is left.
    """

    name: str
    leaf: int
    index: tuple[int, ...] = ()
    shape: tuple[int, ...] | None = None

    def shape_of(self, leaf: Any) -> tuple[int, ...]:
        """Of the tensor in the state dict, if this is its leaf."""
        own = tuple(leaf.shape[len(self.index):])
        if self.shape is None:
            return own
        left = math.prod(own) // math.prod(n for n in self.shape if n != -1)
        return tuple(left if n == -1 else n for n in self.shape)


class Module:
    """Base of layers: weights and other modules are its children, all other attributes its settings.

    A module is a tree: compiled functions take and give it, and ts.grad gives gradients as a module of
    the same class. Its settings must be hashable, and are part of what a function is compiled for.

        class Scale(ts.nn.Module):
            def __init__(self, size):
                self.weight = ts.nn.Parameter((size,), ts.f32, ts.nn.initializers.ones)

            def __call__(self, x):
                return x * self.weight

        model = Scale(3).init(ts.random.key(0))
        model(x), model.state_dict()
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        tree.register_node(cls, _flatten, functools.partial(_unflatten, cls))
        if "__call__" in vars(cls):
            cls.__call__ = _called(cls.__call__, vars(cls).get("check_arguments"))

    def __setattr__(self, name: str, value: Any) -> None:
        # Kept when arrays have taken the parameters' places.
        specs = tuple(leaf.spec if isinstance(leaf, Parameter) else None for leaf in tree.leaves(value)
                      ) if _is_child(value) else ()
        known = dict(vars(self).get("_specs", ()))
        if any(spec is not None for spec in specs) and not isinstance(value, Module):
            known[name] = specs
        elif name in known and not _is_child(value):
            del known[name]
        vars(self)["_specs"] = tuple(known.items())
        super().__setattr__(name, value)

    def specs(self) -> Iterator[PartitionSpec | None]:
        """The layouts that parameters were made with, in the order of the leaves; None of what is none."""
        known = dict(vars(self).get("_specs", ()))
        for name in _children_of(self):
            yield from _specs(vars(self)[name], iter(known.get(name, ())))

    def entries(self, prefix: str, numbers: Iterator[int]) -> Iterator[Entry]:
        """The tensors of the state dict, in the order of the leaves.

        Args:
            prefix: what their names begin with.
            numbers: of the leaves.
        """
        for name in _children_of(self):
            yield from _entries(vars(self)[name], prefix + name, numbers)

    def init(self: M, key: Any, *, mesh: Mesh | None = None) -> M:
        """A module whose parameters are arrays with their first elements, each in its layout.

        Elements depend on the key and the parameter's path alone, not on the mesh. What is an array
        already stays as it is.

        Args:
            mesh: of the devices that hold them; that of `with mesh:` around the call, if None.
        """
        check_unshared(self)
        leaves, structure = tree.flatten(self)
        paths = tree.paths(structure)
        mesh = mesh or current_mesh() or SINGLE
        at = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Parameter)]

        def draw(key: Any) -> list:
            return [leaves[i].init(rng.fold_in(key, zlib.crc32(paths[i].encode()) >> 1), leaves[i].shape,
                                   leaves[i].dtype) for i in at]

        if at:
            layouts = [leaves[i].on_mesh(mesh) for i in at]
            for i, value in zip(at, jit(draw, mesh=mesh, out_shardings=layouts)(key)):
                leaves[i] = value
        return tree.unflatten(structure, leaves)

    def abstract(self: M, mesh: Mesh | None = None) -> M:
        """A module of ts.ShapeDtypeStructs, for which functions are lowered without any memory for it.

        Args:
            mesh: of the layouts; that of `with mesh:` around the call, if None.
        """
        check_unshared(self)
        mesh = mesh or current_mesh() or SINGLE
        return tree.map(lambda leaf: ShapeDtypeStruct(
            leaf.shape, leaf.dtype, NamedSharding(mesh, leaf.on_mesh(mesh))
            if isinstance(leaf, Parameter) else getattr(leaf, "sharding", None)), self)

    def parameters(self) -> list[Any]:
        """The weights, in the order of attributes."""
        return tree.leaves(self)

    def named_parameters(self) -> list[tuple[str, Any]]:
        """Weights with their paths in the tree; those of a stack of layers are one each."""
        leaves, structure = tree.flatten(self)
        return list(zip(tree.paths(structure), leaves))

    def state_dict(self) -> dict[str, Any]:
        """Weights by torch's names; of a stack of layers, each layer's by itself."""
        leaves = tree.leaves(self)
        return {e.name: _part(leaves[e.leaf], e) for e in self.entries("", itertools.count())}

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True, *, mesh: Mesh | None = None
                        ) -> tuple[list[str], list[str]]:
        """Takes weights from a state dict, whose tensors may be torch's: each keeps its layout and its type.

        Args:
            strict: whether names that are missing or unexpected are an error.
            mesh: of the devices that hold what were Parameters; see `init`.

        Returns:
            Names that the state dict lacks, and those that the module does not have.
        """
        check_unshared(self)
        leaves, structure = tree.flatten(self)
        entries = list(self.entries("", itertools.count()))
        shapes = {e.name: e.shape_of(leaves[e.leaf]) for e in entries}
        given = {name: getattr(value, "shape", None) for name, value in state.items()}
        missing = [name for name in shapes if name not in given]
        unexpected = [name for name in given if name not in shapes]
        kept = {name: shape for name, shape in given.items() if strict or name in shapes}
        wanted = {name: shape for name, shape in shapes.items() if strict or name in given}
        check_names("the state dict", kept, wanted)
        by_leaf: dict[int, list[Entry]] = {}
        for entry in entries:
            if entry.name in given:
                by_leaf.setdefault(entry.leaf, []).append(entry)
        mesh = mesh or current_mesh() or SINGLE
        for number, parts in by_leaf.items():
            leaves[number] = _loaded(leaves[number], parts, state, mesh)
        vars(self).update(vars(tree.unflatten(structure, leaves)))
        return missing, unexpected

    def __repr__(self) -> str:
        return _describe(self, "")


def check_unshared(module: Module) -> None:
    """Raises where one Parameter is in two places of a module: each of them would have its own elements."""
    leaves, structure = tree.flatten(module)
    places: dict[int, str] = {}
    for path, leaf in zip(tree.paths(structure), leaves):
        first = places.setdefault(id(leaf), path) if isinstance(leaf, Parameter) else path
        if first != path:
            raise TraceError("TS1052", f"'{first}' and '{path}' of {type(module).__name__} are one "
                             "parameter, which a module has once", got=repr(leaf),
                             hint=f"leave '{path}' out, and use '{first}' in __call__ wherever it is needed, "
                             "such as embedding.attend(x) for a head that has the embedding's weight")


def _called(function: Callable, check: Callable | None) -> Callable:
    """The computation of a module, which outside of a trace is compiled for this call, and run.

    Args:
        check: the method `check_arguments` of the class that has this computation. It is called first, as
            elements are known outside of a trace, and raises for those that the module does not take.
    """

    @functools.wraps(function)
    def __call__(self: Module, *args: Any, **kwargs: Any) -> Any:
        if is_tracing():
            return function(self, *args, **kwargs)
        try:
            without = [path for path, leaf in self.named_parameters() if isinstance(leaf, Parameter)]
            if without:
                raise TraceError("TS1032", f"{type(self).__name__} has weights without elements, such as "
                                 f"'{without[0]}'", hint=Parameter.call_hint)
            if check is not None:
                check(self, *args, **kwargs)
            return bodies.compiled(lambda self, args, kwargs: function(self, *args, **kwargs), function,
                                   (self, args, kwargs), names_in_call(function, (self, *args), kwargs))
        except TesseraError as error:
            raise without_internal_frames(error) from None

    return __call__


def _is_child(value: Any) -> bool:
    """Whether an attribute holds weights, anywhere in it."""
    if isinstance(value, (Module, Parameter)):
        return True
    if isinstance(value, Mapping):
        return any(_is_child(part) for part in value.values())
    if isinstance(value, (list, tuple)):
        return any(_is_child(part) for part in value)
    return hasattr(value, "shape") and hasattr(value, "dtype") and not isinstance(value, (np.generic, type))


# Attributes of every module that are none of its settings.
_OWN = ("_children", "_specs")


def _children_of(module: Module) -> list[str]:
    # Those it had, also where what stands for a weight now, such as a layout, is none.
    known = vars(module).get("_children", ())
    return [name for name, value in vars(module).items()
            if name not in _OWN and (name in known or _is_child(value))]


def _flatten(module: Module) -> tuple[Sequence[str], Sequence, Any]:
    names = _children_of(module)
    static = tuple([(name, value) for name, value in vars(module).items()
                    if name != "_children" and name not in names])
    try:
        hash(static)
    except TypeError:
        name, value = next((n, v) for n, v in static if not _is_hashable(v))
        raise TraceError("TS1049", f"{type(module).__name__}.{name} is a {type(value).__name__} without "
                         "weights, which cannot tell one module from another", got=repr(value)[:80],
                         hint="make it a tuple or a frozen dataclass; a list of modules is assigned when "
                         "it is full") from None
    return names, [vars(module)[name] for name in names], static


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _unflatten(cls: type, static: tuple, children: dict[str, Any]) -> Module:
    made = object.__new__(cls)
    vars(made).update(static)
    vars(made).update(children)
    vars(made)["_children"] = tuple(children)
    return made


def _specs(value: Any, own: Iterator[PartitionSpec | None]) -> Iterator[PartitionSpec | None]:
    """Of the leaves of an attribute; `own` has an entry for each, of modules among them None."""
    if isinstance(value, Module):
        for spec in value.specs():
            next(own, None)
            yield spec
    elif isinstance(value, Mapping):
        for key in sorted(value):
            yield from _specs(value[key], own)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _specs(part, own)
    elif value is not None:
        yield next(own, None)


def _entries(value: Any, name: str, numbers: Iterator[int]) -> Iterator[Entry]:
    if isinstance(value, Module):
        yield from value.entries(f"{name}.", numbers)
    elif isinstance(value, Mapping):
        for key in sorted(value):
            yield from _entries(value[key], f"{name}.{key}", numbers)
    elif isinstance(value, (list, tuple)):
        for i, part in enumerate(value):
            yield from _entries(part, f"{name}.{i}", numbers)
    elif value is not None:
        yield Entry(name, next(numbers))


def _part(leaf: Any, entry: Entry) -> Any:
    """The tensor of a state dict."""
    if not entry.index and entry.shape is None:
        return leaf
    return np.asarray(leaf)[entry.index].reshape(entry.shape_of(leaf))


def _of_torch(name: str, value: Any) -> Any:
    """A tensor of torch as NumPy's; all else as it is, so that files are read one after the other."""
    if not hasattr(value, "detach"):
        return value
    try:
        return as_numpy(value.detach().cpu())
    except (TypeError, RuntimeError, NotImplementedError) as error:
        raise CheckpointError("TS6007", f"'{name}' of the state dict is nothing that NumPy takes: {error}",
                              got=f"{type(value).__name__} of {value.dtype}",
                              hint="convert it, such as by .float()") from None


def _loaded(leaf: Any, parts: Sequence[Entry], state: Mapping[str, Any], mesh: Mesh) -> Any:
    """A leaf with the elements of a state dict, of the leaf's type and in its layout."""
    state = {part.name: _of_torch(part.name, state[part.name]) for part in parts}
    for part in parts:
        given = np.dtype(state[part.name].dtype)
        if given != leaf.dtype:
            raise CheckpointError("TS6007", f"'{part.name}' is {dtypes.name_of(given)} in the state dict",
                                  expected=dtypes.name_of(leaf.dtype),
                                  hint="convert the state dict, or make the module of that type")
    if parts[0].index:
        elements = np.empty(leaf.shape, leaf.dtype)
        if len(parts) < int(np.prod([leaf.shape[i] for i in range(len(parts[0].index))])):
            elements[...] = np.asarray(leaf)  # Of the layers that the state dict lacks.
        for part in parts:
            elements[part.index] = np.asarray(state[part.name]).reshape(elements[part.index].shape)
    else:
        elements = np.asarray(state[parts[0].name]).reshape(leaf.shape)
    if isinstance(leaf, Parameter):
        return device_put(elements, NamedSharding(mesh, leaf.on_mesh(mesh)))
    layout = leaf.sharding if isinstance(leaf, Array) else None
    return device_put(elements, layout)


def _describe(value: Any, indent: str) -> str:
    """A module with its settings and children, those that hold weights on lines of their own."""
    inner = indent + "  "
    if isinstance(value, Module):
        names = _children_of(value)
        settings = [f"{name}={setting!r}" for name, setting in vars(value).items()
                    if name not in _OWN and name not in names]
        lines = [f"\n{inner}{name}: {_describe(vars(value)[name], inner)}" for name in names]
        return f"{type(value).__name__}({', '.join(settings)}){''.join(lines)}"
    if isinstance(value, (list, tuple)) and _is_child(value):
        return "".join(f"\n{inner}{i}: {_describe(part, inner)}" for i, part in enumerate(value))
    if hasattr(value, "shape") and hasattr(value, "dtype") and not isinstance(value, Parameter):
        return f"{dtypes.name_of(value.dtype)}{list(value.shape)}"
    return repr(value)
