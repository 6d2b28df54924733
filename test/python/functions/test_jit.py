# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What jit compiles and when, with a device that evaluates traced programs by NumPy."""

import ctypes
import dataclasses
import math
import os
import re
import subprocess
import sys
import threading
import time
import types

import numpy as np
import pytest

import tessera as ts
from conftest import needs_runtime
from evaluate import evaluate
from tessera._src.core import files
from tessera._src.functions import jit
from tessera._src.programs import cache, native, runtime
from tessera._src.programs.build_id import build_id

X = np.arange(6, dtype=np.float32).reshape(2, 3)


class Machine:
    """Counts what the front end asks of the compiler and of the runtime."""

    def __init__(self):
        self.compiled, self.placed = 0, []

    def compilation(machine, text, **options):
        """A class would do; a closure keeps `machine`."""

        class Compilation:
            def emit(self, stage):
                return machine.emit(text)

        return Compilation()

    def emit(self, text):
        self.compiled += 1
        return text.encode(), [], {"arguments": [], "collectives": [
            {"kind": "all_reduce", "axes": ["tp"], "shape": [2, 3], "dtype": "f32", "bytes": 24,
             "estimatedNs": 1000, "rule": "a rule", "origins": ["w, by the user"],
             "alternatives": ["all_gather, 48 bytes"], "file": __file__, "line": 1}]}

    def executable(machine, artefact, **options):
        """A class would do; a closure keeps `machine`."""

        class Placed:
            """A tensor in host memory, whole."""

            def __init__(self, array):
                self.array, self.handle, self.device = array, array.ctypes.data, "cpu"
                self.placement = (array.shape, array.dtype)

            def whole(self, shape, dtype):
                self.array.flags.writeable = False
                return self.array

        class Executable:
            def __init__(self):
                text = artefact.decode()
                self.text = text
                header = text[text.index("@main("):text.index(") attributes {tessera.structure")]
                arguments, results = header.split("      -> (")
                self.types = [_parse(line) for line in arguments.split(",\n") if "%arg" in line]
                types = re.findall(r"!tessera.mesh_tensor<[^>]*", results)
                self.outputs = [_parse(f": {part}>") for part in types]
                self.placements = list(self.types)
                self.description = {
                    "inputs": [{"layout": _layout(line, len(type_[0]))}
                               for line, type_ in zip(arguments.split(",\n"), self.types)],
                    "outputs": [{"layout": _layout("", len(shape))} for shape, _ in self.outputs]}

            def place(self, index, array):
                machine.placed.append(index)
                return Placed(array)

            def reshard(self, index, placed):
                return self.place(index, placed.join(*self.types[index]))

            def execute(self, words, donated=None):
                values = []
                for (shape, dtype), raw, placed in zip(self.types, words[::2], words[1::2]):
                    size = math.prod(shape) * dtype.itemsize
                    data = ctypes.string_at(raw or placed, size)
                    values.append(np.frombuffer(data, dtype).reshape(shape))
                return [Placed(np.ascontiguousarray(value).reshape(np.shape(value)))
                        for value in evaluate(self.text, values)]

        return Executable()


def entries():
    """The compiled programs on disk."""
    return [path for path in cache.directory().iterdir() if not path.name.startswith(".")]


def _layout(text, rank):
    found = re.search(r"\[\{.*?\}\]", text)
    return found[0] if found else "[" + ", ".join(["{}"] * rank) + "]"


def _parse(line):
    from evaluate import _type

    return _type(line)


@pytest.fixture
def machine(monkeypatch):
    made = Machine()
    monkeypatch.setattr(native, "Compilation", made.compilation)
    monkeypatch.setattr(native, "compiler_version", lambda: "test")
    monkeypatch.setattr(runtime, "Executable", made.executable)
    return made


@pytest.mark.quick
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


F32 = np.ones((2, 4), np.float32)
TWO = ts.make_mesh({"tp": 2})


def _sharded(spec):
    return ts.device_put(F32, ts.NamedSharding(TWO, spec))


# What a program depends on: two calls that need two programs.
@pytest.mark.parametrize("first, second", [
    ((F32,), (F32[:1],)),
    ((F32,), (F32.astype(np.float64),)),
    ((_sharded(ts.P("tp")),), (_sharded(ts.P(None, "tp")),)),
    ((_sharded(ts.P("tp")),), (ts.array(F32),)),
    (([F32],), ((F32,),)),
    (({"a": F32},), ({"b": F32},)),
    ((F32, 1), (F32, 2)),
    ((F32, 1), (F32, 1.0)),
    ((F32, 1), (F32, True)),
], ids=["shape", "dtype", "layout", "no layout", "structure", "keys", "static", "static type",
        "static bool"])
def test_programs_are_told_apart_by(first, second, machine, monkeypatch):
    monkeypatch.setenv("TESSERA_CACHE", "0")  # Where equal programs of other arguments are one.
    f = ts.jit(lambda x, s=0: ts.tree.map(lambda leaf: leaf * s, x), mesh=TWO, static_argnames="s")
    for args in (first, second, first, second):
        f(*args)
    assert machine.compiled == 2


@pytest.mark.parametrize("first, second", [
    ({"mesh": TWO}, {"mesh": ts.make_mesh({"tp": 3})}),
    ({"mesh": TWO}, {"mesh": ts.make_mesh({"tq": 2})}),
    ({"mesh": TWO}, {"mesh": ts.make_mesh({"tp": 2}, links={"tp": "nvlink"})}),
    ({"mesh": TWO}, {"mesh": TWO, "in_shardings": ts.P(None, "tp")}),
    ({"mesh": TWO}, {"mesh": TWO, "out_shardings": ts.P(None, "tp")}),
    ({"mesh": TWO}, {"mesh": TWO, "options": {"forbidImplicit": ["all_gather"]}}),
    ({"device": "null"}, {"device": "null", "target": "cuda:sm_80"}),
], ids=["size", "axis", "link", "in_shardings", "out_shardings", "options", "target"])
def test_programs_on_disk_are_told_apart_by(first, second, machine):
    for options in (first, second, first, second):
        ts.jit(lambda x: x + 1, **options)(F32)
    assert machine.compiled == 2


def test_programs_on_disk_are_told_apart_by_compiler_and_processor(machine, monkeypatch):
    def call():
        ts.jit(lambda x: x + 1)(F32)

    call(), call()
    assert machine.compiled == 1
    monkeypatch.setattr(native, "compiler_version", lambda: "newer")
    call(), call()
    assert machine.compiled == 2
    monkeypatch.setattr(cache, "machine", lambda: "another processor")
    call(), call()
    assert machine.compiled == 3


def test_programs_on_disk_are_told_apart_by_the_ptxas_that_assembles_them(machine, monkeypatch, tmp_path):
    def call(target):
        ts.jit(lambda x: x + 1, device="null", target=target)(F32)

    for name in ("a", "b"):
        (tmp_path / name).write_text("#!/bin/sh\n")
    compiled = []
    for name in ("a", "b", "a", "b"):
        monkeypatch.setenv("TESSERA_PTXAS", str(tmp_path / name))
        call("cuda:sm_90a"), call("cpu")
        compiled.append(machine.compiled)
    assert compiled == [2, 3, 3, 3]
    (tmp_path / "b").write_text("#!/bin/sh\n# Another version at the same place.\n")
    call("cuda:sm_90a"), call("cpu")
    assert machine.compiled == 4


def test_the_compiler_is_told_apart_by_the_build_id_of_its_file(tmp_path):
    assert f"tessera-{native.compiler_version()}-llvm" in native.full_version()
    library = native.library_path("libtessera_compiler.so").read_bytes()
    for name, data in [("cut", library[:50]), ("text", b"text"), ("head", library[:64])]:
        (tmp_path / name).write_bytes(data)
    for path in [tmp_path, *(tmp_path / name for name in ("cut", "head", "text", "absent"))]:
        assert build_id(path) == ""


def test_a_state_that_begins_with_a_scalar_of_numpy_needs_one_program(machine):
    f = ts.jit(lambda state: {"step": state["step"] + 1, "x": state["x"] * 2})
    state = {"step": np.int32(0), "x": X}
    for _ in range(3):
        state = f(state)
    assert machine.compiled == 1
    assert int(state["step"]) == 3


def test_a_float64_of_numpy_is_an_array_and_no_python_float(machine):
    f = ts.jit(lambda x: x + 1)
    assert f(np.float64(1.5)).dtype == f(np.array(1.5)).dtype == np.float64
    assert f(1.5).dtype == np.float32
    assert machine.compiled == 2


def test_a_program_on_disk_is_run_without_opening_the_compiler(tmp_path):
    program = (
        "import numpy as np, tessera as ts\n"
        "from tessera._src.programs import native\n"
        "assert ts.jit(lambda x: x + 1)(np.ones(3, np.float32)).tolist() == [2, 2, 2]\n"
        "print(native._compiler.cache_info().currsize)\n"
    )
    environment = {**os.environ, "TESSERA_CACHE_DIR": str(tmp_path)}
    opened = [subprocess.run([sys.executable, "-c", program], env=environment, check=True,
                             stdout=subprocess.PIPE, text=True).stdout for _ in range(2)]
    assert opened == ["1\n", "0\n"]


def test_a_function_keeps_the_programs_used_last(machine, monkeypatch):
    monkeypatch.setattr(jit, "MAX_PROGRAMS", 3)
    monkeypatch.setenv("TESSERA_CACHE", "0")
    f = ts.jit(lambda x: x + 1)
    for size in (1, 2, 3, 1, 4):  # 2 goes, because 1 is used after it.
        f(np.ones(size, np.float32))
    assert machine.compiled == 4 and len(f._compiled) == 3
    f(np.ones(1, np.float32))
    assert machine.compiled == 4
    f(np.ones(2, np.float32))
    assert machine.compiled == 5 and len(f._compiled_for_arrays) == 3


def test_threads_compile_a_program_once(machine):
    f = ts.jit(lambda x: x + 1)
    errors = []

    def call(number):
        try:
            x = np.full((2, 1 + number % 3), number, np.float32)
            np.testing.assert_array_equal(f(x), x + 1)
        except Exception as error:  # noqa: BLE001 (a thread's failure is shown below)
            errors.append(error)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and machine.compiled == 3


def test_the_disk_cache_deletes_what_is_unused_for_longest(machine, monkeypatch):
    ts.jit(lambda x: x + 1)(F32)
    (entry,) = entries()
    size = entry.stat().st_size
    monkeypatch.setenv("TESSERA_CACHE_LIMIT", str(int(size * 4.5)))
    entry.unlink()
    f = ts.jit(lambda x: x + 1)
    for rows in range(1, 6):
        x = np.ones((rows, 4), np.float32)
        f(x)
        for age, path in enumerate(sorted(entries(), key=lambda p: -p.stat().st_mtime)):
            os.utime(path, (1e9 - age, 1e9 - age))
    left = entries()
    assert len(left) < 5 and sum(p.stat().st_size for p in left) <= 4.5 * size


def test_the_disk_cache_is_read_as_a_whole_only_when_it_is_full(monkeypatch, tmp_path):
    scans = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda place: scans.append(place) or scandir(place))
    monkeypatch.setenv("TESSERA_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("TESSERA_CACHE_LIMIT", "100000")
    for i in range(500):
        cache.store(f"{i:04}", bytes(1000), {})
        os.utime(tmp_path / f"{i:04}", (1e9 + i, 1e9 + i))
    # Once to begin with, then whenever a quarter of the limit has come in.
    assert len(scans) <= 1 + 500 * 1022 // 25000 + 1
    left = sorted(path.name for path in entries())
    assert left[-1] == "0499" and left == [f"{i:04}" for i in range(500 - len(left), 500)]
    assert 75000 <= 1022 * len(left) <= 100000
    # What is not known, or not true any more, is counted again.
    for text in ("", "what", "-5", "99999999999"):
        (tmp_path / ".bytes").write_text(text)
        scans.clear()
        cache.store("again", bytes(1000), {})
        assert len(scans) == 1 and cache.load("again") == (bytes(1000), {})
        counted = int((tmp_path / ".bytes").read_text())
        assert counted == sum(path.stat().st_size for path in entries()) <= 100000


def test_a_store_takes_as_long_among_many_entries(monkeypatch, tmp_path):
    monkeypatch.setenv("TESSERA_CACHE_DIR", str(tmp_path))
    cache.store("first", b"", {})
    for i in range(3000):
        (tmp_path / f"entry{i}").write_bytes(b"")
    monkeypatch.setattr(os, "scandir", None)
    cache.store("second", b"some", {})
    assert cache.load("second") == (b"some", {})


def test_methods_take_the_instance_as_an_argument(machine):
    @ts.tree.register_dataclass
    @dataclasses.dataclass
    class Model:
        w: np.ndarray

        @ts.jit
        def forward(self, x):
            return x * self.w

    class Fixed:
        factor = 3

        @ts.jit(static_argnames="self")
        def forward(self, x):
            return x * self.factor

    np.testing.assert_array_equal(Model(X).forward(X), X * X)
    np.testing.assert_array_equal(Model(X + 1).forward(X), X * (X + 1))
    assert machine.compiled == 1
    np.testing.assert_array_equal(Fixed().forward(X), X * 3)
    assert "self.w" in Model(X).forward.lower(X).as_text()


def test_static_arguments_select_programs_by_value(machine):
    f = ts.jit(lambda x, mode, k=2: x * k if mode == "times" else x + k, static_argnums=1,
               static_argnames="k")
    np.testing.assert_array_equal(f(X, "times"), X * 2)
    np.testing.assert_array_equal(f(X, "plus", k=3), X + 3)
    np.testing.assert_array_equal(f(X, mode="plus", k=3), X + 3)
    assert machine.compiled == 2
    with pytest.raises(ts.ConfigError, match="not hashable"):
        f(X, [])


@dataclasses.dataclass(frozen=True)
class Scale:
    factor: object


@pytest.mark.parametrize("first, second", [
    (2, 2.0), (1, True), (0.0, -0.0), ((2,), (2.0,)), ((1,), (True,)), (((0.0,),), ((-0.0,),)),
    (Scale(1), Scale(1.0)), (Scale((1,)), Scale((True,))), (frozenset({1}), frozenset({1.0})),
    (np.float32(1), np.float64(1)), ((math.nan,), (-math.nan,)), (0j, complex(-0.0, 0)),
], ids=repr)
def test_static_values_of_unlike_types_or_bits_have_their_own_programs(first, second, machine):
    seen = []
    f = ts.jit(lambda x, s: (seen.append(s), x)[1], static_argnames="s")
    for value in (first, second, first, second):
        f(X, value)
    assert len(seen) == 2 and seen[0] is first and seen[1] is second


def test_static_values_equal_by_a_rule_of_their_own_share_a_program(machine):
    @dataclasses.dataclass(frozen=True)
    class Options:
        name: str
        cached: list = dataclasses.field(default_factory=list, compare=False)

    seen = []
    f = ts.jit(lambda x, s: (seen.append(s), x)[1], static_argnames="s")
    f(X, Options("a", [1])), f(X, Options("a", [2])), f(X, Options("b"))
    assert [s.name for s in seen] == ["a", "b"]


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
    (entry,) = entries()
    for damage in (b"", b"x", entry.read_bytes()[:-1], entry.read_bytes()[:-1] + b"?"):
        entry.write_bytes(damage)
        np.testing.assert_array_equal(compiled(), X + 2)
    assert machine.compiled == 5


def test_every_damaged_byte_of_a_cache_entrys_head_is_noticed(machine):
    key = "0" * 64
    cache.store(key, b"artefact", {"arguments": []})
    entry = cache.directory() / key
    whole = entry.read_bytes()
    assert cache.load(key) == (b"artefact", {"arguments": []})
    for position in range(whole.index(b"{")):
        for flip in (0x01, 0x11, 0x80, 0xFF):
            damaged = bytearray(whole)
            damaged[position] ^= flip
            entry.write_bytes(damaged)
            assert cache.load(key) is None, position


@pytest.mark.quick
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


@pytest.mark.quick
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


@pytest.mark.quick
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
    with pytest.raises(ts.ConfigError, match="another element type"):
        compiled(X.astype(np.float64))
    with pytest.raises(ts.TraceError, match="TS1032"):
        compiled(ts.ShapeDtypeStruct((2, 3)))


def test_what_only_says_a_shape_and_a_type_is_no_argument():
    described = types.SimpleNamespace(shape=(3,), dtype=np.dtype(np.float32))
    with pytest.raises(ts.TraceError, match="argument 'x' is a SimpleNamespace, which has no elements"):
        ts.jit(lambda x: x + 1)(described)


def test_saving_leaves_nothing_half_written(machine, tmp_path):
    compiled = ts.jit(lambda x: x + 1).lower(X).compile()
    compiled.save(tmp_path / "f.tsa")
    assert (tmp_path / "f.tsa").read_bytes() == compiled.as_artefact()
    assert [p.name for p in tmp_path.iterdir() if p.name != "cache"] == ["f.tsa"]
    with pytest.raises(ts.CheckpointError, match="TS6005"):
        compiled.save(tmp_path / "no" / "f.tsa")
    with pytest.raises(ts.CheckpointError, match="TS6005"):
        compiled.save(tmp_path)


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "f"
    files.write_whole(path, b"old")

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        files.write_whole(path, b"new")
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_files_are_written_through_links_and_into_devices(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "target")
    files.write_whole(tmp_path / "link", b"1")
    assert (tmp_path / "target").read_bytes() == b"1" and (tmp_path / "link").is_symlink()
    files.write_whole("/dev/null", b"1")
    assert not os.path.isfile("/dev/null")
    with pytest.raises(OSError):
        files.write_whole("/dev/full", b"1")


def _per_call(function, *args, calls=200):
    function(*args)
    best = math.inf
    for _ in range(5):
        begin = time.thread_time()
        for _ in range(calls):
            function(*args)
        best = min(best, (time.thread_time() - begin) / calls)
    return best


class Result:
    """What stays on the devices; nobody reads it."""

    placement, handle, device = None, 0, "cpu"


def test_calls_cost_little(machine, monkeypatch):
    f = ts.jit(lambda p, x: x + p["w0"])
    params = {f"w{i}": ts.array(X) for i in range(100)}
    g = ts.jit(lambda x, y: x + y)
    f(params, X), g(X, X)
    for jitted in (f, g):
        for compiled in jitted._compiled.values():
            compiled.executable.execute = lambda words, result=Result(): [result]
    assert _per_call(g, X, X) < 50e-6
    assert _per_call(f, params, X) < 300e-6


@needs_runtime
def test_a_program_is_compiled_for_the_device_of_its_target(tmp_path):
    lowered = ts.jit(lambda x: x + 1, target="emulated").lower(X)
    np.testing.assert_array_equal(lowered.compile()(X), X + 1)
    with pytest.raises(ts.ConfigError, match="device 'cpu' does not run .* 'emulated'") as caught:
        lowered.compile(device="cpu")
    assert caught.value.code == "TS4003" and caught.value.location.file == __file__


@needs_runtime
def test_an_artefact_of_another_device_is_not_to_be_written_again(tmp_path):
    path = tmp_path / "f.tsa"
    ts.jit(lambda x: x + 1).lower(X).compile().save(path)
    for device in ("cuda", "emulated"):  # With a driver and without one.
        with pytest.raises(ts.CheckpointError, match="for target 'cpu' and runs on device 'cpu'") as caught:
            ts.load_artefact(path, device=device)
        assert "write it again" not in str(caught.value)
