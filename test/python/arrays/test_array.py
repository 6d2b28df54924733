# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Arrays go to and from NumPy and DLPack, without copies where possible."""

import copy
import operator
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

import tessera as ts

pytestmark = pytest.mark.quick


def test_asarray_shares_memory_and_array_copies():
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert np.shares_memory(ts.asarray(x).numpy(), x)
    assert not np.shares_memory(ts.array(x).numpy(), x)
    assert np.shares_memory(np.asarray(ts.asarray(x)), x)


def test_python_numbers_become_f32_and_i32_and_numpy_keeps_its_dtype():
    assert ts.array([1.0, 2]).dtype == ts.f32
    assert ts.array([1, 2]).dtype == ts.i32
    assert ts.array(np.ones(2)).dtype == ts.f64
    assert ts.array([1, 0], ts.bool_).dtype == ts.bool_
    assert ts.asarray(1.5, ts.bf16).dtype == ts.bf16


def test_arrays_are_read_only_and_behave_like_numpy():
    x = ts.array([[1.0, 2.0], [3.0, 4.0]])
    with pytest.raises(ValueError):
        x.numpy()[0, 0] = 5
    assert isinstance(x - 1, np.ndarray) and float(np.sum(x)) == 10
    assert (x.shape, x.ndim, x.size, x.nbytes, len(x)) == ((2, 2), 2, 4, 16, 2)
    assert x[1, 0] == 3 and [list(r) for r in x] == [[1, 2], [3, 4]]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(x)).numpy(), x.numpy())


def test_copies_and_pickles_keep_the_layout():
    layout = ts.NamedSharding(ts.make_mesh({"tp": 2}), ts.P("tp", ts.UNCONSTRAINED))
    x = ts.device_put(np.ones((4, 3), np.float32), layout)
    for again in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert again.sharding == layout and again.sharding.spec.dims[1] is ts.UNCONSTRAINED
        np.testing.assert_array_equal(again, x)


def test_pickles_name_only_the_public_package():
    layout = ts.NamedSharding(ts.make_mesh({"tp": 2}), ts.P("tp", ts.UNCONSTRAINED))
    for value in (ts.device_put(np.ones((4, 3), np.float32), layout), ts.ShapeDtypeStruct((2,))):
        assert b"tessera" in pickle.dumps(value) and b"_src" not in pickle.dumps(value)


def test_a_list_of_axes_in_a_layout_is_a_tuple_of_them():
    mesh = ts.make_mesh({"tp": 2})
    assert ts.P(["tp"], None) == ts.P(("tp",), None)
    x = ts.device_put(np.ones((2, 4), np.float32), ts.NamedSharding(mesh, ts.P(["tp"])))
    assert hash(x.sharding) == hash(ts.NamedSharding(mesh, ts.P(("tp",))))
    assert "[{tp}, {}]" in ts.jit(lambda x: x, mesh=mesh).lower(x).as_text()


def test_dlpack_round_trips_without_a_copy():
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    y = ts.from_dlpack(x)
    assert np.shares_memory(y.numpy(), x)
    assert np.shares_memory(np.from_dlpack(y), x)


def test_readers_of_dlpack_see_that_an_array_does_not_change():
    x = ts.array(np.zeros(3, np.float32))
    assert not np.from_dlpack(x).flags.writeable
    assert not np.shares_memory(np.from_dlpack(OlderReader(x)), x)


class OlderReader:
    """Asks for an array as programs did before DLPack 1.0, which has no mark for read-only ones."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__()

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def test_torch_tensors_share_memory_bf16_included():
    torch = pytest.importorskip("torch")
    x = torch.arange(6.0).reshape(2, 3).requires_grad_()
    y = ts.from_dlpack(x)
    assert y.numpy().ctypes.data == x.data_ptr()
    assert torch.from_dlpack(y).data_ptr() == x.data_ptr()
    z = ts.from_dlpack(torch.ones(3, dtype=torch.bfloat16))
    assert z.dtype == ts.bf16 and (z.numpy() == 1).all()


def test_device_put_maps_trees_and_checks_layouts():
    mesh = ts.make_mesh({"tp": 2})
    tree = ts.device_put({"a": np.ones((2, 4), np.float32)}, ts.NamedSharding(mesh, ts.P(None, "tp")))
    assert tree["a"].sharding.spec == ts.P(None, "tp")
    with pytest.raises(ts.ShardingError):
        ts.device_put(np.ones(2, np.float32), ts.NamedSharding(mesh, ts.P("dp")))
    text = ts.jit(lambda p: p["a"], mesh=mesh).lower(tree).as_text()
    assert "[{}, {tp}]" in text


def test_import_is_fast_and_opens_no_library(tmp_path):
    code = (
        "import time; t = time.process_time(); import tessera; t = time.process_time() - t;"
        "maps = open('/proc/self/maps').read();"
        "assert 'libtessera' not in maps and 'libMLIR' not in maps;"
        "import sys; assert 'torch' not in sys.modules; print(t)"
    )
    # Time on a core, which other work on the machine does not lengthen; benchmarks/startup.py
    # measures what passes.
    # Modules are compiled to byte code once, as they are where the package is installed.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path)}
    times = [float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True,
                                  text=True, env=environment).stdout) for _ in range(4)]
    assert min(times) < 0.5


def test_methods_of_numpy_work_on_results():
    x = ts.array(np.arange(6.0).reshape(2, 3))
    assert x.sum() == 15 and x.T.shape == (3, 2) and x.reshape(-1).shape == (6,)
    assert x.tolist() == [[0, 1, 2], [3, 4, 5]] and f"{ts.array(1.5):.2f}" == "1.50"
    with pytest.raises(AttributeError, match="summ"):
        x.summ()


def test_device_put_keeps_what_was_given():
    given = np.zeros(3, np.float32)
    x = ts.device_put({"w": given})["w"]
    given[0] = 50
    assert x.sum() == 0 and np.shares_memory(ts.device_put(x), x)
    assert given.flags.writeable and ts.asarray(given).sum() == 50 and given.flags.writeable


def test_arrays_do_not_change_behind_their_pieces():
    x = ts.array(np.zeros(3))
    with pytest.raises(ValueError, match="cannot set WRITEABLE"):
        np.asarray(x).flags.writeable = True
    for view in (np.asarray(x), x[:2], x.reshape(3, 1)):
        with pytest.raises(ValueError, match="read-only"):
            view[0] = 1
    changed = np.array(x)
    changed[0] = 1
    assert x.sum() == 0


def test_views_of_torch_with_a_sign_or_a_conjugation_to_come_are_resolved():
    torch = pytest.importorskip("torch")
    z = torch.tensor([1 + 2j, 3 - 4j])
    for view in (z.conj().imag, torch._neg_view(torch.tensor([1.0, -2.0]))):
        want = view.resolve_neg().tolist()
        assert ts.from_dlpack(view).tolist() == want and ts.asarray(view).tolist() == want
    assert ts.from_dlpack(z.conj().real).tolist() == [1, 3]


def test_augmented_assignment_makes_a_new_array():
    x = y = ts.array([6.0, 9.0])
    y /= 3
    y += 1
    y **= 2
    np.testing.assert_array_equal(y, [9, 16])
    np.testing.assert_array_equal(x, [6, 9])
    z = np.array([1.0, 2.0], np.float32)
    kept = z
    z += x
    assert z is kept and z.tolist() == [7, 11]


def test_ufuncs_write_into_arrays_of_numpy_only():
    x, out = ts.array([1.0, 2.0]), np.zeros(2, np.float32)
    assert np.add(x, 1, out=out) is out and out.tolist() == [2, 3]
    np.add(x, 1, out=out, where=ts.array([True, False]))
    with pytest.raises(ts.TraceError, match=r"np\.add cannot write into a ts\.Array.*") as caught:
        np.add(out, 1, out=x)
    assert caught.value.code == "TS1026" and "test_array.py" in str(caught.value)
    with pytest.raises(ts.TraceError, match="arrays do not change"):
        x[0] = 1


def test_arrays_are_numbers_where_they_hold_one():
    i, f = ts.array(3), ts.array(2.567)
    assert list(range(10))[i] == 3 and hex(i) == "0x3"
    assert round(f, 1) == pytest.approx(2.6) and round(f) == 3
    assert np.round(ts.array([1.25, 2.75]), 1).tolist() == pytest.approx([1.2, 2.8])
    assert complex(f) == pytest.approx(2.567) and 3 in ts.array([1, 3])
    with pytest.raises(TypeError):
        operator.index(f)
    with pytest.raises(TypeError):
        operator.index(ts.array([1, 2]))
    with pytest.raises(TypeError, match="unhashable"):
        hash(i)


def test_attributes_of_other_libraries_have_hints():
    x = ts.array([1.0, 2.0])
    assert x.real.tolist() == [1, 2] and x.imag.tolist() == [0, 0]
    for name, hint in {"detach": "leave it out", "summ": "did you mean 'sum'", "to": "device_put",
                       "sort": "np.sort"}.items():
        with pytest.raises(AttributeError, match=hint):
            getattr(x, name)
    assert not hasattr(x, "__cuda_array_interface__")


def test_what_torch_asks_for_in_vain_is_an_error_at_the_users_line():
    torch = pytest.importorskip("torch")
    x = ts.array([1.0], ts.bf16)
    with pytest.raises(ts.TraceError) as caught:
        torch.from_dlpack(x)
    assert caught.value.code == "TS1021" and caught.value.location.file == __file__
