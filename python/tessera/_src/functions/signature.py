# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""From the arguments of a call to those of the program: names, static values, shapes, layouts."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tessera._src.arrays.array import Array, ShapeDtypeStruct
from tessera._src.core import tree
from tessera._src.core.errors import ConfigError, ShapeError, TraceError, did_you_mean
from tessera._src.core.source import function_location
from tessera._src.functions.calling import refuse_misfit
from tessera._src.functions.trace import Argument, abstract, is_spec, plain_spec
from tessera._src.meshes.annotations import MeshTensorSpec, Unifier, annotations_of
from tessera._src.meshes.mesh import Mesh, NamedSharding, PartitionSpec
from tessera._src.tracing.operands import NO_ELEMENTS_HINT, is_python_number

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def _listed(option: str, given: Any, kind: type, expected: str) -> list[Any]:
    """One or several entries of an option as a list, or an error."""
    result = [given] if isinstance(given, (int, str)) else given
    if result is None:
        return []
    if not isinstance(result, (list, tuple, set, frozenset, range)) or any(
        isinstance(entry, bool) or not isinstance(entry, kind) for entry in result
    ):
        raise ConfigError("TS4006", f"{option} is {given!r}", expected=expected)
    return list(result)


def _own_layout(leaf: Any, mesh: Mesh) -> PartitionSpec | NamedSharding | None:
    """The layout that an argument itself has, for a function on a mesh."""
    if isinstance(leaf, Array):
        return leaf.sharding if leaf.kind.on(mesh).layout is not None else None
    spec = getattr(leaf, "sharding", None)
    return spec if isinstance(spec, (PartitionSpec, NamedSharding)) else None


class Signature:
    """The parameters of a function, and what ts.jit's options and annotations say about them."""

    def __init__(self, function: Callable, name: str, in_shardings: Any, static_argnums: Any = (),
                 static_argnames: Any = (), donate_argnums: Any = (), donate_argnames: Any = ()):
        self.function, self.name, self.in_shardings = function, name, in_shardings
        try:
            self.parameters = inspect.signature(function)
        except (TypeError, ValueError):
            raise TraceError("TS1024", f"{function!r} has no signature to trace") from None
        self.names = list(self.parameters.parameters)
        self.annotations = annotations_of(function)
        # Of the library's own calls outside of a trace: what its arguments are called there.
        self.own_names: list[str] | None = getattr(function, "names_of_leaves", None)
        self.statics = self._selected("static", static_argnums, static_argnames)
        self.donated = self._selected("donate", donate_argnums, donate_argnames)
        both = self.statics & self.donated
        if both:
            raise ConfigError("TS4006", f"argument '{min(both)}' of {self.name} is both static and donated",
                              hint="static arguments are Python values, which have no memory to donate")

    def _selected(self, what: str, nums: Any, names: Any) -> frozenset[str]:
        """Parameters that an option selects by number or name; one of *args as "args.1"."""
        numbers = _listed(f"{what}_argnums", nums, int, "positions of parameters, as in (0, 2)")
        listed = _listed(f"{what}_argnames", names, str, "names of parameters, as in ('x', 'mode')")
        kinds = [p.kind for p in self.parameters.parameters.values()]
        rest = inspect.Parameter.VAR_POSITIONAL
        first_of_rest = kinds.index(rest) if rest in kinds and what == "donate" else None
        for name in listed:
            if name not in self.names and inspect.Parameter.VAR_KEYWORD not in kinds:
                raise ConfigError("TS4006", f"{what}_argnames names '{name}', which is not a parameter "
                                  f"of {self.name}", choices=self.names,
                                  hint=did_you_mean(name, self.names))
        for number in numbers:
            if first_of_rest is not None and number >= first_of_rest:
                listed.append(f"{self.names[first_of_rest]}.{number - first_of_rest}")
            elif -len(self.names) <= number < len(self.names):
                listed.append(self.names[number])
            else:
                raise ConfigError("TS4006", f"{what}_argnums has {number}, but {self.name} has "
                                  f"{len(self.names)} parameters", choices=[
                                      f"{i} ({name})" for i, name in enumerate(self.names)])
        return frozenset(listed)

    def separate(self, args: tuple, kwargs: dict) -> tuple[tuple, dict, tuple]:
        """Traced positional and named arguments, and the static ones as pairs (name, value)."""
        if not self.statics:
            return args, kwargs, ()
        statics, positional, named = [], [], {}
        for name, value in zip(self.names, args):
            (statics if name in self.statics else positional).append((name, value))
        if len(args) > len(self.names):
            raise ConfigError("TS4006", "static arguments cannot be combined with *args")
        for name, value in kwargs.items():
            if name in self.statics:
                statics.append((name, value))
            else:
                named[name] = value
        # What follows a static argument by position is passed by name from here on.
        count = 0
        while count < len(positional) and positional[count][0] == self.names[count]:
            count += 1
        named.update(positional[count:])
        statics.sort(key=lambda pair: pair[0])
        for name, value in statics:
            try:
                hash(value)
            except TypeError:
                raise ConfigError("TS4006", f"static argument '{name}' is not hashable",
                                  got=f"a {type(value).__name__}",
                                  hint="use a tuple, a frozen dataclass, a string or a number"
                                  ) from None
        return tuple(v for _, v in positional[:count]), named, tuple(statics)

    def check_call(self, leaves: Sequence[Any], structure: tree.TreeDef, statics: tuple) -> None:
        """Raises unless the function takes this number of arguments, with these names."""
        args, kwargs = tree.unflatten(structure, list(leaves))
        refuse_misfit(self.name, self.parameters, args, {**kwargs, **dict(statics)})

    def arguments(self, leaves: Sequence[Any], structure: tree.TreeDef, mesh: Mesh,
                  unifier: Unifier) -> list[Argument]:
        """Names, shapes, dtypes and layouts of the leaves; their named dimensions are unified."""
        positional, named = structure.children
        names = self._positional_names(len(positional.children))
        entries = list(zip(names, positional.children)) + list(zip(named.keys, named.children))
        given = self._given_specs(names, named.keys)
        result: list[Argument] = []
        for position, (name, child) in enumerate(entries):
            annotation = self.annotations.get(name.partition(".")[0])
            annotation = annotation if isinstance(annotation, MeshTensorSpec) else None
            if annotation is not None and child is not tree.LEAF and child.count:
                raise ShapeError("TS3002", f"argument '{name}' is a {child.kind.__name__}, its "
                                 "annotation one tensor", expected=annotation,
                                 hint="annotate tensors; in_shardings lays out trees of them")
            is_donated = bool(self.donated & {name, name.partition(".")[0]})
            wanted = given[position] if given[position] is not None else annotation
            try:
                specs = tree.broadcast_prefix(wanted, child, is_spec)
            except TraceError as error:
                raise ConfigError("TS4007", f"in_shardings of argument '{name}': {error.message}",
                                  got=f"an argument {tree.describe(child)}",
                                  hint=error.hint or 'write ts.P("tp") for a layout') from None
            for path, spec in zip(tree.paths(child, name), specs):
                leaf = leaves[len(result)]
                dims: tuple[str | None, ...] = ()
                shape, dtype = abstract(leaf, path, self.own_names is None)
                if annotation is not None and child is tree.LEAF:
                    unifier.check(f"argument '{name}'", annotation, shape, dtype)
                    dims = tuple(d if isinstance(d, str) else None for d in annotation.dims)
                has_arrived = spec is None
                if has_arrived:
                    spec = _own_layout(leaf, mesh)
                plain = spec if spec is None or isinstance(spec, PartitionSpec) else plain_spec(
                    spec, mesh, f"argument '{path}'")
                result.append(Argument(path, shape, dtype, plain, dims, name, is_donated,
                                       is_python_number(leaf), has_arrived and plain is not None))
        return result

    @property
    def has_layouts(self) -> bool:
        """Whether options or annotations say anything about arguments."""
        return self.in_shardings is not None or any(
            isinstance(annotation, MeshTensorSpec)
            for name, annotation in self.annotations.items() if name != "return")

    def _positional_names(self, count: int) -> list[str]:
        """Names of the first traced positional arguments; those of *args as "args.0", "args.1"."""
        if self.own_names is not None:
            return self.own_names
        kinds = {name: p.kind for name, p in self.parameters.parameters.items()}
        names = [n for n, kind in kinds.items() if n not in self.statics and kind in _POSITIONAL]
        rest = [n for n, kind in kinds.items() if kind is inspect.Parameter.VAR_POSITIONAL]
        return names[:count] + [f"{rest[0]}.{i}" for i in range(count - len(names))]

    def _given_specs(self, positional: Sequence[str], named: Sequence[str]) -> list[Any]:
        """The entry of in_shardings for each argument."""
        given = self.in_shardings
        if given is None or is_spec(given):
            return [given] * (len(positional) + len(named))
        if not isinstance(given, (dict, list, tuple)):
            raise ConfigError("TS4007", "in_shardings must be a layout", got=repr(given),
                              choices=["a PartitionSpec", "one per argument", "a dict by name"],
                              hint='write ts.P("tp") for a layout')
        if isinstance(given, dict):
            for name in given:
                if name not in self.names:
                    raise ConfigError("TS4007", f"in_shardings names '{name}', which is not a parameter "
                                      f"of {self.name}", choices=self.names,
                                      hint=did_you_mean(name, self.names))
            # The entry of *args is that of each of them.
            return [given.get(name.partition(".")[0]) for name in (*positional, *named)]
        names = [name for name in self.names if name not in self.statics]
        if any("." in name for name in positional):
            names = list(positional)
        if len(given) > len(names):
            raise ConfigError("TS4007", "in_shardings has more entries than there are arguments",
                              expected=len(names), got=len(given))
        # Arguments that are given by name only, and defaults that are left out, need no entry.
        left = [name for name in (*positional, *named) if name in names[len(given):] and (
            "." in name or self.parameters.parameters[name].kind in _POSITIONAL)]
        if left:
            raise ConfigError("TS4007", "in_shardings has fewer entries than there are arguments",
                              expected=f"one for each of {', '.join(names[:names.index(left[-1]) + 1])}",
                              got=len(given),
                              hint="give None for an argument that the compiler lays out, or a dict by name")
        by_name = dict(zip(names, given))
        return [by_name.get(name) for name in (*positional, *named)]

    def annotated_arguments(self, dims: Mapping[str, int]) -> dict[str, ShapeDtypeStruct]:
        """Arguments of the shapes that the annotations give, by name; `dims` sizes their names."""
        location = function_location(self.function)
        known = {d for spec in self.annotations.values() if isinstance(spec, MeshTensorSpec)
                 for d in spec.dims if isinstance(d, str)}
        for dim, size in dims.items():
            if dim not in known:
                raise ShapeError("TS3019", f"'{dim}={size}' sizes no dimension of {self.name}",
                                 choices=sorted(known), hint=did_you_mean(dim, known), location=location)
            if size < 1:
                raise ShapeError("TS3019", f"dimension '{dim}' of {self.name} has size {size}",
                                 expected="a size of at least 1", got=f"'{dim}={size}'",
                                 hint=NO_ELEMENTS_HINT if size == 0 else None, location=location)
        result = {}
        for name in self.names:
            spec = self.annotations.get(name)
            if name in self.statics:
                continue
            if not isinstance(spec, MeshTensorSpec):
                raise ShapeError("TS3019", f"parameter '{name}' has no MeshTensor annotation",
                                 location=location,
                                 hint='annotate it, as in x: ts.MeshTensor[8, "D", ts.f32]')
            shape = spec.shape(dims)
            if shape is None:
                if None in spec.dims:
                    raise ShapeError("TS3019", f"dimension {spec.dims.index(None)} of parameter "
                                     f"'{name}' has no size", got=spec, location=location,
                                     hint="annotate it with a size, or with a name to size it by")
                missing = ", ".join(f"'{d}'" for d in spec.dims
                                    if isinstance(d, str) and d not in dims)
                raise ShapeError("TS3019", f"sizes of {missing} of parameter '{name}' are unknown",
                                 location=location,
                                 hint="give them, as in --shapes B=8,D=64")
            result[name] = ShapeDtypeStruct(shape, spec.dtype if spec.dtype is not None else "f32")
        return result
