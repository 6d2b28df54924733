# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Results stay on the devices: what is copied between calls, what is compiled, what donation frees."""

import gc
import pickle
import subprocess
import sys
from typing import NamedTuple

import numpy as np
import pytest
import test_array
from conftest import needs_runtime

import tessera as ts
from tessera._src.functions.compiled import Compiled
from tessera._src.functions.lowered import Lowered
from tessera._src.programs import dispatch, runtime

pytestmark = needs_runtime
MESH = ts.make_mesh({"dp": 2, "tp": 2})
P = ts.P


def train(state, batch):
    """A step of gradient descent on |batch @ w| ** 2, and a count."""
    return {"w": state["w"] - 0.1 * (batch.T @ (batch @ state["w"])), "count": state["count"] + 1}


def numbers(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32) * np.float32(0.1)


@pytest.fixture
def compiled(monkeypatch):
    """The programs that are compiled, in order."""
    made = []
    original = Lowered.compile

    def compile(self, *args, **kwargs):
        made.append(original(self, *args, **kwargs))
        return made[-1]

    monkeypatch.setattr(Lowered, "compile", compile)
    return made


def slow_calls(monkeypatch):
    """Gets an entry for each call that takes the long path, from now on."""
    seen = []
    original = Compiled.run_flat

    def run_flat(self, leaves):
        seen.append(leaves)
        return original(self, leaves)

    monkeypatch.setattr(Compiled, "run_flat", run_flat)
    return seen


LAYOUTS = {"w": P(None, "tp"), "count": P()}


@pytest.mark.quick
@pytest.mark.parametrize("options, programs", [
    ({"in_shardings": (LAYOUTS, P("dp"))}, 1),
    ({"in_shardings": (LAYOUTS, P("dp")), "donate_argnums": 0}, 1),
    ({"in_shardings": (None, P("dp")), "donate_argnums": 0}, 1),
    ({"in_shardings": (None, P("dp"))}, 2),
], ids=["annotated", "annotated and donated", "donated", "open"])
def test_a_loop_of_100_calls_copies_no_state(options, programs, compiled):
    step = ts.jit(train, mesh=MESH, **options)
    state = wanted = {"w": numbers(8, 6), "count": np.zeros((), np.float32)}
    batch = ts.device_put(numbers(4, 8), ts.NamedSharding(MESH, P("dp")))
    for _ in range(100):
        wanted = train(wanted, np.asarray(batch))
    state = step(state, batch)
    after_first = [program.transfers() for program in compiled]
    for _ in range(99):
        state = step(state, batch)
    assert len(compiled) <= programs
    if len(compiled) == 1:
        assert compiled[0].transfers() == after_first[0]
    assert all(program.transfers()["joined"] == 0 for program in compiled)
    np.testing.assert_allclose(state["w"], wanted["w"], rtol=1e-4)
    assert state["count"] == 100


def test_an_argument_without_a_layout_takes_that_of_the_array(compiled):
    double = ts.jit(lambda x: x + x, mesh=MESH)
    for spec in (P("dp"), P(None, "tp"), P(("dp", "tp"))):
        x = ts.device_put(numbers(8, 6), ts.NamedSharding(MESH, spec))
        y = double(x)
        assert y.sharding == ts.NamedSharding(MESH, spec)
        np.testing.assert_array_equal(y, 2 * numbers(8, 6))
        np.testing.assert_array_equal(double(y), 4 * numbers(8, 6))
    assert [program.transfers()["resharded"] for program in compiled] == [0, 0, 0]


def test_an_argument_with_a_layout_gets_a_copy_once_that_the_array_keeps(compiled):
    f = ts.jit(lambda x: x * 2, mesh=MESH, in_shardings=P("dp"))
    x = ts.device_put(numbers(8, 6), ts.NamedSharding(MESH, P(None, "tp")))
    for _ in range(3):
        np.testing.assert_array_equal(f(x), 2 * numbers(8, 6))
    # Each row is on the two devices of its "tp".
    assert compiled[0].transfers()["resharded"] == 2 * x.nbytes


def test_arrays_of_another_mesh_are_joined_and_cut():
    other = ts.make_mesh({"x": 3})
    y = ts.jit(lambda x: x + 1, mesh=other, in_shardings=P("x"))(numbers(8, 6))
    np.testing.assert_array_equal(ts.jit(lambda x: x * 2, mesh=MESH)(y), 2 * (numbers(8, 6) + 1))
    given = ts.device_put(numbers(8, 6), ts.NamedSharding(other, P("x")))
    with pytest.raises(ts.ShardingError, match="another mesh"):
        ts.jit(lambda x: x * 2, mesh=MESH)(given)


def test_results_tell_where_they_are():
    x = ts.jit(lambda x: x + 1, mesh=MESH, in_shardings=P("dp", None))(numbers(5, 6))
    assert x.sharding == ts.NamedSharding(MESH, P("dp"))
    assert (x.shape, x.dtype, x.nbytes, x.size, x.ndim) == ((5, 6), ts.f32, 120, 30, 2)
    assert [d.id for d in sorted(x.devices(), key=lambda d: d.id)] == [0, 1, 2, 3]
    assert x.device == x.sharding and x.block_until_ready() is x and not x.is_deleted()
    shards = x.addressable_shards
    assert [(s.device.id, s.index[0], s.replica_id) for s in shards] == [
        (0, slice(0, 3), 0), (1, slice(0, 3), 1), (2, slice(3, 5), 0), (3, slice(3, 5), 1)]
    for shard in shards:
        np.testing.assert_array_equal(shard.data, np.asarray(x)[shard.index])
    one = ts.jit(lambda x: x + 1)(numbers(2))
    assert repr(one.device) == "Device(cpu:0)" and len(one.addressable_shards) == 1
    host = ts.array(numbers(2))
    assert host.sharding is None and repr(host.device) == "Device(cpu:0)"
    assert host.addressable_shards[0].data is host


def test_device_put_and_get():
    sharding = ts.NamedSharding(MESH, P("dp", "tp"))
    tree = ts.device_put({"a": numbers(4, 6), "b": np.float32(3)}, ts.NamedSharding(MESH, P()))
    assert tree["a"].sharding.spec == P() and float(tree["b"]) == 3
    x = ts.device_put(tree["a"], sharding)
    assert x.sharding == sharding and ts.device_put(x, sharding) is x
    got = ts.device_get({"x": x, "y": [1, numbers(2)]})
    assert isinstance(got["x"], np.ndarray) and got["y"][0] == 1
    np.testing.assert_array_equal(got["x"], numbers(4, 6))
    assert ts.block_until_ready(tree) is tree
    for dtype in (ts.bf16, ts.bool_, ts.i64, ts.f16):
        given = np.arange(8).reshape(4, 2).astype(dtype)
        np.testing.assert_array_equal(ts.device_put(given, sharding), given)


def test_whole_results_are_read_without_a_copy(compiled):
    for spec in (P(), P("dp")):
        x = ts.jit(lambda x: x + 1, mesh=MESH, in_shardings=spec)(numbers(8, 6))
        assert np.shares_memory(np.asarray(x), x.numpy()) and not x.numpy().flags.writeable
    assert [program.transfers()["joined"] for program in compiled] == [0, 0]
    x = ts.jit(lambda x: x + 1, mesh=MESH, in_shardings=P(None, "tp"))(numbers(8, 6))
    np.asarray(x), np.asarray(x)
    assert compiled[2].transfers()["joined"] == x.nbytes


def test_donated_arrays_are_gone_and_say_why():
    step = ts.jit(lambda state: {"w": state["w"] + 1}, donate_argnums=0)
    state = {"w": ts.array(numbers(3))}
    new = step(state)
    assert state["w"].is_deleted() and not new["w"].is_deleted()
    for read in (np.asarray, float, str.format, lambda x: x + 1, lambda x: step({"w": x}),
                 lambda x: ts.jit(lambda y: y)(x)):
        if read is str.format:
            continue
        with pytest.raises(ts.ConfigError) as caught:
            read(state["w"])
        assert caught.value.code == "TS4020"
        assert "donated as argument 'state.w'" in str(caught.value)
        assert "test_residency.py:" in str(caught.value)
    assert "donated" in repr(state["w"]) and state["w"].shape == (3,)
    new["w"].delete()
    with pytest.raises(ts.ConfigError, match="deleted by .delete()"):
        np.asarray(new["w"])


def test_what_somebody_looks_at_is_not_overwritten():
    step = ts.jit(lambda x: x + 1, donate_argnums=0)
    first = step(numbers(1000))
    view = np.asarray(first)
    kept = view.copy()
    second = step(first)
    step(second)
    assert first.is_deleted()
    np.testing.assert_array_equal(view, kept)
    x = step(numbers(1000))
    both = ts.jit(lambda x, y: (x + 1, y * 2), donate_argnums=0)
    a, b = both(x, x)
    np.testing.assert_array_equal(a, kept + 1)
    np.testing.assert_array_equal(b, kept * 2)


def test_reading_a_state_keeps_its_calls_short(monkeypatch):
    step = ts.jit(lambda s: {"x": s["x"] + 1, "n": s["n"] + 1}, donate_argnums=0)
    state = step(step({"x": numbers(1000), "n": np.float32(0)}))
    slow = slow_calls(monkeypatch)
    for i in range(3):
        assert state["n"] == i + 2
        np.testing.assert_allclose(np.asarray(state["x"]), numbers(1000) + i + 2, rtol=1e-6)
        state = step(state)
    assert dispatch._dispatch is None or not slow
    view = np.asarray(state["x"])
    kept = view.copy()
    step(step(state))
    np.testing.assert_array_equal(view, kept)


def test_a_pickled_result_has_no_layout_of_its_own():
    result = ts.jit(lambda x: x + 1, mesh=MESH, in_shardings=P("dp"))(numbers(8, 6))
    again = pickle.loads(pickle.dumps(result))
    assert again.sharding is None
    np.testing.assert_array_equal(ts.jit(lambda x: x, mesh=ts.make_mesh({"x": 2}))(again), result)


def test_numpy_arguments_are_never_donated():
    x = numbers(1000)
    kept = x.copy()
    step = ts.jit(lambda x: x + 1, donate_argnums=0)
    for _ in range(2):
        np.testing.assert_array_equal(step(x), kept + 1)
    np.testing.assert_array_equal(x, kept)


def test_a_failed_call_leaves_donated_arrays_alone():
    step = ts.jit(lambda x, y: (x + 1, y), donate_argnums=(0, 1))
    x, gone = step(numbers(8), numbers(8))[0], ts.array(numbers(8))
    gone.delete()
    with pytest.raises(ts.ConfigError, match="deleted"):
        step(x, gone)
    np.testing.assert_array_equal(x, numbers(8) + 1)


def test_one_array_is_not_donated_twice():
    step = ts.jit(lambda x, y: (x + 1, y["w"] * 2), donate_argnums=(0, 1))
    for _ in range(3):  # The first calls and later ones take different ways.
        step(ts.array(numbers(8)), {"w": ts.array(numbers(8))})
        array = ts.array(numbers(8))
        with pytest.raises(ts.ConfigError) as caught:
            step(array, {"w": array})
        said = str(caught.value)
        assert caught.value.code == "TS4020" and "twice, as 'x' and as 'y.w', and both are donated" in said
        assert "pass a copy as one of them, such as ts.array(y)" in said
        assert not array.is_deleted()
        np.testing.assert_array_equal(array, numbers(8))


def test_a_loop_without_donation_holds_two_states():
    step = ts.jit(lambda x: x + 1, mesh=MESH, in_shardings=P("dp"))
    state = step(np.zeros((1024, 64), np.float32))
    state = step(state)
    gc.collect()
    runtime.reset_peak_memory()
    before = runtime.memory()["in_use"]
    for _ in range(5):
        state = step(state)
    memory = runtime.memory()
    assert memory["in_use"] == before
    # Two devices hold each half of it.
    assert memory["peak"] - before <= 2 * state.nbytes + 4096


class Pair(NamedTuple):
    """A tree that the extension knows by its Python class only."""

    a: object
    b: object


@pytest.mark.skipif(dispatch._dispatch is None, reason="the extension for calls is not built")
def test_repeated_calls_take_the_short_path(monkeypatch):
    def update(tree, x):
        return {"p": Pair(tree["p"].a + x, tree["p"].b), "q": [tree["q"][0] * 2, None], "r": (x,)}

    f = ts.jit(update, donate_argnums=0)
    tree = {"p": Pair(ts.array(numbers(3)), ts.array(numbers(2))), "q": [numbers(4), None]}
    x = np.float32(1)
    tree = f({"p": tree["p"], "q": tree["q"]}, x)
    slow = slow_calls(monkeypatch)
    for _ in range(3):
        tree = f({"p": tree["p"], "q": tree["q"]}, x)
    assert len(slow) <= 1  # Results are on the device, the first arguments were not.
    np.testing.assert_allclose(tree["p"].a, numbers(3) + 4)
    np.testing.assert_array_equal(tree["q"][0], numbers(4) * 16)
    assert type(tree["p"]) is Pair and tree["q"][1] is None and tree["r"][0] == 1
    before = len(slow)
    f({"p": tree["p"], "q": [numbers(5), None]}, x)  # Another shape, and arrays that NumPy sees.
    assert len(slow) == before + 1


def test_the_short_path_refuses_what_is_not_its_own():
    f = ts.jit(lambda x, y: x + y)
    one, two = ts.array(numbers(3)), numbers(3)
    for args in ((one, two), (two, one), (one, one), (two[:2], two[:2]), (one, 1), (one, 2.0),
                 (one, np.float32(2))):
        for _ in range(3):
            np.testing.assert_array_equal(f(*args), np.asarray(args[0]) + np.asarray(args[1], np.float32))
    with pytest.raises(ts.TraceError, match="cannot be called so"):
        f(one)
    with pytest.raises(ts.TraceError, match="not an array"):
        f(one, "a")
    np.testing.assert_array_equal(f(x=one, y=two), 2 * numbers(3))
    np.testing.assert_array_equal(f(y=two, x=one), 2 * numbers(3))


def test_without_the_extension_all_is_the_same():
    code = f"""
import sys
sys.modules["tessera._native._dispatch"] = None
import pytest
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", {__file__!r}, {test_array.__file__!r},
                      "-k", "not without_the_extension and not short_path and not is_fast"]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_loop_with_donation_holds_one_state():
    step = ts.jit(train, mesh=MESH, in_shardings=(LAYOUTS, P("dp")), donate_argnums=0)
    batch = ts.device_put(numbers(4, 128), ts.NamedSharding(MESH, P("dp")))
    state = step({"w": numbers(128, 96), "count": np.zeros((), np.float32)}, batch)
    state = step(state, batch)
    gc.collect()
    runtime.reset_peak_memory()
    before = runtime.memory()["in_use"]  # With the program's temporaries, which it keeps.
    for _ in range(5):
        state = step(state, batch)
    memory = runtime.memory()
    assert memory["in_use"] == before and memory["peak"] == before


def test_many_arguments_are_donated():
    step = ts.jit(lambda state, x: {name: value * x for name, value in state.items()}, donate_argnums=0)
    state = {f"w{i}": numbers(5) + i for i in range(40)}
    for _ in range(3):
        state = step(state, np.float32(2))
    for i in range(40):
        np.testing.assert_allclose(state[f"w{i}"], (numbers(5) + i) * 8, rtol=1e-6)
