# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Narrow types for a function: autocast, and a manager of mixed precision."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np

from tessera._src.control_flow import bodies
from tessera._src.core import dtypes, tree
from tessera._src.core.errors import ConfigError
from tessera._src.derivatives.gradients import value_and_grad
from tessera._src.derivatives.precision import Precision
from tessera._src.functions import eager
from tessera._src.ops import creation, derived
from tessera._src.optim.clipping import global_norm
from tessera._src.optim.loss_scale import LossScale
from tessera._src.optim.options import check_float_type
from tessera._src.tracing.operands import convert, lift
from tessera._src.tracing.program_text import is_tracing
from tessera._src.tracing.tracer import Tracer


class autocast:  # noqa: N801 (a decorator, by PyTorch's name)
    """A decorator of functions, which are then computed in a narrow type.

        @ts.compat.autocast(dtype=ts.bf16)
        def loss_of(model, batch): ...

    It stands for `.astype` of arguments and results: every array of floats among the arguments that is
    wider than `dtype` is converted to it, and results of type `dtype` are converted to f32. Derivatives go
    through both, so that weights in f32 have gradients in f32, rounded once to `dtype` on the way.

    Unlike PyTorch's, it has no list of operations: the whole function is in `dtype`, but sums and products
    of kernels, which add in f32 anyway. It is no context manager: types are part of a program, and a program
    is traced once, when a block around its later calls would change nothing.

    Args:
        dtype: a type of floats.
        enabled: False gives functions as they are.

    Raises:
        ConfigError (TS4006): it is used as `with autocast():`. TS4013: no type of floats.
    """

    def __init__(self, dtype: Any = dtypes.bf16, enabled: bool = True):
        self.dtype = check_float_type("dtype of ts.compat.autocast", dtype)
        self.enabled = bool(enabled)

    def __call__(self, function: Callable) -> Callable:
        bodies.check_callable("ts.compat.autocast", "the function", function)
        if not self.enabled:
            return function

        def traced(*args: Any, **kwargs: Any) -> Any:
            args, kwargs = converted((args, kwargs), self.dtype, only_wider=True)
            return tree.map(lambda leaf: convert(leaf, dtypes.f32) if isinstance(leaf, Tracer)
                            and leaf.dtype == self.dtype else leaf, function(*args, **kwargs))

        @functools.wraps(function)
        def narrow(*args: Any, **kwargs: Any) -> Any:
            return traced(*args, **kwargs) if is_tracing() else eager.run(traced, args, kwargs, function)

        return narrow

    def __enter__(self) -> NoReturn:
        name = dtypes.name_of(self.dtype)
        raise ConfigError("TS4006", "ts.compat.autocast is no context manager: a program that was traced "
                          "before would not change",
                          hint=f"decorate the function, @ts.compat.autocast(dtype=ts.{name}), or make the "
                               f"model with dtype=ts.{name}")

    def __exit__(self, *error: object) -> None:
        """Never reached; without it Python's own message would say nothing of the way out."""


def converted(values: Any, dtype: np.dtype, *, only_wider: bool = False) -> Any:
    """A tree whose arrays of floats are of another type; numbers and integers stay as they are."""
    def one(leaf: Any) -> Any:
        kind = getattr(leaf, "dtype", None)
        if kind is None or not dtypes.is_float(np.dtype(kind)):
            return leaf
        if only_wider and np.dtype(kind).itemsize <= dtype.itemsize:
            return leaf
        return convert(lift(leaf), dtype)

    return tree.map(one, values)


class MixedPrecisionManager:
    """The types of a training, and the scale of its loss where these need one.

        manager = ts.compat.MixedPrecisionManager(compute_dtype=ts.bf16)
        scale = manager.init()

        @ts.jit
        def step(weights, state, scale, batch):
            loss, grads, is_finite = manager.value_and_grad(loss_of)(scale, weights, batch)
            weights, state = optimizer.update(grads, state, weights, when=is_finite)
            return weights, state, manager.update(scale, is_finite), loss

    It stands for ts.Precision(grad=gradient_dtype) and ts.optim.LossScale. The state is passed in and out, as
    that of an optimizer: a manager does not change.

    Args:
        compute_dtype: of weights and activations within the function.
        param_dtype: of weights between steps, which `cast` gives.
        gradient_dtype: in which gradients are formed; they are not rounded to compute_dtype on the way.
        loss_scaling: "auto" scales for f16 alone (bf16 has the exponents of f32, and needs no scale),
            "dynamic" in any case, None never; a number is a scale that stays; or a ts.optim.LossScale.
        stability_checks: whether gradients are looked at where there is no scale: is_finite is else True.

    Raises:
        ConfigError (TS4006, TS4013): options that are not valid.
    """

    def __init__(self, compute_dtype: Any = dtypes.bf16, param_dtype: Any = dtypes.f32,
                 gradient_dtype: Any = dtypes.f32, loss_scaling: Any = "auto", stability_checks: bool = True):
        of = "of ts.compat.MixedPrecisionManager"
        self.compute_dtype = check_float_type(f"compute_dtype {of}", compute_dtype)
        self.param_dtype = check_float_type(f"param_dtype {of}", param_dtype)
        self.precision = Precision(grad=gradient_dtype)
        self.stability_checks = bool(stability_checks)
        is_narrow = self.compute_dtype == dtypes.f16
        self.scaling: LossScale | None
        if loss_scaling == "dynamic" or (loss_scaling == "auto" and is_narrow):
            self.scaling = LossScale()
        elif loss_scaling is None or loss_scaling == "auto":
            self.scaling = None
        elif isinstance(loss_scaling, LossScale):
            self.scaling = loss_scaling
        elif isinstance(loss_scaling, (int, float)) and not isinstance(loss_scaling, bool):
            self.scaling = LossScale(initial=loss_scaling, factor=1.0, backoff=1.0)
        else:
            raise ConfigError("TS4006", f"loss_scaling {of} is {loss_scaling!r}",
                              choices=["'auto'", "'dynamic'", "None", "a number", "a ts.optim.LossScale"])

    def init(self) -> dict[str, Any]:
        """The state of the loss scale before the first step; empty without one."""
        return {} if self.scaling is None else self.scaling.init()

    def cast(self, params: Any) -> Any:
        """A tree whose floats are of type param_dtype."""
        if not is_tracing():
            return eager.run(self.cast, (params,), {})
        return converted(params, self.param_dtype)

    def value_and_grad(self, function: Callable) -> Callable:
        """(loss, gradients, is_finite) of (state, params, ...), for a function of (params, ...).

        The function gets params, and wider floats of its other arguments, in compute_dtype. Gradients are of
        type gradient_dtype, or where a scale was divided out of 16-bit ones, f32.
        """
        def traced(state: Mapping[str, Any], params: Any, *args: Any, **kwargs: Any) -> tuple[Any, Any, Any]:
            args, kwargs = converted((args, kwargs), self.compute_dtype, only_wider=True)
            params = converted(params, self.compute_dtype)

            def scaled(params: Any) -> tuple[Any, Any]:
                loss = function(params, *args, **kwargs)
                return (loss if self.scaling is None else self.scaling.scale(state, loss)), loss

            (_, loss), grads = value_and_grad(scaled, has_aux=True, precision=self.precision)(params)
            if self.scaling is not None:
                grads, is_finite = self.scaling.unscale(state, grads)
            elif self.stability_checks:
                is_finite = derived.isfinite(global_norm(grads))
            else:
                is_finite = creation.ones((), dtypes.bool_)
            return convert(loss, dtypes.f32) if loss.dtype.itemsize < 4 else loss, grads, is_finite

        @functools.wraps(function)
        def mixed(*args: Any, **kwargs: Any) -> Any:
            return traced(*args, **kwargs) if is_tracing() else eager.run(traced, args, kwargs, function)

        return mixed

    def update(self, state: Mapping[str, Any], is_finite: Any) -> dict[str, Any]:
        """The state after a step whose gradients were finite, or not."""
        return {} if self.scaling is None else self.scaling.adjust(state, is_finite)
