# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Named ways to split a training over a mesh, as presets of ts.nn.Parallel and of layouts of arguments."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tessera._src.control_flow.bodies import check_callable
from tessera._src.core import tree
from tessera._src.core.errors import ConfigError, ShardingError, did_you_mean
from tessera._src.functions.jit import JittedFunction, jit
from tessera._src.meshes.mesh import Mesh, NamedSharding, PartitionSpec, axes_of, current_mesh, make_mesh
from tessera._src.nn.module import Module
from tessera._src.nn.parallel import Parallel
from tessera._src.tracing.program_text import is_tracing


@dataclass(frozen=True)
class _Preset:
    """What a strategy is: the part of the axis it takes, and the further settings of ts.nn.Parallel."""

    role: str
    settings: tuple[tuple[str, Any], ...] = ()
    hint: str = ""


_MODEL = "make the model with parallel=strategy.parallel, and its weights with .init(key, mesh=mesh)"
_PRESETS = {
    "data_parallel": _Preset("dp"),
    "tensor_parallel": _Preset("tp", hint=_MODEL + "; layouts of plain arrays are given as in_shardings"),
    "sequence_parallel": _Preset("tp", (("sequence", True),), _MODEL),
    "zero_redundancy_optimizer": _Preset("dp", (("zero", 1),), "make the optimizer with "
                                         "ts.optim.AdamW(zero=strategy.axis), and pass its state"),
    "fully_sharded": _Preset("dp", (("zero", 3),), _MODEL),
}


@dataclass(frozen=True)
class Strategy:
    """A named way to split a function over a mesh; made by ts.compat.distribute, and a decorator.

    Attributes:
        name: of the preset.
        axis: of the mesh, along which it splits.
        mesh: of the devices; None for that of `with mesh:` around a call.
        batch: names of the arguments whose first dimension is split over the data-parallel axis.
        options: of ts.jit.
    """

    name: str
    axis: str
    mesh: Mesh | None
    batch: tuple[str, ...]
    options: tuple[tuple[str, Any], ...]

    @property
    def parallel(self) -> Parallel:
        """The policy of layouts for models and modules."""
        preset = _PRESETS[self.name]
        return Parallel(**{preset.role: self.axis, **dict(preset.settings)})

    def __call__(self, function: Callable) -> JittedFunction:
        """The function compiled for the mesh, with the batch split as the strategy says.

        Raises:
            ConfigError (TS4006): no argument is the batch, or one that there is not; when it is called,
                nothing that it is given is split as the strategy says.
        """
        check_callable("ts.compat.distribute", "what it decorates", function)
        options = dict(self.options)
        layouts = options.pop("in_shardings", None) or {}
        preset = _PRESETS[self.name]
        what = f"ts.compat.distribute(strategy='{self.name}')"
        if not isinstance(layouts, Mapping):
            raise ConfigError("TS4006", f"in_shardings of {what} is a {type(layouts).__name__}",
                              expected="a dictionary by names of arguments")
        names = list(inspect.signature(function).parameters)
        for name in self.batch:
            if name not in names:
                raise ConfigError("TS4006", f"batch of {what} names '{name}'", choices=names,
                                  hint=did_you_mean(name, names))
        if preset.role == "dp" and not self.batch and self.axis not in set(_axes_in(layouts)):
            raise ConfigError("TS4006", f"{what} has no batch to split over '{self.axis}'", choices=names,
                              hint="name the arguments whose first dimension is the batch: "
                                   f"batch=('{names[-1] if names else 'x'}',)")
        if preset.role == "dp":
            layouts = {**{name: PartitionSpec(self.axis) for name in self.batch}, **layouts}
        result = jit(function, mesh=self.mesh, in_shardings=layouts or None, **options)
        result.precondition = functools.partial(self._check, result, layouts)
        return result

    def _check(self, function: JittedFunction, layouts: Mapping[str, Any], *args: Any, **kwargs: Any) -> None:
        """Raises where a call would not be what the strategy's name says."""
        if is_tracing():  # The layouts are the caller's.
            return
        preset, mesh = _PRESETS[self.name], self.mesh or current_mesh()
        what = f"'{self.name}' of ts.compat.distribute"
        if mesh is None:
            raise ConfigError("TS4006", f"{what} has no mesh", hint="pass mesh=, or call inside `with mesh:`")
        mesh.check_axis(self.axis, what)
        if preset.role == "dp" and not preset.settings:
            return
        stated = {} if preset.role == "dp" else layouts
        annotations = function.signature.annotations.values() if preset.role == "tp" else ()
        split = {*_axes_in(stated), *_axes_in([getattr(a, "spec", None) for a in annotations])}
        leaves = tree.leaves((args, kwargs))
        split |= set(_axes_in([getattr(getattr(leaf, "sharding", None), "spec", None) for leaf in leaves]))
        policies = list(_policies((args, kwargs)))
        if self.axis not in split:
            raise ConfigError("TS4006", f"nothing that {function.__name__} is given is split over "
                              f"'{self.axis}', as {what} says", hint=preset.hint)
        if self.name == "sequence_parallel" and not any(policy.sequence for policy in policies):
            raise ConfigError("TS4006", f"no model that {function.__name__} is given splits sequences, as "
                              f"{what} says", hint=preset.hint)


def distribute(strategy: str, *, mesh: Mesh | None = None, mesh_axes: Sequence[str] | str | None = None,
               batch: Sequence[str] | str = (), **options: Any) -> Strategy:
    """A named strategy, as a policy for models and as a decorator of functions.

        strategy = ts.compat.distribute("tensor_parallel", mesh=mesh)
        model = ts.models.GPT2(config, parallel=strategy.parallel).init(key, mesh=mesh)

        @strategy
        def forward(model, tokens): ...

    It stands for ts.nn.Parallel and the arguments mesh and in_shardings of ts.jit, which say the same
    without names:

    | strategy | ts.nn.Parallel | beside it |
    |---|---|---|
    | data_parallel | (dp=axis) | arguments of `batch` have layout ts.P(axis) |
    | tensor_parallel | (tp=axis) | |
    | sequence_parallel | (tp=axis, sequence=True) | |
    | zero_redundancy_optimizer | (dp=axis, zero=1) | batch; ts.optim.AdamW(zero=axis) |
    | fully_sharded | (dp=axis, zero=3) | batch; ts.optim.AdamW(zero=axis) |

    Unlike a decorator that guesses, it raises where nothing would be split: a batch must be named, and
    weights or states that are passed must have layouts over the axis. Strategies together, such as data and
    tensor parallelism, are one ts.nn.Parallel on a mesh with both axes.

    Args:
        strategy: a name of the table.
        mesh: of the devices; that of `with mesh:` around a call, if None.
        mesh_axes: the axis that it splits over, or a list of this one; "dp" or "tp" by default.
        batch: names of the arguments whose first dimension is the batch.
        options: further ones of ts.jit.

    Raises:
        ConfigError (TS4006): a strategy that there is not; ShardingError (TS2001): an axis that the mesh
            lacks.
    """
    preset = _PRESETS.get(strategy) if isinstance(strategy, str) else None
    if preset is None:
        raise ConfigError("TS4006", f"strategy of ts.compat.distribute is {strategy!r}",
                          choices=list(_PRESETS), hint=did_you_mean(str(strategy), _PRESETS, _ALIASES))
    axes = [mesh_axes] if isinstance(mesh_axes, str) else list(mesh_axes or [preset.role])
    if len(axes) != 1:
        raise ConfigError("TS4006", f"mesh_axes of '{strategy}' has {len(axes)} axes", expected="one axis",
                          got=axes, hint="several at once are a ts.nn.Parallel(dp=..., tp=...)")
    if mesh is not None:
        mesh.check_axis(axes[0], f"ts.compat.distribute(strategy='{strategy}')")
    names = (batch,) if isinstance(batch, str) else tuple(batch)
    return Strategy(strategy, axes[0], mesh, names, tuple(options.items()))


# What other projects call our strategies.
_ALIASES = {"dp": "data_parallel", "ddp": "data_parallel", "tp": "tensor_parallel", "sp": "sequence_parallel",
            "zero": "zero_redundancy_optimizer", "zero_1": "zero_redundancy_optimizer",
            "fsdp": "fully_sharded", "zero_3": "fully_sharded"}


def distributed(function: Callable | None = None, *, mesh: Mesh | None = None, strategy: str | None = None,
                **options: Any) -> Any:
    """ts.jit for a function that must run on a mesh; with a strategy, ts.compat.distribute.

    It stands for ts.jit(mesh=mesh), from which it differs in that a call without any mesh is an error, and
    does not run on one device.

    Args:
        mesh: of the devices; that of `with mesh:` around a call, if None.
        strategy: a name of ts.compat.distribute; `options` are then its.
        options: of ts.jit.

    Raises:
        ConfigError (TS4006): a call has no mesh.
    """
    if function is None:
        return functools.partial(distributed, mesh=mesh, strategy=strategy, **options)
    if strategy is not None:
        return distribute(strategy, mesh=mesh, **options)(function)
    result = jit(function, mesh=mesh, **options)

    def check(*args: Any, **kwargs: Any) -> None:
        if mesh is None and current_mesh() is None and not is_tracing():
            raise ConfigError("TS4006", f"{result.__name__} is ts.compat.distributed, and has no mesh",
                              hint="pass mesh=ts.make_mesh({'tp': 2}), or call it inside `with mesh:`")

    result.precondition = check
    return result


def mesh(devices: int | Sequence[int] | None = None, axes: Mapping[str, int] | None = None, **options: Any
         ) -> Mesh:
    """A mesh of named axes, whose sizes must multiply to the number of devices.

    It stands for ts.make_mesh(axes), which needs no `devices`.

    Args:
        devices: how many, or their numbers, which must be 0, 1, 2 and so on: axes are row-major.
        axes: sizes by name, such as {"dp": 2, "tp": 4}.
        options: of ts.make_mesh.

    Raises:
        ShardingError (TS2002, TS2003): no axes, or sizes that do not multiply to `devices`.
    """
    if axes is None:
        raise ShardingError("TS2002", "ts.compat.mesh has no axes", expected="axes={'dp': 2, 'tp': 4}",
                            hint="a mesh of one kind of parallelism is ts.make_mesh({'tp': 4})")
    made = make_mesh(axes, **options)
    count = devices if isinstance(devices, int) or devices is None else len(devices)
    if not isinstance(devices, int) and devices is not None and list(devices) != list(range(len(devices))):
        raise ShardingError("TS2003", f"ts.compat.mesh has devices {list(devices)}",
                            expected=f"{list(range(len(devices)))}",
                            hint="axes number them row-major, the last axis fastest")
    if count is not None and made.size != count:
        raise ShardingError("TS2003", f"{made!r} has {made.size} devices, and ts.compat.mesh is given "
                            f"{count}", expected="axes whose sizes multiply to the number of devices")
    return made


def _axes_in(layouts: Any) -> Iterator[str]:
    """All axes that a tree of layouts names."""
    if isinstance(layouts, NamedSharding):
        yield from _axes_in(layouts.spec)
    elif isinstance(layouts, PartitionSpec):
        for dim in layouts:
            yield from axes_of(dim)
    elif isinstance(layouts, Mapping):
        for value in layouts.values():
            yield from _axes_in(value)
    elif isinstance(layouts, (list, tuple)):
        for value in layouts:
            yield from _axes_in(value)


def _policies(value: Any) -> Iterator[Parallel]:
    """The policies of layouts of the modules in a tree."""
    if isinstance(value, Parallel):
        yield value
    elif isinstance(value, Module):
        yield from _policies(list(vars(value).values()))
    elif isinstance(value, Mapping):
        yield from _policies(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _policies(part)
