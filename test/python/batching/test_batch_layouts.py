# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A batch that is split over devices is computed where it is: no rule makes a collective necessary."""

import numpy as np
import pytest

import tessera as ts
from conftest import needs_compiler

pytestmark = needs_compiler

RNG = np.random.default_rng(3)


def _f32(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


X, W, B, BOX = _f32(4, 6), _f32(6, 8), _f32(4, 7, 6), _f32(4, 2, 6)
I = RNG.integers(0, 6, (4, 3)).astype(np.int32)
AT, COUNT = np.array([0, 2, 5, 1], np.int32), np.array([3, 1, 2, 5], np.int32)
Q, K = _f32(4, 2, 5, 4, 3), _f32(4, 2, 6, 2, 3)

LOCAL = {
    "product": (lambda x, w: ts.tanh(x @ w), (X, W), (0, None)),
    "products": (lambda a, b: a @ b, (B, B.transpose(0, 2, 1).copy()), 0),
    "norm": (lambda x: ts.nn.softmax(ts.nn.layer_norm(x)), (X,), 0),
    "own scales": (lambda x, s: ts.nn.rms_norm(x, s), (B, X), 0),
    "attention": (lambda q, k: ts.nn.attention(q, k, k, causal=True), (Q, K), 0),
    "shared keys": (lambda q, k: ts.nn.attention(q, k, k), (Q, K[0]), (0, None)),
    "gather": (lambda x, i: x[i], (X, I), 0),
    "lookup": (lambda w, i: w[i], (W, I), (None, 0)),
    "scatter": (lambda x, i: x.at[i].add(1.0), (X, I), 0),
    "box": (lambda b, i: ts.dynamic_slice(b, (i, 0), (2, 6)), (B, AT), 0),
    "update": (lambda b, u, i: ts.dynamic_update_slice(b, u, (i, 0)), (B, BOX, AT), 0),
    "sort": (ts.sort, (X,), 0),
    "cumsum": (ts.cumsum, (X,), 0),
    "random": (lambda k: ts.random.normal(k, (3,)), (RNG.integers(0, 9, (4, 2)).astype(np.int32),), 0),
    "scan": (lambda x, b: ts.scan(lambda c, r: (c * r, c), x, b), (X, B), 0),
    "cond": (lambda k, x: ts.cond(k > 1, ts.sin, lambda x: x * 2, x), (COUNT, X), 0),
    "gradient": (ts.grad(lambda x, w: ts.sum(ts.tanh(x @ w) ** 2)), (X, W), (0, None)),
}


def _collectives(function, args, axes):
    mesh = ts.make_mesh({"dp": 2})
    each = axes if isinstance(axes, tuple) else (axes,) * len(args)
    layouts = tuple(None if axis is None else ts.P("dp") for axis in each)
    jitted = ts.jit(ts.vmap(function, axes), mesh=mesh, in_shardings=layouts, out_shardings=ts.P("dp"))
    return list(jitted.lower(*args).collectives())


@pytest.mark.parametrize("name", LOCAL)
def test_split_batches_stay(name):
    assert _collectives(*LOCAL[name]) == []


def test_a_loop_of_entries_asks_whether_one_goes_on():
    def f(x, k):
        return ts.while_loop(lambda s: s[0] < k, lambda s: (s[0] + 1, s[1] * 2), (ts.zeros((), ts.i32), x))[1]

    kinds = [row["kind"] for row in _collectives(f, (X, COUNT), 0)]
    assert kinds and set(kinds) <= {"all_reduce", "all_gather"}
