# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What jit compiles and when, with a device that evaluates traced programs by NumPy."""

import ctypes
import math
import time

import numpy as np
import pytest

import tessera as ts
from evaluate import evaluate
from tessera._src import cache, native

X = np.arange(6, dtype=np.float32).reshape(2, 3)


class Machine:
    """Counts what the front end asks of the compiler and of the runtime."""

    def __init__(self):
        self.compiled, self.placed = 0, []

    def compile_text(self, text, **options):
        self.compiled += 1
        return text.encode(), [], {"arguments": [], "collectives": [
            {"kind": "all_reduce", "axes": ["tp"], "shape": [2, 3], "dtype": "f32", "bytes": 24,
             "estimatedNs": 1000, "rule": "a rule", "origins": ["w, by the user"],
             "alternatives": ["all_gather, 48 bytes"], "file": __file__, "line": 1}]}

    def executable(machine, artefact, **options):
        """A class would do; a closure keeps `machine`."""

        class Executable:
            def __init__(self):
                text = artefact.decode()
                self.text = text
                header = text[text.index("@main("):text.index(") {\n")]
                arguments, results = header.split("      -> (")
                self.types = [_parse(line) for line in arguments.split(",\n") if "%arg" in line]
                self.keys = [("mesh", shape, str(dtype)) for shape, dtype in self.types]

            def place(self, index, array):
                machine.placed.append(index)

                class Placed:
                    handle, keep = array.ctypes.data, array

                return Placed

            def run(self, words):
                values = []
                for (shape, dtype), raw, placed in zip(self.types, words[::2], words[1::2]):
                    size = math.prod(shape) * dtype.itemsize
                    data = ctypes.string_at(raw or placed, size)
                    values.append(np.frombuffer(data, dtype).reshape(shape))
                return evaluate(self.text, values)

        return Executable()


def _parse(line):
    from evaluate import _type

    return _type(line)


@pytest.fixture
def machine(monkeypatch):
    made = Machine()
    monkeypatch.setattr(native, "compile_text", made.compile_text)
    monkeypatch.setattr(native, "compiler_version", lambda: "test")
    monkeypatch.setattr(native, "Executable", made.executable)
    return made


def test_one_program_per_kind_of_arguments(machine):
    f = ts.jit(lambda x: x + 1)
    for x in (X, X * 2, ts.array(X)):
        np.testing.assert_array_equal(f(x), np.asarray(x) + 1)
    assert machine.compiled == 1
    f(X.astype(np.float64)), f(X[:1]), f([X][0])
    assert machine.compiled == 3


def test_meshes_have_their_own_programs(machine):
    f = ts.jit(lambda x: x + 1)
    for size in (1, 2, 2):
        with ts.make_mesh({"tp": size}):
            f(X)
    assert machine.compiled == 2


def test_static_arguments_select_programs_by_value(machine):
    f = ts.jit(lambda x, mode, k=2: x * k if mode == "times" else x + k, static_argnums=1,
               static_argnames="k")
    np.testing.assert_array_equal(f(X, "times"), X * 2)
    np.testing.assert_array_equal(f(X, "plus", k=3), X + 3)
    np.testing.assert_array_equal(f(X, mode="plus", k=3), X + 3)
    assert machine.compiled == 2
    with pytest.raises(ts.ConfigError, match="not hashable"):
        f(X, [])


def test_arguments_after_a_static_one_keep_their_place(machine):
    f = ts.jit(lambda mode, x, y: x - y, static_argnums=0)
    np.testing.assert_array_equal(f("a", X, X * 2), -X)
    np.testing.assert_array_equal(f("a", y=X, x=X * 2), X)


def test_programs_on_disk_are_found_by_a_new_process(machine, monkeypatch):
    ts.jit(lambda x: x + 1)(X)
    ts.jit(lambda x: x + 1)(X)
    assert machine.compiled == 2  # Two places in the source: two programs.
    for _ in range(3):
        f = ts.jit(lambda x: x + 2)
        f(X)
    assert machine.compiled == 3
    monkeypatch.setenv("TESSERA_CACHE", "0")
    f.clear_cache()
    f(X)
    assert machine.compiled == 4


def test_damaged_cache_entries_are_ignored(machine):
    def compiled():
        f = ts.jit(lambda x: x + 2)
        return f(X)

    compiled()
    (entry,) = cache.directory().iterdir()
    for damage in (b"", b"x", entry.read_bytes()[:-1], entry.read_bytes()[:-1] + b"?"):
        entry.write_bytes(damage)
        np.testing.assert_array_equal(compiled(), X + 2)
    assert machine.compiled == 5


def test_arrays_are_placed_once_and_numpy_arguments_never(machine):
    f = ts.jit(lambda w, x: w + x)
    w = ts.array(X)
    for _ in range(3):
        f(w, X)
    assert machine.placed == [0]


def test_changed_numpy_arguments_are_seen(machine):
    f, x = ts.jit(lambda x: x + 1), X.copy()
    f(x)
    x += 5
    np.testing.assert_array_equal(f(x), x + 1)
    np.testing.assert_array_equal(f(x.T.copy().T), x + 1)


def test_scalars_trees_and_named_arguments(machine):
    f = ts.jit(lambda p, *, scale: {"y": p["w"] * scale, "n": None})
    result = f({"w": X}, scale=2.0)
    np.testing.assert_array_equal(result["y"], X * 2)
    assert result["n"] is None


def test_torch_arguments(machine):
    torch = pytest.importorskip("torch")
    np.testing.assert_array_equal(ts.jit(lambda x: x + 1)(torch.from_numpy(X)), X + 1)


def test_jitted_functions_inside_others_are_inlined(machine):
    g = ts.jit(lambda x: x * 2)
    np.testing.assert_array_equal(ts.jit(lambda x: g(x) + g(x))(X), X * 4)
    assert machine.compiled == 1


def test_lowered_objects_report_and_run(machine):
    lowered = ts.jit(lambda x: x + 1, mesh=ts.make_mesh({"tp": 2})).lower(
        ts.ShapeDtypeStruct((2, 3), ts.f32))
    assert lowered.as_text().count("tessera.add") == 1 and "loc(" not in lowered.as_text()
    table = lowered.collectives()
    assert len(table) == 1 and "all_reduce" in str(table) and "2x3" in str(table)
    assert lowered.cost()["communicated_bytes"] == 24
    for part in ("1. all_reduce over tp of 2x3", "because a rule", "from w, by the user",
                 "instead of all_gather"):
        assert part in lowered.explain()
    compiled = lowered.compile()
    np.testing.assert_array_equal(compiled(X), X + 1)
    with pytest.raises(ts.ConfigError, match="TS4005"):
        compiled(X, X)
    with pytest.raises(ts.ConfigError, match="another shape"):
        compiled(X.T)


def test_saving_leaves_nothing_half_written(machine, tmp_path):
    compiled = ts.jit(lambda x: x + 1).lower(X).compile()
    compiled.save(tmp_path / "f.tsa")
    assert (tmp_path / "f.tsa").read_bytes() == compiled.as_artefact()
    assert [p.name for p in tmp_path.iterdir() if p.name != "cache"] == ["f.tsa"]
    with pytest.raises(ts.CheckpointError, match="TS6005"):
        compiled.save(tmp_path / "no" / "f.tsa")


def _per_call(function, *args, calls=200):
    function(*args)
    best = math.inf
    for _ in range(5):
        begin = time.perf_counter()
        for _ in range(calls):
            function(*args)
        best = min(best, (time.perf_counter() - begin) / calls)
    return best


def test_calls_cost_little(machine, monkeypatch):
    f = ts.jit(lambda p, x: x + p["w0"])
    params = {f"w{i}": ts.array(X) for i in range(100)}
    g = ts.jit(lambda x, y: x + y)
    f(params, X), g(X, X)
    for jitted in (f, g):
        for compiled in jitted._compiled.values():
            compiled.executable.run = lambda words: [X]
    assert _per_call(g, X, X) < 50e-6
    assert _per_call(f, params, X) < 300e-6
