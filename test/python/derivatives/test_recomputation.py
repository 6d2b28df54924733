# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""ts.checkpoint computes again instead of keeping: memory and work of 12 layers.

Memory is what the runtime counts while a program runs, and must be what the compiler has predicted.
"""

import re

import numpy as np
import pytest

import tessera as ts
from tessera._src.programs import native, runtime

ROWS, COLUMNS, LAYERS = 256, 32, 12


def weights(*shape):
    return (np.random.default_rng(sum(shape)).standard_normal(shape) * 0.1).astype(np.float32)


X = weights(ROWS, COLUMNS)
W = [{"up": weights(COLUMNS, 4 * COLUMNS), "down": weights(4 * COLUMNS, COLUMNS)} for _ in range(LAYERS)]


# Of one call, besides its arguments: the product of `up` and the argument x, in bytes.
BUDGET = 4 * ROWS * (4 * COLUMNS + COLUMNS)
NAMED = ts.checkpoint_policies.save_only_these_names("wide")
WITHIN = ts.checkpoint_policies.save_within_budget(BUDGET)
POLICIES = {"none": None, "everything": "everything", "dots": "dots", "names": NAMED, "budget": WITHIN,
            "nothing": "nothing"}


def layer(x, p):
    return x + ts.gelu(ts.checkpoint_name(ts.nn.rms_norm(x) @ p["up"], "wide")) @ p["down"]


def program(policy, scanned=False, **options):
    body = layer if policy is None else ts.checkpoint(layer, policy=policy)

    def loss(ws, x):
        if scanned:
            x, _ = ts.scan(lambda x, p: (body(x, p), None), x, ts.tree.stack(ws))
        else:
            for p in ws:
                x = body(x, p)
        return ts.sum(x * x)

    return ts.jit(ts.value_and_grad(loss), **options).lower(W, X)


class Run:
    """A program that has run once: its results, and the activations that the runtime has counted on one of
    its devices, which all hold as much."""

    def __init__(self, lowered, arguments=(W, X), devices=1):
        self.lowered = lowered
        self.compiled = lowered.compile()
        before = runtime.memory()["in_use"]
        runtime.reset_peak_memory()
        results = self.compiled(*arguments)
        held = runtime.memory()["peak"] - before
        self.activations = held // devices - self.compiled.memory()["results"]
        self.results = [np.asarray(leaf).copy() for leaf in ts.tree.leaves(results)]


@pytest.fixture(scope="module")
def runs():
    """Runs by policy and by whether the layers are in a loop."""
    return {(name, scanned): Run(program(policy, scanned)) for name, policy in POLICIES.items()
            for scanned in (False, True)}


def without_barriers(text):
    """The program with each barrier's operands in place of its results."""
    renamed = {}
    lines = []
    for line in text.split("\n"):
        found = re.match(r"\s*(%\w+)(?::\d+)? = tessera\.barrier ([^{:]*)", line)
        if not found:
            lines.append(line)
            continue
        operands = [name.strip() for name in found[2].split(",")]
        for i, operand in enumerate(operands):
            renamed[f"{found[1]}#{i}" if len(operands) > 1 else found[1]] = operand
    def resolve(found):
        name = found[0]
        while name in renamed:
            name = renamed[name]
        return name

    # What a barrier has taken may be the result of another.
    return re.sub(r"%\w+(?:#\d+)?", resolve, "\n".join(lines))


@pytest.mark.parametrize("scanned", [False, True])
@pytest.mark.parametrize("name", POLICIES)
def test_memory_is_what_was_predicted(runs, name, scanned):
    run = runs[name, scanned]
    predicted = run.lowered.memory()["activations"]
    assert abs(run.activations - predicted) <= 0.1 * predicted
    assert run.compiled.memory()["activations"] == predicted


@pytest.mark.parametrize("name", ["everything", "budget", "nothing"])
def test_memory_of_each_device_of_a_mesh(runs, name):
    """Rows are split by `dp`, and the wide values by `tp` too; gradients are reduced."""
    mesh = ts.make_mesh({"dp": 2, "tp": 2})
    specs = ([{"up": ts.P(None, "tp"), "down": ts.P("tp", None)}] * LAYERS, ts.P("dp"))
    lowered = program(POLICIES[name], mesh=mesh, in_shardings=specs)
    # Arguments that are on the devices already need no memory for their parts.
    def put(leaf, spec):
        return ts.device_put(leaf, ts.NamedSharding(mesh, spec))

    run = Run(lowered, ts.tree.map(put, (W, X), specs), devices=4)
    predicted = lowered.memory()["activations"]
    assert abs(run.activations - predicted) <= 0.1 * predicted
    assert run.activations < 0.5 * runs[name, False].activations
    for got, wanted in zip(run.results, runs["none", False].results, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6 * np.abs(wanted).max())


@pytest.mark.parametrize("scanned", [False, True])
@pytest.mark.parametrize("name", POLICIES)
def test_results_are_those_of_the_plain_program(runs, name, scanned):
    for got, wanted in zip(runs[name, scanned].results, runs["none", scanned].results, strict=True):
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("scanned", [False, True])
def test_nothing_kept_takes_less_than_half_the_memory(runs, scanned):
    assert runs["nothing", scanned].activations <= 0.45 * runs["everything", scanned].activations


@pytest.mark.parametrize("scanned", [False, True])
def test_policies_in_between(runs, scanned):
    least, most = runs["nothing", scanned].activations, runs["everything", scanned].activations
    for name in ("dots", "names", "budget"):
        assert least < runs[name, scanned].activations <= most, name


def test_it_is_the_barrier_that_saves(runs):
    """Without it the compiler merges what is computed again with the first computation."""
    text = program("nothing").as_text("layouts", locations=True)
    assert "tessera.barrier" in text and "tessera.barrier" not in without_barriers(text)
    _, _, report = native.compile_text(without_barriers(text))
    least, most = runs["nothing", False].activations, runs["everything", False].activations
    assert report["arenaBytes"] > 0.8 * most > least / 0.45


def test_work_is_at_most_one_forward_pass_more():
    def forward(ws, x):
        for p in ws:
            x = layer(x, p)
        return ts.sum(x * x)

    once = ts.jit(forward).lower(W, X).cost()["flops"]
    plain = program(None).cost()["flops"]
    extra = {name: program(policy).cost()["flops"] - plain for name, policy in POLICIES.items()}
    assert 0.5 * once < extra["nothing"] <= 1.05 * once
    assert extra["everything"] == 0
    # The budget holds one product of each layer's two, and so saves what it takes.
    assert 0 < extra["budget"] < 0.1 * extra["nothing"]


def test_random_numbers_are_the_same_again():
    """Dropout's mask is computed again from its key."""
    def dropped(x, key):
        mask = ts.random.uniform(key, x.shape) < 0.5
        return ts.where(mask, ts.exp(x), 0.0)

    def loss(body):
        return lambda x, key: ts.sum(body(x, key) ** 2)

    key = ts.random.key(3)
    a = ts.grad(loss(dropped))(X, key)
    b = ts.grad(loss(ts.checkpoint(dropped)))(X, key)
    np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
