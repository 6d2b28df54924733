# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""ts.compat: precision, clipping, recomputation, optimizers, schedulers and the trainer."""

from pathlib import Path

import numpy as np
import pytest

import tessera as ts

W = {"w": np.linspace(-1, 1, 6, dtype=np.float32).reshape(3, 2), "b": np.zeros(2, np.float32)}
X = np.linspace(0, 2, 12, dtype=np.float32).reshape(4, 3)


def loss_of(weights, x):
    return ((x @ weights["w"] + weights["b"]) ** 2).mean()


def test_autocast_computes_in_bf16_and_gives_f32():
    seen = []

    @ts.compat.autocast(dtype=ts.bf16)
    def product(x, w, n):
        seen.append((x.dtype, w.dtype, n.dtype))
        return x @ w

    y = product(X, W["w"], np.int32(3))
    assert seen == [(ts.bf16, ts.bf16, ts.i32)] and y.dtype == ts.f32
    narrow = ts.matmul(X.astype(ts.bf16), W["w"].astype(ts.bf16))
    np.testing.assert_array_equal(np.asarray(y), np.asarray(narrow).astype(np.float32))
    gradients = ts.grad(ts.compat.autocast(dtype=ts.bf16)(loss_of))(W, X)
    assert gradients["w"].dtype == ts.f32
    np.testing.assert_allclose(np.asarray(gradients["w"]), np.asarray(ts.grad(loss_of)(W, X)["w"]), rtol=0.03,
                               atol=0.03)


def test_autocast_that_is_not_enabled_gives_the_function_itself():
    assert ts.compat.autocast(enabled=False)(loss_of) is loss_of


def test_autocast_refuses_to_be_a_context_manager():
    with pytest.raises(ts.ConfigError, match="no context manager") as caught:
        with ts.compat.autocast(dtype=ts.bf16):
            pass
    assert "@ts.compat.autocast(dtype=ts.bf16)" in str(caught.value)
    with pytest.raises(ts.ConfigError, match="i32"):
        ts.compat.autocast(dtype=ts.i32)


@pytest.mark.parametrize("dtype, is_scaled", [(ts.bf16, False), (ts.f16, True), (ts.f32, False)])
def test_only_f16_gets_a_loss_scale(dtype, is_scaled):
    manager = ts.compat.MixedPrecisionManager(compute_dtype=dtype)
    assert bool(manager.init()) == is_scaled
    state = manager.init()
    loss, gradients, is_finite = manager.value_and_grad(loss_of)(state, W, X)
    assert loss.dtype == ts.f32 and gradients["w"].dtype == ts.f32 and bool(is_finite)
    np.testing.assert_allclose(np.asarray(gradients["w"]), np.asarray(ts.grad(loss_of)(W, X)["w"]),
                               rtol=0.03, atol=0.03)
    assert set(manager.update(state, is_finite)) == set(state)


def test_overflow_in_f16_halves_the_scale_and_leaves_the_update_out():
    manager = ts.compat.MixedPrecisionManager(compute_dtype=ts.f16)
    optimizer = ts.optim.SGD(lr=0.1)

    @ts.jit
    def step(weights, state, scale, x):
        loss, grads, is_finite = manager.value_and_grad(loss_of)(scale, weights, x)
        weights, state = optimizer.update(grads, state, weights, when=is_finite)
        return weights, state, manager.update(scale, is_finite), loss

    scale = manager.init()
    weights, _, after, _ = step(W, optimizer.init(W), scale, X * 200)
    np.testing.assert_array_equal(np.asarray(weights["w"]), W["w"])
    assert float(after["scale"]) == float(scale["scale"]) / 2
    still = ts.compat.MixedPrecisionManager(ts.f16, loss_scaling=8)
    assert float(still.update(still.init(), np.bool_(False))["scale"]) == 8


def test_stability_checks_see_what_is_not_finite():
    bad = {**W, "b": np.array([np.inf, 0], np.float32)}
    for checks, expected in ((True, False), (False, True)):
        manager = ts.compat.MixedPrecisionManager(ts.bf16, stability_checks=checks)
        assert bool(manager.value_and_grad(loss_of)({}, bad, X)[2]) == expected
    assert manager.cast({"w": np.ones(2, np.float64), "n": 3})["w"].dtype == ts.f32
    with pytest.raises(ts.ConfigError, match="valid: 'auto', 'dynamic'"):
        ts.compat.MixedPrecisionManager(loss_scaling="dynamical")


def test_clip_gradients_returns_what_is_clipped():
    clipped, norm = ts.compat.clip_gradients({"a": np.array([3.0, 0], np.float32), "b": np.float32([4])}, 1.0)
    assert float(norm) == 5
    np.testing.assert_allclose(np.asarray(clipped["a"]), [0.6, 0], rtol=1e-5)
    with pytest.raises(ts.ConfigError, match="value_and_grad"):
        ts.compat.clip_gradients(ts.nn.Linear(2, 3), 1.0)


def test_activation_checkpointing_is_a_policy_of_checkpoint():
    def layers(w, x):
        return ts.tanh(ts.tanh(x @ w) @ w)

    w, x = np.ones((3, 3), np.float32) / 3, X
    expected = ts.grad(lambda w: layers(w, x).sum())(w)
    kept = {}
    for name, options in (("full", {"strategy": "full"}), ("selective", {}),
                          ("budget", {"memory_budget": 60})):
        function = ts.compat.activation_checkpointing(layers, **options)
        grad = ts.jit(ts.grad(lambda w, f=function: f(w, x).sum()))
        kept[name] = grad.lower(w).explain()
        np.testing.assert_allclose(np.asarray(grad(w)), np.asarray(expected), rtol=1e-5)
    assert "policy nothing: keeps 48 bytes" in kept["full"]
    assert "policy dots: keeps 96 bytes" in kept["selective"]
    assert "budget" in kept["budget"] and "keeps 48 bytes" in kept["budget"]


@pytest.mark.parametrize("options, words", [
    ({"strategy": "selectiv"}, ["valid: full, selective, none", "did you mean 'selective'?"]),
    ({"memory_budget": 0.8}, ["a number of bytes"]),
    ({"strategy": "full", "memory_budget": 8}, ["one of both"])])
def test_wrong_checkpointing_is_an_error(options, words):
    with pytest.raises(ts.ConfigError) as caught:
        ts.compat.activation_checkpointing(lambda x: x, **options)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_optimizer_and_scheduler_are_those_of_torch():
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    weight = torch.nn.Parameter(torch.tensor(W["w"]))
    theirs = torch.optim.AdamW([weight], lr=0.1, weight_decay=0.1)
    rates = torch.optim.lr_scheduler.CosineAnnealingLR(theirs, T_max=4)
    ours = ts.compat.optimizers.AdamW({"w": W["w"]}, lr=0.1, weight_decay=0.1)
    scheduler = ts.compat.schedulers.CosineWithWarmup(ours, warmup_steps=0, max_steps=4)
    for _ in range(3):
        weight.grad = weight.detach() * 2
        ours.step({"w": np.asarray(ours.params["w"]) * 2})
        theirs.step()
        rates.step()
        scheduler.step()
        np.testing.assert_allclose(scheduler.get_last_lr(), rates.get_last_lr(), rtol=1e-6)
        np.testing.assert_allclose(np.asarray(ours.params["w"]), weight.detach().numpy(), rtol=2e-6)


def test_optimizers_and_schedulers_go_on_from_their_states():
    def make():
        optimizer = ts.compat.optimizers.SGD(dict(W), lr=0.5, momentum=0.9)
        return optimizer, ts.compat.schedulers.LinearWithWarmup(optimizer, warmup_steps=2, max_steps=6)

    def go(optimizer, scheduler, count):
        for _ in range(count):
            optimizer.step(optimizer.params)
            scheduler.step()

    whole, rates = make()
    assert rates.get_last_lr() == [0.0]
    go(whole, rates, 4)
    first, one = make()
    go(first, one, 2)
    second, other = make()
    second.params = first.params
    second.load_state_dict(first.state_dict())
    other.load_state_dict(one.state_dict())
    assert other.get_last_lr() == [0.5] == [second.lr]
    go(second, other, 2)
    np.testing.assert_array_equal(np.asarray(second.params["w"]), np.asarray(whole.params["w"]))
    with pytest.raises(ts.CheckpointError, match="last_epoch"):
        other.load_state_dict({})
    with pytest.raises(ts.CheckpointError, match="lr, state"):
        second.load_state_dict({"state": {}})


def test_the_state_is_split_as_asked():
    mesh = ts.make_mesh({"dp": 2})
    model = ts.nn.Linear(4, 6).init(ts.random.key(0), mesh=mesh)
    optimizer = ts.compat.optimizers.AdamW(model, lr=0.1, mesh=mesh, sharding_strategy="zero_1")
    before = np.asarray(model.weight)
    optimizer.step(ts.tree.map(lambda w: np.ones(w.shape, np.float32), model))
    assert optimizer.state["exp_avg"].weight.sharding.spec == ts.P("dp")
    assert isinstance(optimizer.params, ts.nn.Linear)
    np.testing.assert_allclose(before - np.asarray(optimizer.params.weight), 0.1 + 0.001 * before, rtol=1e-4)


@pytest.mark.parametrize("make, words", [
    (lambda: ts.compat.optimizers.AdamW(W, sharding_strategy="zero_3"), ["ts.nn.Parallel(zero=3)"]),
    (lambda: ts.compat.optimizers.AdamW(W, sharding_strategy="zero"), ["'zero_1'"]),
    (lambda: ts.compat.optimizers.AdamW(W, mesh=ts.make_mesh({"dp": 2})), ["the host"]),
    (lambda: ts.compat.optimizers.AdamW(W, bta=3), ["no option 'bta'", "valid: betas"]),
    (lambda: ts.compat.optimizers.AdamW(ts.nn.Linear(2, 3)), ["no elements", "model.init"]),
    (lambda: ts.compat.TesseraTrainer(None, 3), ["config is a int"]),
    (lambda: ts.compat.TesseraTrainer(None, {"optim": {"lr": 1}, "learning_rate": 2}), ["2 and 1"]),
    (lambda: ts.compat.TesseraTrainer(None, {"precision": "f32", "mixed_precision": "bf16"}),
     ["section precision"]),
    (lambda: ts.compat.optimizers.AdamW(W, groups=[("w", {})]), ["no groups"]),
    (lambda: ts.compat.schedulers.CosineWithWarmup(ts.optim.SGD(), 1, 3), ["ts.optim.cosine"]),
    (lambda: ts.compat.TesseraTrainer(None, {"learning_rat": 1}), ["did you mean 'learning_rate'?"]),
    (lambda: ts.compat.TesseraTrainer(None, {"mixed_precision": "fp8"}), ["'bf16'"]),
    (lambda: ts.compat.TesseraTrainer(ts.nn.Linear(2, 3), {"gradient_checkpointing": True}),
     ['remat="nothing"'])])
def test_options_that_do_not_fit_are_errors(make, words):
    with pytest.raises(ts.ConfigError) as caught:
        make()
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_the_trainer_is_ts_trainer_with_flat_names():
    text = Path(__file__).parents[3] / "LICENSE"
    source = ts.data.Tokenized(ts.data.TextFiles(text, separator="\n\n"), ts.data.ByteTokenizer())
    data = ts.data.Packed(source, 8, seed=1)
    flat = {"learning_rate": 1e-2, "weight_decay": 0.1, "gradient_clip_norm": 1.0, "warmup_steps": 1,
            "total_steps": 9, "batch_size": 4, "sequence_length": 8, "mixed_precision": None, "seed": 3}

    def model():
        return ts.models.GPT2({"n_embd": 8, "n_head": 2, "n_layer": 1, "n_positions": 8, "vocab_size": 257})

    trainer = ts.compat.TesseraTrainer(model(), flat)
    with pytest.raises(ts.ConfigError, match="first"):
        trainer.evaluate()
    state = trainer.train(data, data, max_steps=2)
    native = ts.Trainer(model(), {
        "optim": {"lr": 1e-2, "weight_decay": 0.1, "clip": 1.0, "warmup": 1},
        "train": {"steps": 2, "batch": 4, "sequence_length": 8, "seed": 3}}, data=data)
    expected = native.fit()
    assert (state.step, state.tokens) == (2, 64)
    for ours, theirs in zip(ts.tree.leaves(state.model), ts.tree.leaves(expected.model)):
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))
    with pytest.raises(ts.ConfigError, match="make another"):
        trainer.train(data)


@pytest.mark.parametrize("name", ["autocast", "distribute", "TesseraTrainer"])
def test_names_that_are_looked_for_elsewhere_lead_here(name):
    with pytest.raises(AttributeError, match=f"use ts.compat.{name}"):
        getattr(ts, name)
    assert hasattr(ts.compat, name)
