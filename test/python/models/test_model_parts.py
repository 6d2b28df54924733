# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Parts of models, written once for ts.* and np.*, split in several ways over meshes of 4, 6 and 8."""

import numpy as np
import pytest

import tessera as ts
from conftest import needs_runtime

RNG = np.random.default_rng(23)
SIX = ts.make_mesh({"a": 3, "b": 2})
MESHES = {"2x2": ts.make_mesh({"a": 2, "b": 2}), "3x2": SIX, "8": ts.make_mesh({"a": 8})}


def draw(*shape):
    return RNG.standard_normal(shape, dtype=np.float32)


def causal_convolution(n, x, w):
    padded = n.pad(x, ((0, 0), (w.shape[0] - 1, 0), (0, 0)))
    return sum(n.einsum("btc,cd->btd", padded[:, k : k + x.shape[1]], w[k]) for k in range(w.shape[0]))


def patches_of_an_image(n, x, w):
    b, h, width, c = x.shape
    cut = x.reshape(b, h // 2, 2, width // 2, 2, c).transpose(0, 1, 3, 2, 4, 5)
    return cut.reshape(b, h * width // 4, 4 * c) @ w


def batch_norm(n, x, scale, bias):
    mean, variance = x.mean((0, 1), keepdims=True), x.var((0, 1), keepdims=True)
    return (x - mean) / n.sqrt(variance + 1e-5) * scale + bias


def experts_by_top_one(n, x, gate, up):
    scores = n.exp(x @ gate)
    scores = scores / scores.sum(-1, keepdims=True)
    chosen = n.where(scores == scores.max(-1, keepdims=True), scores, 0 * scores)
    return n.einsum("te,td,edf->tf", chosen, x, up)


def gated_recurrence(n, h, xs, wz, wh):
    for x in xs:
        z = 1 / (1 + n.exp(-(x @ wz + h)))
        h = (1 - z) * h + z * n.tanh(x @ wh)
    return h


def cosine_similarity(n, x, y):
    lengths = [n.sqrt((v * v).sum(-1, keepdims=True)) for v in (x, y)]
    return (x / lengths[0]) @ (y / lengths[1]).T


def linear_attention(n, q, k, v):
    q, k = (n.where(t > 0, t + 1, n.exp(t)) for t in (q, k))
    total = 1 / n.einsum("btd,bd->bt", q, k.sum(1))
    return n.einsum("btd,bde,bt->bte", q, n.einsum("btd,bte->bde", k, v), total)


def distance_penalty(n, x):
    i = n.arange(x.shape[-1])
    return x - 0.5 * abs(i[:, None] - i[None, :])


def pooling(n, x):
    pairs = x.reshape(x.shape[0], x.shape[1] // 2, 2, x.shape[2])
    return pairs.max(2) - pairs.min(2)


def squared_distances(n, x, y):
    return ((x[:, None] - y[None]) ** 2).sum(-1)


def gated_unit_of_alternate_columns(n, x, w):
    h = x @ w
    return h[..., ::2] / (1 + n.exp(-h[..., 1::2]))


def rotated_pairs(n, x):
    return n.stack([-x[..., 1::2], x[..., ::2]], axis=-1).reshape(x.shape)


def sums_from_the_end(n, x):
    return n.flip(n.cumsum(n.flip(x, 1), 1), 1)


def cache_of_keys(n, keys, new):
    return n.concatenate([keys[:, :2], new[:, None], keys[:, 3:]], 1)


def whole_normalisation(n, x):
    return (x - x.mean()) / x.std() + (x - x.min(0)) / (x.max(0) - x.min(0))


def kronecker_product(n, x, y):
    return n.einsum("ab,cd->acbd", x, y).reshape(x.shape[0] * y.shape[0], -1)


def bilinear_form(n, x, w, y):
    return n.einsum("bi,oij,bj->bo", x, w, y)


PARTS = {
    causal_convolution: (draw(3, 5, 6), draw(3, 6, 7)), patches_of_an_image: (draw(2, 6, 10, 3), draw(12, 5)),
    batch_norm: (draw(3, 5, 7), draw(7), draw(7)),
    experts_by_top_one: (draw(7, 5), draw(5, 3), draw(3, 5, 6)),
    gated_recurrence: (draw(5, 6), draw(4, 5, 3), draw(3, 6), draw(3, 6)),
    cosine_similarity: (draw(5, 7), draw(9, 7)),
    linear_attention: (draw(3, 5, 4), draw(3, 5, 4), draw(3, 5, 6)),
    distance_penalty: (draw(3, 5, 5),), pooling: (draw(3, 6, 5),),
    squared_distances: (draw(5, 7), draw(6, 7)),
    gated_unit_of_alternate_columns: (draw(5, 7), draw(7, 10)), rotated_pairs: (draw(3, 5, 6),),
    sums_from_the_end: (draw(5, 7),), cache_of_keys: (draw(3, 5, 4), draw(3, 4)),
    whole_normalisation: (draw(5, 7),), kronecker_product: (draw(3, 5), draw(2, 7)),
    bilinear_form: (draw(5, 3), draw(4, 3, 6), draw(5, 6)),
}


def layouts(mesh, args, turn):
    """Each argument split by all axes of the mesh, over dimensions that move with `turn`."""
    result = []
    for number, arg in enumerate(args):
        dims = [None] * arg.ndim
        for k, axis in enumerate(list(mesh.shape)[: arg.ndim]):
            dims[(k + turn + number) % arg.ndim] = axis
        result.append(ts.P(*dims))
    return tuple(result)


def near(got, want):
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


@needs_runtime
@pytest.mark.parametrize("mesh", MESHES)
@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_parts_of_models_equal_numpy_however_they_are_split(part, mesh):
    args = PARTS[part]
    want = part(np, *args)
    for turn in range(2):
        f = ts.jit(lambda *a: part(ts, *a), mesh=MESHES[mesh], in_shardings=layouts(MESHES[mesh], args, turn))
        near(f(*args), want)


@needs_runtime
@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_parts_of_models_equal_numpy_on_the_emulator(part):
    args = PARTS[part]
    f = ts.jit(lambda *a: part(ts, *a), mesh=SIX, device="emulated", in_shardings=layouts(SIX, args, 0))
    near(f(*args), part(np, *args))
