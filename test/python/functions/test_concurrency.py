# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiled functions called from several Python threads, and freed meanwhile."""

import gc
import threading

import numpy as np

import tessera as ts
from conftest import needs_runtime

X = np.arange(24, dtype=np.float32).reshape(4, 6)
ROUNDS = 200


def _compiled(devices, factor):
    return ts.jit(lambda x: (x * factor) @ ts.transpose(x), mesh=ts.make_mesh({"tp": devices}),
                  in_shardings=(ts.P(None, "tp"),))


def _side_by_side(*works):
    """Runs each in a thread; raises what any of them raised."""
    errors = []

    def guarded(work):
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a thread stands still"
    if errors:
        raise errors[0]


def _repeat(f, factor):
    def work():
        for round in range(ROUNDS):
            np.testing.assert_array_equal(np.asarray(f(X + round)), ((X + round) * factor) @ (X + round).T)
    return work


@needs_runtime
def test_two_programs_run_from_two_threads_at_the_same_time():
    _side_by_side(_repeat(_compiled(2, 3), 3), _repeat(_compiled(3, 5), 5))


@needs_runtime
def test_one_program_runs_from_two_threads_at_the_same_time():
    f = _compiled(2, 3)
    _side_by_side(_repeat(f, 3), _repeat(f, 3))


@needs_runtime
def test_a_program_is_freed_while_another_runs():
    def come_and_go():
        for round in range(10):
            np.testing.assert_array_equal(np.asarray(_compiled(2, round)(X)), (X * round) @ X.T)
            gc.collect()

    _side_by_side(_repeat(_compiled(3, 5), 5), come_and_go)


@needs_runtime
def test_meshes_larger_than_the_machine_run():
    for devices in (8, 16):
        f = ts.jit(lambda x, w: ts.tanh(x @ w) @ w, mesh=ts.make_mesh({"tp": devices}),
                   in_shardings=(ts.P(), ts.P(None, "tp")))
        x = np.linspace(-1, 1, 5 * 32, dtype=np.float32).reshape(5, 32)
        w = np.linspace(-0.2, 0.3, 32 * 32, dtype=np.float32).reshape(32, 32)
        np.testing.assert_allclose(np.asarray(f(x, w)), np.tanh(x @ w) @ w, rtol=2e-5, atol=2e-5)


@needs_runtime
def test_indices_out_of_bounds_and_divisors_of_zero_end_no_process():
    mesh = ts.make_mesh({"tp": 2})
    table = np.arange(12, dtype=np.float32).reshape(6, 2)
    indices = np.array([5, -9, 0, 2**31 - 1], np.int32)
    rows = np.asarray(ts.jit(lambda t, i: t[i], mesh=mesh, in_shardings=(ts.P("tp"), ts.P()))(table, indices))
    np.testing.assert_array_equal(rows[[0, 2]], table[[5, 0]])
    x, y = np.array([7, -7, -(2**31), 5], np.int32), np.array([0, 2, -1, 0], np.int32)
    divide = ts.jit(lambda x, y: x // y, mesh=mesh, in_shardings=(ts.P("tp"), ts.P("tp")))
    quotients = np.asarray(divide(x, y))
    np.testing.assert_array_equal(quotients[[1, 2]], [-4, -(2**31)])


@needs_runtime
def test_a_thread_of_little_stack_runs_kernels_of_much_scratch():
    x = np.random.default_rng(3).standard_normal((2, 200_000), np.float32)
    f = ts.jit(lambda x: ts.softmax(x))
    whole = np.asarray(f(x))
    parts = []
    before = threading.stack_size(512 << 10)
    try:
        _side_by_side(lambda: parts.append(np.asarray(f(x))))
    finally:
        threading.stack_size(before)
    np.testing.assert_array_equal(parts[0], whole)
    np.testing.assert_allclose(whole.sum(1), 1, rtol=1e-3)
