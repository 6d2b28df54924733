# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs as a new user writes them, on meshes that split sizes unevenly, against NumPy and PyTorch."""

import dataclasses
from typing import NamedTuple

import numpy as np
import pytest

import tessera as ts
from conftest import needs_runtime

pytestmark = needs_runtime
RNG = np.random.default_rng(17)
ONE = ts.make_mesh({"one": 1})
FOUR = ts.make_mesh([("dp", 2), ("tp", 2)])
THREE = ts.make_mesh((3,), ("tp",))
P = ts.P


def draw(*shape):
    return RNG.standard_normal(shape, dtype=np.float32)


def near(got, want, tolerance=2e-5):
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape
    np.testing.assert_allclose(got.astype(np.float64), want.astype(np.float64), rtol=tolerance,
                               atol=tolerance)


def test_annotated_mlp_of_uneven_sizes():
    @ts.jit(mesh=FOUR)
    def mlp(x: ts.MeshTensor["B", "D", P("dp")], up: ts.MeshTensor["D", "H", P(None, "tp")],
            bias: ts.MeshTensor["H"], down: ts.MeshTensor["H", "D"]) -> ts.MeshTensor["B", "D", ts.f32]:
        return ts.relu(x @ up + bias) @ down + x

    x, up, bias, down = draw(5, 7), draw(7, 11), draw(11), draw(11, 7)
    near(mlp(x, up, bias, down), np.maximum(x @ up + bias, 0) @ down + x)


@pytest.mark.parametrize("mesh, specs", [
    (ONE, None), (FOUR, (P("dp"), P(None, "tp"), None, None)), (THREE, (None, P(None, "tp"), None, None)),
    (FOUR, (P(None, "tp"), None, None, None)),
], ids=["whole", "batch and heads", "three heads", "positions"])
def test_causal_attention_by_hand(mesh, specs):
    torch = pytest.importorskip("torch")

    def attention(x, wq, wk, wv):
        batch, length, width = x.shape

        def heads(w):
            return (x @ w).reshape(batch, length, 3, -1).transpose(0, 2, 1, 3)

        q, k, v = heads(wq), heads(wk), heads(wv)
        scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
        scores = ts.where(ts.tril(ts.ones((length, length), ts.bool_)), scores, -np.inf)
        return (ts.softmax(scores) @ v).transpose(0, 2, 1, 3).reshape(batch, length, width)

    x, *weights = draw(3, 5, 12), draw(12, 12), draw(12, 12), draw(12, 12)
    got = ts.jit(attention, mesh=mesh, in_shardings=specs)(x, *weights)
    heads = [torch.from_numpy(x @ w).reshape(3, 5, 3, 4).transpose(1, 2) for w in weights]
    want = torch.nn.functional.scaled_dot_product_attention(*heads, is_causal=True)
    near(got, want.transpose(1, 2).reshape(3, 5, 12))


def rotate(lib, x, cos, sin):
    """Rotary positions by halves of the last dimension."""
    half = x.shape[-1] // 2
    low, high = x[..., :half], x[..., half:]
    return lib.concatenate([low * cos - high * sin, high * cos + low * sin], axis=-1)


def decoder_layer(p, x):
    """RMSNorm, grouped attention with rotary positions, RMSNorm, gated MLP."""
    batch, length, _ = x.shape
    h = ts.rms_norm(x, p["norm1"])
    angles = ts.arange(length, dtype=ts.f32)[:, None] / 10000.0 ** (ts.arange(0, 6, 2, dtype=ts.f32) / 6)
    cos, sin = ts.cos(angles)[None, :, None], ts.sin(angles)[None, :, None]
    q = rotate(ts, (h @ p["q"]).reshape(batch, length, 4, 6), cos, sin)
    k = rotate(ts, (h @ p["k"]).reshape(batch, length, 2, 6), cos, sin)
    v = (h @ p["v"]).reshape(batch, length, 2, 6)
    x = x + ts.attention(q, k, v, causal=True).reshape(batch, length, 24) @ p["o"]
    h = ts.rms_norm(x, p["norm2"])
    return x + (ts.silu(h @ p["gate"]) * (h @ p["up"])) @ p["down"]


def decoder_layer_by_numpy(p, x):
    def norm(x, scale):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6) * scale

    batch, length, _ = x.shape
    h = norm(x, p["norm1"])
    angles = np.arange(length)[:, None] / 10000.0 ** (np.arange(0, 6, 2) / 6)
    cos, sin = np.cos(angles)[None, :, None], np.sin(angles)[None, :, None]
    q = rotate(np, (h @ p["q"]).reshape(batch, length, 4, 6), cos, sin)
    k = np.repeat(rotate(np, (h @ p["k"]).reshape(batch, length, 2, 6), cos, sin), 2, axis=2)
    v = np.repeat((h @ p["v"]).reshape(batch, length, 2, 6), 2, axis=2)
    scores = np.einsum("bshd,bthd->bhst", q, k) / np.sqrt(6)
    scores = np.exp(np.where(np.tril(np.ones((length, length), bool)), scores, -np.inf))
    mixed = np.einsum("bhst,bthd->bshd", scores / scores.sum(-1, keepdims=True), v)
    x = x + mixed.reshape(batch, length, 24) @ p["o"]
    h = norm(x, p["norm2"])
    gate = h @ p["gate"]
    return x + (gate / (1 + np.exp(-gate)) * (h @ p["up"])) @ p["down"]


@pytest.mark.parametrize("mesh, x_spec", [(ONE, None), (FOUR, P("dp")), (THREE, None)], ids=str)
def test_decoder_layer_with_rotary_positions(mesh, x_spec):
    sizes = {"norm1": (10,), "norm2": (10,), "q": (10, 24), "k": (10, 12), "v": (10, 12), "o": (24, 10),
             "gate": (10, 14), "up": (10, 14), "down": (14, 10)}
    params = {name: draw(*shape) * np.float32(0.3) for name, shape in sizes.items()}
    x = draw(3, 5, 10)
    specs = {name: P(None, "tp") for name in ("q", "gate")} if "tp" in mesh.shape else None
    got = ts.jit(decoder_layer, mesh=mesh, in_shardings=(specs, x_spec))(params, x)
    near(got, decoder_layer_by_numpy(params, x), 1e-4)


def test_trees_go_in_and_come_out():
    class Pair(NamedTuple):
        first: object
        second: object

    @ts.tree.register_dataclass
    @dataclasses.dataclass
    class State:
        weight: object
        rest: object = None

    def f(inputs, items):
        state, factor = inputs["y"]
        return Pair(inputs["x"] + items[0], {"list": [state.weight * factor, (inputs["x"],)],
                                              "state": State(items[1])})

    x = draw(2, 3)
    result = ts.jit(f, mesh=FOUR, in_shardings=({"x": P("dp", "tp")}, None))(
        {"x": x, "y": (State(x + 1), 2.0)}, [x, x * 3])
    near(result.first, 2 * x)
    near(result.second["list"][0], 2 * (x + 1))
    near(result.second["list"][1][0], x)
    assert isinstance(result.second["state"], State) and result.second["state"].rest is None
    near(result.second["state"].weight, 3 * x)


@pytest.mark.parametrize("result, want", [
    (None, None), ([], []), (3, np.int32(3)), ({"a": 1.5}, {"a": np.float32(1.5)}),
    ((np.arange(3), None), (np.arange(3), None)),
], ids=str)
def test_results_that_depend_on_no_argument(result, want):
    got, structure = ts.tree.flatten(ts.jit(lambda: result)())
    expected, wanted_structure = ts.tree.flatten(want)
    assert structure == wanted_structure
    for a, b in zip(got, expected):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype


@pytest.mark.parametrize("dtype", [ts.f64, ts.f32, ts.f16, ts.bf16, ts.i64, ts.i32, ts.bool_], ids=str)
def test_element_types_stay_what_they_are(dtype):
    x = (draw(3, 5) * 4).astype(dtype)
    f = ts.jit(lambda x: (x, x * x, x[::-1], ts.max(x, axis=0), ts.where(x > 0, x, x * x), x.T),
               mesh=ts.make_mesh({"tp": 2}), in_shardings=P("tp"))
    wide = x.astype(np.float64)
    product = x if dtype == ts.bool_ else wide * wide
    want = (wide, product, wide[::-1], wide.max(0), np.where(wide > 0, wide, product), wide.T)
    for got, expected in zip(f(x), want):
        assert got.dtype == dtype
        near(got, expected, {ts.f16: 2e-3, ts.bf16: 2e-2}.get(dtype, 1e-6))


def test_tensors_of_torch_go_in_and_come_out():
    torch = pytest.importorskip("torch")
    x, y = torch.randn(3, 4), torch.randn(4, 5).to(torch.bfloat16)
    f = ts.jit(lambda x, y: x @ y.astype(ts.f32))
    want = x @ y.float()
    for args in ((x, y), (ts.from_dlpack(x), ts.from_dlpack(y)), (x.T.contiguous().T, y)):
        near(torch.from_dlpack(f(*args)), want)
    compiled = f.lower(x, y).compile()
    near(compiled(x, y), want)
    with pytest.raises(ts.TraceError, match="from_dlpack"):
        f(x.requires_grad_(), y)


def test_arrays_of_jax_go_in_and_come_out():
    jnp = pytest.importorskip("jax.numpy")
    x, y = jnp.arange(12.0).reshape(3, 4), jnp.ones((4, 5), jnp.bfloat16)
    f = ts.jit(lambda x, y: x @ y.astype(ts.f32))
    for args in ((x, y), (ts.from_dlpack(x), ts.from_dlpack(y))):
        near(jnp.from_dlpack(f(*args)), np.asarray(x) @ np.ones((4, 5)))


def test_tensors_without_dimensions_keep_their_shape():
    torch = pytest.importorskip("torch")
    for value in (torch.tensor(2.5), np.float32(2.5), np.array(2.5, np.float32)):
        array = ts.from_dlpack(value) if not isinstance(value, np.float32) else ts.asarray(value)
        assert array.shape == ()
        assert ts.jit(lambda x: x * 2)(array).shape == ()


def test_numbers_are_arguments_and_results():
    f = ts.jit(lambda x, a: x * a + 1)
    x = draw(3)
    for a in (2, 2.5, True, np.float32(2), np.int64(2), ts.array(2.0)):
        near(f(x, a), x * float(a) + 1)
    total = ts.jit(lambda a, b: a + b)(1, 2)
    assert int(total) == 3 and total.dtype == ts.i32 and total.shape == ()


@pytest.mark.parametrize("shape, spec", [((1, 1), P("dp", "tp")), ((1, 5), P("dp")), ((2, 1), P("tp", "dp")),
                                         ((3, 2), P(("dp", "tp")))], ids=str)
def test_dimensions_of_fewer_elements_than_devices(shape, spec):
    x = draw(*shape)
    f = ts.jit(lambda x: (x @ x.T, x.sum(0), ts.softmax(x), (x + x).squeeze()), mesh=FOUR, in_shardings=spec)
    exp = np.exp(x - x.max(-1, keepdims=True))
    for got, want in zip(f(x), (x @ x.T, x.sum(0), exp / exp.sum(-1, keepdims=True), (x + x).squeeze())):
        near(got, want)


@pytest.mark.parametrize("spec", [P(), P("dp", "tp"), P(("dp", "tp")), P(None, "dp"),
                                  P(ts.UNCONSTRAINED, "tp")], ids=str)
def test_constraints_change_layouts_and_no_values(spec):
    x, w = draw(5, 3), draw(3, 7)
    f = ts.jit(lambda x, w: ts.with_sharding_constraint(x @ w, spec).sum(1), mesh=FOUR,
               in_shardings=(P("tp"), None))
    near(f(x, w), (x @ w).sum(1))
    sharding = ts.NamedSharding(FOUR, spec)
    near(ts.jit(lambda x: ts.with_sharding_constraint(x, sharding), mesh=FOUR)(x), x)


def test_dropout_is_the_same_on_every_mesh():
    def f(key, x):
        mask_key, noise_key = ts.random.split(key)
        kept = ts.random.uniform(mask_key, x.shape) < 0.5
        return ts.where(kept, x * 2, 0), ts.random.normal(noise_key, x.shape)

    x, key = draw(5, 6), ts.random.key(3)
    whole = ts.jit(f)(key, x)
    split = ts.jit(f, mesh=FOUR, in_shardings=(None, P("dp", "tp")))(key, x)
    for a, b in zip(whole, split):
        np.testing.assert_array_equal(a, b)
    kept = np.asarray(whole[0]) != 0
    assert 5 < kept.sum() < 25
    np.testing.assert_array_equal(np.asarray(whole[0])[kept], (x * 2)[kept])


def test_a_key_is_folded_with_numbers_into_other_keys():
    def keys(key, step):
        return ts.stack([ts.random.fold_in(key, n) for n in (0, 1, 2)] + [ts.random.fold_in(key, step)])

    got = np.asarray(ts.jit(keys, mesh=FOUR)(ts.random.key(3), 2))
    np.testing.assert_array_equal(got[2], got[3])
    others = np.asarray(ts.jit(keys)(ts.random.key(1), 7))
    split = np.asarray(ts.jit(lambda k: ts.random.split(k, 4))(ts.random.key(3)))
    assert len({tuple(row) for row in (*got, *others, *split)}) == 3 + 4 + 4


def test_positions_from_a_mask_of_padded_tokens():
    mask = (np.arange(6) < np.array([[6], [3], [1]])).astype(np.int32)
    f = ts.jit(lambda mask: ts.cumsum(mask, axis=1) * mask, mesh=FOUR, in_shardings=P("dp", "tp"))
    np.testing.assert_array_equal(f(mask), np.cumsum(mask, 1) * mask)


@pytest.mark.parametrize("target", ["cpu", "cpu:x86-64-v3", "cuda:sm_80", "emulated", "emulated:sm_100a"])
def test_every_stage_is_text(target):
    lowered = ts.jit(lambda x, w: ts.gelu(x @ w), mesh=FOUR, target=target,
                     in_shardings=(P("dp", "tp"), P("tp"))).lower(draw(5, 6), draw(6, 7))
    found = {"tessera": "tessera.contract", "layouts": "{tp}", "reshards": "tessera.reshard",
             "local": "dist.all_reduce", "kernels": "tile.kernel", "plan": "plan."}
    found |= {"llvm": "llvm."} if target.startswith("cpu") else {"nvvm": "nvvm.", "ptx": ".visible .entry"}
    for stage, part in found.items():
        text = lowered.as_text(stage)
        assert part in text and "loc(" not in text, stage
    assert [row["kind"] for row in lowered.collectives()] == ["all_reduce"]
    assert lowered.cost()["flops"] >= 2 * 3 * 3 * 7
    assert "all_reduce over tp of 3x7 f32" in lowered.explain()


def test_emulated_chips_run():
    x = draw(4, 6)
    for chip in ("sm_80", "sm_100a"):
        near(ts.jit(lambda x: x @ x.T, device="emulated", target=f"emulated:{chip}")(x), x @ x.T)


def test_the_interpreter_takes_what_the_program_takes():
    x = draw(4, 6)
    lowered = ts.jit(lambda x: x.sum(1)).lower(x)
    near(lowered.interpret(x), x.sum(1))
    with pytest.raises(ts.ConfigError, match="another shape"):
        lowered.interpret(x.T)
