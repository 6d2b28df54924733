# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Derivatives of many functions as one program, compared with JAX's and with finite differences.

A case is a function of a namespace (`ts` or JAX's) and arrays, with a text that says what the arrays are.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import tessera as ts
from tessera._src.core import dtypes

jax = pytest.importorskip("jax", reason="JAX is the oracle")
jax.config.update("jax_enable_x64", True)

# What a number of each kind is drawn from.
_DRAW: dict[str, Callable] = {
    "any": lambda rng, n: rng.standard_normal(n),
    "positive": lambda rng, n: rng.uniform(0.4, 3, n),
    "near one": lambda rng, n: rng.uniform(0.8, 1.25, n),
    "unit": lambda rng, n: rng.uniform(-0.85, 0.85, n),
    "above one": lambda rng, n: rng.uniform(1.3, 4, n),
    "bounded": lambda rng, n: rng.uniform(-3, 3, n),
    # Whole parts of quotients stay what they are under small changes.
    "three": lambda rng, n: rng.choice([-1, 1], n) * rng.uniform(2.8, 3.2, n),
    # No two are near each other, so that their order stays what it is.
    "apart": lambda rng, n: (rng.permutation(n) - n / 2 + 0.37 + rng.uniform(-0.2, 0.2, n)) * 0.3,
}


@dataclass(frozen=True)
class Case:
    """`run(m, *arrays)` for arrays such as "2x3 any", or "4 index 7" for integers in [-2, 7 + 2)."""

    run: Callable
    arrays: tuple[str, ...]
    peer: Callable | None = None  # Where JAX writes it otherwise.
    smooth: bool = True  # Finite differences are its derivative.
    second: bool = True  # The second derivative is of the function, not of its rounding.
    narrow: bool = True  # Meaningful in 16 bits.


def case(run: Callable, *arrays: str, **options: Any) -> Case:
    """A case of a function `run(m, *arrays)`."""
    return Case(run, arrays, **options)


def arrays_of(name: str, specs: Sequence[str], seed: int = 0) -> list[np.ndarray]:
    """The arrays that texts ask for; the same ones each time."""
    rng = np.random.default_rng([zlib.crc32(name.encode()), seed])
    made = []
    for spec in specs:
        shape, _, kind = spec.partition(" ")
        sizes = tuple(int(n) for n in shape.split("x") if n)
        count = int(np.prod(sizes))
        if kind.startswith("index"):
            made.append(rng.integers(-2, int(kind.split()[1]) + 2, sizes).astype(np.int32))
        elif kind == "bool":
            made.append(rng.integers(0, 2, sizes).astype(bool))
        else:
            made.append(np.asarray(_DRAW[kind](rng, count), np.float64).reshape(sizes))
    return made


def is_float(array: Any) -> bool:
    """Whether an array has derivatives."""
    return dtypes.is_float(np.dtype(array.dtype))


@dataclass
class Inputs:
    """What the derivatives of a group of cases are taken at, by case."""

    points: dict[str, list[np.ndarray]]
    changes: dict[str, list[np.ndarray]]  # A tangent for each array of floats.
    weights: dict[str, list[np.ndarray]] = field(default_factory=dict)  # A cotangent for each result.

    def moved(self, step: float) -> dict[str, list[np.ndarray]]:
        """The points, moved along the changes."""
        return {name: [x + step * change if change is not None else x for x, change in zip(
            points, _spread(points, self.changes[name]))] for name, points in self.points.items()}

    def cast(self, dtype: np.dtype) -> "Inputs":
        """The same in another type of floats."""
        def each(arrays: list[np.ndarray]) -> list[np.ndarray]:
            return [a.astype(dtype) if is_float(a) else a for a in arrays]

        return Inputs(*({n: each(a) for n, a in table.items()}
                        for table in (self.points, self.changes, self.weights)))


def _spread(points: Sequence[np.ndarray], changes: Sequence[np.ndarray]) -> list[np.ndarray | None]:
    left = iter(changes)
    return [next(left) if is_float(x) else None for x in points]


def floats_of(results: Any) -> list[Any]:
    """The float values of a result, as a list."""
    leaves = results if isinstance(results, (list, tuple)) else [results]
    return [leaf for leaf in leaves if is_float(leaf)]


def bind(run: Callable, m: Any, points: Sequence[Any]) -> tuple[Callable, list]:
    """The case as a function of its floats, which gives its float results; and the floats."""
    def function(*values: Any) -> list:
        left = iter(values)
        return floats_of(run(m, *[next(left) if is_float(x) else x for x in points]))

    return function, [x for x in points if is_float(x)]


def inputs_of(cases: dict[str, Case], seed: int = 0) -> Inputs:
    """Random points and directions of a group of cases."""
    made = Inputs({}, {})
    for name, one in cases.items():
        points = arrays_of(name, one.arrays, seed)
        rng = np.random.default_rng([zlib.crc32(name.encode()), seed, 1])
        made.points[name] = points
        made.changes[name] = [rng.standard_normal(x.shape) for x in points if is_float(x)]
    shapes = jax.eval_shape(lambda points: {
        name: bind(one.peer or one.run, jax.numpy, points[name])[0](
            *[x for x in points[name] if is_float(x)]) for name, one in cases.items()}, made.points)
    for name, results in shapes.items():
        rng = np.random.default_rng([zlib.crc32(name.encode()), seed, 2])
        made.weights[name] = [rng.standard_normal(r.shape) for r in results]
    return made


def tessera_values(cases: dict[str, Case]) -> Callable:
    """A compiled function of all points that gives all results."""
    return ts.jit(lambda points: {name: (lambda f, x: f(*x))(*bind(one.run, ts, points[name]))
                                  for name, one in cases.items()})


def tessera_first(cases: dict[str, Case]) -> Callable:
    """A compiled function of points, changes and weights: gradients and tangents of all cases."""
    def program(points: dict, changes: dict, weights: dict) -> dict:
        made = {}
        for name, one in cases.items():
            function, x = bind(one.run, ts, points[name])
            _, pull = ts.vjp(function, *x)
            _, tangents = ts.jvp(function, tuple(x), tuple(changes[name]))
            made[name] = {"reverse": list(pull(weights[name])), "forward": tangents}
        return made

    return ts.jit(program)


def tessera_second(cases: dict[str, Case]) -> Callable:
    """As tessera_first: the derivative of the gradient along the changes, by both modes."""
    def program(points: dict, changes: dict, weights: dict) -> dict:
        made = {}
        for name, one in cases.items():
            function, x = bind(one.run, ts, points[name])

            def gradient(*x: Any, function=function, name=name) -> list:
                return list(ts.vjp(function, *x)[1](weights[name]))

            _, pull = ts.vjp(gradient, *x)
            _, tangents = ts.jvp(gradient, tuple(x), tuple(changes[name]))
            made[name] = {"reverse over reverse": list(pull(list(changes[name]))),
                          "forward over reverse": tangents}
        return made

    return ts.jit(program)


def jax_all(cases: dict[str, Case], inputs: Inputs) -> dict:
    """JAX's gradients, tangents and second derivatives of all cases."""
    def program(points: dict, changes: dict, weights: dict) -> dict:
        made = {}
        for name, one in cases.items():
            function, x = bind(one.peer or one.run, jax.numpy, points[name])

            def both(*x: Any, function=function, name=name) -> tuple:
                value, pull = jax.vjp(function, *x)
                return value, pull(weights[name])

            (_, first), (tangents, second) = jax.jvp(both, tuple(x), tuple(changes[name]))
            made[name] = {"reverse": first, "forward": tangents, "reverse over reverse": second,
                          "forward over reverse": second}
        return made

    # Compiling takes longer than all else here.
    fast = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
    return jax.jit(program, compiler_options=fast)(inputs.points, inputs.changes, inputs.weights)


def norm(arrays: Sequence[Any]) -> float:
    """The norm of all numbers of some arrays."""
    return float(np.sqrt(sum(np.sum(np.square(np.asarray(a, np.float64))) for a in arrays)))


def distance(xs: Sequence[Any], ys: Sequence[Any]) -> float:
    """The norm of the difference of arrays that are alike."""
    assert [np.shape(x) for x in xs] == [np.shape(y) for y in ys]
    return norm([np.asarray(x, np.float64) - np.asarray(y, np.float64) for x, y in zip(xs, ys)])


def differences(got: dict, wanted: dict, bound: float) -> list[str]:
    """What differs by more than `bound` of its norm, in words."""
    wrong = []
    for name, table in got.items():
        for mode, arrays in table.items():
            want = list(wanted[name][mode])
            off, size = distance(arrays, want), norm(want)
            if not off <= bound * size:
                wrong.append(f"{name}, {mode}: off by {off:.1e} of {size:.1e}")
    return wrong


def central_differences(values: Callable, inputs: Inputs, step: float = 4e-3) -> dict[str, list[np.ndarray]]:
    """Tangents by finite differences of three steps, extrapolated (Richardson)."""
    def slopes(h: float) -> dict:
        up, down = values(inputs.moved(h)), values(inputs.moved(-h))
        return {name: [(np.asarray(a) - np.asarray(b)) / (2 * h) for a, b in zip(up[name], down[name])]
                for name in up}

    table = [slopes(step / 2**i) for i in range(3)]
    for order in (4, 16):
        table = [{name: [(order * b - a) / (order - 1) for a, b in zip(coarse[name], fine[name])]
                  for name in coarse} for coarse, fine in zip(table, table[1:])]
    return table[0]
