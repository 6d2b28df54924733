# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""ts.optim.AdamW and SGD do what those of PyTorch do."""

import functools

import numpy as np
import pytest
from conftest import needs_runtime
from optim_cases import draw, off, torch_trained, trained

import tessera as ts

torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
pytestmark = needs_runtime

STEPS = 50
KINDS = [(np.float64, 1e-13), (np.float32, 1e-6)]
in_both_types = pytest.mark.parametrize("dtype, tolerance", KINDS, ids=["f64", "f32"])
ADAMW = {
    "defaults": {},
    "large decay": dict(lr=0.02, betas=(0.9, 0.95), weight_decay=0.3),
    "no decay": dict(lr=0.01, weight_decay=0.0, eps=1e-3),
    "small betas": dict(lr=0.01, betas=(0.3, 0.5)),
    "betas of zero": dict(lr=0.01, betas=(0.0, 0.0), eps=0.1),
}
SGD = {
    "plain": dict(lr=0.1),
    "decay": dict(lr=0.1, weight_decay=0.2),
    "momentum": dict(lr=0.05, momentum=0.9, weight_decay=0.01),
    "dampening": dict(lr=0.05, momentum=0.8, dampening=0.3),
    "nesterov": dict(lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.1),
}


@in_both_types
@pytest.mark.parametrize("options", ADAMW.values(), ids=ADAMW)
def test_adamw_is_that_of_pytorch(options, dtype, tolerance):
    weights, state = trained(ts.optim.AdamW(**options, decay_filter="all"), dtype, STEPS)
    wanted, kept = torch_trained(torch, lambda p: torch.optim.AdamW(p, **options), dtype, STEPS)
    assert off(weights, wanted) <= tolerance
    for name in ("exp_avg", "exp_avg_sq"):
        assert off(state[name], kept[name]) <= tolerance
    assert int(state["step"]) == STEPS and set(state) == {"step", "exp_avg", "exp_avg_sq"}


@in_both_types
@pytest.mark.parametrize("options", SGD.values(), ids=SGD)
def test_sgd_is_that_of_pytorch(options, dtype, tolerance):
    weights, state = trained(ts.optim.SGD(**options, decay_filter="all"), dtype, STEPS)
    wanted, kept = torch_trained(torch, lambda p: torch.optim.SGD(p, **options), dtype, STEPS)
    assert off(weights, wanted) <= tolerance
    assert set(state) == {"step", *kept} == {"step", *["momentum_buffer"] * ("momentum" in options)}
    if kept:
        assert off(state["momentum_buffer"], kept["momentum_buffer"]) <= tolerance


def test_corrections_of_the_first_updates_keep_their_digits_in_f32():
    # 1 - beta2 is 5e-5, whose difference in f32 has 10 bits.
    options = dict(lr=1.0, betas=(0.9, 0.99995), weight_decay=0.0)
    weights, _ = trained(ts.optim.AdamW(**options), np.float32, 3)
    start = draw(0, np.float32)
    wanted, _ = torch_trained(torch, lambda p: torch.optim.AdamW(p, **options), np.float32, 3)
    moved = [np.asarray(a) - b for a, b in zip(ts.tree.leaves(weights), ts.tree.leaves(start))]
    assert off(moved, [a - b for a, b in zip(wanted, ts.tree.leaves(start))]) <= 1e-6


def test_biases_of_stacked_layers_do_not_decay_by_default():
    class Layer(ts.nn.Module):
        def __init__(self):
            self.norm, self.linear = ts.nn.LayerNorm(3), ts.nn.Linear(3, 5)

    model = ts.nn.Stack(Layer(), 2).init(ts.random.key(0))
    settings = ts.optim.AdamW().settings(model)
    assert {path: options["weight_decay"] for path, options in settings.items()} == {
        "layer.norm.weight": 0, "layer.norm.bias": 0, "layer.linear.weight": 1e-2, "layer.linear.bias": 0}
    shapes = {}

    def decays(path, weight):
        shapes[path] = weight.shape
        return True

    ts.optim.AdamW(decay_filter=decays).settings(model)
    assert shapes == {"layer.norm.weight": (3,), "layer.norm.bias": (3,), "layer.linear.weight": (5, 3),
                      "layer.linear.bias": (5,)}


def test_biases_and_norms_do_not_decay_by_default():
    options = dict(lr=0.02, weight_decay=0.3)
    weights, _ = trained(ts.optim.AdamW(**options), np.float64, 5)
    wanted, _ = torch_trained(torch, lambda p: torch.optim.AdamW(p, **options), np.float64, 5,
                              decays=lambda w: w.ndim >= 2)
    every, _ = torch_trained(torch, lambda p: torch.optim.AdamW(p, **options), np.float64, 5)
    assert off(weights, wanted) <= 1e-13 < off(weights, every)


def test_the_schedule_is_followed_without_a_second_program():
    schedule = ts.optim.cosine(0.05, warmup=10, total=40, final=0.1)
    weights, _ = trained(ts.optim.AdamW(schedule, decay_filter="all"), np.float64, STEPS)
    wanted, _ = torch_trained(torch, lambda p: torch.optim.AdamW(p, 1.0), np.float64, STEPS, rate=schedule)
    assert off(weights, wanted) <= 1e-13


@pytest.mark.quick
def test_updates_in_quick_succession():
    for name in ("AdamW", "SGD"):
        weights, _ = trained(getattr(ts.optim, name)(0.01), np.float64, 3)
        make = getattr(torch.optim, name)
        wanted, _ = torch_trained(torch, lambda p, make=make: make(p, 0.01), np.float64, 3,
                                  decays=lambda w: w.ndim >= 2)
        assert off(weights, wanted) <= 1e-13


@pytest.mark.parametrize("make", [lambda lr: lr, lambda lr: lambda step: lr,
                                  lambda lr: lambda step: lr * (step + 1) / (step + 1.0),
                                  lambda lr: np.float32(lr)])
def test_rates_are_numbers_or_functions(make):
    wanted, _ = trained(ts.optim.SGD(0.25), np.float32, 3)
    got, _ = trained(ts.optim.SGD(make(0.25)), np.float32, 3)
    assert off(got, wanted) == 0


def test_a_rate_may_be_an_argument_of_the_step():
    weights, grads = draw(0), draw(1)

    @ts.jit
    def step(weights, grads, rate):
        optimizer = ts.optim.SGD(rate)
        return optimizer.update(grads, optimizer.init(weights), weights)[0]

    got = step(weights, grads, np.float64(0.5))
    assert off(got, [w - 0.5 * g for w, g in zip(ts.tree.leaves(weights), ts.tree.leaves(grads))]) <= 1e-15


def test_updates_work_outside_of_a_trace():
    optimizer = ts.optim.AdamW(0.1)
    weights = draw(0)
    state = optimizer.init(weights)
    for i in range(3):
        weights, state = optimizer.update(draw(i + 1), state, weights)
    wanted, _ = trained(optimizer, np.float64, 3)
    assert off(weights, wanted) <= 1e-15


@pytest.mark.parametrize("dtype", [ts.bf16, ts.f16])
@pytest.mark.parametrize("make", [ts.optim.AdamW, functools.partial(ts.optim.SGD, momentum=0.9)])
def test_weights_of_16_bits_are_the_rounding_of_masters_in_f32(dtype, make):
    weights, state = trained(make(lr=1e-2), dtype, 20)
    # PyTorch in f32, from the same weights by the same gradients.
    params = [torch.tensor(np.asarray(w, np.float32), requires_grad=True) for w in ts.tree.leaves(
        draw(0, dtype))]
    oracle = torch.optim.AdamW(params, 1e-2, weight_decay=0) if make is ts.optim.AdamW else (
        torch.optim.SGD(params, 1e-2, 0.9))
    plain, kept = trained(make(lr=1e-2, weight_decay=0.0), dtype, 20)
    for i in range(20):
        for p, g in zip(params, ts.tree.leaves(draw(i + 1, dtype))):
            p.grad = torch.tensor(np.asarray(g, np.float32))
        oracle.step()
    assert off(kept["master"], [p.detach().numpy() for p in params]) <= 1e-6
    for tree, masters in ((weights, state["master"]), (plain, kept["master"])):
        for w, m in zip(ts.tree.leaves(tree), ts.tree.leaves(masters)):
            assert w.dtype == dtype and m.dtype == np.float32
            np.testing.assert_array_equal(np.asarray(w), np.asarray(m).astype(dtype))
    assert {leaf.dtype for name in state if name != "step" for leaf in ts.tree.leaves(state[name])} == {
        np.dtype(np.float32)}


def test_small_updates_are_kept_by_masters_and_lost_without():
    weights, grads = {"w": np.ones((2, 3), ts.bf16)}, {"w": np.ones((2, 3), ts.bf16)}
    for master, wanted in ((True, 0.75), (False, 1.0)):
        optimizer = ts.optim.SGD(2.0**-10, master=master)
        now, state = weights, optimizer.init(weights)
        assert ("master" in state) == master
        step = ts.jit(lambda w, s, optimizer=optimizer: optimizer.update(grads, s, w))
        for _ in range(256):
            now, state = step(now, state)
        assert np.asarray(now["w"], np.float32).tolist() == np.full((2, 3), wanted).tolist()


def test_masters_are_of_16_bit_weights_alone():
    weights = {"a": np.ones((2, 3), ts.bf16), "b": [np.ones(3, np.float32), None], "c": np.ones(5)}
    optimizer = ts.optim.AdamW(0.1)
    state = optimizer.init(weights)
    assert state["master"]["b"] == [None, None] and state["master"]["c"] is None
    assert state["exp_avg"]["c"].dtype == np.float64
    step = ts.jit(lambda w, s: optimizer.update(w, s, w), donate_argnums=1)
    new, after = step(weights, state)
    assert [w.dtype for w in ts.tree.leaves(new)] == [ts.bf16, ts.f32, ts.f64]
    assert ts.tree.flatten(after)[1] == ts.tree.flatten(state)[1]
    for w in ts.tree.leaves(new):
        np.testing.assert_allclose(np.asarray(w, np.float64), 0.9, rtol=2e-2 if w.dtype == ts.bf16 else 2e-3)


@pytest.mark.parametrize("kind", [ts.bf16, ts.f16, ts.f32, ts.f64])
def test_moments_have_the_type_asked_for(kind):
    optimizer = ts.optim.AdamW(0.01, state_dtype=kind)
    weights, state = trained(optimizer, np.float32, 10)
    assert {m.dtype for m in ts.tree.leaves(state["exp_avg"])} == {np.dtype(kind)}
    wanted, _ = trained(ts.optim.AdamW(0.01), np.float64, 10)
    assert {w.dtype for w in ts.tree.leaves(weights)} == {np.dtype(np.float32)}
    # A root of a 16-bit moment is off by a part in 2^9, or in 2^12.
    assert off(weights, wanted) <= {
        ts.bf16: 2e-3, ts.f16: 2e-4, ts.f32: 1e-6, ts.f64: 5e-7}[kind]


def test_gradients_in_f32_of_16_bit_weights_are_not_rounded():
    weights, optimizer = {"w": np.ones((2, 3), ts.bf16)}, ts.optim.SGD(0.5)
    grads = {"w": np.full((2, 3), 1 + 2.0**-12, np.float32)}
    _, state = ts.jit(lambda w, s: optimizer.update(grads, s, w))(weights, optimizer.init(weights))
    assert np.asarray(state["master"]["w"]).tolist() == np.full((2, 3), 0.5 - 2.0**-13).tolist()


def test_nothing_changes_when_told_so():
    optimizer = ts.optim.SGD(0.1, momentum=0.9)
    step = ts.jit(lambda w, s, g, when: optimizer.update(g, s, w, when=when))
    weights = draw(0, ts.bf16)
    weights, state = step(weights, optimizer.init(weights), draw(1, ts.bf16), True)
    bad = ts.tree.map(lambda g: np.full_like(g, np.nan), draw(2, ts.bf16))
    same, after = step(weights, state, bad, False)
    for a, b in zip(ts.tree.leaves((same, after)), ts.tree.leaves((weights, state)), strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
    assert int(after["step"]) == 1
    _, after = step(weights, state, draw(2, ts.bf16), True)
    assert int(after["step"]) == 2


def test_a_state_is_saved_and_loaded_by_names():
    optimizer = ts.optim.AdamW(0.1, groups=[("layers.0.*", dict(lr=0.2))])
    weights, state = trained(optimizer, ts.bf16, 3)
    entries = optimizer.state_dict(state)
    assert set(entries) >= {"step", "exp_avg.layers.0.w", "exp_avg_sq.scale", "master.layers.1.b"}
    saved = {name: np.asarray(value) for name, value in entries.items()}
    loaded = optimizer.load_state_dict(saved, weights)
    assert ts.tree.flatten(loaded)[1] == ts.tree.flatten(state)[1]
    one = optimizer.update(draw(9, ts.bf16), loaded, weights)
    two = optimizer.update(draw(9, ts.bf16), state, weights)
    assert off(one, two) == 0


def test_states_can_be_lowered_with_and_traced():
    optimizer = ts.optim.AdamW(0.1)
    shapes = ts.tree.map(lambda w: ts.ShapeDtypeStruct(w.shape, w.dtype), draw(0, ts.bf16))
    state = optimizer.init(shapes)
    assert state["master"]["layers"][0]["w"] == ts.ShapeDtypeStruct((2, 3), ts.f32)
    ts.jit(lambda w, s, g: optimizer.update(g, s, w)).lower(shapes, state, shapes)
    weights = draw(0, ts.bf16)
    weights["scale"] = np.asarray(np.nan, ts.bf16)
    made, wanted = ts.jit(optimizer.init)(weights), optimizer.init(weights)
    for a, b in zip(ts.tree.leaves(made), ts.tree.leaves(wanted), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def test_biases_do_not_decay_whatever_their_dimensions():
    model = ts.models.GPT2({"n_embd": 8, "n_head": 2, "n_layer": 1, "vocab_size": 5, "n_positions": 4})
    decay = {path: options["weight_decay"] for path, options in ts.optim.AdamW(weight_decay=0.1).settings(
        model.init(ts.random.key(0))).items()}
    assert {path.rpartition(".")[2] for path, value in decay.items() if value} == {"weight"}
    assert not decay["transformer.h.layer.attn.c_attn.bias"] and not decay["transformer.ln_f.weight"]
    assert decay["transformer.h.layer.attn.c_attn.weight"] == 0.1
