# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The functions whose derivatives are tested, with random shapes: a seed makes a case of each of them.

Sizes are odd, 1 or 2; operands broadcast in random ways; axes, index arrays and lengths of loops are
random, too. Numbers are drawn so that steps of finite differences cross no jump and no kink.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import derivative_cases
import numpy as np
from derivative_cases import attention, layer_norm, rms_norm, softmax
from derivative_checks import Case, case, jax

import tessera as ts

jnp, lax, jnn = jax.numpy, jax.lax, jax.nn
SIZES = (1, 2, 3, 5, 7, 9, 11, 13)
MOST = 300  # Elements of an operand.
Shape = tuple[int, ...]


class Draw(random.Random):
    """Random shapes, broadcasts and axes."""

    def size(self, least: int = 1) -> int:
        return self.choice([n for n in SIZES if n >= least])

    def shape(self, low: int = 0, high: int = 4, least: int = 1) -> Shape:
        """Of rank `low` to `high`; each dimension has `least` elements or more."""
        while True:
            sizes = tuple(self.size(least) for _ in range(self.randint(low, high)))
            if math.prod(sizes) <= MOST:
                return sizes

    def broadcast(self, shape: Shape, count: int) -> list[Shape]:
        """Shapes that broadcast to one that `shape` broadcasts to."""
        def one() -> Shape:
            sizes = tuple(1 if self.random() < 0.25 else n for n in shape)
            return sizes[self.randint(0, len(sizes)) if self.random() < 0.3 else 0 :]

        return [one() for _ in range(count)]

    def axis(self, shape: Shape) -> int:
        """An axis, now and then counted from the end."""
        axis = self.randrange(len(shape))
        return axis - len(shape) if self.random() < 0.3 else axis

    def axes(self, shape: Shape) -> Any:
        """None, an axis, or some."""
        if self.random() < 0.2:
            return None
        some = self.sample(range(len(shape)), self.randint(1, len(shape)))
        return some[0] if len(some) == 1 else tuple(some)

    def flag(self) -> bool:
        return self.random() < 0.5

    def indices(self, size: int, *sizes: int) -> np.ndarray:
        """In range, those below zero counted from the end."""
        return np.array([self.randint(-size, size - 1) for _ in range(math.prod(sizes))]).reshape(sizes)


def of(shape: Sequence[int], kind: str = "any") -> str:
    """What arrays of a case are described by."""
    return f"{'x'.join(map(str, shape))} {kind}"


def elementwise(d: Draw) -> dict[str, Case]:
    """A case of each op of the table, broadcast at random."""
    made: dict[str, Case] = {}
    for op in derivative_cases.elementwise_ops():
        pair = d.broadcast(d.shape(), 2)
        made |= derivative_cases.elementwise_cases(op, [of(d.shape()).split(" ")[0]],
                                                   [tuple(of(s).split(" ")[0] for s in pair)])
    return made


def formulas(d: Draw) -> dict[str, Case]:
    """The formulas of derivative_cases.py, which are all element by element."""
    made = {}
    for name, one in derivative_cases.FORMULAS.items():
        shapes = d.broadcast(d.shape(), len(one.arrays))
        arrays = [of(s, spec.partition(" ")[2]) for s, spec in zip(shapes, one.arrays)]
        made[f"{name} of {arrays}"] = replace(one, arrays=tuple(arrays))
    return made


def neural(d: Draw) -> dict[str, Case]:
    made: dict[str, Case] = {}
    for name, several in (("softmax", False), ("softmax", True), ("log_softmax", d.flag())):
        shape = d.shape(1)
        axis = d.axes(shape) if several else d.axis(shape)
        axis = -1 if axis is None else axis
        made[f"{name} of {shape} along {axis}"] = case(
            lambda m, x, name=name, axis=axis: softmax(m, name, x, axis=axis), of(shape))
    for several in (False, True):
        shape, keep = d.shape(1), d.flag()
        axes = d.axes(shape) if several else d.axis(shape)
        made[f"logsumexp of {shape} along {axes}"] = case(
            lambda m, x, axes=axes, keep=keep: (ts if m is ts else jax.scipy.special).logsumexp(
                x, axis=axes, keepdims=keep), of(shape))
    shape = d.shape(1, least=2)
    made[f"layer_norm of {shape}"] = case(layer_norm, of(shape, "apart"), of(shape[-1:]), of(shape[-1:]))
    shape = d.shape(1)
    made[f"rms_norm of {shape}"] = case(rms_norm, of(shape, "away"), of(shape[-1:]))
    for causal in (False, True):
        b, heads, groups = d.randint(1, 2), d.randint(1, 2), d.randint(1, 3)
        s, t, e, width = (d.choice(SIZES[:6]) for _ in range(4))
        arrays = [of((b, s, heads * groups, e)), of((b, t, heads, e)), of((b, t, heads, width))]
        whole = (b, heads * groups, s, t)
        if d.flag():
            arrays.append(of((*(n if d.flag() else 1 for n in whole[:3]), t)))
        mask = None
        if d.flag():
            mask = np.array(d.choices([False, True], [1, 3], k=math.prod(whole))).reshape(whole)
        words = f"{arrays}{', causal' * causal}{', masked' * (mask is not None)}"
        made[f"attention of {words}"] = case(
            lambda m, *x, causal=causal, mask=mask: attention(m, *x, causal=causal, mask=mask), *arrays)
    rows, width, places = d.size(), d.size(), d.shape(1, 2)
    made[f"embedding of {places} in {rows}x{width}"] = case(
        derivative_cases.embedding, of((rows, width)), of(places, f"index {rows}"))
    shape, out = d.shape(1, 3), d.size()
    made[f"linear of {shape} to {out}"] = case(
        lambda m, x, w, b: ts.nn.linear(x, w, b) if m is ts else x @ w.T + b,
        of(shape), of((out, shape[-1])), of((out,)))
    shape = d.shape(2, 3)
    chosen = d.indices(shape[-1], *shape[:-1], 1) % shape[-1]
    made[f"cross entropy of {shape}"] = case(
        lambda m, x: -m.take_along_axis(softmax(m, "log_softmax", x), chosen, axis=-1).mean(), of(shape))
    shape = d.shape(1, 3)
    labels = d.indices(shape[-1], *shape[:-1]) % shape[-1]
    options = {"smoothing": d.choice([0.0, 0.1]), "z_loss": d.choice([0.0, 0.01]),
               "ignore": d.choice([None, 0])}
    made[f"softmax_cross_entropy of {shape}, {options}"] = case(
        lambda m, x: derivative_cases.cross_entropy(m, x, labels, **options), of(shape))
    return made


def reductions(d: Draw) -> dict[str, Case]:
    made: dict[str, Case] = {}
    for name, kind in (("sum", "any"), ("mean", "any"), ("prod", "near one"), ("max", "apart"),
                       ("min", "apart"), ("var", "apart"), ("std", "apart"), ("ptp", "apart"),
                       ("nansum", "any"), ("nanmean", "any"), ("nanmax", "apart"), ("median", "apart")):
        # The deviation of one number has no derivative.
        shape = d.shape(1, least=2 if name == "std" else 1)
        axes, keep = d.axes(shape), d.flag()
        if name == "median" and isinstance(axes, tuple):
            axes = axes[0]
        made[f"{name} of {shape} along {axes}"] = case(
            lambda m, x, name=name, axes=axes, keep=keep: getattr(m, name)(x, axis=axes, keepdims=keep),
            of(shape, kind), narrow=name != "median")
    for name, kind in (("sum", "any"), ("prod", "near one"), ("max", "apart"), ("min", "apart")):
        shape = d.shape(1)
        axes = d.axes(shape)
        made[f"{name} of {shape} along {axes}, where and initial"] = case(
            lambda m, p, x, name=name, axes=axes: getattr(m, name)(x, axis=axes, where=p, initial=0.5),
            of(shape, "bool"), of(shape, kind), smooth=kind != "apart")
    for name, kind in (("cumsum", "any"), ("cumprod", "near one"), ("cummax", "apart"), ("cummin", "apart")):
        shape = d.shape(1)
        axis, reverse = d.randrange(len(shape)), d.flag()
        made[f"{name} of {shape} along {axis}{', reverse' * reverse}"] = case(
            lambda m, x, name=name, axis=axis, reverse=reverse: getattr(ts if m is ts else lax, name)(
                x, axis=axis, reverse=reverse), of(shape, kind))
    shape = d.shape(1, least=3)
    axis, times = d.axis(shape), d.randint(1, 2)
    made[f"diff of {shape} along {axis}"] = case(lambda m, x: m.diff(x, n=times, axis=axis), of(shape))
    shape = d.shape(2, 3)
    offset = d.randint(-shape[0] + 1, shape[1] - 1)
    made[f"trace of {shape} from {offset}"] = case(lambda m, x: m.trace(x, offset=offset), of(shape))
    return made


def products(d: Draw) -> dict[str, Case]:
    made: dict[str, Case] = {}
    for _ in range(3):
        letters = d.sample("abcdefgh", 6)
        sizes = {c: d.choice(SIZES[:5]) for c in letters}
        batch, summed = letters[:1][: d.randint(0, 1)], letters[1:3][: d.randint(0, 2)]
        left, right = letters[3:5][: d.randint(1, 2)], letters[5:][: d.randint(0, 1) or not batch + summed]
        operands = [d.sample(batch + summed + free, len(batch + summed + free)) for free in (left, right)]
        result = d.sample(batch + left + right, len(batch + left + right))
        spec = f"{''.join(operands[0])},{''.join(operands[1])}->{''.join(result)}"
        arrays = [of([sizes[c] for c in letters]) for letters in operands]
        made[f"einsum {spec} of {arrays}"] = case(lambda m, x, y, spec=spec: m.einsum(spec, x, y), *arrays)
    rows, inner, columns = (d.size() for _ in range(3))
    batches = d.broadcast(d.shape(0, 2)[:2], 2)
    batches = [tuple(min(n, 3) for n in batch) for batch in batches]
    arrays = [of((*batches[0], rows, inner)), of((*batches[1], inner, columns))]
    made[f"matmul of {arrays}"] = case(lambda m, x, y: m.matmul(x, y), *arrays)
    made[f"matmul of a vector of {inner}"] = case(
        lambda m, x, y, z: [m.matmul(x, y), m.matmul(y, z), m.dot(x, x)], of((inner,)), of((inner, columns)),
        of((columns,)))
    shape, other = d.shape(1, 3), d.shape(1, 2)
    count = d.randint(0, len(shape) - 1)
    second = (*shape[len(shape) - count :], *other)
    made[f"tensordot of {shape} and {second}"] = case(lambda m, x, y: m.tensordot(x, y, axes=count),
                                                      of(shape), of(second))
    made[f"outer of {other} and {shape[:1]}"] = case(lambda m, x, y: m.outer(x, y), of(other), of(shape[:1]))
    return made


def shaping(d: Draw) -> dict[str, Case]:
    made: dict[str, Case] = {}

    def add(name: str, run: Any, *arrays: str) -> None:
        made[f"{name} of {', '.join(arrays)}"] = case(run, *arrays)

    shape = d.shape(1)
    split = d.choice([k for k in range(1, math.prod(shape) + 1) if math.prod(shape) % k == 0])
    add(f"reshape to {split} rows", lambda m, x: [m.reshape(x, (split, -1)), m.ravel(x)], of(shape))
    shape = d.shape(2)
    order = d.sample(range(len(shape)), len(shape))
    add(f"transpose by {order}", lambda m, x: m.transpose(x, order), of(shape))
    shape = d.shape(0, 2)
    wide = (d.size(), *(d.choice(SIZES[:5]) if n == 1 else n for n in shape))
    add(f"broadcast to {wide}", lambda m, x: m.broadcast_to(x, wide), of(shape))
    shape = d.shape(1, 3)
    axis, others = d.randrange(len(shape)), [d.choice(SIZES[:5]) for _ in range(2)]
    arrays = [of([size if i == axis else n for i, n in enumerate(shape)]) for size in (shape[axis], *others)]
    add(f"concatenate along {axis}", lambda m, *x: m.concatenate(x, axis=axis), *arrays)
    place = d.randint(0, len(shape))
    add(f"stack along {place}", lambda m, x, y: m.stack([x, y * 2, x], axis=place), of(shape), of(shape))
    shape = d.shape(1, 3, least=3)
    axis2 = d.randrange(len(shape))
    cuts = sorted(d.sample(range(1, shape[axis2]), 2))
    add(f"split at {cuts} along {axis2}", lambda m, x: [part * i for i, part in enumerate(
        m.split(x, cuts, axis=axis2))], of(shape))
    shape = d.shape(1, 3)
    counts, repeats, axis3 = [d.randint(1, 3) for _ in shape], d.randint(1, 3), d.axis(shape)
    add(f"tile {counts}, repeat {repeats} along {axis3}",
        lambda m, x: [m.tile(x, counts), m.repeat(x, repeats, axis=axis3)], of(shape))
    shift = d.randint(-5, 5)
    add(f"roll by {shift}, flip along {axis3}", lambda m, x: [m.roll(x, shift, axis=axis3), m.flip(x, axis3)],
        of(shape))
    widths = tuple((d.randint(0, 2), d.randint(0, 3)) for _ in shape)
    add(f"pad {widths}", lambda m, x: m.pad(x, widths, constant_values=0.5), of(shape))
    slices = []
    for n in shape:
        begin, end = sorted((d.randrange(n), d.randrange(n)))
        slices.append(slice(begin, end + 1, d.randint(1, 3)) if d.flag() else
                      slice(end, begin - 1 if begin else None, -d.randint(1, 3)))
    add(f"slice {slices}", lambda m, x: x[tuple(slices)], of(shape))
    shape = d.shape(2, 3)
    k = d.randint(-2, 2)
    add(f"triangles from {k}", lambda m, x: [m.tril(x, k), m.triu(x, k)], of(shape))
    offset = d.randint(-shape[0] + 1, shape[1] - 1)
    add(f"diagonal from {offset}", lambda m, x: m.diagonal(x, offset), of(shape))
    return made


def indexing(d: Draw) -> dict[str, Case]:
    made: dict[str, Case] = {}

    def add(name: str, run: Any, *arrays: str, **options: Any) -> None:
        made[f"{name} of {', '.join(arrays)}"] = case(run, *arrays, **options)

    shape = d.shape(1, 3)
    axis = d.randrange(len(shape))
    size, rest = shape[axis], (slice(None),) * axis
    places = d.shape(0, 2)
    chosen = d.indices(size, *places)
    add(f"take {places} along {axis}", lambda m, x: [m.take(x, chosen, axis=axis), x[(*rest, chosen)]],
        of(shape))
    along = (*shape[:axis], d.size(), *shape[axis + 1 :])
    positions = d.indices(size, *along) % size
    add(f"take_along_axis {along} along {axis}", lambda m, x: m.take_along_axis(x, positions, axis=axis),
        of(shape))
    count = d.size()
    updates = (*shape[:axis], count, *shape[axis + 1 :])
    index = of((count,), f"index {size}")
    for kind in ("set", "add"):
        add(f"at[].{kind} along {axis}", lambda m, x, i, u, kind=kind: m.sin(
            getattr(x.at[(*rest, i)], kind)(u)), of(shape), index, of(updates))
    for kind in ("max", "min"):
        # Duplicates among the updates are ordered by their own numbers.
        add(f"at[].{kind} along {axis}", lambda m, x, i, u, kind=kind: m.sin(
            getattr(x.at[(*rest, i)], kind)(u * 1.7 + 0.11)), of(shape, "apart"), index, of(updates, "apart"),
            smooth=False)
    add(f"at[].get along {axis}", lambda m, x, i: x.at[(*rest, i)].get(mode="fill", fill_value=0), of(shape),
        index)
    pairs = d.size()
    if len(shape) > 1:
        rows, columns = d.indices(shape[0], pairs), d.indices(shape[1], pairs)
        add(f"at[] of {pairs} pairs", lambda m, x, u: [x.at[rows, columns].add(u), x[rows, columns]],
            of(shape), of((pairs, *shape[2:])))
    box = tuple(d.randint(1, n) for n in shape)
    starts = [d.randint(-2, n) for n in shape]
    add(f"a box {box} at {starts}", lambda m, x, u: [
        _peer(m, "dynamic_slice")(x, [np.int32(s) for s in starts], box),
        _peer(m, "dynamic_update_slice")(x, u, [np.int32(s) for s in starts]) ** 2], of(shape), of(box))
    down = d.flag()
    add(f"sort along {axis}{', descending' * down}", lambda m, x: [
        m.sort(x, axis=axis, descending=down),
        m.take_along_axis(x, m.argsort(x, axis=axis, descending=down), axis=axis) ** 2], of(shape, "apart"))
    top = d.randint(1, shape[-1])
    add(f"top_k {top}", lambda m, x: _peer(m, "top_k")(x, top)[0] ** 2, of(shape, "apart"))
    segments = d.randint(1, shape[0])  # None is empty.
    ids = np.array(d.sample([i % segments for i in range(shape[0])], shape[0]))
    add(f"segments {segments}", lambda m, x: [getattr(ts if m is ts else jax.ops, name)(x, ids, segments)
                                              for name in ("segment_sum", "segment_max", "segment_min")],
        of(shape, "apart"))
    return made


def _peer(m: Any, name: str) -> Any:
    return getattr(ts if m is ts else lax, name)


def loops(d: Draw) -> dict[str, Case]:
    made: dict[str, Case] = {}
    shape, length, reverse = d.shape(0, 2), d.choice(SIZES[:5]), d.flag()
    xs = of((length, *shape))
    made[f"scan of {xs}{', reverse' * reverse}"] = case(
        lambda m, c, w, xs: _peer(m, "scan")(lambda c, x: (m.sin(c) * x + w, c * w), c, xs, reverse=reverse),
        of(shape), of(d.broadcast(shape, 1)[0]), xs)
    shape2, length2 = d.shape(1, 2), d.choice(SIZES[:5])
    made[f"map of {length2} {shape2}"] = case(
        lambda m, xs: _peer(m, "map")(lambda x: m.sin(x) * m.sum(x), xs), of((length2, *shape2)))
    times, shape3 = d.randint(0, 4), d.shape(0, 3)
    made[f"fori_loop of {times}, {shape3}"] = case(
        lambda m, x, y: _peer(m, "fori_loop")(0, times, lambda i, c: m.sin(c) * y + x, x), of(shape3),
        of(shape3))
    made[f"while_loop beside {shape3}"] = case(lambda m, x: x * _peer(m, "while_loop")(
        lambda c: c < 5 + times, lambda c: c * 2, 1), of(shape3))
    made[f"cond of {shape3}"] = case(lambda m, x: _peer(m, "cond")(
        m.sum(x * x) > 2, lambda: m.sin(x), lambda: x**3), of(shape3, "away"), smooth=False)
    made[f"switch of {shape3}"] = case(lambda m, x: _peer(m, "switch")(
        times, [lambda x: m.sin(x), lambda x: x**3, lambda x: x], x), of(shape3))
    made[f"checkpoint of a scan of {xs}"] = case(lambda m, c, xs: _peer(m, "scan")(
        (ts if m is ts else jax).checkpoint(lambda c, x: (m.tanh(c * x), m.exp(-c * c))), c, xs), of(shape),
        xs)
    return made


MAKERS = {"elementwise": elementwise, "formulas": formulas, "neural": neural, "reductions": reductions,
          "products": products, "shaping": shaping, "indexing": indexing, "loops": loops}


def random_cases(group: str, seed: int) -> dict[str, Case]:
    """The cases of a group that a seed makes; the same ones each time."""
    return MAKERS[group](Draw(f"{group} {seed}"))
