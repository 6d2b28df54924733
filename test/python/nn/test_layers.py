# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Layers against PyTorch's, on one device and split over meshes."""

import numpy as np
import pytest
from conftest import needs_runtime

import tessera as ts
from tessera._src.nn.attention import document_bias

torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
pytestmark = needs_runtime
KEY = ts.random.key(0)
RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 6, 8)).astype(np.float32)
MESHES = {"one": None, "tp2": ts.make_mesh({"tp": 2}), "dp2 x tp2": ts.make_mesh({"dp": 2, "tp": 2})}


def run(module, *args, mesh=None):
    """The result of a module whose weights are drawn, and these by name as torch's tensors."""
    module = module.init(KEY, mesh=mesh)
    state = {name: torch.from_numpy(np.array(w)) for name, w in module.state_dict().items()}
    return np.asarray(ts.jit(lambda m, *args: m(*args), mesh=mesh)(module, *args)), state


@pytest.mark.parametrize("mesh", MESHES.values(), ids=MESHES)
@pytest.mark.parametrize("split", [None, "columns", "rows"])
@pytest.mark.parametrize("bias", [True, False])
def test_linear(split, bias, mesh):
    got, state = run(ts.nn.Linear(8, 6, bias, split=split), X, mesh=mesh)
    wanted = torch.nn.functional.linear(torch.from_numpy(X), state["weight"], state.get("bias"))
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)
    assert list(state) == ["weight", "bias"][: 1 + bias]


def test_parallel_names_of_megatron_are_layouts():
    column, row = ts.nn.ColumnParallelLinear(8, 6), ts.nn.RowParallelLinear(8, 6)
    assert (column.weight.spec, column.bias.spec) == (ts.P("tp", None), ts.P("tp"))
    assert (row.weight.spec, row.bias.spec) == (ts.P(None, "tp"), ts.P(None))
    assert ts.nn.VocabParallelEmbedding(5, 3).weight.spec == ts.P("tp", None)
    assert ts.nn.Linear(8, 6, split="rows", parallel=ts.nn.Parallel(tp="x")).weight.spec == ts.P(None, "x")


@pytest.mark.parametrize("mesh", MESHES.values(), ids=MESHES)
def test_embeddings(mesh):
    ids = RNG.integers(0, 7, (2, 6)).astype(np.int32)
    got, state = run(ts.nn.VocabParallelEmbedding(7, 8), ids, mesh=mesh)
    np.testing.assert_array_equal(got, state["weight"][torch.from_numpy(ids).long()])


def test_normalisations():
    got, state = run(ts.nn.LayerNorm(8), X)
    np.testing.assert_allclose(got, torch.nn.functional.layer_norm(torch.from_numpy(X), (8,)), atol=1e-6)
    assert torch.equal(state["weight"], torch.ones(8)) and torch.equal(state["bias"], torch.zeros(8))
    got, _ = run(ts.nn.RMSNorm(8, 1e-3), X)
    wanted = torch.nn.functional.rms_norm(torch.from_numpy(X), (8,), eps=1e-3)
    np.testing.assert_allclose(got, wanted, atol=1e-6)
    assert list(ts.nn.LayerNorm(8, bias=False).init(KEY).state_dict()) == ["weight"]


def test_dropout_is_for_training():
    drop = ts.nn.Dropout(0.25)
    np.testing.assert_array_equal(drop(X), X)
    kept = np.asarray(drop(np.ones((100, 100), np.float32), KEY))
    assert set(np.unique(kept)) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs((kept == 0).mean() - 0.25) < 0.02


@pytest.mark.parametrize("act, wanted", [("gelu", torch.nn.GELU()), ("gelu_new", torch.nn.GELU("tanh")),
                                         ("relu", torch.nn.ReLU()), ("silu", torch.nn.SiLU())])
def test_mlps(act, wanted):
    f, x = torch.nn.functional, torch.from_numpy(X)
    got, w = run(ts.nn.MLP(8, 5, act), X)
    inner = wanted(f.linear(x, w["up_proj.weight"], w["up_proj.bias"]))
    np.testing.assert_allclose(got, f.linear(inner, w["down_proj.weight"], w["down_proj.bias"]), atol=1e-6)
    got, w = run(ts.nn.GatedMLP(8, 5, act), X)
    inner = wanted(f.linear(x, w["gate_proj.weight"])) * f.linear(x, w["up_proj.weight"])
    np.testing.assert_allclose(got, f.linear(inner, w["down_proj.weight"]), atol=1e-6)


@pytest.mark.parametrize("heads, kv_heads", [(4, 4), (4, 2), (4, 1)])
@pytest.mark.parametrize("causal, window", [(True, None), (True, 2), (False, None)])
def test_attention(heads, kv_heads, causal, window):
    got, w = run(ts.nn.Attention(8, heads, kv_heads, bias=True, causal=causal, window=window), X)
    f, x = torch.nn.functional, torch.from_numpy(X)
    q, k, v = (f.linear(x, w[f"{n}_proj.weight"], w[f"{n}_proj.bias"]).view(2, 6, -1, 2).transpose(1, 2)
               for n in "qkv")
    places = torch.arange(6)
    seen = places[:, None] >= places if causal else torch.ones(6, 6, dtype=torch.bool)
    if window:
        seen = seen & (places > places[:, None] - window)
    mixed = f.scaled_dot_product_attention(q, k, v, seen, enable_gqa=True).transpose(1, 2).reshape(2, 6, 8)
    np.testing.assert_allclose(got, f.linear(mixed, w["o_proj.weight"], w["o_proj.bias"]), atol=2e-6)


@pytest.mark.parametrize("scale", [3e2, 3e4, 1e6])
def test_weights_of_attention_stay_weights_at_extreme_scores(scale):
    """The backward pass may sum a score in another order than the forward pass did: where it then comes out
    above the logarithm of the row's sum, its weight is 1."""
    mesh, random = ts.make_mesh({"tp": 1}), np.random.default_rng(7)

    def weights(q, k, v, ct):
        return ts.vjp(lambda v: ts.nn.attention(q, k, v), v)[1](ct)[0]

    compiled = ts.jit(weights, mesh=mesh)
    for _ in range(10):
        q, k, v = (random.standard_normal((1, n, 1, 64), dtype=np.float32) for n in (1, 8, 8))
        got = np.asarray(compiled(q * np.float32(scale), k, v, np.ones_like(q)))
        assert got.min() >= 0 and got.max() <= 1


@pytest.mark.parametrize("make, message", [
    (lambda: ts.nn.Linear(3, 5, split="column"), "TS4007.*\n.*got: 'column'"),
    (lambda: ts.nn.Linear(3, 5, dtype=ts.i32), "TS4012.*nn.Linear.*\n.*got: i32"),
    (lambda: ts.nn.Dropout(1.0), "TS4012.*Dropout"),
    (lambda: ts.nn.Attention(10, 4), "TS4001.*dim=10 is not divisible by num_heads=4"),
    (lambda: ts.nn.Attention(8, 4, 3), "TS4001.*num_heads=4.*num_kv_heads=3"),
    (lambda: ts.nn.Attention(8, 4, window=0), "TS4012.*window of 0"),
    (lambda: ts.nn.Attention(8, 4, window=2, causal=False), "TS4012.*causal"),
    (lambda: ts.nn.MLP(3, 5, "gelu2"), "TS4008.*'gelu2'"),
    (lambda: ts.nn.Stack(ts.nn.LayerNorm(3), 0), "TS4012.*0 layers"),
    (lambda: ts.nn.Rotary(4, scaling=(("rope_type", "yarn"),)).frequencies(), "TS4008.*'yarn'"),
])
def test_bad_settings_are_early_errors(make, message):
    with pytest.raises(ts.ConfigError, match="(?s)" + message):
        make()


def test_a_cache_is_of_causal_attention():
    cache = ts.nn.KVCache(np.zeros((2, 9, 2, 4), np.float32), np.zeros((2, 9, 2, 4), np.float32), np.int32(0))
    with pytest.raises(ts.ConfigError, match="TS4012.*not causal has a cache"):
        ts.nn.Attention(8, 2, causal=False).init(KEY)(X, cache=cache)


def test_positions_may_be_given():
    rotary = ts.nn.Rotary(4)
    module = ts.nn.Attention(8, 2, rotary=rotary).init(KEY)
    whole = np.asarray(module(X))
    np.testing.assert_array_equal(module(X, positions=np.arange(6, dtype=np.int32)), whole)
    # Scores depend on differences of positions.
    moved = np.broadcast_to(np.arange(6, dtype=np.int32) + 3, (2, 6))
    np.testing.assert_allclose(module(X, positions=moved), whole, atol=1e-5)
    turned = np.asarray(module(X, positions=np.arange(6, dtype=np.int32) * 2))
    assert np.abs(turned - whole).max() > 1e-4


AROUND = {"around it": lambda f, x, p: ts.grad(lambda x: loss_of(f, x, p))(x),
          "a scan": lambda f, x, p: ts.grad(lambda x: ts.scan(
              lambda c, _: (c + loss_of(f, x, p), None), 0.0, None, length=1)[0])(x),
          "a recomputation": lambda f, x, p: ts.grad(ts.checkpoint(lambda x: loss_of(f, x, p)))(x),
          "both": lambda f, x, p: ts.grad(lambda x: ts.scan(ts.checkpoint(
              lambda c, _: (c + loss_of(f, x, p), None)), 0.0, None, length=1)[0])(x)}


def loss_of(function, x, positions):
    turned = function(x, positions)
    return (turned * turned * turned).sum()


@pytest.mark.parametrize("is_compiled", [True, False], ids=["compiled", "eager"])
@pytest.mark.parametrize("place", AROUND)
@pytest.mark.parametrize("shape", [(6,), (2, 6)], ids=["positions", "of each row"])
def test_gradients_of_rotary_positions_from_anywhere(shape, place, is_compiled):
    rotary = ts.nn.Rotary(4)
    x = RNG.standard_normal((2, 6, 3, 4)).astype(np.float32)
    positions = RNG.integers(0, 9, shape).astype(np.int32)
    given = torch.from_numpy(x).requires_grad_()
    angles = torch.from_numpy(positions)[..., None] * torch.tensor(rotary.frequencies())
    cos, sin = (f(torch.cat([angles, angles], -1))[..., None, :] for f in (torch.cos, torch.sin))
    turned = given * cos + torch.cat([-given[..., 2:], given[..., :2]], -1) * sin
    (turned**3).sum().backward()
    function = AROUND[place]
    got = ts.jit(lambda x, p: function(rotary, x, p))(x, positions) if is_compiled else function(
        rotary, x, positions)
    np.testing.assert_allclose(got, given.grad, rtol=1e-5, atol=1e-5)


def test_layers_take_values_from_around_what_is_differentiated():
    attention = ts.nn.Attention(8, 2, rotary=ts.nn.Rotary(4), window=3).init(KEY)
    segments = np.array([[1] * 6, [1] * 2 + [2] * 4], np.int32)
    positions = np.array([[*range(6)], [0, 1, *range(4)]], np.int32)

    def loss(m, x, positions, segments):
        return (m(x, positions=positions, bias=document_bias(segments, ts.f32)) ** 2).sum()

    wanted = ts.jit(ts.grad(loss))(attention, X, positions, segments)
    got = ts.jit(lambda m, *rest: ts.grad(lambda m: loss(m, *rest))(m))(attention, X, positions, segments)
    for one, other in zip(ts.tree.leaves(got), ts.tree.leaves(wanted)):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
