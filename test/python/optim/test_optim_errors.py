# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Groups and decay filters by paths; what optimizers refuse, and what they say about it."""

import subprocess
import sys

import numpy as np
import pytest
from conftest import needs_runtime
from optim_cases import draw, off, trained

import tessera as ts

AdamW, SGD = ts.optim.AdamW, ts.optim.SGD
WEIGHTS = draw(0)
PATHS = ["layers.0.b", "layers.0.w", "layers.1.b", "layers.1.w", "scale"]


def settings(name, **options):
    found = AdamW(lr=0.1, weight_decay=0.5, **options).settings(WEIGHTS)
    assert list(found) == PATHS
    return [found[path][name] for path in PATHS]


def test_groups_are_found_by_patterns_and_functions_the_first_counts():
    groups = [("layers.0.*", dict(lr=0.3)), (lambda path, w: w.shape[-1:] == (5,), dict(lr=0.4, eps=1e-5)),
              ("layers.*.w", dict(betas=(0.5, 0.6))), ("*", dict(lr=0.6))]
    with pytest.raises(ts.ConfigError, match="TS4014.*groups before it have them"):
        settings("lr", groups=groups)
    del groups[2]
    assert settings("lr", groups=groups) == [0.3, 0.3, 0.4, 0.4, 0.6]
    assert settings("eps", groups=groups) == [1e-8, 1e-8, 1e-5, 1e-5, 1e-8]
    assert settings("betas", groups=[("*.w", dict(betas=[0.5, 0.6]))])[1] == (0.5, 0.6)


def test_decay_is_of_what_the_filter_takes():
    assert settings("weight_decay") == [0, 0.5, 0, 0.5, 0]
    assert settings("weight_decay", decay_filter="all") == [0.5] * 5
    assert settings("weight_decay", decay_filter=lambda path, w: path.startswith("layers.0")) == [
        0.5, 0.5, 0, 0, 0]
    assert settings("weight_decay", groups=[("layers.0.*", dict(weight_decay=0.2))]) == [0, 0.2, 0, 0.5, 0]
    assert settings("weight_decay", groups=[("*.b", dict(weight_decay=0.2, decay_filter="all"))]) == [
        0.2, 0.5, 0.2, 0.5, 0]
    assert settings("weight_decay", groups=[("*.w", dict(weight_decay=0.0))]) == [0] * 5


@needs_runtime
def test_each_weight_is_updated_by_its_groups_options():
    optimizer = SGD(0.1, groups=[("layers.0.*", dict(lr=0.5, momentum=0.9)),
                                 ("scale", dict(lr=ts.optim.linear(0.4, total=2)))])
    weights, state = trained(optimizer, np.float64, 2)
    assert set(ts.tree.paths(ts.tree.flatten(state)[1])) == {
        "step", "momentum_buffer.layers.0.b", "momentum_buffer.layers.0.w"}
    one, two = draw(1), draw(2)

    def wanted(before, a, b, first, second, momentum):
        return before - first * a - second * (momentum * a + b)

    for path, rule in {"layers.0": (0.5, 0.5, 0.9), "layers.1": (0.1, 0.1, 0.0)}.items():
        i = int(path[-1])
        for name in "wb":
            given = [tree["layers"][i][name] for tree in (WEIGHTS, one, two)]
            assert off(weights["layers"][i][name], wanted(*given, *rule)) <= 1e-15
    assert off(weights["scale"], wanted(WEIGHTS["scale"], one["scale"], two["scale"], 0.4, 0.2, 0)) <= 1e-15


@pytest.mark.parametrize("call, text", [
    (lambda: AdamW(lr=-1.0), "lr of ts.optim.AdamW is out of range"),
    (lambda: AdamW(WEIGHTS, 1e-3), "weights go to optimizer.init(weights)"),
    (lambda: AdamW(np.ones(3)), "weights go to optimizer.init(weights)"),
    (lambda: AdamW(lr="1e-3"), "lr of ts.optim.AdamW is a str"),
    (lambda: AdamW(lr=True), "lr of ts.optim.AdamW is no number"),
    (lambda: AdamW(betas=0.9), "two numbers, such as (0.9, 0.95)"),
    (lambda: AdamW(betas=(0.9, 1.0)), "betas[1] of ts.optim.AdamW is out of range"),
    (lambda: AdamW(eps=-1e-8), "eps of ts.optim.AdamW"),
    (lambda: AdamW(weight_decay=float("nan")), "a finite number of at least 0"),
    (lambda: AdamW(decay_filter="matrixes"), "did you mean 'matrices'?"),
    (lambda: AdamW(state_dtype=ts.i32), "state_dtype of ts.optim.AdamW is i32"),
    (lambda: AdamW(master=ts.f32), "master of ts.optim.AdamW is neither True nor False"),
    (lambda: AdamW(groups={"*.b": dict(lr=1)}), "a list such as [('*.bias', dict(lr=1e-4))]"),
    (lambda: AdamW(groups=["*.b"]), "groups[0] is no pair"),
    (lambda: AdamW(groups=[("*.b", 0.1)]), "not a dictionary"),
    (lambda: AdamW(groups=[("*.b", dict(weight_decy=0.1))]), "did you mean 'weight_decay'?"),
    (lambda: AdamW(groups=[("*.b", dict(learning_rate=0.1))]), "did you mean 'lr'?"),
    (lambda: AdamW(groups=[("*.b", dict(lr=-0.1))]), "lr of groups[0] is out of range"),
    (lambda: SGD(nesterov=True), "nesterov of ts.optim.SGD needs momentum"),
    (lambda: SGD(0.1, groups=[("*.b", dict(nesterov=True))]), "nesterov of ts.optim.SGD needs momentum"),
    (lambda: SGD(0.1, momentum=0.9, dampening=0.1, nesterov=True), "no dampening"),
])
def test_options_that_make_no_sense_are_refused(call, text):
    with pytest.raises(ts.ConfigError, match="TS4013") as caught:
        call()
    assert text in str(caught.value) and __file__.rpartition("/")[2] in str(caught.value)


def test_the_module_is_imported_when_it_is_used():
    program = """
import sys, tessera as ts
assert 'tessera.optim' not in sys.modules and 'optim' in dir(ts)
ts.optim.AdamW()
from tessera import *
assert optim is ts.optim is sys.modules['tessera.optim']
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_optimizers_do_not_change():
    with pytest.raises(AttributeError):
        AdamW().lr = 0.1
    assert repr(AdamW(lr=ts.optim.constant(0.1), groups=[("*.b", dict(eps=0.5))])) == (
        "ts.optim.AdamW(lr=ts.optim.constant(0.1), betas=(0.9, 0.999), eps=1e-08, weight_decay=0.01, "
        "groups=[('*.b', {'eps': 0.5})])")


@pytest.mark.parametrize("optimizer, text", [
    (AdamW(groups=[("layer.0.*", dict(lr=1))]), "groups[0], 'layer.0.*', has no weights"),
    (AdamW(groups=[("layers.0.c", dict(lr=1))]), "did you mean 'layers.0.b'?"),
    (AdamW(groups=[(lambda path, w: w.ndim == 4, dict(lr=1))]), "groups[0], <lambda>, has no weights"),
    (AdamW(groups=[("*.b", dict(weight_decay=0.1))]), "add decay_filter='all' to the group"),
])
def test_groups_without_an_effect_are_refused(optimizer, text):
    with pytest.raises(ts.ConfigError, match="TS4014") as caught:
        optimizer.init(WEIGHTS)
    assert text in str(caught.value)


def changed(tree, **parts):
    return {**tree, **parts}


GRADIENTS = {
    "a name": (changed(draw(1), more=np.ones(3)), "TS1005", "unexpected: 'more'"),
    "a part": (changed(draw(1), layers=[draw(1)["layers"][0], {"w": np.ones((3, 5))}]), "TS1005",
               "differ in structure at 'layers.1'"),
    "a part's name": (changed(draw(1), layers=[draw(1)["layers"][0], {"w": np.ones((3, 5))}]), "TS1005",
                      "missing: 'layers.1.b'"),
    "a shape": (changed(draw(1), scale=np.ones(3)), "TS1050", "the gradient of 'scale' has the wrong shape"),
    "a type": (changed(draw(1), scale=np.float32(3)), "TS1050", "'scale' has the wrong element type"),
}


@pytest.mark.parametrize("grads, code, text", GRADIENTS.values(), ids=GRADIENTS)
@pytest.mark.parametrize("is_traced", [True, False])
def test_gradients_that_are_unlike_the_weights_are_refused(grads, code, text, is_traced):
    optimizer = AdamW()
    state = optimizer.init(WEIGHTS)

    def update():
        return optimizer.update(grads, state, WEIGHTS)

    with pytest.raises(ts.TraceError, match=code) as caught:
        ts.jit(update).lower() if is_traced else update()
    assert text in str(caught.value)
    assert "return optimizer.update(grads, state, WEIGHTS)" in str(caught.value)


@pytest.mark.parametrize("state, text", [
    (SGD(0.1).init(WEIGHTS), "a dictionary of step, exp_avg, exp_avg_sq"),
    (WEIGHTS, "update takes (grads, state, weights)"),
    (AdamW().init({"w": np.ones(3)}), "'exp_avg' of the state and weights differ in structure"),
    (AdamW().init(draw(0, np.float32)), "'exp_avg' of 'layers.0.b' has the wrong element type"),
    (changed(AdamW().init(WEIGHTS), step=0.0), "`step` of the state"),
])
def test_states_of_other_weights_are_refused(state, text):
    with pytest.raises(ts.TraceError, match="TS1005|TS1050") as caught:
        ts.jit(lambda: AdamW().update(draw(1), state, WEIGHTS)).lower()
    assert text in str(caught.value)


def test_weights_are_floats_and_some():
    with pytest.raises(ts.TraceError, match="TS1050.*'ids' is of type i32"):
        AdamW().init({"ids": np.ones(3, np.int32)})
    with pytest.raises(ts.ConfigError, match="TS4014.*empty"):
        AdamW().init({})
    with pytest.raises(ts.ConfigError, match="TS4014.*'a.b'"):
        AdamW().init({"a.b": np.ones(3), "a": {"b": np.ones(3)}})
    with pytest.raises(ts.TraceError, match="TS1022"):
        AdamW().init({"a": "text"})


def test_a_schedule_gives_one_number():
    optimizer = SGD(lambda step: np.ones(3))
    with pytest.raises(ts.ConfigError, match="TS4013") as caught:
        ts.jit(lambda w: optimizer.update(w, optimizer.init(w), w)).lower(WEIGHTS)
    assert "learning rate of 'layers.0.b' is no number" in str(caught.value)


@needs_runtime
def test_saved_states_that_do_not_fit_are_refused_by_name():
    optimizer = AdamW()
    entries = optimizer.state_dict(optimizer.init(WEIGHTS))
    entries["exp_avg.layers.0.c"] = entries.pop("exp_avg.layers.0.b")
    entries["exp_avg.scale"] = np.ones(3)
    with pytest.raises(ts.CheckpointError, match="TS6006") as caught:
        optimizer.load_state_dict(entries, WEIGHTS)
    for text in ("3 problems", "missing 'exp_avg.layers.0.b' (did you mean 'exp_avg.layers.0.c'?)",
                 "'exp_avg.scale' is f64[3], expected f64[]", "unexpected 'exp_avg.layers.0.c'"):
        assert text in str(caught.value)
