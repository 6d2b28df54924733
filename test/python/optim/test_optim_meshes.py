# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""States of optimizers have the layouts of their weights, and updates move nothing between devices."""

import re

import numpy as np
import pytest
from conftest import needs_runtime
from optim_cases import draw, off

import tessera as ts

pytestmark = needs_runtime
SHAPES = {"layers": [{"down": (8, 6), "up": (6, 8)}], "norm": (6,), "uneven": (5, 3)}
SPECS = {"layers": [{"down": ts.P("tp"), "up": ts.P(None, "tp")}], "norm": ts.P(), "uneven": ts.P("tp")}
KINDS = {"adamw": ts.optim.AdamW(0.1, weight_decay=0.1), "sgd": ts.optim.SGD(0.1, momentum=0.9)}
both = pytest.mark.parametrize("optimizer", KINDS.values(), ids=KINDS)


@pytest.fixture
def mesh():
    return ts.make_mesh({"dp": 2, "tp": 2})


def placed(mesh, dtype):
    leaves, structure = ts.tree.flatten(draw(0, dtype, SHAPES))
    specs = ts.tree.leaves(SPECS)
    return ts.tree.unflatten(structure, [ts.device_put(w, ts.NamedSharding(mesh, spec))
                                         for w, spec in zip(leaves, specs)])


def specs_of(tree):
    return [leaf.sharding.spec for leaf in ts.tree.leaves(tree)]


def normalised(specs):
    return [tuple(spec)[: max([0, *[i + 1 for i, axes in enumerate(spec) if axes]])] for spec in specs]


@both
@pytest.mark.parametrize("dtype", [np.float32, ts.bf16])
def test_what_is_kept_has_the_layout_of_its_weight(optimizer, dtype, mesh):
    weights = placed(mesh, dtype)
    state = optimizer.init(weights)
    step = ts.jit(lambda w, s, g: optimizer.update(g, s, w), mesh=mesh, donate_argnums=(0, 1))
    wanted = normalised(ts.tree.leaves(SPECS))
    for i in range(3):
        for name in state:
            assert name == "step" or normalised(specs_of(state[name])) == wanted, (i, name)
        assert normalised(specs_of(weights)) == wanted
        weights, state = step(weights, state, placed(mesh, dtype))
    assert sum(map(len, step._programs.values())) == 1
    # The compiled step copies none of it into another layout.
    program = next(iter(step._programs.values()))[0]
    assert program.transfers()["resharded"] == 0


@both
def test_a_traced_init_gives_these_layouts_too(optimizer, mesh):
    state = ts.jit(optimizer.init, mesh=mesh)(placed(mesh, ts.bf16))
    for name in state:
        assert name == "step" or normalised(specs_of(state[name])) == normalised(ts.tree.leaves(SPECS)), name


@both
def test_layouts_of_numpy_arrays_come_from_the_step(optimizer, mesh):
    weights = draw(0, np.float32, SHAPES)
    state = optimizer.init(weights)
    step = ts.jit(lambda weights, state, grads: optimizer.update(grads, state, weights), mesh=mesh,
                  donate_argnums=(0, 1), in_shardings={"weights": SPECS})
    for i in range(2):
        weights, state = step(weights, state, draw(i + 1, np.float32, SHAPES))
        for name in state:
            assert name == "step" or normalised(specs_of(state[name])) == normalised(ts.tree.leaves(SPECS))


@both
@pytest.mark.parametrize("dtype", [np.float32, ts.bf16])
def test_an_update_is_one_kernel_a_weight_in_place_that_moves_nothing(optimizer, dtype, mesh):
    weights = placed(mesh, dtype)
    lowered = ts.jit(lambda w, s, g: optimizer.update(g, s, w), mesh=mesh, donate_argnums=(0, 1)).lower(
        weights, optimizer.init(weights), weights)
    assert lowered.collectives() == []
    assert "donated" not in lowered.explain()  # All are in place.
    kernels = lowered.as_text("kernels").split("tile.kernel @")[1:]
    large = [text for text in kernels if re.search(r"memref<\d\d?x\d", text.split("\n")[1])
             or "memref<6x" in text.split("\n")[1]]
    assert len(large) == len(ts.tree.leaves(weights))
    # Powers of beta and the schedule are numbers that all of them share.
    assert not any("math.powf" in text for text in large)


def test_a_whole_step_on_a_mesh_is_that_on_one_device(mesh):
    optimizer = ts.optim.AdamW(ts.optim.cosine(0.1, warmup=2, total=8), betas=(0.9, 0.95))

    def loss(weights, x):
        layer = weights["layers"][0]
        h = ts.relu(ts.nn.rms_norm(x, weights["norm"]) @ layer["up"]) @ layer["down"]
        return (h**2).mean() + (weights["uneven"]**2).sum()

    def step(weights, state, x):
        value, grads = ts.value_and_grad(loss)(weights, x)
        grads, norm = ts.optim.clip_by_global_norm(grads, 0.5)
        weights, state = optimizer.update(grads, state, weights)
        return weights, state, value, norm

    results = []
    for options in ({}, {"mesh": mesh, "in_shardings": {"weights": SPECS, "x": ts.P("dp")}}):
        jitted = ts.jit(step, donate_argnums=(0, 1), **options)
        weights = draw(0, np.float64, SHAPES)
        state, seen = optimizer.init(weights), []
        for i in range(6):
            x = np.random.default_rng(i).standard_normal((4, 6))
            weights, state, value, norm = jitted(weights, state, x)
            seen += [value, norm]
        results.append((weights, state, seen))
    assert off(results[1], results[0]) <= 1e-13
    program = jitted.lower(weights, state, x)
    # Beside sums of gradients and activations, two numbers for the norm.
    small = [row for row in program.collectives() if not row["shape"] and row["where"].startswith("clipping")]
    assert len(small) <= 2
    assert len({float(norm) for norm in results[0][2][1::2]}) == 6


def test_a_step_with_all_of_it_runs_on_the_emulated_gpu():
    scaling = ts.optim.LossScale(4.0, growth_interval=1)
    optimizer = ts.optim.AdamW(ts.optim.cosine(0.1, warmup=2, total=8), weight_decay=0.1)
    other = ts.optim.SGD(ts.optim.wsd(0.1, total=9, shape="sqrt"), momentum=0.9, dampening=0.1)
    weights = draw(0, ts.bf16, {"a": (2, 3), "b": (5,)})

    def step(weights, one, two, scale):
        grads, is_finite = scaling.unscale(scale, weights)
        grads, norm = ts.optim.clip_by_global_norm(grads, 0.1)
        weights, one = optimizer.update(grads, one, weights, when=is_finite)
        weights, two = other.update(grads, two, weights)
        return weights, one, two, scaling.adjust(scale, is_finite), norm

    state = {**optimizer.init(weights), "step": np.int32(3)}
    got, wanted = (ts.jit(step, device=device)(weights, state, other.init(weights), scaling.init())
                   for device in ("emulated", "cpu"))
    assert off(got, wanted) <= 1e-6


# -- State that is split further -----------------------------------------------------------------------------

ZERO = ts.make_mesh({"dp": 2, "tp": 2})


def zero_weights():
    layouts = {"w": ts.P(None, "tp"), "b": ts.P(), "odd": ts.P()}
    return {name: ts.device_put(np.ones(shape, np.float32), ts.NamedSharding(ZERO, layouts[name]))
            for name, shape in {"w": (4, 6), "b": (6,), "odd": (3, 5)}.items()}


def specs(tree):
    return {name: leaf.sharding.spec for name, leaf in tree.items()}


def test_zero_splits_the_state_and_leaves_the_weights():
    optimizer, weights = ts.optim.AdamW(0.1, zero="dp"), zero_weights()
    state = optimizer.init(weights)
    split = {"w": ts.P("dp", "tp"), "b": ts.P("dp"), "odd": ts.P()}
    assert specs(state["exp_avg"]) == split
    plain = ts.optim.AdamW(0.1)
    wanted, _ = plain.update(weights, plain.init(weights), weights)
    after, again = optimizer.update(weights, state, weights)
    step = ts.jit(optimizer.update, donate_argnums=(1, 2), mesh=ZERO)
    donated, kept = step(zero_weights(), state, zero_weights())
    for result, its_state in ((after, again), (donated, kept)):
        assert specs(result) == specs(weights) and specs(its_state["exp_avg"]) == split
        for name in weights:
            np.testing.assert_array_equal(result[name], wanted[name])


def test_a_state_that_is_loaded_is_split_as_one_that_is_made():
    optimizer, weights = ts.optim.AdamW(0.1, zero="dp"), zero_weights()
    whole = ts.optim.AdamW(0.1)
    entries = whole.state_dict(whole.init(weights))
    for given in (entries, {name: np.asarray(value) for name, value in entries.items()}):
        loaded = optimizer.load_state_dict(given, weights)
        assert specs(loaded["exp_avg"]) == specs(optimizer.init(weights)["exp_avg"])


def test_zero_with_master_copies():
    weights = {"w": ts.device_put(np.ones((4, 6), ts.bf16), ts.NamedSharding(ZERO, ts.P(None, "tp")))}
    state = ts.optim.AdamW(0.1, zero="dp").init(weights)
    assert state["master"]["w"].dtype == np.float32 and specs(state["master"]) == {"w": ts.P("dp", "tp")}


@pytest.mark.parametrize("spec", [ts.P("dp:(1)2"), ts.P(("tp", "dp:(1)2"))], ids=str)
def test_an_axis_that_splits_already_splits_no_further(spec):
    mesh = ts.make_mesh({"dp": 4, "tp": 2})
    weight = ts.ShapeDtypeStruct((8, 8), np.float32, ts.NamedSharding(mesh, spec))
    state = ts.optim.SGD(0.1, momentum=0.9, zero="dp").init({"w": weight})
    assert specs(state["momentum_buffer"]) == {"w": spec}


def test_zero_needs_layouts():
    with pytest.raises(ts.TraceError, match="(?s)TS1050.*zero='dp'.*in a traced function"):
        ts.jit(lambda w: ts.optim.AdamW(zero="dp").init(w))({"w": np.ones((4, 4), np.float32)})
    with pytest.raises(ts.ShardingError, match="(?s)TS2001.*no axis 'pp'"):
        ts.optim.AdamW(zero="pp").init(zero_weights())
    with pytest.raises(ts.ConfigError, match="TS4013.*zero"):
        ts.optim.AdamW(zero=1)
