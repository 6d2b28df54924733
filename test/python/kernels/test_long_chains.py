# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Long chains and wide joins compile in time linear in their length, and mean what NumPy's do."""

import functools
import time

import numpy as np
import pytest

import tessera as ts
from conftest import needs_runtime

pytestmark = needs_runtime
X = np.random.default_rng(8).standard_normal((24, 40)).astype(np.float32)


def rolls(n, x):
    for k in range(14):
        x = 0.5 * (x + n.roll(x, 3 * k + 1))
    return x


def windows(n, x):
    return functools.reduce(lambda y, k: 0.5 * (n.flip(y, k % 2)[:, 1:] + y[:, :-1]), range(20), x)


def paddings(n, x):
    return functools.reduce(lambda y, k: n.pad(y, [(k % 2, 1), (1, k % 3)]) * 1.5, range(10), x)


def running_sums(n, x):
    return functools.reduce(lambda y, k: 0.1 * n.cumsum(y, axis=k % 2) + n.roll(y, 1, 1), range(8), x)


def many_slices(n, x):
    return n.concatenate([x[:, k % 37 : k % 37 + 3] for k in range(300)], axis=1)


def many_values(n, x):
    return n.stack([n.exp(x[0, :8] * (k / 600)) for k in range(600)])


def joins_behind_a_product(n, x):
    return functools.reduce(lambda y, k: 0.5 * y + n.abs(y) * 0.25, range(26), x @ x.T)


# CPU seconds that compiling may take, on a machine that does other work as well.
PROGRAMS = {rolls: 3, windows: 3, paddings: 3, running_sums: 3, joins_behind_a_product: 3, many_slices: 3,
            many_values: 10}


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_compiling_is_not_exponential(program, monkeypatch):
    monkeypatch.setenv("TESSERA_CACHE", "0")
    begin = time.process_time()
    got = ts.jit(lambda x: program(ts, x))(X)
    assert time.process_time() - begin < PROGRAMS[program]
    np.testing.assert_allclose(got, program(np, X.astype(np.float64)), rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("program", [rolls, windows, paddings, running_sums], ids=lambda p: p.__name__)
def test_gpu_kernels_of_chains_fit_a_block(program):
    lowered = ts.jit(lambda x: program(ts, x), target="cuda:sm_90a").lower(np.tile(X, (20, 20)))
    assert "nvvm" in lowered.as_text("nvvm")
