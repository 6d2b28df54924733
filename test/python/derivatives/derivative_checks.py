# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Derivatives of many functions as one program, compared with JAX's and with finite differences.

A case is a function of a namespace (`ts` or JAX's) and arrays, with a text that says what the arrays are.
JAX must have its f64: by the fixture `jax_in_f64`.
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
    # Two ways from zero.
    "away": lambda rng, n: rng.choice([-1, 1], n) * rng.uniform(0.4, 3, n),
    # No multiple of three ("three" above) is near.
    "quotient": lambda rng, n: rng.choice([-1, 1], n) * (
        3 * rng.integers(0, 2, n) + rng.uniform(0.9, 2.1, n)),
    # No multiple of 0.1 is near.
    "off tenths": lambda rng, n: (np.floor(10 * rng.standard_normal(n)) + rng.uniform(0.2, 0.8, n)) / 10,
    # No number of one kind is near any of the other.
    "even": lambda rng, n: 0.6 * np.round(2 * rng.standard_normal(n)) + rng.uniform(-0.05, 0.05, n),
    "odd": lambda rng, n: 0.6 * np.round(2 * rng.standard_normal(n)) + rng.uniform(0.25, 0.35, n),
    # No two are near each other, so that their order stays what it is, and none is near zero.
    "apart": lambda rng, n: (rng.permutation(n) - n // 2 + 0.37 + rng.uniform(-0.2, 0.2, n)) * 0.3,
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
        return {name: [np.asarray(x + step * change) if change is not None else x for x, change in zip(
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
        made.changes[name] = [np.asarray(rng.standard_normal(x.shape)) for x in points if is_float(x)]
    shapes = jax.eval_shape(lambda points: {
        name: bind(one.peer or one.run, jax.numpy, points[name])[0](
            *[x for x in points[name] if is_float(x)]) for name, one in cases.items()}, made.points)
    for name, results in shapes.items():
        rng = np.random.default_rng([zlib.crc32(name.encode()), seed, 2])
        made.weights[name] = [np.asarray(rng.standard_normal(r.shape)) for r in results]
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


def differences(got: dict, wanted: dict, bound: float, zeros: dict[str, float] | None = None) -> list[str]:
    """What differs by more than `bound` of its norm, in words.

    Args:
        zeros: by case, the norm up to which both are nothing but rounding of zeros.
    """
    wrong = []
    for name, table in got.items():
        for mode, arrays in table.items():
            want = list(wanted[name][mode])
            off, size = distance(arrays, want), norm(want)
            is_zero = zeros is not None and size + norm(arrays) <= zeros[name]
            if not (off <= bound * size or is_zero):
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


def wrong_derivatives(cases: dict[str, Case], seed: int = 0) -> list[str]:
    """What is not JAX's of first and second derivatives in f64, and of tangents not finite differences."""
    inputs = inputs_of(cases, seed)
    given = (inputs.points, inputs.changes, inputs.weights)
    wanted = jax_all(cases, inputs)
    first, second = tessera_first(cases)(*given), tessera_second(cases)(*given)
    slopes = central_differences(tessera_values(cases), inputs)
    smooth = [name for name, one in cases.items() if one.smooth]
    zeros = {name: _rounding(inputs, name, wanted[name]["reverse"]) for name in cases}
    return [*differences(first, wanted, 1e-11, zeros), *differences(second, wanted, 1e-11, zeros),
            *differences({name: {"forward": first[name]["forward"]} for name in smooth},
                         {name: {"forward": slopes[name]} for name in smooth}, 1e-7)]


def _rounding(inputs: Inputs, name: str, gradients: Sequence[Any]) -> float:
    """What rounding makes of derivatives that are zero: in a second derivative, slopes come in twice."""
    size = norm(inputs.weights[name])
    slope = max(1.0, norm(gradients) / size) if size else 1.0
    return 1e-14 * size * (1 + norm(inputs.changes[name])) * slope**2


# The unit of rounding. A result is off by a few roundings of its own, and by what comes of rounding the
# inputs. Where terms cancel inside, it may be more: then it is a rounding of the tangents or cotangents, or
# as many roundings in another type, or what JAX's is off by, at most twice.
NARROW_TYPES = {"f32": (ts.f32, 2.0**-24), "bf16": (ts.bf16, 2.0**-8), "f16": (ts.f16, 2.0**-11)}
ROUNDINGS = 8
DRAWS = 4  # Of roundings of the inputs: what one of them moves may cancel.


def _peer_rounding(one: Case, name: str, mode: str, inputs: Inputs, wide: Inputs) -> float:
    """What rounding in f32 does to JAX's derivative of a case: much, where large terms cancel inside."""
    narrow, exact = (jax_all({name: one}, Inputs(*({name: table[name]} for table in (
        given.points, given.changes, given.weights)))) for given in (inputs, wide))
    return distance(narrow[name][mode], exact[name][mode])


def wrong_in_narrow_types(cases: dict[str, Case], seed: int = 0) -> list[str]:
    """What is not the first derivative in f64 at the same numbers, within rounding."""
    cases = {name: one for name, one in cases.items() if one.narrow}
    compiled = tessera_first(cases)
    roundings: dict[str, dict[tuple, float]] = {}  # Of each type: how many a derivative is off by.
    doubtful = []
    for kind, (dtype, unit) in NARROW_TYPES.items():
        inputs = inputs_of(cases, seed).cast(np.dtype(dtype))
        wide = inputs.cast(np.dtype(np.float64))
        got = compiled(inputs.points, inputs.changes, inputs.weights)
        wanted = compiled(wide.points, wide.changes, wide.weights)
        rng = np.random.default_rng(1)
        moved = [compiled(*(_near(table, unit, rng) for table in (wide.points, wide.changes, wide.weights)))
                 for _ in range(DRAWS)]
        roundings[kind] = {}
        for name, table in got.items():
            for mode, arrays in table.items():
                want = wanted[name][mode]
                moves = max(distance(near[name][mode], want) for near in moved)
                bound = ROUNDINGS * (unit * norm(want) + moves)
                off = distance(arrays, want)
                assert all(np.dtype(a.dtype) == np.dtype(dtype) for a in arrays), name
                roundings[kind][name, mode] = off / unit
                if not off <= bound:
                    doubtful.append((kind, name, mode, off, bound, inputs, wide))
    wrong = []
    for kind, name, mode, off, bound, inputs, wide in doubtful:
        here, *others = (roundings[k][name, mode] for k in sorted(roundings, key=lambda k: k != kind))
        given = norm((inputs.changes if mode == "forward" else inputs.weights)[name])
        if not here <= max(2 * max(others), given) and not (
                kind == "f32" and off <= 2 * _peer_rounding(cases[name], name, mode, inputs, wide)):
            wrong.append(f"{name}, {mode} in {kind}: off by {off:.1e}; at most {bound:.1e}")
    return wrong


def _near(table: dict, unit: float, rng: np.random.Generator) -> dict:
    """Arrays, each number moved by one rounding up or down."""
    return {name: [np.asarray(x * (1 + unit * rng.choice([-1, 1], x.shape))) if x.dtype == np.float64 else x
                   for x in arrays] for name, arrays in table.items()}
