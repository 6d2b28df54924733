# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""ts.checkpoint_policies.save_within_budget: what is kept for how many bytes."""

import re

import numpy as np
import pytest

import tessera as ts

X = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)
W = np.linspace(-0.5, 0.7, 15, dtype=np.float32).reshape(3, 5)
V = np.linspace(-0.4, 0.6, 15, dtype=np.float32).reshape(5, 3)


def layer(x, w, v):
    return ts.tanh(ts.gelu(x @ w) @ v)


def within(max_bytes, fun=layer):
    return ts.checkpoint(fun, policy=ts.checkpoint_policies.save_within_budget(max_bytes))


def net(layer, depth=3):
    def loss(x, w, v):
        for _ in range(depth):
            x = layer(x, w, v)
        return ts.sum(x**2)

    return loss


def close(got, wanted):
    for a, b in zip(ts.tree.leaves(got), ts.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-5, atol=1e-6)


def kept_bytes(lowered):
    """Bytes that each checkpoint keeps, as explain() says of those that compute something again."""
    return [int(found) for found in re.findall(r"keeps (\d+) bytes for the backward pass", lowered.explain())]


# The least of one call are its argument and its result, which tanh needs: 24 bytes each.
@pytest.mark.parametrize("budget", [48, 87, 88, 100, 128, 1000])
def test_no_call_keeps_more_than_its_budget(budget):
    gradient = ts.jit(ts.grad(net(within(budget)), (0, 1, 2)))
    close(gradient(X, W, V), ts.grad(net(layer), (0, 1, 2))(X, W, V))
    lowered = gradient.lower(X, W, V)
    sizes = kept_bytes(lowered)
    assert all(size <= budget for size in sizes), lowered.explain()
    # With 128 bytes a call keeps all that derivatives need.
    assert bool(sizes) == (budget < 128), lowered.explain()


def test_more_bytes_leave_less_to_do():
    flops = [ts.jit(ts.grad(net(within(budget)), (0, 1, 2))).lower(X, W, V).cost()["flops"]
             for budget in (48, 88, 128, 10000)]
    assert flops == sorted(flops, reverse=True) and flops[0] > flops[1] > flops[-1]
    assert flops[-1] == ts.jit(ts.grad(net(layer), (0, 1, 2))).lower(X, W, V).cost()["flops"]


def test_the_product_is_kept_before_what_follows_from_it():
    text = ts.jit(ts.grad(net(within(88)), (0, 1, 2))).lower(X, W, V).explain()
    assert "policy budget:88" in text
    kept = re.findall(r"keeps 40 bytes: 2x5xf32 of tessera\.(\w+) at .*test_budgets.py:(\d+), which would "
                      r"take (\d+) operations", text)
    line = layer.__code__.co_firstlineno + 1
    assert set(kept) == {("contract", str(line), str(2 * 2 * 3 * 5))}, text


def test_a_budget_that_cannot_be_met_says_the_least():
    with pytest.raises(ts.CompileError) as caught:
        ts.jit(ts.grad(net(within(47)))).lower(X, W, V)
    error = caught.value
    assert "47 bytes" in error.message and "is 48 bytes" in error.message
    assert "24 bytes: 2x3xf32 of tessera.tanh" in str(error)
    # The place is that of the call of the checkpoint, in the function `net`.
    assert error.location.file == __file__
    assert "x = layer(x, w, v)" in str(error)
    ts.jit(ts.grad(net(within(48)))).lower(X, W, V)


def test_arguments_of_the_function_take_nothing():
    """What its caller holds anyway; so one layer needs its result alone."""
    gradient = ts.grad(net(within(24), depth=1), (0, 1, 2))
    close(gradient(X, W, V), ts.grad(net(layer, depth=1), (0, 1, 2))(X, W, V))
    with pytest.raises(ts.CompileError, match="is 24 bytes"):
        ts.grad(net(within(23), depth=1))(X, W, V)


def test_each_iteration_of_a_loop_is_a_call():
    """Its slices of the weights are no new memory; the carried value is."""
    ws, vs = np.stack([W, W * 2, W * 3]), np.stack([V, V * 2, V * 3])

    def scanned(layer):
        return lambda x, ws, vs: ts.sum(
            ts.scan(lambda x, p: (layer(x, *p), None), x, (ws, vs))[0] ** 2)

    plain = ts.grad(scanned(layer), (0, 1, 2))(X, ws, vs)
    for budget in (48, 88, 500):
        gradient = ts.jit(ts.grad(scanned(within(budget)), (0, 1, 2)))
        close(gradient(X, ws, vs), plain)
        sizes = kept_bytes(gradient.lower(X, ws, vs))
        assert all(size <= budget for size in sizes) and bool(sizes) == (budget < 500)
    with pytest.raises(ts.CompileError, match="is 48 bytes"):
        ts.grad(scanned(within(47)))(X, ws, vs)


@pytest.mark.parametrize("budget", [48, 88])
def test_second_derivatives(budget):
    def slope(layer):
        return lambda x, w, v: ts.sum(ts.grad(net(layer))(x, w, v) ** 2)

    close(ts.grad(slope(within(budget)))(X, W, V), ts.grad(slope(layer))(X, W, V))
    both = [ts.jvp(ts.grad(net(f)), (X, W, V), (X, W, V)) for f in (within(budget), layer)]
    close(*both)
    both = [ts.jit(lambda *args, f=f: ts.linearize(net(f), *args)[1](*args))(X, W, V)
            for f in (within(budget), layer)]
    close(*both)


def test_batches():
    xs = np.stack([X, X + 1])
    plain = ts.vmap(ts.grad(net(layer), (0, 1, 2)), (0, None, None))(xs, W, V)
    mapped = ts.jit(ts.vmap(ts.grad(net(within(88)), (0, 1, 2)), (0, None, None)))
    close(mapped(xs, W, V), plain)
    assert "policy budget:88" in mapped.lower(xs, W, V).explain()
    # The bytes of a batch are those of all its entries.
    def total(layer):
        return lambda xs, w, v: ts.sum(ts.vmap(net(layer), (0, None, None))(xs, w, v))

    close(ts.grad(total(within(96)))(xs, W, V), ts.grad(total(layer))(xs, W, V))
    with pytest.raises(ts.CompileError, match="is 96 bytes"):
        ts.grad(total(within(95)))(xs, W, V)


def test_rules_by_hand():
    @ts.custom_vjp
    def halved(x):
        return x / 2

    halved.defvjp(lambda x: (x / 2, ts.sin(x)), lambda kept, ct: (ct * kept,))

    @ts.custom_jvp
    def doubled(x):
        return x * 2

    @doubled.defjvp
    def rule(primals, tangents):
        return primals[0] * 2, 3 * tangents[0] * ts.cos(primals[0])

    def by_hand(x, w, v):
        return ts.tanh(doubled(halved(ts.gelu(x @ w))) @ v)

    plain = ts.grad(net(by_hand), (0, 1, 2))(X, W, V)
    for budget in (48, 88, 500):
        close(ts.grad(net(within(budget, by_hand)), (0, 1, 2))(X, W, V), plain)


def test_loops_conditionals_and_checkpoints_inside():
    def inner(x, w, v):
        return ts.cond(ts.sum(x) > 0, lambda x: layer(x, w, v), lambda x: ts.sin(x), x)

    def deep(x, w, v):
        x, _ = ts.scan(lambda x, _: (ts.tanh(x @ w @ v), None), ts.exp(x), None, length=3)
        return ts.checkpoint(inner)(x, w, v)

    plain = ts.grad(net(deep), (0, 1, 2))(X, W, V)
    for budget in (72, 200, 5000):
        close(ts.grad(net(within(budget, deep)), (0, 1, 2))(X, W, V), plain)
    # A checkpoint with a budget in a branch, and in a checkpoint of another policy.
    around = ts.checkpoint(lambda x, w, v: ts.cond(ts.sum(x) > 0, within(40), lambda x, w, v: x, x, w, v))
    plain = ts.grad(net(lambda x, w, v: ts.cond(ts.sum(x) > 0, layer, lambda x, w, v: x, x, w, v)))(X, W, V)
    close(ts.grad(net(around))(X, W, V), plain)


def test_random_masks_are_computed_again():
    key = ts.random.key(3)

    def dropped(x, w, v):
        mask = ts.random.uniform(key, (2, 5)) < 0.5
        return ts.tanh(ts.where(mask, ts.gelu(x @ w), 0.0) @ v)

    plain = ts.grad(net(dropped), (0, 1, 2))(X, W, V)
    for budget in (48, 88, 500):
        close(ts.grad(net(within(budget, dropped)), (0, 1, 2))(X, W, V), plain)


def test_on_a_mesh():
    """Bytes are those of whole arrays, wherever their parts are."""
    mesh = ts.make_mesh({"tp": 2})
    gradient = ts.jit(ts.grad(net(within(88)), (0, 1, 2)), mesh=mesh,
                      in_shardings=(None, ts.P(None, "tp"), ts.P("tp", None)))
    close(gradient(X, W, V), ts.grad(net(layer), (0, 1, 2))(X, W, V))
    assert set(kept_bytes(gradient.lower(X, W, V))) == {64, 88}


@pytest.mark.parametrize("size", [-1, 1.5, "64", True, None])
def test_what_is_no_number_of_bytes(size):
    with pytest.raises(ts.ConfigError, match="max_bytes of save_within_budget") as caught:
        ts.checkpoint_policies.save_within_budget(size)
    assert caught.value.code == "TS4006"


def test_of_many_values_the_largest_are_listed():
    def long(x, w, v):
        for _ in range(6):
            x = layer(x, w, v)
        return x

    text = ts.jit(ts.grad(net(within(300, long)), (0, 1, 2))).lower(X, W, V).explain()
    assert "values more" in text
    for checkpoint in text.split("checkpoint at")[1:]:
        sizes = [int(size) for size in re.findall(r"^   keeps (\d+) bytes: ", checkpoint, re.M)]
        listed = sizes[:8]
        assert listed == sorted(listed, reverse=True) and len(sizes) <= 9
        assert sum(sizes) == int(re.search(r"keeps (\d+) bytes for the backward pass", checkpoint)[1]) <= 300
