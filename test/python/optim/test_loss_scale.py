# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""ts.optim.LossScale follows the rules of torch.amp.GradScaler."""

import numpy as np
import pytest
from conftest import needs_runtime

import tessera as ts

torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
pytestmark = needs_runtime


def scales_of_torch(found_inf, scale, growth, backoff, interval):
    """The scale after each update, by the op that GradScaler.update runs."""
    scale, tracker = torch.tensor(scale), torch.tensor(0, dtype=torch.int32)
    result = []
    for found in found_inf:
        torch._amp_update_scale_(scale, tracker, torch.tensor(float(found)), growth, backoff, interval)
        result.append((scale.item(), tracker.item()))
    return result


@pytest.mark.parametrize("options", [dict(initial=8.0, growth_interval=3), dict(
    initial=2.0**126, growth_interval=2, factor=4.0), dict(
    initial=5.0, growth_interval=1, factor=1.5, backoff=0.25)], ids=["usual", "largest", "other factors"])
def test_the_scale_follows_that_of_pytorch(options):
    found = np.random.default_rng(4).random(40) < 0.2
    scaling = ts.optim.LossScale(**options)
    state = scaling.init()
    adjust = ts.jit(scaling.adjust, donate_argnums=0)
    wanted = scales_of_torch(found, np.float32(options["initial"]).item(), scaling.factor, scaling.backoff,
                             scaling.growth_interval)
    for bad, (scale, steps) in zip(found, wanted):
        state = adjust(state, np.bool_(not bad))
        assert (float(state["scale"]), int(state["good_steps"])) == (scale, steps)
    assert int(state["skipped"]) == found.sum() > 3
    assert len(adjust._compiled) <= 2 and len(adjust._programs) == 1


@pytest.mark.parametrize("dtype", [ts.f16, ts.f32, ts.f64])
@pytest.mark.parametrize("bad", [None, np.nan, np.inf, -np.inf])
def test_gradients_are_divided_and_looked_at(dtype, bad):
    grads = {"a": np.full((2, 3), 2.0**-20 if dtype == ts.f16 else 3.0, dtype), "b": [np.ones(5, dtype)]}
    if bad is not None:
        grads["a"][1, 2] = bad
    scaling = ts.optim.LossScale(2.0**15)
    got, is_finite = ts.jit(scaling.unscale)(scaling.init(), grads)
    assert bool(is_finite) == (bad is None)
    wide = np.float64 if dtype == ts.f64 else np.float32
    for name in ("a", "b"):
        for a, b in zip(ts.tree.leaves(got[name]), ts.tree.leaves(grads[name])):
            assert a.dtype == wide
            np.testing.assert_array_equal(np.asarray(a), b.astype(wide) * wide(2.0**-15))


def test_all_shards_are_looked_at():
    mesh = ts.make_mesh({"dp": 2, "tp": 2})
    scaling = ts.optim.LossScale()
    specs = {"a": ts.P(None, "tp"), "b": ts.P("dp", "tp"), "c": ts.P("tp"), "d": ts.P()}
    step = ts.jit(lambda g: scaling.unscale(scaling.init(), g)[1], mesh=mesh, in_shardings=[specs])
    shapes = {"a": (2, 6), "b": (4, 6), "c": (5,), "d": (3,)}
    grads = {name: np.ones(shape, np.float32) for name, shape in shapes.items()}
    assert bool(step(grads))
    for name in shapes:
        for at in ((0,) * len(shapes[name]), (-1,) * len(shapes[name])):
            bad = {**grads, name: grads[name].copy()}
            bad[name][at] = np.nan
            assert not bool(step(bad)), (name, at)
    moved = step.lower(grads).collectives()
    assert {row["kind"] for row in moved} == {"all_reduce"} and len(moved) <= 3
    assert max(row["bytes"] for row in moved) <= 8


def test_training_in_f16_goes_on_where_an_update_overflows():
    # The gradient of the loss is 2 w x^2: scaled by 2^11 it is more than f16 holds, by 2^10 not.
    scaling = ts.optim.LossScale(2.0**15, growth_interval=4)
    optimizer = ts.optim.SGD(2.0**-6)
    weights = {"w": np.ones((2, 3), ts.f16)}

    @ts.jit(donate_argnums=(0, 1, 2))
    def step(weights, state, scale, x):
        def scaled(weights):
            loss = ((weights["w"] * x).astype(ts.f32)**2).sum()
            return scaling.scale(scale, loss), loss
        (_, loss), grads = ts.value_and_grad(scaled, has_aux=True)(weights)
        grads, is_finite = scaling.unscale(scale, grads)
        weights, state = optimizer.update(grads, state, weights, when=is_finite)
        return weights, state, scaling.adjust(scale, is_finite), loss

    state, scale = optimizer.init(weights), scaling.init()
    x = np.full((2, 3), 4, ts.f16)
    seen = []
    for _ in range(9):
        weights, state, scale, loss = step(weights, state, scale, x)
        seen.append((float(scale["scale"]), int(state["step"]), float(loss)))
    assert [s for s, _, _ in seen] == [2.0**14, 2.0**13, 2.0**12, 2.0**11, *[2.0**10] * 4, 2.0**11]
    assert [n for _, n, _ in seen] == [0, 0, 0, 0, 0, 1, 2, 3, 4] and int(scale["skipped"]) == 5
    assert seen[5][2] == seen[0][2] == 6 * 16 and seen[6][2] < 96 / 3


def test_calls_outside_of_a_trace_work():
    scaling = ts.optim.LossScale(4.0)
    state = scaling.init()
    assert float(scaling.scale(state, np.float16(3))) == 12
    assert scaling.scale(state, np.float64(3)).dtype == np.float64
    grads, is_finite = scaling.unscale(state, [np.ones(3, np.float16)])
    state = scaling.adjust(state, is_finite)
    assert np.asarray(grads[0]).tolist() == [0.25] * 3 and int(state["good_steps"]) == 1


def test_a_scale_never_becomes_zero():
    scaling = ts.optim.LossScale(2.0**-120)
    state = scaling.init()
    for _ in range(10):
        state = scaling.adjust(state, False)
    assert float(state["scale"]) == 2.0**-126 and int(state["skipped"]) == 10


@pytest.mark.parametrize("call, code, text", [
    (lambda s: ts.optim.LossScale(0.0), "TS4013", "initial of ts.optim.LossScale is out of range"),
    (lambda s: ts.optim.LossScale(factor=0.5), "TS4013", "factor of ts.optim.LossScale"),
    (lambda s: ts.optim.LossScale(growth_interval=0), "TS4013", "growth_interval"),
    (lambda s: ts.optim.LossScale(backoff=2.0), "TS4013", "backoff"),
    (lambda s: s.scale(np.float32(3), s.init()), "TS1005", "pass it first"),
    (lambda s: s.adjust({"scale": 1.0}, True), "TS1005", "scale, good_steps, skipped"),
    (lambda s: s.adjust(s.init(), np.ones(3, bool)), "TS1050", "bool[]"),
    (lambda s: s.adjust({**s.init(), "skipped": np.float32(0)}, True), "TS1050", "'skipped' of the state"),
])
def test_misuse_is_refused(call, code, text):
    with pytest.raises(ts.TesseraError, match=code) as caught:
        call(ts.optim.LossScale())
    assert text in str(caught.value)
