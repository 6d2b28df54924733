# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Products of CPU kernels, either factor transposed or not, of sizes that fill no register block, no
vector and no block of a program."""

import functools

import numpy as np
import pytest

import tessera as ts
from conftest import needs_runtime

pytestmark = needs_runtime

FORMS = {
    "plain": lambda x, w: x @ w,
    "right": lambda x, w: x @ w.T,
    "left": lambda x, w: x.T @ w,
    "both": lambda x, w: x.T @ w.T,
}
# Rows, summed, columns: one of each; less than a register block; a bit more than blocks of registers,
# vectors and programs; more than one turn of the loop over what is summed.
SIZES = [(2, 3, 5), (1, 7, 33), (7, 1, 17), (5, 9, 1), (13, 21, 65), (37, 401, 50), (521, 20, 197),
         (400, 771, 9)]
# The largest error allowed, relative to the sum of what is added.
TOLERANCES = {"f32": 2e-6, "f64": 1e-14, "f16": 1e-3, "bf16": 8e-3}


def factors(form, m, k, n, dtype):
    rng = np.random.default_rng([m, k, n])
    left = (k, m) if form in ("left", "both") else (m, k)
    right = (n, k) if form in ("right", "both") else (k, n)
    # Rounded to the type, so that the reference starts from the same numbers.
    return [np.asarray(ts.asarray(rng.standard_normal(shape), dtype)) for shape in (left, right)]


def check(actual, form, x, w, dtype, finish=lambda product: product):
    x, w = x.astype(np.float64), w.astype(np.float64)
    scale = FORMS[form](np.abs(x), np.abs(w)).max()
    error = np.abs(np.asarray(actual).astype(np.float64) - finish(FORMS[form](x, w))).max()
    assert error <= TOLERANCES[dtype] * scale


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("m, k, n", SIZES)
def test_either_factor_is_transposed(form, m, k, n):
    x, w = factors(form, m, k, n, "f32")
    check(ts.jit(FORMS[form])(x, w), form, x, w, "f32")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", ["f64", "f16", "bf16"])
def test_element_types(form, dtype):
    x, w = factors(form, 29, 35, 67, dtype)
    check(ts.jit(FORMS[form])(x, w), form, x, w, dtype)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("k", [9, 771])
def test_results_are_stored_with_what_follows(form, k):
    """A bias and a residual, of which every row of the product needs its own."""
    m, n = 71, 83
    x, w = factors(form, m, k, n, "f32")
    rng = np.random.default_rng(7)
    bias, residual = (rng.standard_normal(shape, dtype=np.float32) for shape in ((n,), (m, n)))
    model = ts.jit(lambda x, w, bias, residual: ts.maximum(FORMS[form](x, w) + bias, 0) * 2 + residual)
    check(model(x, w, bias, residual), form, x, w, "f32",
          lambda product: np.maximum(product + bias, 0) * 2 + residual)


def test_rows_of_several_dimensions():
    """Forward and weight gradient of a layer on sequences: rows, and what is summed, of two dimensions."""
    rng = np.random.default_rng(3)
    x, w, g = (rng.standard_normal(shape, dtype=np.float32) for shape in ((3, 11, 20), (20, 37), (3, 11, 37)))
    forward = ts.jit(lambda x, w, g: ts.tanh(x @ w) + g)(x, w, g)
    np.testing.assert_allclose(forward, np.tanh(x @ w) + g, rtol=2e-5, atol=2e-5)
    gradient = ts.jit(lambda x, g: ts.einsum("abm,abn->mn", x, g))(x, g)
    np.testing.assert_allclose(gradient, np.einsum("abm,abn->mn", x, g), rtol=2e-5, atol=2e-4)


def test_batches_of_transposed_factors():
    rng = np.random.default_rng(4)
    x, g = (rng.standard_normal(shape, dtype=np.float32) for shape in ((5, 19, 14), (5, 19, 23)))
    product = ts.jit(lambda x, g: ts.einsum("bkm,bkn->bmn", x, g))(x, g)
    np.testing.assert_allclose(product, np.einsum("bkm,bkn->bmn", x, g), rtol=2e-5, atol=2e-5)


def test_a_gated_product_stores_once_both_are_complete():
    rng = np.random.default_rng(5)
    x, v, w = (rng.standard_normal(shape, dtype=np.float32) for shape in ((31, 800), (800, 45), (800, 45)))
    gated = ts.jit(lambda x, v, w: ts.maximum(x @ v, 0) * (x @ w))(x, v, w)
    x, v, w = (array.astype(np.float64) for array in (x, v, w))
    np.testing.assert_allclose(gated, np.maximum(x @ v, 0) * (x @ w), rtol=1e-4, atol=5e-3)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("m, k, n", [(3, 512, 4099), (16, 256, 4096)])
def test_few_rows(form, m, k, n):
    """The right factor is read in long pieces; crowded rows of the left one are packed."""
    x, w = factors(form, m, k, n, "f32")
    check(ts.jit(FORMS[form])(x, w), form, x, w, "f32")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("m, k, n", [(263, 301, 277), (1037, 997, 1151)])
def test_shared_right_factors(form, m, k, n):
    """Products so large that a kernel of its own packs the right factor, which what follows reads by rows."""
    x, w = factors(form, m, k, n, "f32")
    residual = np.random.default_rng(8).standard_normal((m, n), dtype=np.float32)
    model = ts.jit(lambda x, w, residual: FORMS[form](x, w) * 2 + residual)
    kernels = model.lower(x, w, residual).as_text("kernels")
    # Of the smaller one only where the left factor is packed, too.
    assert ("_panels" in kernels) == (m > 1000 or form in ("left", "both"))
    check(model(x, w, residual), form, x, w, "f32", lambda product: product * 2 + residual)


@pytest.mark.parametrize("form", ["left", "both"])
def test_a_shared_factor_whose_depth_is_summed_at_one_time(form):
    """Sums, and what takes little to compute of them, are stored block by block; the rest by rows."""
    x, w = factors(form, 263, 301, 277, "f32")
    b = np.random.default_rng(9).standard_normal(277, dtype=np.float32)
    models = {
        "sum": lambda x, w, b: FORMS[form](x, w),
        "layer": lambda x, w, b: ts.relu(FORMS[form](x, w) * 0.5 + b),
        "function": lambda x, w, b: ts.exp(FORMS[form](x, w) * 0.01 + b),
    }
    finish = {
        "sum": lambda product: product,
        "layer": lambda product: np.maximum(product * 0.5 + b, 0),
        "function": lambda product: np.exp(product * 0.01 + b),
    }
    for name, model in models.items():
        model = ts.jit(model)
        assert "_panels" in model.lower(x, w, b).as_text("kernels")
        check(model(x, w, b), form, x, w, "f32", finish[name])


def test_blocks_of_a_shared_factor_have_rows_of_two_dimensions():
    rng = np.random.default_rng(10)
    x = rng.standard_normal((30, 301, 19), dtype=np.float32)
    w = rng.standard_normal((301, 277), dtype=np.float32)
    model = ts.jit(lambda x, w: ts.einsum("bkm,kn->bmn", x, w))
    assert "_panels" in model.lower(x, w).as_text("kernels")
    np.testing.assert_allclose(model(x, w), np.einsum("bkm,kn->bmn", x, w), rtol=2e-5, atol=1e-3)


@pytest.mark.parametrize("shape", [(4, 512, 2048, 2048), (2, 386, 1024, 4000)])
def test_a_shared_factor_of_long_sequences(shape):
    """Two dimensions are summed, and blocks are as large as they become: their sums are in memory once."""
    a, b, m, n = shape
    rng = np.random.default_rng(10)
    x, g = (rng.standard_normal((a, b, size), dtype=np.float32) for size in (m, n))
    gradient = ts.jit(lambda x, g: ts.einsum("abm,abn->mn", x, g))
    assert "_panels" in gradient.lower(x, g).as_text("kernels")
    expected = x.reshape(a * b, m).T @ g.reshape(a * b, n)
    np.testing.assert_allclose(gradient(x, g), expected, rtol=2e-5, atol=1e-3)


def test_tiles_that_are_kept_beside_a_product_with_a_shared_factor():
    """A function that is transposed is computed once, in a buffer as large as the product's."""
    rng = np.random.default_rng(11)
    x, g = (rng.standard_normal((16, 2048), dtype=np.float32) for _ in range(2))
    r = rng.standard_normal((2048, 2048), dtype=np.float32)
    model = ts.jit(lambda x, g, r: x.T @ g + (r / (1 + ts.exp(-r))).T)
    assert "_panels" in model.lower(x, g, r).as_text("kernels")
    np.testing.assert_allclose(model(x, g, r), x.T @ g + (r / (1 + np.exp(-r))).T, rtol=2e-5, atol=1e-4)


def test_a_shared_factor_that_a_loop_updates_in_place():
    rng = np.random.default_rng(12)
    x, w = (rng.standard_normal((280, 280), dtype=np.float32) for _ in range(2))

    def step(x, i, carried):
        w, total = carried
        total = total + x.T @ w
        return ts.dynamic_update_slice(w, total[:1] * 0.01, (i, 0)), total

    loop = ts.jit(lambda x, w: ts.fori_loop(0, 4, functools.partial(step, x), (w, ts.zeros_like(w))))
    assert "_panels" in loop.lower(x, w).as_text("kernels")
    last, total = w.astype(np.float64), np.zeros(w.shape)
    for i in range(4):
        total = total + x.T @ last
        last[i] = total[0] * 0.01
    for actual, expected in zip(loop(x, w), (last, total), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=2e-5, atol=1e-3)


def test_a_shared_factor_of_a_weight_gradient_on_a_mesh():
    rng = np.random.default_rng(9)
    x, g = (rng.standard_normal(shape, dtype=np.float32) for shape in ((6, 130, 257), (6, 130, 411)))
    expected = np.einsum("abm,abn->mn", x.astype(np.float64), g.astype(np.float64))
    for mesh in ({"dp": 1}, {"dp": 2}):
        gradient = ts.jit(lambda x, g: ts.einsum("abm,abn->mn", x, g), mesh=ts.make_mesh(mesh),
                          in_shardings=(ts.P("dp"), ts.P("dp")))
        assert "_panels" in gradient.lower(x, g).as_text("kernels")
        np.testing.assert_allclose(gradient(x, g), expected, rtol=2e-5, atol=2e-4)


@pytest.mark.parametrize("form", FORMS)
def test_what_is_summed_is_added_in_parts(form):
    """One chain of sums of 4,096 products has four times the rounding that chains of 384 have, 2.8e-8."""
    x, w = factors(form, 32, 4096, 40, "f32")
    wide = x.astype(np.float64), w.astype(np.float64)
    error = np.asarray(ts.jit(FORMS[form])(x, w)) - FORMS[form](*wide)
    scale = FORMS[form](*map(np.abs, wide)).mean()
    assert np.sqrt(np.mean(error**2)) <= 1.2e-8 * scale


@pytest.mark.parametrize("dtype", ["f32", "f64", "bf16"])
@pytest.mark.parametrize("k, n", [(9, 5), (37, 1030), (576, 96), (2003, 33), (4096, 7)])
def test_one_row_times_rows(k, n, dtype):
    """The right factor is read where it is, in whole rows; some in several parts."""
    x, w = factors("right", 1, k, n, dtype)
    check(ts.jit(FORMS["right"])(x, w), "right", x, w, dtype)
    if dtype == "f32":
        model = ts.jit(lambda x, w, b: ts.maximum(x @ (w * 2).T, 0) + b)
        check(model(x, w, w[:, 0]), "right", x, w, dtype,
              lambda product: np.maximum(product * 2, 0) + w[:, 0])


def test_one_row_of_several_dimensions():
    rng = np.random.default_rng(13)
    x, w = (rng.standard_normal(shape, dtype=np.float32) for shape in ((1, 1, 3, 40), (2, 3, 9, 40)))
    for form in ("bthd,nmod->bthnmo", "bthd,nhod->bthno", "bthd,nhod->btno"):
        np.testing.assert_allclose(ts.jit(lambda x, w: ts.einsum(form, x, w))(x, w), np.einsum(form, x, w),
                                   rtol=2e-5, atol=2e-5)
    turned = np.ascontiguousarray(w.transpose(3, 1, 0, 2))
    form = "bthd,dhno->btno"
    np.testing.assert_allclose(ts.jit(lambda x, w: ts.einsum(form, x, w))(x, turned),
                               np.einsum(form, x, turned), rtol=2e-5, atol=2e-5)
