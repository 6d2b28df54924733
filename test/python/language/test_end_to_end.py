# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiled functions on CPU meshes against NumPy; the interpreter; artefacts."""

import numpy as np
import pytest

import tessera as ts
import test_tracing
from conftest import needs_compiler, needs_runtime
from tessera._src.meshes.devices import MAX_DEVICES
from tessera._src.programs import native

RNG = np.random.default_rng(11)
MESHES = [{"tp": 1}, {"tp": 2}, {"dp": 2, "tp": 3}]
TOLERANCE = {"f64": 1e-12, "f32": 2e-5, "f16": 4e-3, "bf16": 3e-2}


def _specs(mesh, args):
    """Splits the first dimension of the first argument and the last of the others."""
    axes = list(mesh.shape)
    result = []
    for position, arg in enumerate(args):
        dims = [None] * np.ndim(arg)
        if dims:
            dims[0 if position == 0 else -1] = axes[position % len(axes)]
        result.append(ts.P(*dims))
    return tuple(result)


@needs_runtime
@pytest.mark.parametrize("shape", [*MESHES[:2], pytest.param(MESHES[2], marks=pytest.mark.quick)],
                         ids=str)
@pytest.mark.parametrize("name", test_tracing.CASES)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_compiled_functions_equal_numpy(name, shape):
    traced, plain, args = test_tracing.CASES[name]
    mesh = ts.make_mesh(shape)
    got = np.asarray(ts.jit(traced, mesh=mesh, in_shardings=_specs(mesh, args))(*args))
    want = np.asarray((plain or traced)(*args))
    assert got.dtype == want.dtype and got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-6)


def _random_function(seed):
    """A chain of random ops, the same on NumPy arrays and on traced values."""
    generator = np.random.default_rng(seed)
    steps = [int(generator.integers(0, 9)) for _ in range(6)]

    def f(x, w, lib):
        for step in steps:
            if step == 0:
                x = x @ w
            elif step == 1:
                x = x + w[0]
            elif step == 2:
                x = lib.tanh(x)
            elif step == 3:
                x = x * 0.5 - w.sum(0)
            elif step == 4:
                x = x - x.mean(-1, keepdims=True).astype(x.dtype)
            elif step == 5:
                x = lib.where(x > 0, x, x * 0.25)
            elif step == 6:
                x = x[::-1] if lib is None else lib.concatenate([x[1:], x[:1]], 0)
            elif step == 7:
                x = lib.maximum(x, w[1])
            else:
                x = x.reshape(-1).reshape(x.shape)
        return x

    return f, generator


@needs_runtime
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("dtype", ["f64", "f32", "bf16", "f16"])
def test_random_functions_equal_numpy(seed, dtype):
    f, generator = _random_function(seed)
    kind = getattr(ts, dtype)
    x = generator.uniform(-1, 1, (5, 6)).astype(kind)
    w = generator.uniform(-0.5, 0.5, (6, 6)).astype(kind)
    mesh = ts.make_mesh(MESHES[seed % 3])
    spec = ts.P(*([None, "tp"] if seed % 2 else ["tp"]))
    got = np.asarray(ts.jit(lambda x, w: f(x, w, ts), mesh=mesh, in_shardings=(spec, None))(x, w))
    want = f(x.astype(np.float64), w.astype(np.float64), np)
    assert got.dtype == kind
    np.testing.assert_allclose(got.astype(np.float64), want, atol=TOLERANCE[dtype] * 4,
                               rtol=TOLERANCE[dtype] * 4)


@needs_runtime
@pytest.mark.parametrize("dtype", [ts.i32, ts.i64])
def test_integers_are_exact(dtype):
    x = RNG.integers(-1000, 1000, (5, 7)).astype(dtype)
    f = ts.jit(lambda x: ((x * 3 - 7) // 5 + x % 11).sum(0) & 255, mesh=ts.make_mesh({"tp": 2}),
               in_shardings=ts.P("tp"))
    np.testing.assert_array_equal(f(x), ((x * 3 - 7) // 5 + x % 11).sum(0) & 255)


@needs_runtime
def test_random_numbers_do_not_depend_on_the_mesh():
    def draw(mesh, spec):
        f = ts.jit(lambda k: ts.random.normal(k, (6, 5)), mesh=mesh, out_shardings=spec)
        return np.asarray(f(ts.random.key(42)))

    one = draw(ts.make_mesh({"tp": 1}), ts.P())
    np.testing.assert_array_equal(one, draw(ts.make_mesh({"tp": 2}), ts.P("tp")))
    np.testing.assert_array_equal(one, draw(ts.make_mesh({"tp": 3}), ts.P(None, "tp")))
    assert abs(one.mean()) < 0.6 and 0.6 < one.std() < 1.4


@needs_runtime
@pytest.mark.parametrize("spec", [None, ts.P("tp"), ts.P(None, "tp")], ids=str)
def test_each_key_of_a_batch_gives_its_own_numbers(spec):
    mesh = ts.make_mesh({"tp": 2})
    keys = np.asarray(ts.random.split(ts.random.key(42), 5))

    def draw(keys):
        return (ts.random.normal(keys, (3,)), ts.random.uniform(keys, (3,), minval=-1), ts.random.bits(keys),
                ts.random.split(keys, 3), ts.random.fold_in(keys, np.arange(5)), ts.random.fold_in(keys, 7))

    batch = ts.jit(draw, mesh=mesh, in_shardings=spec)(keys)
    for n, key in enumerate(keys):
        alone = (ts.random.normal(key, (3,)), ts.random.uniform(key, (3,), minval=-1), ts.random.bits(key),
                 ts.random.split(key, 3), ts.random.fold_in(key, n), ts.random.fold_in(key, 7))
        for got, want in zip(batch, alone, strict=True):
            np.testing.assert_allclose(np.asarray(got)[n], want, rtol=1e-6)
    folded = ts.random.fold_in(keys[0], np.arange(4))
    np.testing.assert_array_equal(folded, np.stack([ts.random.fold_in(keys[0], n) for n in range(4)]))


@needs_runtime
def test_weights_are_cut_once_and_reused():
    w = ts.array(RNG.standard_normal((4, 6)).astype(np.float32))
    f = ts.jit(lambda x, w: x @ w, mesh=ts.make_mesh({"tp": 2}), in_shardings=(None, ts.P(None, "tp")))
    x = RNG.standard_normal((3, 4)).astype(np.float32)
    for _ in range(2):
        np.testing.assert_allclose(f(x, w), x @ w.numpy(), rtol=1e-5, atol=1e-6)
    cuts = {id(placed) for placed in w._others.values()}
    f(x, w)
    assert len(cuts) == 1 and {id(placed) for placed in w._others.values()} == cuts


@needs_runtime
def test_artefacts_load_and_run_and_refuse_damage(tmp_path):
    x = RNG.standard_normal((3, 4)).astype(np.float32)
    path = tmp_path / "f.tsa"
    ts.jit(lambda x: (x + 1, x.sum()), mesh=ts.make_mesh({"tp": 2})).lower(x).compile().save(path)
    plus, total = ts.load_artefact(path)(x)
    np.testing.assert_array_equal(plus, x + 1)
    np.testing.assert_allclose(total, x.sum(), rtol=1e-5)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(ts.CheckpointError, match="TS6004"):
        ts.load_artefact(path)
    with pytest.raises(ts.CheckpointError, match="TS6003"):
        ts.load_artefact(tmp_path / "none.tsa")


@needs_compiler
@pytest.mark.parametrize("stage", ["tessera", "local"])
@pytest.mark.parametrize("name", ["matmul", "softmax", "einsum", "pad", "concatenate", "mean"])
def test_the_interpreter_agrees(name, stage):
    traced, plain, args = test_tracing.CASES[name]
    mesh = ts.make_mesh({"dp": 2, "tp": 3})
    lowered = ts.jit(traced, mesh=mesh, in_shardings=_specs(mesh, args)).lower(*args)
    got = np.asarray(lowered.interpret(*args, stage=stage))
    np.testing.assert_allclose(got, (plain or traced)(*args), rtol=2e-5, atol=2e-6)


@needs_compiler
def test_forbidden_collectives_are_errors_at_the_users_line():
    f = ts.jit(lambda x, w: x @ w, mesh=ts.make_mesh({"tp": 2}), out_shardings=ts.P(),
               in_shardings=(ts.P(None, "tp"), ts.P("tp")), options={"forbidImplicit": ["all_reduce"]})
    with pytest.raises(ts.CompileError) as caught:
        f.lower(np.ones((2, 4), "f4"), np.ones((4, 2), "f4")).as_text("local")
    assert caught.value.location.file == __file__


@needs_compiler
def test_a_mesh_may_have_more_devices_for_the_compiler_than_a_process_runs():
    text = "module {{ dist.mesh @mesh <[tp = {}]> func.func @main() {{ return }} }}"
    for devices in (MAX_DEVICES, MAX_DEVICES + 1, 65536):
        native.compile_text(text.format(devices), target="cpu", emit="local")
    with pytest.raises(ts.CompileError, match="mesh has more than"):
        native.compile_text(text.format(1 << 40), target="cpu", emit="local")


@needs_runtime
def test_programs_for_more_devices_than_there_are_do_not_load(tmp_path, monkeypatch):
    mesh = ts.make_mesh({"tp": 2})
    path = tmp_path / "two.tsa"
    ts.jit(lambda x: x + 1, mesh=mesh).lower(np.ones(4, np.float32)).compile().save(path)
    monkeypatch.setenv("TESSERA_DEVICE_COUNT", "1")
    with pytest.raises(ts.TesseraError, match="Mesh.tp=2. needs 2 devices, but there are 1 of kind 'cpu'"):
        ts.load_artefact(path)
