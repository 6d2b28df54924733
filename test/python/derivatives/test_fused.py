# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Losses and derivatives that are computed at once: their kernels, their memory, what they communicate."""

import re
from collections import Counter

import numpy as np
import pytest
from conftest import needs_compiler

import tessera as ts

pytestmark = needs_compiler

RNG = np.random.default_rng(7)
ROWS, CLASSES = 6, 11
LOGITS = RNG.standard_normal((ROWS, CLASSES)) * 3
LABELS = np.array([3, 0, 10, 3, 7, 1])


def loss_of(logits, labels, **options):
    return ts.nn.softmax_cross_entropy(logits, labels, **options)


def launches(function, *args, **options):
    """The types of what each kernel of a compiled function gives."""
    text = ts.jit(function, **options).lower(*args).as_text("kernels")
    return re.findall(r"tile\.launch @\w+\(.*\) -> (.*)", text)


def collectives(function, mesh, layouts, *args):
    """How often (kind, axes, local shape) happens."""
    rows = ts.jit(function, mesh=ts.make_mesh(mesh), in_shardings=layouts).lower(*args).collectives()
    found = Counter()
    for row in rows:
        found[row["kind"], row["axes"], tuple(row["shape"])] += row["count"]
    return found


def torch_losses(logits, labels, **options):
    """Losses and the gradient of their weighted sum, by PyTorch."""
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    x = torch.tensor(logits, requires_grad=True)
    losses = torch.nn.functional.cross_entropy(x, torch.tensor(labels), **options)
    (losses * torch.arange(1, 1 + losses.numel(), dtype=x.dtype).reshape(losses.shape)).sum().backward()
    return losses.detach().numpy(), x.grad.numpy()


OPTIONS = {
    "plain": {}, "smooth": {"label_smoothing": 0.1}, "only the mean": {"label_smoothing": 1.0},
    "ignored class": {"ignore_index": 3}, "ignored, smooth": {"ignore_index": 3, "label_smoothing": 0.3},
}


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_losses_and_gradients_are_those_of_pytorch(dtype, options, reduction):
    logits, options = LOGITS.astype(dtype), {**options, "reduction": reduction}
    wanted, slope = torch_losses(logits, LABELS, **options)
    value, pull = ts.vjp(lambda x: loss_of(x, LABELS, **options), logits)
    weights = np.arange(1, 1 + wanted.size, dtype=dtype).reshape(wanted.shape)
    bound = 1e-13 if dtype == np.float64 else 2e-6
    np.testing.assert_allclose(np.asarray(value), wanted, rtol=bound, atol=bound)
    np.testing.assert_allclose(np.asarray(pull(weights)[0]), slope, rtol=bound, atol=bound)


@pytest.mark.parametrize("device", ["cpu", "emulated"])
def test_the_squared_log_sum_exp_is_added(device):
    x = LOGITS.astype(np.float32)
    got = ts.jit(lambda x: loss_of(x, LABELS, z_loss=0.25) - loss_of(x, LABELS), device=device)(x)
    total = np.log(np.exp(LOGITS).sum(-1))
    np.testing.assert_allclose(np.asarray(got), 0.25 * total**2, rtol=2e-5)


@pytest.mark.parametrize("device", ["cpu", "emulated"])
@pytest.mark.parametrize("classes", [7, 9001, 40001])
def test_large_logits_and_long_rows_lose_no_digits(classes, device):
    """The loss is small beside the logits; rows longer than a block are visited in chunks."""
    x = np.full((2, classes), -1e4, np.float32)
    x[0, [0, classes - 1]] = 30000, 29999
    x[1, [classes // 2, 1]] = 20001, 20000
    labels = np.array([0, 1])
    got = ts.jit(lambda x, y: loss_of(x, y), device=device)(x, labels)
    np.testing.assert_allclose(np.asarray(got), [np.log1p(np.exp(-1)), 1 + np.log1p(np.exp(-1))], rtol=1e-6)


def test_losses_of_narrow_logits_are_wide():
    x = LOGITS.astype(ts.bf16)
    value, pull = ts.vjp(lambda x: loss_of(x, LABELS), x)
    wanted, _ = torch_losses(np.asarray(x).astype(np.float32), LABELS, reduction="none")
    assert np.asarray(value).dtype == np.float32
    np.testing.assert_allclose(np.asarray(value), wanted, rtol=2e-6, atol=2e-6)
    assert np.asarray(pull(np.ones(ROWS, np.float32))[0]).dtype == ts.bf16


def test_labels_that_are_no_class():
    for wrong in (11, -1):
        known = np.array([3, 0, wrong, 3, 7, -100])
        with pytest.raises(ts.ShapeError, match=f"index {wrong} is out of range"):
            ts.jit(lambda x: loss_of(x, known, ignore_index=-100)).lower(LOGITS)  # noqa: B023
    # Where they are traced, the loss shows it, and the row has no gradient.
    labels = np.array([3, 0, 11, -1, 7, -100])
    value, slope = ts.jit(lambda x, y: (loss_of(x, y, ignore_index=-100), ts.grad(
        lambda x: ts.sum(loss_of(x, y, ignore_index=-100)))(x)))(LOGITS, labels)
    assert np.isnan(np.asarray(value)).tolist() == [False, False, True, True, False, False]
    assert np.asarray(value)[5] == 0
    np.testing.assert_array_equal(np.asarray(slope)[[2, 3, 5]], 0)


def test_an_ignored_row_may_hold_anything():
    x = LOGITS.copy()
    x[1], x[4] = np.nan, -np.inf
    labels = np.where(np.isin(np.arange(ROWS), [1, 4]), -100, LABELS)
    wanted = ts.grad(lambda x: loss_of(x, labels, ignore_index=-100, reduction="mean"))(x)
    np.testing.assert_array_equal(np.asarray(wanted)[[1, 4]], 0)
    assert np.isfinite(np.asarray(wanted)).all()


def test_wrong_arguments_say_what_would_do():
    for call, said in [
        (lambda: loss_of(LOGITS, LABELS[:3]), "a label for each row of logits"),
        (lambda: loss_of(LOGITS, LOGITS), "a label for each row of logits"),
        (lambda: loss_of(LOGITS, LOGITS[:, 0]), "indices are integers"),
        (lambda: loss_of(LOGITS, LABELS, label_smoothing=1.5), "label_smoothing is out of range"),
        (lambda: loss_of(LOGITS, LABELS, z_loss=-1), "z_loss is out of range"),
        (lambda: loss_of(LOGITS, LABELS, ignore_index=0.5), "ignore_index is a Python integer"),
        (lambda: loss_of(LOGITS, LABELS, reduction="batch"), "unknown reduction 'batch'"),
        (lambda: ts.nn.dropout(LOGITS, 1.5, ts.random.key(0)), "rate is out of range"),
        (lambda: ts.nn.cross_entropy, "softmax_cross_entropy"),
    ]:
        with pytest.raises((ts.ShapeError, ts.TraceError, AttributeError), match=said):
            call()


# -- kernels and memory --------------------------------------------------------------------------


def test_a_loss_is_one_kernel_and_its_gradient_another():
    x, labels, g = LOGITS.astype(np.float32), LABELS, np.ones(ROWS, np.float32)
    options = {"label_smoothing": 0.1, "z_loss": 0.01, "ignore_index": 3}
    assert len(launches(lambda x, y: loss_of(x, y, **options), x, labels)) == 1

    def both(x, y, g):
        value, pull = ts.vjp(lambda x: loss_of(x, y, **options), x)
        return value, pull(g)

    row, whole = f"tensor<{ROWS}xf32>", f"tensor<{ROWS}x{CLASSES}xf32>"
    assert launches(both, x, labels, g) == [f"({row}, {row})", whole]


@pytest.mark.parametrize("dtype", [np.float32, ts.bf16])
def test_one_array_of_the_logits_size_is_live(dtype):
    """The gradient of the logits is written over them, with a row of the head's own operands beside it."""
    rows, width, classes = 64, 8, 4096
    x, w = np.ones((rows, width), dtype), np.ones((width, classes), dtype)
    labels = np.zeros(rows, np.int32)

    def loss(x, w, labels):
        return loss_of(x @ w, labels, label_smoothing=0.1, z_loss=0.01, reduction="mean")

    report = ts.jit(ts.value_and_grad(loss, (0, 1))).lower(x, w, labels).compile().report
    logits = rows * classes * np.dtype(dtype).itemsize
    assert logits <= report["arenaBytes"] < 1.25 * logits


@pytest.mark.parametrize("dtype", ["f32", "bf16"])
@pytest.mark.parametrize("name", ["layer_norm", "rms_norm"])
def test_a_norm_has_one_kernel_for_its_input_and_one_for_its_weights(name, dtype):
    """Nothing is stored in a wider type, though all is computed in f32."""
    x, s = (RNG.standard_normal(n).astype(getattr(ts, dtype)) for n in ((64, 96), (96,)))
    weights = (s, s) if name == "layer_norm" else (s,)

    def norm(x, *weights):
        return getattr(ts.nn, name)(x, *weights)

    def backward(x, weights, g):
        return ts.vjp(norm, x, *weights)[1](g)

    whole, column = f"tensor<64x96x{dtype}>", f"tensor<96x{dtype}>"
    made = launches(backward, x, weights, x)
    assert made.count(whole) == 1
    assert made.count(f"({column}, {column})" if len(weights) == 2 else column) == 1
    # All else is of one number a row: nothing normalised is stored.
    rest = {kind for made_kind in made for kind in re.findall(r"tensor<[^>]*>", made_kind)} - {whole, column}
    assert rest == {"tensor<64xf32>"}
    # Without weights it needs no such numbers.
    alone = launches(lambda x, g: ts.vjp(lambda x: norm(x, *weights), x)[1](g), x, x)
    assert alone == [whole]


def test_the_gradient_of_an_embedding_is_one_scatter():
    table, tokens = np.ones((13, 8), np.float32), np.array([[1, 2, 1], [0, 12, 2]])
    g = RNG.standard_normal((2, 3, 8)).astype(np.float32)

    def backward(table, tokens, g):
        return ts.vjp(lambda table: ts.nn.embedding(table, tokens), table)[1](g)[0]

    assert launches(backward, table, tokens, g) == ["tensor<13x8xf32>"]
    wanted = np.zeros_like(table)
    np.add.at(wanted, tokens, g)
    np.testing.assert_allclose(np.asarray(ts.jit(backward)(table, tokens, g)), wanted, rtol=1e-6)


# -- dropout -------------------------------------------------------------------------------------


def test_dropout_keeps_a_part_and_the_mean():
    x, key = np.full((200, 300), 2.0, np.float32), ts.random.key(5)
    got = np.asarray(ts.nn.dropout(x, 0.25, key))
    assert set(np.unique(got)) == {0, np.float32(2 / 0.75)}
    assert abs((got == 0).mean() - 0.25) < 0.01
    np.testing.assert_array_equal(got, np.asarray(ts.nn.dropout(x, 0.25, key)))
    assert (got != np.asarray(ts.nn.dropout(x, 0.25, ts.random.key(6)))).any()
    np.testing.assert_array_equal(np.asarray(ts.nn.dropout(x, 0.0, key)), x)
    np.testing.assert_array_equal(np.asarray(ts.nn.dropout(x, 1.0, key)), 0)
    rows = np.asarray(ts.nn.dropout(x, 0.25, key, broadcast_dims=(1,)))
    assert (rows == rows[:, :1]).all() and set(np.unique(rows)) == {0, np.float32(2 / 0.75)}


def test_dropout_does_not_depend_on_the_mesh():
    x, key = RNG.standard_normal((6, 10)).astype(np.float32), ts.random.key(5)
    split = ts.jit(lambda x: ts.nn.dropout(x, 0.5, key), mesh=ts.make_mesh({"a": 2, "b": 2}),
                   in_shardings=ts.P("a", "b"))
    np.testing.assert_array_equal(np.asarray(split(x)), np.asarray(ts.nn.dropout(x, 0.5, key)))


def test_dropout_keeps_no_mask():
    """A backward pass has the key alone, and makes the mask inside the kernel that applies it."""
    x, g, key = np.ones((8, 16), np.float32), np.ones((8, 16), np.float32), ts.random.key(1)

    def both(x, g, key):
        value, pull = ts.vjp(lambda x: ts.nn.dropout(x, 0.5, key), x)
        return value, pull(g)[0]

    got = [np.asarray(a) for a in ts.jit(both)(x, g, key)]
    np.testing.assert_array_equal(got[0], got[1])
    assert launches(both, x, g, key) == ["tensor<8x16xf32>", "tensor<8x16xf32>"]


# -- meshes --------------------------------------------------------------------------------------

MESHES = {"tp2": {"tp": 2}, "tp4": {"tp": 4}, "dp2 x tp2": {"dp": 2, "tp": 2}}
TOKENS, VOCABULARY = 64, 4098


def _spec(mesh, *dims):
    return ts.P(*[axis if axis in mesh else None for axis in dims])


@pytest.mark.parametrize("mesh", MESHES)
def test_a_split_vocabulary_exchanges_numbers_of_tokens(mesh):
    """Largest logit, sum of exponentials and the label's logit; backward, nothing."""
    mesh = MESHES[mesh]
    x = RNG.standard_normal((TOKENS, VOCABULARY)).astype(np.float32)
    labels, g = RNG.integers(0, VOCABULARY, TOKENS), RNG.standard_normal(TOKENS).astype(np.float32)
    options = {"label_smoothing": 0.1, "z_loss": 0.01}

    def both(x, labels, g):
        value, pull = ts.vjp(lambda x: loss_of(x, labels, **options), x)
        return value, pull(g)[0]

    layouts = {"x": _spec(mesh, "dp", "tp"), "labels": _spec(mesh, "dp"), "g": _spec(mesh, "dp")}
    found = collectives(both, mesh, layouts, x, labels, g)
    tokens = TOKENS // mesh.get("dp", 1)
    assert {key for key in found} == {("all_reduce", "tp", (tokens,))}
    assert found.total() == 3
    compiled = ts.jit(both, mesh=ts.make_mesh(mesh), in_shardings=layouts)
    for got, want in zip(compiled(x, labels, g), ts.jit(both)(x, labels, g), strict=True):
        np.testing.assert_allclose(np.asarray(got), np.asarray(want), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("mesh", MESHES)
def test_the_head_and_loss_of_a_split_vocabulary(mesh):
    """Beside numbers of tokens there is the cotangent of what the head reads, parts of which devices have."""
    mesh, width = MESHES[mesh], 32
    x = RNG.standard_normal((TOKENS, width)).astype(np.float32)
    w = RNG.standard_normal((width, VOCABULARY)).astype(np.float32)
    labels = RNG.integers(0, VOCABULARY, TOKENS)

    def pulled(x, w, labels):
        return ts.value_and_grad(lambda x, w: loss_of(x @ w, labels, reduction="sum"), (0, 1))(x, w)

    layouts = {"x": _spec(mesh, "dp"), "w": _spec(mesh, None, "tp"), "labels": _spec(mesh, "dp")}
    found = collectives(pulled, mesh, layouts, x, w, labels)
    tokens = TOKENS // mesh.get("dp", 1)
    over = {key: n for key, n in found.items() if "tp" in key[1]}
    assert over == {("all_reduce", "tp", (tokens,)): 3, ("all_reduce", "tp", (tokens, width)): 1}


SPLIT = {
    "softmax": lambda x: ts.nn.softmax(x), "log_softmax": lambda x: ts.nn.log_softmax(x),
    "logsumexp": lambda x: ts.logsumexp(x, -1),
    "layer_norm": lambda x: ts.nn.layer_norm(x), "rms_norm": lambda x: ts.nn.rms_norm(x),
    "cross entropy": lambda x: loss_of(x, np.arange(TOKENS)),
}


@pytest.mark.parametrize("name", SPLIT)
@pytest.mark.parametrize("axes", [1, 2])
def test_a_split_row_is_gathered_nowhere(name, axes):
    """Neither in the function nor in its derivative, on tp=2 and on 2x2."""
    mesh = {"tp": 2} if axes == 1 else {"dp": 2, "tp": 2}
    x = RNG.standard_normal((TOKENS, VOCABULARY)).astype(np.float32)

    def both(x):
        value, pull = ts.vjp(SPLIT[name], x)
        return value, pull(ts.sin(value))[0]

    layouts = {"x": _spec(mesh, "dp", "tp")}
    found = collectives(both, mesh, layouts, x)
    rows = TOKENS // mesh.get("dp", 1)
    assert {(key[0], int(np.prod(key[2]))) for key in found} == {("all_reduce", rows)}
    compiled = ts.jit(both, mesh=ts.make_mesh(mesh), in_shardings=layouts)
    for got, want in zip(compiled(x), ts.jit(both)(x), strict=True):
        np.testing.assert_allclose(np.asarray(got), np.asarray(want), rtol=1e-4, atol=1e-5)
