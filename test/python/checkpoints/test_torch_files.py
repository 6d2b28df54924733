# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Files of torch.save, read without torch: equal to torch's, and nothing of them is run."""

import collections
import io
import os
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest

import tessera as ts

torch = pytest.importorskip("torch")
load = ts.checkpoints.load_torch


def equal(array, tensor):
    """The same type, shape and bits."""
    tensor = tensor.detach()
    plain = tensor.resolve_conj().resolve_neg().clone(memory_format=torch.contiguous_format)
    bits = plain.reshape(-1).view(torch.uint8).numpy()
    return (str(array.dtype) == str(tensor.dtype).removeprefix("torch.")
            and array.shape == tuple(tensor.shape)
            and np.ascontiguousarray(array).reshape(-1).view(np.uint8).tobytes() == bits.tobytes())


DTYPES = ["bfloat16", "float16", "float32", "float64", "int8", "uint8", "int16", "int32", "int64", "bool",
          "complex64", "complex128", "uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e5m2"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_types_equal_torchs(tmp_path, dtype):
    generator = torch.Generator().manual_seed(0)
    size = torch.empty(0, dtype=getattr(torch, dtype)).element_size()
    raw = torch.randint(0, 2 if dtype == "bool" else 256, (2 * 3 * size,), dtype=torch.uint8,
                        generator=generator)
    whole = raw.view(getattr(torch, dtype)).reshape(2, 3)
    torch.save({"whole": whole, "scalar": whole[1, 2].clone(), "empty": whole[:0].clone()}, tmp_path / "a.pt")
    loaded = load(tmp_path / "a.pt")
    expected = torch.load(tmp_path / "a.pt")
    assert all(equal(loaded[name], tensor) for name, tensor in expected.items())


def test_views_with_strides_share_their_storage(tmp_path):
    whole = torch.arange(24.0).reshape(4, 6)
    tree = {"whole": whole, "turned": whole.t(), "part": whole[1:, ::2], "row": whole[2], "one": whole[3, 5],
            "spread": whole[:, :1].expand(4, 5), "diagonal": whole.diagonal(),
            "conj": torch.tensor([1 + 2j]).conj(), "conj0": torch.tensor(1 + 2j).conj(), "none": whole[:0],
            "imag": torch.tensor([1 + 2j]).conj().imag}
    torch.save(tree, tmp_path / "a.pt")
    loaded = load(tmp_path / "a.pt")
    assert all(equal(loaded[name], tensor) for name, tensor in tree.items())
    assert np.shares_memory(loaded["whole"], loaded["turned"]) and loaded["spread"].strides == (24, 0)
    assert not any(value.flags.writeable for value in loaded.values())


def test_state_of_module_and_optimizer(tmp_path):
    module = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.BatchNorm1d(5)).bfloat16()
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-3)
    module(torch.ones(2, 3).bfloat16()).sum().backward()
    optimizer.step()
    state = {"model": module.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3, "name": "x\u00e9",
             "size": torch.Size([2, 3]), "dtype": torch.float32, "big": 1 << 70, "rate": 0.5, "on": True,
             "raw": [None, (1, 2, 3, 4), "é" * 300], "parameter": torch.nn.Parameter(torch.ones(2))}
    for protocol in (2, 3, 4, 5):
        torch.save(state, tmp_path / "a.pt", pickle_protocol=protocol)
        loaded = load(tmp_path / "a.pt")
        assert isinstance(loaded["model"], collections.OrderedDict)
        assert list(loaded["model"]) == list(state["model"])
        assert all(equal(loaded["model"][name], tensor) for name, tensor in state["model"].items())
        moments = loaded["optimizer"]["state"]
        assert all(equal(moments[i][name], value) for i, entry in state["optimizer"]["state"].items()
                   for name, value in entry.items())
        assert loaded["optimizer"]["param_groups"] == state["optimizer"]["param_groups"]
        plain = ("epoch", "name", "big", "rate", "on", "raw")
        assert {key: loaded[key] for key in plain} == {key: state[key] for key in plain}
        assert loaded["size"] == (2, 3) and loaded["dtype"] == np.float32
        assert equal(loaded["parameter"], state["parameter"])


class Evil:
    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


def evil_file(path, payload, protocol=2):
    """A file as torch.save writes it, with a pickle of one's own."""
    with zipfile.ZipFile(path, "w") as archive:
        data = payload if isinstance(payload, bytes) else pickle.dumps(payload, protocol)
        archive.writestr("archive/data.pkl", data)
        archive.writestr("archive/data/0", bytes(64))


STORAGE = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x10tQ"
TENSOR = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n("
REST = b"\x89ccollections\nOrderedDict\n)RtR."


@pytest.mark.quick
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("call, name", [
    ((os.system, ("touch {}",)), "posix.system"), ((eval, ("open('{}', 'w')",)), "eval"),
    ((getattr, (1, "real")), "getattr"), ((print, ()), "print"),
    ((os.mkdir, ("{}",)), "posix.mkdir"),
    ((np.dtype, ("f4",)), "numpy.dtype"),
])
def test_a_pickle_that_calls_anything_else_is_refused_by_name(tmp_path, call, name, protocol):
    mark = tmp_path / "mark"
    function, arguments = call
    arguments = eval(repr(arguments).replace("{}", str(mark)))
    evil_file(tmp_path / "a.pt", {"w": Evil(function, arguments)}, protocol)
    with pytest.raises(ts.CheckpointError, match=rf"TS6010.*asks for '(\w+\.)*{name}', which is no tensor"):
        load(tmp_path / "a.pt")
    assert not mark.exists()


@pytest.mark.parametrize("payload, what", [
    (b"\x80\x02ctorch\nFloatStorage\n)R.", "to call a type of storage"),
    (b"\x80\x02(ios\nsystem\n.", "to make an object of 'os.system' .INST"),
    (b"\x80\x02(cos\nsystem\no.", "for 'os.system'"),
    (b"\x80\x02\x82\x01.", "to make an object of '1' .EXT1"),
    (b"\x80\x02}X\x01\x00\x00\x00aK\x01s}b.", "to set attributes of a dict"),
    (b"\x80\x02ccollections\nOrderedDict\n}b.", "to set attributes of a Global"),
    (b"\x80\x02ccollections\nOrderedDict\n)R}X\x05\x00\x00\x00itemsK\x01sb.",
     "to set attributes of a OrderedDict"),
    (b"\x80\x02K\x01)R.", "to call 'int'"),
    (b"\x80\x04\x8c\x0ctorch._utils\x8c\x0b__globals__\x93.", "for 'torch._utils.__globals__'"),
    (b"\x80\x05\x97.", "for opcode NEXT_BUFFER"),
])
def test_other_ways_to_reach_code_are_refused(tmp_path, payload, what):
    evil_file(tmp_path / "a.pt", payload)
    with pytest.raises(ts.CheckpointError, match=f"TS6010.*asks {what}"):
        load(tmp_path / "a.pt")


@pytest.mark.parametrize("payload", [
    b"", b"\x80\x02", b"\x80\x02.", b"\x80\x02(.", b"\x80\x02ctorch\nSize\n.", b"\x80\x02h\x05.",
    b"\x80\x02K",
    b"\x80\x02K\x01K\x02.", b"\x80\x02K\x01\x87.", b"\x80\x02}]K\x01s.", b"\xff\xff",
    TENSOR + STORAGE + b"K\x00K\x11\x85K\x01\x85" + REST,      # 17 elements of 16
    TENSOR + STORAGE + b"K\x0fK\x02\x85K\x01\x85" + REST,      # the last two of 15
    TENSOR + STORAGE + b"J\xff\xff\xff\xffK\x02\x85K\x01\x85" + REST,  # before the begin
    TENSOR + STORAGE + b"K\x00K\x02\x85J\xff\xff\xff\xff\x85" + REST,  # backwards
    TENSOR + STORAGE + b"K\x00K\x02\x85K\x01K\x01\x86" + REST,  # two strides for one dimension
    TENSOR + STORAGE.replace(b"K\x10tQ", b"K\x11tQ") + b"K\x00K\x02\x85K\x01\x85" + REST,
    TENSOR + STORAGE.replace(b"\x000X", b"\x001X") + b"K\x00K\x02\x85K\x01\x85" + REST,  # no such record
    TENSOR + STORAGE + b"K\x00\x8a\x07\x00\x00\x00\x00\x00\x00\x40"
    + b"\x8a\x07\x00\x00\x00\x00\x00\x00\x40\x86K\x00K\x00\x86"
    + REST,
    TENSOR + STORAGE.replace(b"ctorch\nFloatStorage\n", b"N") + b"K\x00K\x02\x85K\x01\x85" + REST,
    TENSOR + b"K\x01K\x00K\x02\x85K\x01\x85" + REST,
])
def test_damaged_pickles_are_errors_of_the_file(tmp_path, payload):
    evil_file(tmp_path / "a.pt", payload)
    with pytest.raises(ts.CheckpointError, match="TS6002.*a.pt is damaged"):
        load(tmp_path / "a.pt")


def test_the_payload_of_these_tests_is_a_tensor(tmp_path):
    evil_file(tmp_path / "a.pt", TENSOR + STORAGE + b"K\x00K\x10\x85K\x01\x85" + REST)
    assert load(tmp_path / "a.pt").tolist() == [0.0] * 16


def test_flipped_bytes_and_cut_files_are_damage(tmp_path):
    torch.save({"w": torch.arange(100.0)}, tmp_path / "a.pt")
    data = (tmp_path / "a.pt").read_bytes()
    at = data.index(torch.arange(100.0).numpy().tobytes())
    for changed in (data[:at + 40] + b"\x55" + data[at + 41:], data[:-30], data[:at]):
        (tmp_path / "b.pt").write_bytes(changed)
        with pytest.raises(ts.CheckpointError, match="TS6002.*b.pt is damaged"):
            load(tmp_path / "b.pt")


def test_compressed_records_and_other_zips_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}))
    with pytest.raises(ts.CheckpointError, match="TS6010.*to unpack record data.pkl"):
        load(tmp_path / "a.pt")
    np.savez(tmp_path / "b.npz", x=np.ones(2))
    with pytest.raises(ts.CheckpointError, match="TS6010.*without data.pkl"):
        load(tmp_path / "b.npz")


def test_old_files_and_modules_are_refused(tmp_path):
    torch.save({"w": torch.ones(2)}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(ts.CheckpointError, match="TS6010.*before 1.6"):
        load(tmp_path / "old.pt")
    torch.save(torch.nn.Linear(2, 3), tmp_path / "module.pt")
    with pytest.raises(ts.CheckpointError, match="TS6010.*asks for 'torch.nn.modules.linear.Linear'"):
        load(tmp_path / "module.pt")


def test_big_endian_files(tmp_path):
    buffer = io.BytesIO()
    torch.save({"w": torch.tensor([1.0, 2.0])}, buffer)
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(tmp_path / "a.pt", "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith("byteorder"):
                data = b"big"
            if name.endswith("data/0"):
                data = np.frombuffer(data, "<f4").astype(">f4").tobytes()
            new.writestr(name, data)
    assert load(tmp_path / "a.pt")["w"].tolist() == [1.0, 2.0]
    assert equal(load(tmp_path / "a.pt")["w"], torch.load(tmp_path / "a.pt")["w"])


def test_safetensors_files_are_mapped(tmp_path):
    from safetensors.torch import save_file

    tree = {"w": torch.arange(6.0).reshape(2, 3).bfloat16(), "n": torch.tensor(3), "k": torch.tensor([True]),
            "z": torch.empty(0, 2)}
    save_file(tree, tmp_path / "a.safetensors", metadata={"format": "pt"})
    loaded = load(tmp_path / "a.safetensors")
    assert set(loaded) == set(tree) and all(equal(loaded[name], tensor) for name, tensor in tree.items())
    assert not loaded["w"].flags.writeable
    (tmp_path / "b.safetensors").write_bytes((tmp_path / "a.safetensors").read_bytes()[:-1])
    (tmp_path / "c.safetensors").write_bytes(b"hello")
    for name in ("b.safetensors", "c.safetensors"):
        with pytest.raises(ts.CheckpointError, match="TS6002"):
            load(tmp_path / name)
    with pytest.raises(ts.CheckpointError, match="TS6001.*nowhere.pt does not exist"):
        load(tmp_path / "nowhere.pt")


def test_torch_is_not_imported(tmp_path):
    torch.save({"w": torch.ones(2)}, tmp_path / "a.pt")
    program = ("import sys, tessera as ts\n"
               "assert ts.checkpoints.load_torch(sys.argv[1])['w'].tolist() == [1, 1]\n"
               "assert 'torch' not in sys.modules and 'pickle' not in vars(ts.checkpoints)")
    subprocess.run([sys.executable, "-c", program, tmp_path / "a.pt"], check=True)
