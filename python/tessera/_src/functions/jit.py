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

from tessera._src.arrays.array import Array, ShapeDtypeStruct
from tessera._src.arrays.kinds import Kind, kind_of
from tessera._src.core import static_values, tree
from tessera._src.core.errors import ConfigError, TesseraError, TraceError, without_internal_frames
from tessera._src.core.source import caller_place
from tessera._src.functions.compiled import Compiled
from tessera._src.functions.inlining import inline
from tessera._src.functions.lowered import Lowered
from tessera._src.functions.signature import Signature
from tessera._src.functions.trace import trace
from tessera._src.meshes.annotations import Unifier
from tessera._src.meshes.mesh import SINGLE, Mesh, current_mesh
from tessera._src.programs import targets
from tessera._src.tracing.program_text import is_tracing
from tessera._src.tracing.tracer import Tracer

# Programs that a function keeps in memory; past that, the one unused for longest goes.
MAX_PROGRAMS = 128
# Of those, the ones that are tried before a call's arguments are looked at.
MAX_CALLS = 4
_clock = itertools.count()


class JittedFunction:
    """A function that runs compiled; made by ts.jit."""

    def __init__(self, function: Callable, options: dict[str, Any]):
        if not callable(function):
            raise TraceError("TS1024", f"ts.jit takes a function, not {function!r}",
                             hint="options are given by name, as in @ts.jit(mesh=mesh)")
        functools.update_wrapper(self, function)
        self.__name__ = getattr(function, "__name__", type(function).__name__)
        self.function = function
        self.mesh: Mesh | None = _check_mesh(options["mesh"])
        self.out_shardings = options["out_shardings"]
        self.device = targets.check_device(options["device"])
        target = options["target"]
        self.target = targets.check_target(targets.target_of(self.device) if target is None else target)
        self.threads: int | None = targets.check_threads(options["threads"])
        self.compile_options = targets.check_compile_options(options["options"] or {})
        self.signature = Signature(function, self.__name__, options["in_shardings"],
                                   options["static_argnums"], options["static_argnames"],
                                   options["donate_argnums"], options["donate_argnames"])
        # Called with the arguments before they are traced, to refuse them in words of their own.
        self.precondition: Callable | None = None
        self._compiled: dict[tuple, Compiled] = {}
        # The programs called last, with what calls them with little overhead.
        self._calls: tuple[tuple[Mesh, Compiled, Any], ...] = ()
        # All programs, by the key that they have when layouts are left out.
        self._programs: dict[tuple, list[Compiled]] = {}
        # What _compiled has for calls with nothing but arrays, by a key that is cheaper to make.
        self._compiled_for_arrays: dict[tuple, Compiled] = {}
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        where = f" on {self.mesh!r}" if self.mesh else ""
        return f"<ts.jit {self.__name__}{self.signature.parameters}{where}, device '{self.device}'>"

    @property
    def call_parameters(self) -> inspect.Signature:
        """What the function takes."""
        return self.signature.parameters

    def _mesh(self) -> Mesh:
        return self.mesh or current_mesh() or SINGLE

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if is_tracing():
            if self.precondition is not None:
                self.precondition(*args, **kwargs)
            return inline(self.function, self.signature, self.mesh, self.out_shardings, args, kwargs)
        try:
            mesh = self.mesh or self._mesh()
            for known, compiled, call in self._calls:
                if known is mesh or known == mesh:
                    result = call.run((args, kwargs), caller_place() if compiled.donates else None)
                    if result is not NotImplemented:
                        compiled.used = next(_clock)
                        return result
            array_key = None if kwargs or self.signature.statics else _key_of_arrays(args, mesh)
            compiled = self._compiled_for_arrays.get(array_key)
            if compiled is not None:
                compiled.used = next(_clock)
                return compiled.run_flat(args)
            compiled, leaves, kinds, statics = self._find(args, kwargs, mesh)
            result = compiled.run_flat(leaves)
            if not statics:
                self._remember(compiled, kinds, array_key, mesh)
            compiled.used = next(_clock)
            return result
        except TesseraError as error:
            raise without_internal_frames(error) from None

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """In a class, a method: the instance is its first argument."""
        return self if instance is None else BoundFunction(self, instance)

    def compiled(self, *args: Any, **kwargs: Any) -> Compiled:
        """The program that a call with such arguments runs; it is compiled now if it was not before."""
        try:
            return self._find(args, kwargs, self._mesh())[0]
        except TesseraError as error:
            raise without_internal_frames(error) from None

    def _find(self, args: tuple, kwargs: dict, mesh: Mesh) -> tuple[Compiled, list, tuple, tuple]:
        """The program for arguments; their leaves, the kinds of these, and the static arguments."""
        args, kwargs, statics = self.signature.separate(args, kwargs)
        leaves, structure = tree.flatten((args, kwargs))
        kinds = tuple([_kind(leaf, mesh) for leaf in leaves])
        key = (structure, kinds, static_values.key_of(statics) if statics else None, mesh)
        compiled = self._compiled.get(key)
        if compiled is None:
            compiled = self._compile(key, leaves, statics)
        return compiled, leaves, kinds, statics

    def _compile(self, key: tuple, leaves: Sequence[Any], statics: tuple) -> Compiled:
        """The program for a new kind of arguments; one thread makes it, others wait."""
        structure, kinds, _, mesh = key
        with self._lock:
            compiled = self._compiled.get(key) or self._find_accepting(key)
            if compiled is None:
                targets.check_runnable(self.device, self.target)
                lowered = self._lower(leaves, structure, statics, mesh)
                compiled = lowered.compile(self.device, self.threads)
                compiled.used = next(_clock)
                self._keep(_without_layouts(key), compiled)
            self._compiled[key] = compiled
        return compiled

    def _remember(self, compiled: Compiled, kinds: tuple, array_key: tuple | None, mesh: Mesh) -> None:
        """Makes the next calls with such arguments cheap."""
        call = compiled.make_call(kinds, lambda leaf: _kind(leaf, mesh))
        if call is not None:
            others = [entry for entry in self._calls if entry[1] is not compiled]
            self._calls = ((mesh, compiled, call), *others[:MAX_CALLS - 1])
        elif array_key is not None:
            self._compiled_for_arrays[array_key] = compiled

    def _find_accepting(self, key: tuple) -> Compiled | None:
        """A program that was compiled for other layouts and takes these as well."""
        return next((compiled for compiled in self._programs.get(_without_layouts(key), ())
                     if compiled.accepts(key[1])), None)

    def _keep(self, plain_key: tuple, compiled: Compiled) -> None:
        """Adds a program, for which the one unused for longest goes."""
        kept = [(program, key) for key, programs in self._programs.items() for program in programs]
        if len(kept) >= MAX_PROGRAMS:
            gone, key = min(kept, key=lambda pair: pair[0].used)
            self._programs[key].remove(gone)
            if not self._programs[key]:
                del self._programs[key]
            self._calls = tuple([entry for entry in self._calls if entry[1] is not gone])
            for table in (self._compiled, self._compiled_for_arrays):
                for alias in [k for k, v in list(table.items()) if v is gone]:
                    table.pop(alias, None)
        self._programs.setdefault(plain_key, []).append(compiled)

    def lower(self, *args: Any, **kwargs: Any) -> Lowered:
        """The traced program for arguments like these (arrays or ts.ShapeDtypeStruct)."""
        try:
            args, kwargs, statics = self.signature.separate(args, kwargs)
            leaves, structure = tree.flatten((args, kwargs))
            return self._lower(leaves, structure, statics, self._mesh())
        except TesseraError as error:
            raise without_internal_frames(error) from None

    def lower_annotated(self, dims: dict[str, int] | None = None) -> Lowered:
        """The program for the shapes that the annotations give, names sized by `dims`."""
        args = self.signature.annotated_arguments(dims or {})
        return self.lower(**args) if self.signature.statics else self.lower(*args.values())

    def explain(self, *args: Any, **kwargs: Any) -> str:
        """Why each collective is there, for arguments like these."""
        return self.lower(*args, **kwargs).explain()

    def clear_cache(self) -> None:
        """Forgets compiled programs (those on disk stay)."""
        self._compiled_for_arrays.clear()
        self._compiled.clear()
        self._programs.clear()
        self._calls = ()

    def _lower(self, leaves: Sequence[Any], structure: tree.TreeDef, statics: tuple,
               mesh: Mesh) -> Lowered:
        unifier = Unifier()
        self.signature.check_call(leaves, structure, statics)
        if self.precondition is not None:
            args, kwargs = tree.unflatten(structure, list(leaves))
            self.precondition(*args, **kwargs, **dict(statics))
        arguments = self.signature.arguments(leaves, structure, mesh, unifier)

        def build(tracers: list[Tracer]) -> tuple[tuple, dict]:
            args, kwargs = tree.unflatten(structure, tracers)
            return args, {**kwargs, **dict(statics)}

        program = trace(self.function, mesh, arguments, build, self.out_shardings,
                        self.signature.annotations.get("return"), unifier)
        return Lowered(program, structure, self.target, self.compile_options)


def _key_of_arrays(args: tuple, mesh: Mesh) -> tuple | None:
    """The kinds of arguments that all are arrays; else None."""
    key: list[Any] = [mesh]
    for arg in args:
        if type(arg) is Array:
            key.append(arg.kind)
        elif type(arg) is np.ndarray:
            key += (arg.shape, arg.dtype)
        else:
            return None
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

    def compiled(self, *args: Any, **kwargs: Any) -> Compiled:
        """The program that a call with such arguments runs."""
        return self.jitted.compiled(self.instance, *args, **kwargs)

    def lower(self, *args: Any, **kwargs: Any) -> Lowered:
        """The traced program for arguments like these."""
        return self.jitted.lower(self.instance, *args, **kwargs)

    def explain(self, *args: Any, **kwargs: Any) -> str:
        """Why each collective is there, for arguments like these."""
        return self.jitted.explain(self.instance, *args, **kwargs)


def _check_mesh(mesh: Any) -> Mesh | None:
    if mesh is not None and not isinstance(mesh, Mesh):
        raise ConfigError("TS4010", "mesh must be a ts.Mesh", got=repr(mesh),
                          hint="make one with ts.make_mesh({'tp': 2})")
    return mesh


def _kind(leaf: Any, mesh: Mesh) -> Any:
    """What the compiled program depends on: shape, dtype and, of an Array on this mesh, its layout."""
    if type(leaf) is Array:
        return leaf.kind.on(mesh)
    try:
        shape, dtype = leaf.shape, leaf.dtype
    except AttributeError:
        return type(leaf)
    return kind_of(shape, dtype) if type(leaf) is np.ndarray else (shape, dtype)


def _without_layouts(key: tuple) -> tuple:
    structure, kinds, statics, mesh = key
    return structure, tuple([_without_layout(kind) for kind in kinds]), statics, mesh


def _without_layout(kind: Any) -> Any:
    """A scalar of NumPy is to a program what an array without dimensions is."""
    if isinstance(kind, Kind):
        return kind.plain
    return kind_of(*kind) if isinstance(kind, tuple) and isinstance(kind[1], np.dtype) else kind


def eval_shape(fun: Callable, *args: Any, **kwargs: Any) -> Any:
    """The result of a function as a tree of ts.ShapeDtypeStruct, without compiling or running it.

    Arguments are arrays, numbers or ts.ShapeDtypeStructs, in trees.
    """
    jitted = fun if isinstance(fun, (JittedFunction, BoundFunction)) else jit(fun)
    program = jitted.lower(*args, **kwargs).program
    return tree.unflatten(program.result_tree, [ShapeDtypeStruct(s, d) for s, d in program.results])


def jit(
    function: Callable | None = None,
    *,
    mesh: Mesh | None = None,
    in_shardings: Any = None,
    out_shardings: Any = None,
    static_argnums: int | Sequence[int] = (),
    static_argnames: str | Sequence[str] = (),
    donate_argnums: int | Sequence[int] = (),
    donate_argnames: str | Sequence[str] = (),
    device: str = "cpu",
    target: str | None = None,
    threads: int | None = None,
    options: dict[str, Any] | None = None,
) -> Any:
    """Compiles a function for a mesh; usable as @ts.jit or @ts.jit(mesh=...).

    What it returns is called like the function. For arguments like those of a call it also has
    .lower(*args), the program (see Lowered), and .explain(*args), why each collective is there;
    .clear_cache() forgets compiled programs.

    Args:
        mesh: where it runs; by default that of `with mesh:`, else one device.
        in_shardings: per argument (a sequence, or a dict by name) a PartitionSpec, or a tree of them
            that may stop early; None leaves the layout to the compiler. Wins over annotations.
        out_shardings: the same for the result.
        static_argnums, static_argnames: arguments that are plain Python values; each value gives
            its own program.
        donate_argnums, donate_argnames: arguments that are not used after the call. Each array in
            them gives its memory to a result of its shape and type: the one at the same place in its
            tree, or else the first that is left. A ts.Array that was donated raises when it is used
            again; arrays of NumPy are copied, and stay as they are. Donations without such a result
            are named by .explain().
        device: "cpu" (default), "emulated" (GPU kernels on the CPU), "null" (runs no
            kernels: results are whatever the memory held), "cuda".
        target: what to compile for, if not what the device needs: "cuda:sm_90a" and so on.
        threads: threads of all devices of a CPU mesh together; all cores by default.
        options: {"forbidImplicit": ["all_gather"]} makes collectives of these kinds an error.

    A program is compiled per kind of arguments: structure, shapes, dtypes, layouts of ts.Arrays,
    static values, mesh. An argument without a layout of its own takes that of the ts.Array which is
    passed. So a loop `state = step(state)` compiles once where the layout of state is given or state is
    donated, or where the compiler chooses for a result the layout of its argument; else twice, the
    second time for the layout that the first result has. A function keeps the 128 used last; all of
    them stay on disk (see TESSERA_CACHE_DIR).
    Functions may be called from several threads.

    Called inside another jitted function it becomes part of that one's program: its layouts hold as
    constraints, its mesh must be that of the caller, and all other options are the caller's.

    Raises:
        TraceError, ShapeError, ShardingError, ConfigError: before compiling, at the user's line.
        CompileError: what the compiler refuses, or a run that fails.
    """
    settings = {
        "mesh": mesh, "in_shardings": in_shardings, "out_shardings": out_shardings,
        "static_argnums": static_argnums, "static_argnames": static_argnames,
        "donate_argnums": donate_argnums, "donate_argnames": donate_argnames, "device": device,
        "target": target, "threads": threads, "options": options,
    }
    if function is None:
        return lambda f: JittedFunction(f, settings)
    return JittedFunction(function, settings)
