# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Loops that update each entry of a donated sequence: in place where nothing reads the old one later."""

import re

import numpy as np
import pytest

import tessera as ts
from conftest import needs_runtime

pytestmark = needs_runtime

# Entries of 3 x 16 f32 are windows: they begin where kernels can read them.
LENGTH, SHAPE = 5, (3, 16)


def put(entry, row, x):
    """Of NumPy's arrays, too."""
    if isinstance(entry, np.ndarray):
        return np.where((np.arange(len(entry)) == row)[:, None], x, entry)
    return entry.at[row].set(x)


def updated(carry, entry, row):
    new = put(entry, row, carry)
    return carry * 0.5 + new[0], new


def read_later(carry, entry, row):
    new = put(entry, row, carry)
    return carry + new[0] * entry[2], new


def computed(carry, entry, row):
    return carry + entry[1], entry[::-1] + carry


def carried_too(carry, entry, row):
    new = put(entry, row, carry[0])
    return new, new


# Of each body, whether a donated sequence is updated without a copy.
BODIES = {"updated": (updated, True), "read later": (read_later, False), "computed": (computed, False),
          "carried, too": (carried_too, False)}


def arguments(body):
    rng = np.random.default_rng(6)
    carry = rng.standard_normal(SHAPE if body is carried_too else SHAPE[1:], dtype=np.float32)
    return carry, rng.standard_normal((LENGTH, *SHAPE), dtype=np.float32)


def expected(body, carry, xs, row, reverse=False):
    found = [None] * LENGTH
    for i in range(LENGTH)[:: -1 if reverse else 1]:
        carry, found[i] = body(carry, xs[i], row)
    return carry, np.stack(found)


def check(got, wanted):
    for actual, value in zip(got, wanted, strict=True):
        np.testing.assert_allclose(actual, value, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("name", BODIES)
def test_a_donated_sequence(name, reverse):
    body, is_in_place = BODIES[name]

    def function(carry, xs, row):
        return ts.scan(lambda c, x: body(c, x, row), carry, xs, reverse=reverse)

    carry, xs = arguments(body)
    wanted = expected(body, carry, xs, 1, reverse)
    check(ts.jit(function)(carry, xs, 1), wanted)
    compiled = ts.jit(function, donate_argnames="xs")
    plan = compiled.lower(carry, xs, 1).as_text("plan")
    # Of entries, or of all; the carried value is copied to where it may be written.
    copied = set(re.findall(r"plan.copy .* <(\d+)>", plan)) - {str(carry.nbytes)}
    assert not copied if is_in_place else "960" in copied
    check(compiled(carry, ts.asarray(xs), 1), wanted)


def test_a_sequence_that_is_needed_elsewhere():
    carry, xs = arguments(updated)
    after, stacked = expected(updated, carry, xs, 1)

    def later(carry, xs, row):
        return (*ts.scan(lambda c, x: updated(c, x, row), carry, xs), xs * 2)

    def captured(carry, xs, row):
        return ts.scan(lambda c, x: (updated(c, x, row)[0] + xs[-1, 0] * 0, updated(c, x, row)[1]), carry, xs)

    def twice(carry, xs, row):
        def body(c, entries):
            new = put(entries[0], row, c)
            return c * 0.5 + new[0] + 0 * entries[1][2], new
        return ts.scan(body, carry, (xs, xs))

    for function in (later, captured, twice):
        got = ts.jit(function, donate_argnames="xs")(carry, ts.asarray(xs), 1)
        check(got[:2], (after, stacked))
        np.testing.assert_array_equal(got[2:], [xs * 2][: len(got) - 2])


def test_two_sequences_and_what_is_computed_before():
    """As keys and values of all layers; and a sequence that is in no argument's memory."""
    carry, xs = arguments(updated)
    ys = xs[::-1] * 3

    def function(carry, xs, ys, row):
        def body(c, entries):
            c, first = updated(c, entries[0], row)
            c, second = updated(c, entries[1] + 0, row)
            return c, (first, second)
        return ts.scan(body, carry, (xs, ys))

    def reference(c, entries, row):
        c, first = updated(c, entries[0], row)
        c, second = updated(c, entries[1], row)
        return c, np.stack([first, second])

    after, both = expected(reference, carry, np.stack([xs, ys], 1), 2)
    got = ts.jit(function, donate_argnames=("xs", "ys"))(carry, ts.asarray(xs), ts.asarray(ys), 2)
    check([got[0], *got[1]], [after, both[:, 0], both[:, 1]])

    def doubled(carry, xs, row):
        return ts.scan(lambda c, x: updated(c, x, row), carry, ts.cumsum(xs, 0))

    wanted = expected(updated, carry, np.cumsum(xs, 0), 1)
    check(ts.jit(doubled)(carry, xs, 1), wanted)
    mesh = ts.make_mesh({"tp": 3})
    check(ts.jit(doubled, mesh=mesh, in_shardings={"xs": ts.P(None, "tp")})(carry, xs, 1), wanted)


def test_a_sequence_of_a_loop_in_a_loop():
    carry, xs = arguments(updated)

    def function(carry, xs, row):
        def turn(i, state):
            c, xs = state
            return ts.scan(lambda c, x: updated(c, x, row), c, xs)
        return ts.fori_loop(0, 3, turn, (carry, xs))

    wanted = carry, xs
    for _ in range(3):
        wanted = expected(updated, *wanted, 1)
    for donated in ((), ("carry", "xs")):
        check(ts.jit(function, donate_argnames=donated)(ts.asarray(carry), ts.asarray(xs), 1), wanted)
