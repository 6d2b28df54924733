# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Optimizers that hold weights and state, as PyTorch's do, and schedulers that set their learning rate."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from tessera._src.core import dtypes, tree
from tessera._src.core.errors import CheckpointError, ConfigError, did_you_mean
from tessera._src.functions.jit import jit
from tessera._src.meshes.mesh import Mesh
from tessera._src.nn.module import Parameter
from tessera._src.optim import schedules
from tessera._src.optim.adamw import AdamW as NativeAdamW
from tessera._src.optim.optimizer import Optimizer
from tessera._src.optim.options import check_number
from tessera._src.optim.sgd import SGD as NativeSGD

_SHARDING = {None: False, "none": False, "zero_1": True, "zero_redundancy_optimizer": True}
_IN_MODEL = ("zero_2", "zero_3")


class Held:
    """Base of optimizers that hold weights: `params` are always those after the last step.

    Attributes:
        params: the tree of weights.
        lr: the learning rate of the next step, which a scheduler sets.
        native: the ts.optim.Optimizer.
        state: its state.
    """

    _native: ClassVar[Callable[..., Optimizer]]

    def __init__(self, params: Any, lr: float = 1e-3, *, mesh: Mesh | None = None,
                 sharding_strategy: str | None = None, axis: str = "dp", **options: Any):
        what = f"ts.compat.optimizers.{type(self).__name__}"
        if sharding_strategy in _IN_MODEL:
            raise ConfigError("TS4006", f"sharding_strategy of {what} is {sharding_strategy!r}, which splits "
                              "gradients and weights, too", choices=["zero_1"],
                              hint=f"make the model with ts.nn.Parallel(zero={sharding_strategy[-1]}), and "
                                   "the optimizer with 'zero_1'")
        if sharding_strategy not in _SHARDING:
            raise ConfigError("TS4006", f"sharding_strategy of {what} is {sharding_strategy!r}",
                              choices=[repr(name) for name in (*_SHARDING, *_IN_MODEL)])
        if "groups" in options:
            raise ConfigError("TS4006", f"{what} has no groups: a scheduler sets one learning rate",
                              hint="use ts.optim, whose groups have schedules of their own")
        known = [name for name in inspect.signature(type(self)._native).parameters
                 if name not in ("lr", "groups", "zero")]
        for name in options:
            if name not in known:
                raise ConfigError("TS4006", f"{what} has no option '{name}'", choices=known,
                                  hint=did_you_mean(name, known))
        if any(isinstance(leaf, Parameter) for leaf in tree.leaves(params)):
            raise ConfigError("TS4006", f"the weights of {what} have no elements", hint=Parameter.call_hint)
        meshes = {leaf.sharding.mesh for leaf in tree.leaves(params)
                  if getattr(leaf, "sharding", None) is not None}
        if mesh is not None and meshes != {mesh}:
            raise ConfigError("TS4006", f"mesh of {what} is {mesh!r}, and the weights are on "
                              f"{', '.join(map(repr, meshes)) or 'the host'}",
                              hint="make them there: model.init(key, mesh=mesh), or ts.device_put")
        self.lr = check_number(f"lr of {what}", lr)
        self._options = {**options, **({"zero": axis} if _SHARDING[sharding_strategy] else {})}
        self.native = type(self)._native(self.lr, **self._options)
        self.params, self.state = params, self.native.init(params)
        wide = any(np.dtype(leaf.dtype) == dtypes.f64 for leaf in tree.leaves(params))
        self._rate_type = np.float64 if wide else np.float32

        def update(params: Any, state: Any, grads: Any, rate: Any) -> tuple[Any, Any]:
            return type(self)._native(rate, **self._options).update(grads, state, params)

        self._update = jit(update, mesh=next(iter(meshes), None), donate_argnums=1)

    def step(self, grads: Any) -> Any:
        """Updates params and state by gradients, a tree like params, and gives the new params."""
        self.params, self.state = self._update(self.params, self.state, grads, self._rate_type(self.lr))
        return self.params

    def state_dict(self) -> dict[str, Any]:
        """The learning rate, and the arrays of the state by name."""
        return {"lr": self.lr, "state": self.native.state_dict(self.state)}

    def load_state_dict(self, entries: Mapping[str, Any]) -> None:
        """Goes on from what `state_dict` gave.

        Raises: CheckpointError (TS6006): it is none, or one of other weights.
        """
        if not isinstance(entries, Mapping) or set(entries) != {"lr", "state"}:
            raise CheckpointError("TS6006", "this is no state of an optimizer of ts.compat.optimizers",
                                  expected="a dictionary of lr, state")
        state = self.native.load_state_dict(entries["state"], self.params)
        self.lr, self.state = check_number("lr of the state", entries["lr"]), state


class AdamW(Held):
    """ts.optim.AdamW with the weights and the state in it.

        optimizer = ts.compat.optimizers.AdamW(weights, lr=3e-4)
        loss, grads = loss_and_grads(optimizer.params, batch)
        optimizer.step(grads)

    It stands for ts.optim.AdamW, whose update is a function, and may be in one program with the gradients;
    here each step is a program of its own, which reads all gradients once more. Unlike PyTorch's, `step`
    takes the gradients, and biases and norms do not decay unless decay_filter="all".

    Args:
        params: a tree of arrays of floats, such as a module with weights.
        lr: the learning rate, a number.
        mesh: of the devices that the weights must be on; None does not ask.
        sharding_strategy: "zero_1" or "zero_redundancy_optimizer" split the state over `axis`, too.
        axis: of the mesh, for that.
        options: betas, eps, weight_decay, decay_filter, state_dtype and master of ts.optim.AdamW.

    Raises: ConfigError (TS4006, TS4013): options that are not valid.
    """

    _native = NativeAdamW


class SGD(Held):
    """ts.optim.SGD with the weights and the state in it; see ts.compat.optimizers.AdamW.

    Args:
        params, lr, mesh, sharding_strategy, axis: as of AdamW.
        options: momentum, dampening, nesterov, weight_decay, decay_filter, state_dtype and master of
            ts.optim.SGD.
    """

    _native = NativeSGD


class Scheduler:
    """Base of schedulers: each `step` sets the learning rate of an optimizer of ts.compat.optimizers.

    Attributes:
        schedule: of ts.optim, of the peak that the optimizer's lr was.
        last_epoch: steps of the scheduler.
    """

    def __init__(self, optimizer: Held, schedule: schedules.Schedule):
        self.optimizer, self.schedule, self.last_epoch = optimizer, schedule, 0
        optimizer.lr = self._rate()

    def step(self) -> None:
        """The learning rate of the next step; called after optimizer.step(), as in PyTorch."""
        self.last_epoch += 1
        self.optimizer.lr = self._rate()

    def get_last_lr(self) -> list[float]:
        """The learning rate that the next optimizer.step() has; a list, as PyTorch's, of one group."""
        return [self._rate()]

    def state_dict(self) -> dict[str, Any]:
        """What load_state_dict takes."""
        return {"last_epoch": self.last_epoch}

    def load_state_dict(self, entries: Mapping[str, Any]) -> None:
        """Goes on from what `state_dict` gave, and sets the optimizer's learning rate.

        Raises: CheckpointError (TS6006): it is none.
        """
        epoch = entries.get("last_epoch") if isinstance(entries, Mapping) else None
        if isinstance(epoch, bool) or not isinstance(epoch, int) or epoch < 0:
            raise CheckpointError("TS6006", "this is no state of a scheduler of ts.compat.schedulers",
                                  expected="{'last_epoch': a number of steps}")
        self.last_epoch = epoch
        self.optimizer.lr = self._rate()

    def _rate(self) -> float:
        return float(self.schedule(self.last_epoch))


def _peak(optimizer: Any, name: str) -> float:
    """The rate that an optimizer was made with."""
    if not isinstance(optimizer, Held):
        raise ConfigError("TS4006", f"ts.compat.schedulers.{name} is given a {type(optimizer).__name__}",
                          expected="an optimizer of ts.compat.optimizers",
                          hint="optimizers of ts.optim take a schedule: "
                               "ts.optim.AdamW(lr=ts.optim.cosine(...))")
    return optimizer.lr


class CosineWithWarmup(Scheduler):
    """Sets an optimizer's learning rate by ts.optim.cosine, of which its lr is the peak.

        scheduler = ts.compat.schedulers.CosineWithWarmup(optimizer, warmup_steps=10, max_steps=100)
        optimizer.step(grads); scheduler.step()

    It stands for ts.optim.AdamW(lr=ts.optim.cosine(lr, warmup=..., total=...)), which counts updates by
    itself, so that nothing is to be called or saved beside the optimizer's state.

    Args:
        optimizer: of ts.compat.optimizers.
        warmup_steps: steps in which the rate rises from 0.
        max_steps: steps after which it is `final` of the peak, and stays.
        final: as a part of the peak.
    """

    def __init__(self, optimizer: Held, warmup_steps: int, max_steps: int, final: float = 0.0):
        peak = _peak(optimizer, "CosineWithWarmup")
        super().__init__(optimizer, schedules.cosine(peak, warmup=warmup_steps, total=max_steps, final=final))


class LinearWithWarmup(Scheduler):
    """Sets an optimizer's learning rate by ts.optim.linear; arguments as of CosineWithWarmup."""

    def __init__(self, optimizer: Held, warmup_steps: int, max_steps: int, final: float = 0.0):
        peak = _peak(optimizer, "LinearWithWarmup")
        super().__init__(optimizer, schedules.linear(peak, warmup=warmup_steps, total=max_steps, final=final))


class ConstantWithWarmup(Scheduler):
    """Sets an optimizer's learning rate by ts.optim.constant: it rises in warmup_steps, and stays."""

    def __init__(self, optimizer: Held, warmup_steps: int):
        peak = _peak(optimizer, "ConstantWithWarmup")
        super().__init__(optimizer, schedules.constant(peak, warmup=warmup_steps))
