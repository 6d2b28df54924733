# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""ts.checkpoint computes again instead of keeping: memory and work of 12 layers."""

import re

import numpy as np
import pytest

import tessera as ts
from tessera._src.programs import native

ROWS, COLUMNS, LAYERS = 256, 32, 12


def weights(*shape):
    return (np.random.default_rng(sum(shape)).standard_normal(shape) * 0.1).astype(np.float32)


X = weights(ROWS, COLUMNS)
W = [{"up": weights(COLUMNS, 4 * COLUMNS), "down": weights(4 * COLUMNS, COLUMNS)} for _ in range(LAYERS)]


def layer(x, p):
    return x + ts.gelu(ts.nn.rms_norm(x) @ p["up"]) @ p["down"]


def program(policy, scanned=False):
    body = layer if policy is None else ts.checkpoint(layer, policy=policy)

    def loss(ws, x):
        if scanned:
            x, _ = ts.scan(lambda x, p: (body(x, p), None), x, ts.tree.stack(ws))
        else:
            for p in ws:
                x = body(x, p)
        return ts.sum(x * x)

    return ts.jit(ts.value_and_grad(loss)).lower(W, X)


def arena(report):
    return report["arenaBytes"]


@pytest.fixture(scope="module")
def plain():
    compiled = program(None).compile()
    return compiled, [np.asarray(leaf) for leaf in ts.tree.leaves(compiled(W, X))]


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


def test_nothing_kept_takes_less_than_half_the_memory(plain):
    compiled, wanted = plain
    again = program("nothing").compile()
    assert arena(again.report) <= 0.45 * arena(compiled.report)
    for got, value in zip(ts.tree.leaves(again(W, X)), wanted, strict=True):
        np.testing.assert_array_equal(np.asarray(got), value)


def test_it_is_the_barrier_that_saves(plain):
    """Without it, and the phases, the compiler merges what is computed again with the first computation."""
    text = program("nothing").as_text("layouts", locations=True)
    assert "tessera.barrier" in text
    compiled, _ = plain
    _, _, report = native.compile_text(without_barriers(text).replace('{tessera.phase = "backward"}', ""))
    assert arena(report) > 0.8 * arena(compiled.report)


@pytest.mark.parametrize("policy", ["dots", ts.checkpoint_policies.everything_saveable])
def test_policies_in_between(plain, policy):
    compiled, wanted = plain
    again = program(policy).compile()
    nothing = program("nothing").compile()
    assert arena(nothing.report) < arena(again.report) <= arena(compiled.report)
    for got, value in zip(ts.tree.leaves(again(W, X)), wanted, strict=True):
        np.testing.assert_array_equal(np.asarray(got), value)


def test_work_is_at_most_one_forward_pass_more(plain):
    def forward(ws, x):
        for p in ws:
            x = layer(x, p)
        return ts.sum(x * x)

    once = ts.jit(forward).lower(W, X).cost()["flops"]
    extra = program("nothing").cost()["flops"] - program(None).cost()["flops"]
    assert 0 < extra <= 1.05 * once


def test_layers_in_a_loop():
    kept, again = program(None, scanned=True).compile(), program("nothing", scanned=True).compile()
    assert arena(again.report) <= 0.45 * arena(kept.report)
    for got, value in zip(ts.tree.leaves(again(W, X)), ts.tree.leaves(kept(W, X)), strict=True):
        np.testing.assert_array_equal(np.asarray(got), np.asarray(value))


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
