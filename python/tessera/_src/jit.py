# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""ts.jit: trace a function once per kind of arguments, compile it, run it."""

from __future__ import annotations

import functools
import inspect
import itertools
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tessera._src import tree
from tessera._src.annotations import MeshTensorSpec, Unifier, annotations_of
from tessera._src.array import Array, ShapeDtypeStruct
from tessera._src.errors import (
    ConfigError,
    ShapeError,
    TesseraError,
    TraceError,
    did_you_mean,
    without_internal_frames,
)
from tessera._src.graph import is_tracing
from tessera._src.lowered import (
    Compiled,
    Lowered,
    check_compile_options,
    check_device,
    check_runnable,
    check_target,
    target_of,
)
from tessera._src.mesh import SINGLE, Mesh, NamedSharding, PartitionSpec, current_mesh
from tessera._src.source import function_location
from tessera._src.tracer import Tracer
from tessera._src.tracing import Argument, abstract, is_spec, plain_spec, trace


# Programs that a function keeps in memory; past that, the one unused for longest goes.
MAX_PROGRAMS = 128
MAX_THREADS = 1024
_clock = itertools.count()


class JittedFunction:
    """A function that runs compiled; made by ts.jit."""

    def __init__(self, function: Callable, options: dict[str, Any]):
        if not callable(function):
            raise TraceError("TS1024", f"ts.jit takes a function, not {function!r}")
        functools.update_wrapper(self, function)
        self.__name__ = getattr(function, "__name__", type(function).__name__)
        self.function = function
        self.mesh: Mesh | None = _check_mesh(options["mesh"])
        self.in_shardings, self.out_shardings = options["in_shardings"], options["out_shardings"]
        self.device = check_device(options["device"])
        self.target = check_target(options["target"] or target_of(self.device))
        self.threads: int | None = _check_threads(options["threads"])
        self.compile_options = check_compile_options(options["options"] or {})
        try:
            self._signature = inspect.signature(function)
        except (TypeError, ValueError):
            raise TraceError("TS1024", f"{function!r} has no signature to trace") from None
        self._names = list(self._signature.parameters)
        self._annotations = annotations_of(function)
        self._statics = self._static_names(options["static_argnums"], options["static_argnames"])
        self._compiled: dict[tuple, Compiled] = {}
        # What _compiled has for calls with nothing but arrays, by a key that is cheaper to make.
        self._compiled_for_arrays: dict[tuple, Compiled] = {}
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        where = f" on {self.mesh!r}" if self.mesh else ""
        return f"<ts.jit {self.__name__}{self._signature}{where}, device '{self.device}'>"

    def _static_names(self, nums: Any, names: Any) -> frozenset[str]:
        listed = [names] if isinstance(names, str) else list(names or ())
        for number in [nums] if isinstance(nums, int) else list(nums or ()):
            if not -len(self._names) <= number < len(self._names):
                raise ConfigError("TS4006", f"static_argnums has {number}, but {self.__name__} has "
                                  f"{len(self._names)} parameters")
            listed.append(self._names[number])
        for name in listed:
            variadic = any(p.kind is p.VAR_KEYWORD for p in self._signature.parameters.values())
            if name not in self._names and not variadic:
                raise ConfigError("TS4006", f"static_argnames names '{name}', which is no parameter "
                                  f"of {self.__name__}", choices=self._names,
                                  hint=did_you_mean(name, self._names))
        return frozenset(listed)

    def _separate(self, args: tuple, kwargs: dict) -> tuple[tuple, dict, tuple]:
        """Traced positional and named arguments, and the static ones by name."""
        if not self._statics:
            return args, kwargs, ()
        statics, positional, named = [], [], {}
        for name, value in zip(self._names, args):
            if name in self._statics:
                statics.append((name, value))
            else:
                positional.append((name, value))
        if len(args) > len(self._names):
            raise ConfigError("TS4006", "static arguments and *args do not mix")
        for name, value in kwargs.items():
            if name in self._statics:
                statics.append((name, value))
            else:
                named[name] = value
        # What follows a static argument by position is passed by name from here on.
        count = 0
        while count < len(positional) and positional[count][0] == self._names[count]:
            count += 1
        named.update(positional[count:])
        statics.sort()
        try:
            hash(tuple(statics))
        except TypeError:
            bad = next(n for n, v in statics if not _hashable(v))
            raise ConfigError("TS4006", f"static argument '{bad}' is not hashable",
                              hint="use a tuple, a frozen dataclass, a string or a number") from None
        return tuple(v for _, v in positional[:count]), named, tuple(statics)

    def _mesh(self) -> Mesh:
        return self.mesh or current_mesh() or SINGLE

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if is_tracing():  # A jitted function inside another is inlined.
            return self.function(*args, **kwargs)
        try:
            mesh = self.mesh or self._mesh()
            array_key = None if kwargs or self._statics else _key_of_arrays(args, mesh)
            compiled = self._compiled_for_arrays.get(array_key)
            if compiled is not None:
                compiled.used = next(_clock)
                return compiled.run_flat(args)
            args, kwargs, statics = self._separate(args, kwargs)
            leaves, structure = tree.flatten((args, kwargs))
            kinds = tuple([_kind(leaf) for leaf in leaves])
            # 1, 1.0 and True are equal, and different programs.
            key = (structure, kinds, statics, tuple([type(v) for _, v in statics]), mesh)
            compiled = self._compiled.get(key)
            if compiled is None:
                compiled = self._compile(key, leaves)
            if array_key is not None:
                self._compiled_for_arrays[array_key] = compiled
            compiled.used = next(_clock)
            return compiled.run_flat(leaves)
        except TesseraError as error:
            raise without_internal_frames(error) from None

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """In a class, a method: the instance is its first argument."""
        return self if instance is None else BoundFunction(self, instance)

    def _compile(self, key: tuple, leaves: Sequence[Any]) -> Compiled:
        """The program for a new kind of arguments; one thread makes it, others wait."""
        structure, _, statics, _, mesh = key
        with self._lock:
            compiled = self._compiled.get(key)
            if compiled is None:
                check_runnable(self.device, self.target)
                lowered = self._lower(leaves, structure, statics, mesh)
                compiled = lowered.compile(self.device, self.threads)
                compiled.used = next(_clock)
                self._keep(key, compiled)
        return compiled

    def _keep(self, key: tuple, compiled: Compiled) -> None:
        """Adds a program, for which the one unused for longest goes."""
        while len(self._compiled) >= MAX_PROGRAMS:
            oldest = min(self._compiled, key=lambda k: self._compiled[k].used)
            gone = self._compiled.pop(oldest)
            for quick in [k for k, v in list(self._compiled_for_arrays.items()) if v is gone]:
                self._compiled_for_arrays.pop(quick, None)
        self._compiled[key] = compiled

    def lower(self, *args: Any, **kwargs: Any) -> Lowered:
        """The traced program for arguments like these (arrays or ts.ShapeDtypeStruct)."""
        try:
            args, kwargs, statics = self._separate(args, kwargs)
            leaves, structure = tree.flatten((args, kwargs))
            return self._lower(leaves, structure, statics, self._mesh())
        except TesseraError as error:
            raise without_internal_frames(error) from None

    def lower_annotated(self, dims: dict[str, int] | None = None) -> Lowered:
        """The program for the shapes that the annotations give, names sized by `dims`."""
        dims = dims or {}
        args = {}
        unifier = Unifier()
        known = {d for spec in self._annotations.values() if isinstance(spec, MeshTensorSpec)
                 for d in spec.dims if isinstance(d, str)}
        for dim, size in dims.items():
            if dim not in known or size < 1:
                raise ShapeError(
                    "TS3019", f"'{dim}={size}' sizes no dimension of {self.__name__}",
                    expected="a size of at least 1" if dim in known else None,
                    choices=None if dim in known else sorted(known),
                    hint=did_you_mean(dim, known - {dim}) if dim not in known else None,
                    location=function_location(self.function))
        for name in self._names:
            spec = self._annotations.get(name)
            if name in self._statics:
                continue
            if not isinstance(spec, MeshTensorSpec):
                raise ShapeError("TS3019", f"parameter '{name}' has no MeshTensor annotation",
                                 location=function_location(self.function),
                                 hint='annotate it, as in x: ts.MeshTensor[8, "D", ts.f32]')
            shape = unifier.shape_of(spec, dims)
            if shape is None:
                missing = [d for d in spec.dims if d is None or (isinstance(d, str) and d not in dims)]
                raise ShapeError("TS3019", f"sizes of {missing} of parameter '{name}' are unknown",
                                 location=function_location(self.function),
                                 hint="give them, as in --shapes B=8,D=64")
            args[name] = ShapeDtypeStruct(shape, spec.dtype if spec.dtype is not None else "f32")
        if self._statics:
            return self.lower(**args)
        return self.lower(*args.values())

    def explain(self, *args: Any, **kwargs: Any) -> str:
        """Why each collective is there, for arguments like these."""
        return self.lower(*args, **kwargs).explain()

    def clear_cache(self) -> None:
        """Forgets compiled programs (those on disk stay)."""
        self._compiled_for_arrays.clear()
        self._compiled.clear()

    def _lower(self, leaves: Sequence[Any], structure: tree.TreeDef, statics: tuple,
               mesh: Mesh) -> Lowered:
        unifier = Unifier()
        self._check_call(leaves, structure, statics)
        arguments = self._arguments(leaves, structure, mesh, unifier)

        def build(tracers: list[Tracer]) -> tuple[tuple, dict]:
            args, kwargs = tree.unflatten(structure, tracers)
            return args, {**kwargs, **dict(statics)}

        program = trace(self.function, mesh, arguments, build, self.out_shardings,
                        self._annotations.get("return"), unifier)
        return Lowered(program, structure, self.target, self.compile_options)

    def _check_call(self, leaves: Sequence[Any], structure: tree.TreeDef, statics: tuple) -> None:
        """Raises unless the function takes as many arguments, of these names."""
        args, kwargs = tree.unflatten(structure, list(leaves))
        try:
            self._signature.bind(*args, **kwargs, **dict(statics))
        except TypeError as error:
            given = [f"{len(args)} by position"] if args else []
            given += [f"{name}=" for name in (*kwargs, *dict(statics))]
            raise TraceError(
                "TS1025", f"{self.__name__}() cannot be called so: {error}",
                expected=f"{self.__name__}({', '.join(map(_plain, self._signature.parameters.values()))})",
                got=", ".join(given) or "no arguments",
            ) from None

    def _arguments(self, leaves: Sequence[Any], structure: tree.TreeDef, mesh: Mesh,
                   unifier: Unifier) -> list[Argument]:
        """Names, shapes, dtypes and layouts of the leaves."""
        positional, named = structure.children
        # Positional arguments past the parameters belong to *args.
        names = [self._names[min(i, len(self._names) - 1)] if self._names else f"arg{i}"
                 for i in range(len(positional.children))]
        entries = list(zip(names, positional.children)) + list(zip(named.keys, named.children))
        given = self._given_specs(entries)
        result: list[Argument] = []
        for position, (name, child) in enumerate(entries):
            annotation = self._annotations.get(name)
            annotation = annotation if isinstance(annotation, MeshTensorSpec) else None
            wanted = given[position] if given[position] is not None else annotation
            try:
                specs = tree.broadcast_prefix(wanted, child, is_spec)
            except TraceError as error:
                raise ConfigError("TS4007", f"in_shardings of argument '{name}': {error.message}"
                                  ) from None
            for path, spec in zip(tree.paths(child, name), specs):
                leaf = leaves[len(result)]
                shape, dtype = abstract(leaf, path)
                if annotation is not None and child is tree.LEAF:
                    unifier.check(f"argument '{name}'", annotation, shape, dtype)
                if spec is None:
                    spec = getattr(leaf, "sharding", None)
                    spec = spec if isinstance(spec, (PartitionSpec, NamedSharding)) else None
                plain = plain_spec(spec, mesh, f"argument '{path}'")
                result.append(Argument(path, shape, dtype, plain))
        return result

    def _given_specs(self, entries: list[tuple[str, tree.TreeDef]]) -> list[Any]:
        """The entry of in_shardings for each argument."""
        given = self.in_shardings
        if given is None or is_spec(given):
            return [given] * len(entries)
        if not isinstance(given, (dict, list, tuple)):
            raise ConfigError("TS4007", "in_shardings is no layout", got=repr(given),
                              choices=["a PartitionSpec", "one per argument", "a dict by name"],
                              hint='write ts.P("tp") for a layout')
        if isinstance(given, dict):
            for name in given:
                if name not in self._names:
                    raise ConfigError("TS4007", f"in_shardings names '{name}', which is no parameter "
                                      f"of {self.__name__}", choices=self._names,
                                      hint=did_you_mean(name, self._names))
            return [given.get(name) for name, _ in entries]
        by_name = dict(zip([n for n in self._names if n not in self._statics], given))
        if len(given) > len(self._names) - len(self._statics):
            raise ConfigError("TS4007", "in_shardings has more entries than there are arguments",
                              expected=len(self._names) - len(self._statics), got=len(given))
        return [by_name.get(name) for name, _ in entries]


def _key_of_arrays(args: tuple, mesh: Mesh) -> tuple | None:
    """The kinds of arguments that all are arrays without a sharding of their own; else None."""
    key: list[Any] = [mesh]
    for arg in args:
        if type(arg) is Array and arg.sharding is None:
            arg = arg._host
        elif type(arg) is not np.ndarray:
            return None
        key += (arg.shape, arg.dtype)
    return tuple(key)


class BoundFunction:
    """A jitted function as a method of an instance, which is the first argument of each call.

    The instance is traced like any other argument: a dataclass of arrays is registered with
    ts.tree.register_dataclass. Any other instance is made static with static_argnames="self".
    """

    def __init__(self, jitted: JittedFunction, instance: Any):
        self.jitted, self.instance = jitted, instance
        functools.update_wrapper(self, jitted.function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.jitted(self.instance, *args, **kwargs)

    def lower(self, *args: Any, **kwargs: Any) -> Lowered:
        """The traced program for arguments like these."""
        return self.jitted.lower(self.instance, *args, **kwargs)

    def explain(self, *args: Any, **kwargs: Any) -> str:
        """Why each collective is there, for arguments like these."""
        return self.jitted.explain(self.instance, *args, **kwargs)


def _plain(parameter: inspect.Parameter) -> str:
    """A parameter without its annotation."""
    return str(parameter.replace(annotation=inspect.Parameter.empty))


def _check_mesh(mesh: Any) -> Mesh | None:
    if mesh is not None and not isinstance(mesh, Mesh):
        raise ConfigError("TS4010", "mesh is no mesh", got=repr(mesh),
                          hint="make one with ts.make_mesh({'tp': 2})")
    return mesh


def _check_threads(threads: Any) -> int | None:
    if threads is None or (isinstance(threads, int) and 0 <= threads <= MAX_THREADS):
        return threads
    raise ConfigError("TS4010", "threads is no number of threads", got=repr(threads),
                      expected=f"0 (all cores) to {MAX_THREADS}")


def _kind(leaf: Any) -> Any:
    """What the compiled program depends on: shape, dtype and the sharding an Array asks for."""
    try:
        return leaf.shape, leaf.dtype, getattr(leaf, "sharding", None)
    except AttributeError:
        return type(leaf)


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def jit(
    function: Callable | None = None,
    *,
    mesh: Mesh | None = None,
    in_shardings: Any = None,
    out_shardings: Any = None,
    static_argnums: int | Sequence[int] = (),
    static_argnames: str | Sequence[str] = (),
    donate_argnums: int | Sequence[int] = (),
    device: str = "cpu",
    target: str | None = None,
    threads: int | None = None,
    options: dict[str, Any] | None = None,
) -> Any:
    """Compiles a function for a mesh; usable as @ts.jit or @ts.jit(mesh=...).

    Args:
        mesh: where it runs; by default that of `with mesh:`, else one device.
        in_shardings: per argument (a sequence, or a dict by name) a PartitionSpec, or a tree of them
            that may stop early; None leaves the layout to the compiler. Wins over annotations.
        out_shardings: the same for the result.
        static_argnums, static_argnames: arguments that are plain Python values; each value gives
            its own program.
        donate_argnums: accepted; arguments are never overwritten.
        device: "cpu" (default), "emulated" (GPU kernels on the CPU), "null" (runs nothing), "cuda".
        target: what to compile for, if not what the device needs: "cuda:sm_90a" and so on.
        threads: threads of all devices of a CPU mesh together; all cores by default.
        options: {"forbidImplicit": ["all_gather"]} makes collectives of these kinds an error.

    A program is compiled per kind of arguments: structure, shapes, dtypes, layouts of ts.Arrays,
    static values, mesh. A function keeps the 128 used last; all of them stay on disk (see TESSERA_CACHE_DIR).
    Functions may be called from several threads.

    Raises:
        TraceError, ShapeError, ShardingError, ConfigError: before compiling, at the user's line.
        CompileError: what the compiler refuses, or a run that fails.
    """
    del donate_argnums
    settings = {
        "mesh": mesh, "in_shardings": in_shardings, "out_shardings": out_shardings,
        "static_argnums": static_argnums, "static_argnames": static_argnames, "device": device,
        "target": target, "threads": threads, "options": options,
    }
    if function is None:
        return lambda f: JittedFunction(f, settings)
    return JittedFunction(function, settings)
