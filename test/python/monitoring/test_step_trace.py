# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Traces of one run: what Perfetto opens, and what is in the plan."""

import gzip
import json
import re

import numpy as np
import pytest
from conftest import needs_runtime
from refusals import check

import tessera as ts

pytestmark = needs_runtime
MESH = ts.make_mesh({"dp": 2, "tp": 2})
RNG = np.random.default_rng(0)


def layers(x, w, v):
    """A loop with a collective, a conditional, and what is not in the loop."""
    def body(carry, i):
        h = ts.gelu(carry @ w)
        return ts.softmax(h @ v), ts.sum(carry)

    y, sums = ts.scan(body, x, ts.arange(3))
    return ts.cond(sums[0] < 1e9, lambda a: a * 2.0, lambda a: a, y), sums


@pytest.fixture(scope="module")
def arguments():
    return [RNG.standard_normal(shape).astype(np.float32) for shape in ((4, 6), (6, 10), (10, 6))]


@pytest.fixture(scope="module")
def function():
    return ts.jit(layers, mesh=MESH, in_shardings=(ts.P("dp"), ts.P(None, "tp"), ts.P("tp")))


def slices_of(chrome):
    return [event for event in chrome["traceEvents"] if event["ph"] == "X"]


def check_nesting(slices):
    """On each track slices follow each other or lie in each other."""
    for track in {event["tid"] for event in slices}:
        open_until = []
        for event in [e for e in slices if e["tid"] == track]:
            begin, end = event["ts"], event["ts"] + event["dur"]
            while open_until and open_until[-1] <= begin + 1e-4:
                open_until.pop()
            assert not open_until or end <= open_until[-1] + 1e-4, event
            open_until.append(end)


@pytest.mark.quick
def test_file_is_a_valid_trace_of_the_plan(tmp_path, function, arguments):
    expected = function(*arguments)
    results = ts.monitor.trace(function, *arguments, path=tmp_path / "step.json")
    for result, same in zip(results, expected):
        assert np.asarray(result).tobytes() == np.asarray(same).tobytes()
    chrome = json.loads((tmp_path / "step.json").read_text())
    slices = slices_of(chrome)
    for event in slices:
        assert event["name"] and event["ts"] >= 0 and event["dur"] >= 0 and event["pid"] == 1
    check_nesting(slices)
    names = {e["tid"]: e["args"]["name"] for e in chrome["traceEvents"] if e["name"] == "thread_name"}
    assert names == {1: "steps", **{d + 2: f"device {d}" for d in range(4)}}

    plan = function.compiled(*arguments)
    kernels = {kernel["name"] for kernel in plan.executable.description["kernels"]}
    assert {e["name"] for e in slices if e["cat"] == "launch"} == kernels
    whole, = [e for e in slices if e["tid"] == 1 and e["name"] == "layers"]
    for track in names:
        of_steps = [e for e in slices if e["tid"] == track and e["cat"] not in ("loop", "if", "while", "run")]
        assert 0 < sum(e["dur"] for e in of_steps) <= whole["dur"]
    loops = [e for e in slices if e["cat"] == "loop"]
    assert len(loops) == 5 and loops[0]["name"] == "loop of 3 iterations"
    # On each device a launch of the loop ran three times.
    gelu = [e for e in slices if "gelu" in e["name"] and e["tid"] == 3]
    assert len(gelu) == 3


def test_slices_say_source_lines_and_bytes(function, arguments):
    function(*arguments)
    recorded = ts.monitor.record(function, *arguments)
    code = layers.__code__
    launches = [s for s in recorded.slices if s.category == "launch"]
    for item in launches:
        assert item.details["bytes"] > 0, item
    lines = set()
    for item in launches:
        for place in filter(None, item.details.get("source", "").split(", ")):
            file, _, line = place.rpartition(":")
            assert file.endswith("test_step_trace.py")
            lines.add(int(line) - code.co_firstlineno)
    assert {3, 4} <= lines  # gelu(carry @ w), and what is returned.
    gelu = next(s for s in launches if "gelu" in s.name)
    assert gelu.details["source"].endswith(f"test_step_trace.py:{code.co_firstlineno + 3}")
    # One device reads 2x6 and 6x5 elements and writes 2x5.
    assert gelu.details["bytes"] == 4 * (12 + 30 + 10)
    sums = [s for s in recorded.slices if s.category == "all_reduce" and s.track == 0]
    assert sums and all("{tp}" in s.name and "test_step_trace.py" in s.details["why"]
                        for s in sums if "tp" in s.name)


def test_compressed_file_and_table(tmp_path, function, arguments):
    function(*arguments)
    recorded = ts.monitor.record(function, *arguments)
    recorded.save(tmp_path / "step.json.gz")
    with gzip.open(tmp_path / "step.json.gz") as file:
        assert json.load(file) == json.loads(json.dumps(recorded.as_chrome()))
    table = recorded.by_step()
    assert [row["us"] for row in table] == sorted((row["us"] for row in table), reverse=True)
    assert sum(row["percent"] for row in table) <= 100
    assert str(recorded).startswith("layers on dp=2 tp=2: ") and "gelu" in str(recorded)
    runs = {row["step"]: row["runs"] for row in table}
    assert next(count for name, count in runs.items() if "gelu" in name) == 3


def test_compiled_programs_and_artefacts_are_traced(tmp_path, function, arguments):
    compiled = function.lower(*arguments).compile()
    compiled.save(tmp_path / "layers.tsa")
    for program in (compiled, ts.load_artefact(tmp_path / "layers.tsa")):
        recorded = ts.monitor.record(program, *arguments)
        np.testing.assert_allclose(np.asarray(recorded.result[0]), np.asarray(function(*arguments)[0]))
        assert recorded.devices == (0, 1, 2, 3) and any(s.category == "launch" for s in recorded.slices)


def test_donated_arguments_are_donated():
    @ts.jit(donate_argnums=0)
    def step(state, x):
        return state + x

    state, x = ts.array(np.ones((2, 3), np.float32)), np.full((2, 3), 2, np.float32)
    state = step(state, x)
    recorded = ts.monitor.record(step, state, x)
    np.testing.assert_array_equal(np.asarray(recorded.result), np.full((2, 3), 5, np.float32))
    with pytest.raises(ts.ConfigError):
        np.asarray(state)


def test_methods_are_traced():
    class Scale:
        factor = 3.0

        @ts.jit(static_argnames="self")
        def apply(self, x):
            return x * self.factor

    recorded = ts.monitor.record(Scale().apply, np.ones((2, 3), np.float32))
    assert np.asarray(recorded.result).max() == 3 and any(s.category == "launch" for s in recorded.slices)


def test_tracing_ends_with_the_call(function, arguments):
    recorded = ts.monitor.record(function, *arguments)
    executable = function.compiled(*arguments).executable
    before = executable.trace()["run"]
    function(*arguments)
    assert executable.trace()["run"] == before and recorded.nanoseconds == before[1] - before[0]


def test_steps_beyond_the_limit_are_counted():
    @ts.jit
    def count(x):
        return ts.fori_loop(0, 140_000, lambda i, y: y + 1, x)

    recorded = ts.monitor.record(count, np.zeros((2, 3), np.float32))
    assert np.asarray(recorded.result)[1, 2] == 140_000
    kept = sum(s.track == -1 and s.category != "run" for s in recorded.slices)
    assert kept == 1 << 17 and recorded.dropped >= 140_000 - kept
    assert f"{recorded.dropped} steps more are not in the trace" in str(recorded)


def test_failed_run_ends_tracing():
    @ts.jit
    def checked(x):
        ts.debug.check(ts.all(x < 5), "x is {}", x)
        return x + 1

    checked(np.ones(3, np.float32))
    with pytest.raises(ts.CompileError):
        ts.monitor.record(checked, np.full(3, 9, np.float32))
    executable = checked.compiled(np.ones(3, np.float32)).executable
    failed = executable.trace()["run"]
    checked(np.ones(3, np.float32))
    assert executable.trace()["run"] == failed


def test_emulated_devices_have_slices_of_whole_steps(arguments):
    x, w, _ = arguments
    function = ts.jit(lambda x, w: ts.relu(x @ w), mesh=ts.make_mesh({"tp": 2}), device="emulated",
                      in_shardings=(None, ts.P(None, "tp")))
    recorded = ts.monitor.record(function, x, w)
    launches = [s for s in recorded.slices if s.category == "launch"]
    assert {s.track for s in launches} == {-1, 0, 1}
    assert len({(s.begin, s.duration) for s in launches if s.name == launches[0].name}) == 1


def test_what_has_no_trace(tmp_path, function, arguments):
    with pytest.raises(ts.ConfigError) as error:
        ts.monitor.record(np.sin, 3)
    check(error, "TS4040", "no trace", "decorate it with ts.jit")
    for name in ("step.txt", "step"):
        with pytest.raises(ts.ConfigError) as error:
            ts.monitor.trace(function, *arguments, path=tmp_path / name)
        check(error, "TS4040", name, ".json.gz")
    with pytest.raises(ts.ConfigError) as error:
        ts.monitor.trace(function, *arguments, path=tmp_path / "missing" / "step.json")
    check(error, "TS4043", "cannot be written")
    assert re.search(r"No such file", str(error.value))
