# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions whose derivatives are tested: reductions, products, shapes, indexing, loops."""

from __future__ import annotations

from typing import Any

import numpy as np
from derivative_checks import Case, case, jax

import tessera as ts

jnp, lax = jax.numpy, jax.lax


def _peer(m: Any, name: str) -> Any:
    """A function of lax where NumPy has none of its kind."""
    return getattr(ts if m is ts else lax, name)


REDUCTIONS: dict[str, Case] = {
    **{f"{name} along {axis}": case(lambda m, x, name=name, axis=axis: getattr(m, name)(x, axis=axis),
                                    f"3x5x7 {kind}")
       for name, kind in (("sum", "any"), ("mean", "any"), ("prod", "near one"), ("max", "apart"),
                          ("min", "apart"), ("var", "any"), ("std", "any"), ("ptp", "apart"),
                          ("nansum", "any"), ("nanmean", "any"))
       for axis in (None, 1, (0, 2))},
    "reductions without NaN": case(
        lambda m, x: [m.nanmax(x, axis=1), m.nanmin(x, axis=0), m.nanprod(x, axis=1)], "5x7 apart"),
    "medians and quantiles": case(
        lambda m, x: [m.median(x, axis=1), m.median(x), m.quantile(x, 0.3, axis=1),
                      m.percentile(x, 40.0, axis=0)], "5x7 apart", narrow=False),
    "reductions that keep dimensions": case(
        lambda m, x: [m.sum(x, 1, keepdims=True) * x, m.max(x, axis=0, keepdims=True) * x], "3x5 apart"),
    "reductions of where and initial": case(
        lambda m, p, x: [m.sum(x, axis=1, where=p), m.prod(x, axis=1, where=p, initial=2.0),
                         m.max(x, axis=1, where=p, initial=-9.0), m.min(x, axis=0, where=p, initial=9.0)],
        "5x7 bool", "5x7 apart"),
    "var and std of a sample": case(lambda m, x: [m.var(x, axis=1, ddof=1), m.std(x, axis=0, ddof=1)],
                                    "5x7 any"),
    "reductions of one and of none": case(lambda m, x: [m.prod(x[:, :1], axis=1), m.max(x[:1, :1]),
                                                        m.sum(x, axis=())],
                                          "3x5 apart"),
    "long products": case(lambda m, x: m.prod(x, axis=0), "129x3 near one"),
    "cumsum": case(lambda m, x: [m.cumsum(x), m.cumsum(x, axis=1), m.cumsum(x, axis=0)], "5x7 any"),
    "cumprod": case(lambda m, x: [m.cumprod(x, axis=1), m.cumprod(x[:2])], "5x7 near one"),
    "running sums from the end": case(lambda m, x: [_peer(m, "cumsum")(x, axis=1, reverse=True),
                                                    _peer(m, "cumprod")(x, axis=1, reverse=True)],
                                                    "5x7 near one"),
    "running extrema": case(lambda m, x: [
        _peer(m, "cummax")(x, axis=1), _peer(m, "cummax")(x, axis=0, reverse=True),
        _peer(m, "cummin")(x, axis=0), _peer(m, "cummin")(x, axis=1, reverse=True)], "5x7 apart"),
    "cumulative_sum and cumulative_prod": case(
        lambda m, x: [f(x, axis=1, include_initial=i) for f in (m.cumulative_sum, m.cumulative_prod)
                      for i in (False, True)], "5x7 positive"),
    "diff": case(lambda m, x: [m.diff(x), m.diff(x, n=2, axis=0), m.diff(x, prepend=0.0, append=x[:, :1])],
                 "5x7 any"),
    "trace": case(lambda m, x: [m.trace(x), m.trace(x, offset=2)], "5x7 any"),
    "norm by hand": case(lambda m, x: m.sqrt(m.sum(x * x, axis=-1)), "5x7 any"),
}

PRODUCTS: dict[str, Case] = {
    **{f"matmul of [{s}] and [{t}]": case(lambda m, x, y: m.matmul(x, y), f"{s} any", f"{t} any")
       for s, t in (("3x5", "5x7"), ("5", "5x7"), ("3x5", "5"), ("5", "5"), ("2x3x5", "5x7"),
                    ("3x5", "2x5x7"),
                    ("2x1x3x5", "4x5x7"), ("33x65", "65x17"))},
    **{f"einsum {spec}": case(lambda m, x, y, spec=spec: m.einsum(spec, x, y), f"{s} any", f"{t} any")
       for spec, s, t in (("mk,kn->mn", "3x5", "5x7"), ("km,nk->nm", "5x3", "7x5"), ("bhqd,bkhd->bhqk",
                                                                                     "2x3x5x4",
                          "2x7x3x4"), ("i,j->ji", "3", "5"), ("ij,ij->", "3x5", "3x5"), ("ij,jk->ik", "3x1",
                                                                                         "1x5"),
                          ("ij,kj->i", "3x5", "7x5"), ("...i,ij->...j", "2x3x5", "5x7"), ("abk,kb->ba",
                                                                                          "2x3x5",
                          "5x3"), ("ii,ij->j", "3x3", "3x5"))},
    "einsum of three": case(lambda m, x, y, z: m.einsum("ij,jk,kl->il", x, y, z), "3x5 any", "5x7 any",
                            "7x2 any"),
    "einsum of one": case(lambda m, x: [m.einsum("ij->ji", x), m.einsum("ij->j", x), m.einsum("ij->", x)],
                          "3x5 any"),
    "einsum of a diagonal": case(lambda m, x: [m.einsum("ii->i", x), m.einsum("ii->", x)], "5x5 any"),
    "the same operand twice": case(lambda m, x: x @ x.T @ x, "3x5 any"),
    "dot, inner, outer": case(lambda m, x, y: [m.dot(x, y), m.inner(x, y[:, :3].T), m.outer(x, y)],
                              "2x3 any", "3x5 any"),
    "tensordot": case(lambda m, x, y: [m.tensordot(x, y, axes=([1], [0])), m.tensordot(x, x, axes=2)],
                      "2x3 any",
                      "3x5 any"),
    "vdot, vecdot, kron": case(lambda m, x, y: [m.vdot(x, y), m.vecdot(x, y), m.kron(x, y)], "3x5 any",
                               "3x5 any"),
    "windows, as of a convolution": case(
        lambda m, x, w: sum(x[:, i : i + 9] * w[i] for i in range(3)), "2x11 any", "3 any"),
}

SHAPING: dict[str, Case] = {
    "reshape and ravel": case(lambda m, x: [m.reshape(x, (7, 15)), m.ravel(x), m.reshape(x, -1)],
                              "3x5x7 any"),
    "orders": case(lambda m, x: [m.transpose(x), m.transpose(x, (1, 2, 0)), m.swapaxes(x, 0, 2),
                                 m.permute_dims(
        x, (2, 0, 1)), m.moveaxis(x, 0, -1), x.mT], "3x5x7 any"),
    "squeeze and expand_dims": case(lambda m, x: [m.squeeze(x, 1), m.expand_dims(x, (0, 2)), x[:, None]],
                                    "3x1x7 any"),
    "broadcasts": case(lambda m, x: [m.broadcast_to(x, (2, 3, 5)), *m.broadcast_arrays(x, x[:, :1])],
                       "3x5 any"),
    "a broadcast of ones": case(lambda m, x: m.broadcast_to(x, (4, 3, 5)), "3x1 any"),
    "joins": case(lambda m, x, y: [m.concatenate([x, y], axis=1), m.concat([x, x]), m.stack([y, y * 2],
                                                                                            axis=1),
                                   m.hstack([x, y]), m.vstack([x, x])], "3x5 any", "3x2 any"),
    "splits": case(lambda m, x: [a * i for i, a in enumerate([*m.split(x, 3), *m.split(x, [2, 5], axis=1),
                                                              *m.array_split(x, 2), *m.unstack(x)])],
                                                              "3x7 any"),
    "tile and repeat": case(lambda m, x: [m.tile(x, (2, 3)), m.repeat(x, 3, axis=1), m.repeat(x, 2)],
                            "3x5 any"),
    "repeat by counts": case(lambda m, x: m.repeat(x, np.array([2, 0, 3]), axis=0, total_repeat_length=5),
                             "3x5 any"),
    "roll and flip": case(lambda m, x: [m.roll(x, 2), m.roll(x, -1, axis=1), m.flip(x), m.flip(x, 1)],
                          "3x5 any"),
    "pad": case(lambda m, x: [m.pad(x, ((1, 2), (0, 3))), m.pad(x, 1, constant_values=2.0)], "3x5 any"),
    "slices": case(lambda m, x: [x[1:], x[:, ::3], x[::2, 1::2], x[::-1], x[-1], x[:, -3:-1], x[..., 4:0:-2]],
                   "5x7 any"),
    "triangles and diagonals": case(lambda m, x: [m.tril(x), m.triu(x, 1), m.diagonal(x), m.diagonal(x, 1),
                                                  m.diag(x),
                                                  m.diag(x[0])], "5x5 any"),
    "meshgrid": case(lambda m, x, y: [a * b for a, b in [m.meshgrid(x, y)]], "3 any", "5 any"),
    "likes": case(lambda m, x: [x * m.ones_like(x), x + m.zeros_like(x), m.full_like(x, 2.0) * x], "3x5 any"),
    "an array of values": case(lambda m, x: m.array([x[0], x[1] * x[2]]), "3 any"),
}


def _fill(m: Any, x: Any, i: Any) -> Any:
    """x[i], zeros where i is out of range."""
    return x[i] if m is ts else x.at[i].get(mode="fill", fill_value=0)


_INDEX = np.array([[4, 0, -1], [2, 2, 1]])
INDEXING: dict[str, Case] = {
    "indices of the host": case(lambda m, x: [x[_INDEX], x[:, [1, 0, 1]], x[[0, 2], [1, 1]], x[1], x[-1, 2]],
                                "5x7 any"),
    "indices out of range": case(_fill, "5x7 any", "9 index 5"),
    "take": case(lambda m, x: [m.take(x, _INDEX, axis=1), m.take(x, _INDEX), m.take(x, np.array([1, 1, 0]),
                                                                                    axis=0)],
                 "5x7 any"),
    "take_along_axis": case(lambda m, x, i: m.take_along_axis(x, m.clip(i, 0, 6), axis=1), "5x7 any",
                            "5x3 index 5"),
    "at[].get": case(lambda m, x, i: x.at[i].get(mode="fill", fill_value=0), "5x7 any", "9 index 5"),
    "at[].set": case(lambda m, x, u: x.at[np.array([3, 0])].set(u) * x, "5x7 any", "2x7 any"),
    "at[].set of duplicates": case(lambda m, x, u: m.sin(x.at[np.array([3, 0, 3, 3])].set(u)), "5x7 any",
                                   "4x7 any"),
    "at[].add": case(lambda m, x, i, u: x.at[i].add(u) ** 2, "5x7 any", "9 index 5", "9x7 any"),
    "at[].subtract, multiply, divide": case(
        lambda m, x, u: [x.at[1].subtract(u), x.at[2].multiply(u), x.at[:, 1].divide(u[:5] + 4),
                         x.at[0].apply(m.sin) if m is ts else x.at[0].set(m.sin(x[0]))], "5x7 any", "7 unit"),
    "at[].max and min": case(lambda m, x, i, u: [x.at[i].max(u) ** 2, x.at[i].min(u) ** 2], "5x7 any",
                             "4 index 5",
                             "4x7 any"),
    "at[] of boxes": case(lambda m, x, u: [x.at[1:3, 2:5].set(u), x.at[1:3, ::3].add(u),
                                           x.at[..., -1].set(1.0)],
                          "5x7 any", "2x3 any"),
    "at[] of pairs": case(lambda m, x, u: [x.at[[0, 2, 0], [1, 3, 1]].add(u), x.at[[0, 2],
                                                                                   [1, 3]].set(u[:2])],
                          "5x7 any", "3 any"),
    "put_along_axis": case(lambda m, x, i, u: m.put_along_axis(x, m.clip(i, 0, 0) + np.arange(3), u, axis=1,
                                                               **({} if m is ts else {"inplace": False})),
                           "5x7 any", "5x3 index 5", "5x3 any"),
    "dynamic slices": case(
        lambda m, x, i: [_peer(m, "dynamic_slice")(x, (i, np.int32(0)), (2, 3)),
                         _peer(m, "dynamic_slice_in_dim")(x, 4, 3, 1), _peer(m, "dynamic_index_in_dim")(x, 1,
                                                                                                        0)],
        "5x7 any", " index 5"),
    "dynamic updates": case(
        lambda m, x, u: [_peer(m, "dynamic_update_slice")(x, u, (3, 6)) ** 2,
                         _peer(m, "dynamic_update_slice_in_dim")(x, x[:2] * 3, 1, 0),
                         _peer(m, "dynamic_update_index_in_dim")(x, x[0] * 2, 4, 0)],
        "5x7 any", "2x3 any"),
    "sort": case(lambda m, x: [m.sort(x), m.sort(x, axis=0), m.sort(x, axis=None),
                               m.sort(x, descending=True)],
                 "5x7 apart"),
    "argsort": case(lambda m, x: m.take_along_axis(x, m.argsort(x, axis=1), axis=1) ** 2, "5x7 apart"),
    "top_k": case(lambda m, x: _peer(m, "top_k")(x, 3)[0] ** 2, "5x7 apart"),
    "segments": case(
        lambda m, x: [getattr(ts if m is ts else jax.ops, k)(x, np.array([2, 0, 2, 1, 0]), 3)
                      for k in ("segment_sum", "segment_max", "segment_min")], "5x7 apart"),
    "bincount of weights": case(lambda m, w: m.bincount(np.array([0, 2, 2, 5]), w, length=7), "4 any"),
    "searchsorted has none": case(lambda m, x: x * m.searchsorted(np.array([-1, 0, 1], x.dtype), x), "7 any"),
    "one_hot": case(lambda m, x: (ts if m is ts else jax.nn).one_hot(np.array([1, 0]), 3, dtype=x.dtype) @ x,
                    "3x5 any"),
}


def _loops(m: Any, name: str) -> Any:
    return getattr(ts if m is ts else lax, name)


LOOPS: dict[str, Case] = {
    "scan": case(lambda m, c, xs: _loops(m, "scan")(lambda c, x: (m.sin(c) * x, c + x), c, xs), "5 any",
                 "4x5 any"),
    "scan from the end": case(lambda m, c, xs: _loops(m, "scan")(lambda c, x: (c * x, c * c), c, xs,
                                                                 reverse=True)[1],
                              "5 any", "4x5 any"),
    "map": case(lambda m, xs: _loops(m, "map")(lambda x: m.sin(x) * x, xs), "4x5 any"),
    "while_loop, forward only elsewhere": case(lambda m, x: x * _loops(m, "while_loop")(
        lambda c: c < 5, lambda c: c * 2, 1), "5 any"),
    "fori_loop": case(lambda m, x: _loops(m, "fori_loop")(0, 3, lambda i, c: m.sin(c) + x, x), "5 any"),
    "cond": case(lambda m, x: _loops(m, "cond")(m.sum(x) > 0, lambda: m.sin(x), lambda: x**3), "5 any"),
    "switch": case(lambda m, x: [_loops(m, "switch")(i, [lambda x: m.sin(x), lambda x: x**3, lambda x: x], x)
                                 for i in range(3)], "5 any"),
}


GROUPS = {"reductions": REDUCTIONS, "products": PRODUCTS, "shaping": SHAPING, "indexing": INDEXING,
          "loops": LOOPS}
