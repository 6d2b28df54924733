# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Files written by blocks, memory of copies, and the thread that writes."""

import errno
import fcntl
import os
import threading

import numpy as np
import pytest
from conftest import needs_runtime

import tessera as ts
from tessera._src.arrays.copying import copy_all
from tessera._src.checkpoints import block_file, host_copies, writing

ck = ts.checkpoints


def random_bytes(size, seed=0):
    return np.frombuffer(np.random.default_rng(seed).bytes(size), np.uint8)


def written(path, parts):
    with block_file.BlockFile(path) as file:
        for part in parts:
            file.write(part)
        file.finish()
        assert file.size == sum(part.size for part in parts)
    return path.read_bytes()


@pytest.mark.parametrize("sizes", [
    [], [0], [1], [4096], [4095, 2], [5, 0, 4091], [1 << 22], [(1 << 22) - 1, 1], [(1 << 22) + 4097],
    [3, 9 << 20, 77]])
def test_files_have_what_is_written(tmp_path, sizes):
    parts = [random_bytes(size, seed) for seed, size in enumerate(sizes)]
    assert written(tmp_path / "f", parts) == b"".join(part.tobytes() for part in parts)
    with pytest.raises(FileExistsError):
        block_file.BlockFile(tmp_path / "f")


@pytest.mark.parametrize("kind", ["refused", "short", "no_flag"])
def test_systems_that_write_otherwise_get_the_same_file(tmp_path, monkeypatch, kind):
    """A disk of larger pages, writes that end early, a file system that cannot pass its cache by."""
    write, control, refused = os.write, fcntl.fcntl, []

    def refusing(file, data):
        if fcntl.fcntl(file, fcntl.F_GETFL) & os.O_DIRECT:
            refused.append(len(data))
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return write(file, data)

    def without_flag(file, command, flags=0):
        if command == fcntl.F_SETFL and flags & os.O_DIRECT:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return control(file, command, flags)

    data = random_bytes((9 << 20) + 5)
    with monkeypatch.context() as patch:
        if kind == "refused":
            patch.setattr(block_file.os, "write", refusing)
        elif kind == "short":
            patch.setattr(block_file.os, "write", lambda file, data: write(file, data[:1000003]))
        else:
            patch.setattr(block_file.fcntl, "fcntl", without_flag)
        assert written(tmp_path / "f", [data]) == data.tobytes()
    assert len(refused) <= 1  # Once it is known, no more is tried.


def test_memory_of_copies_is_kept_for_one_save_at_a_time():
    first = host_copies.take(1000)
    second = host_copies.take(1000)
    first[:], second[:] = 1, 2
    assert first.min() == 1  # Two that are in use have nothing in common.
    host_copies.give_back(second)
    again = host_copies.take(900)
    assert again is second and host_copies.take(900) is not second
    host_copies.give_back(again)
    assert host_copies.take(1001) is not again  # It is too small, and gone.
    host_copies.give_back(again)
    assert host_copies.take(400) is not again  # It is more than twice as large.
    assert host_copies.places([1, 0, 64, 65]) == ([0, 64, 64, 128], 256)


@needs_runtime
def test_saves_one_after_the_other_from_the_same_memory_differ(tmp_path):
    mesh = ts.make_mesh({"dp": 2, "tp": 2})
    layout = ts.NamedSharding(mesh, ts.P("tp", "dp"))
    values = [np.arange(30, dtype=np.float32).reshape(5, 6) + 100 * step for step in range(4)]
    for step, value in enumerate(values):
        ck.save(tmp_path, {"w": ts.device_put(value, layout), "h": value.T, "n": step}, step,
                asynchronous=True)
    for step, value in enumerate(values):
        tree = ck.load(tmp_path, step=step).tree if step < 3 else None
        if tree is not None:
            assert np.array_equal(tree["w"], value) and np.array_equal(tree["h"], value.T)
            assert tree["n"] == step
    ck.save(tmp_path, {}, 9)  # Waits for the last.
    assert np.array_equal(ck.load(tmp_path, step=3).tree["w"], values[3]) and ck.verify(tmp_path) == []


@needs_runtime
def test_copies_of_shards_and_host_arrays(tmp_path):
    mesh = ts.make_mesh({"dp": 3, "tp": 2})
    value = random_bytes(7 * 5 * 4).view(np.float32).reshape(7, 5)
    pairs = []
    for spec in (ts.P("dp"), ts.P(None, "dp"), ts.P("tp", "dp"), ts.P()):
        for shard in ts.device_put(value, ts.NamedSharding(mesh, spec)).addressable_shards:
            part = value[shard.index]
            pairs.append((shard, np.empty(part.shape, np.float32), part))
    big = np.arange(6, dtype=">i4").reshape(2, 3)
    pairs += [(value, np.empty_like(value), value), (value.T, np.empty((5, 7), np.float32), value.T),
              (big, np.empty((2, 3), "<i4"), big),
              (ts.asarray(value).addressable_shards[0], np.empty_like(value), value)]
    copy_all((origin, into) for origin, into, _ in pairs)
    for _, into, expected in pairs:
        assert into.tobytes() == np.ascontiguousarray(expected, into.dtype).tobytes()
    copy_all((origin, into) for origin, into, _ in pairs[-3:])  # Without the runtime.


@pytest.mark.skipif(not hasattr(os, "setpriority"), reason="threads have no priority")
def test_the_thread_that_writes_gives_way(tmp_path, monkeypatch):
    write, seen = writing._write_folder, []

    def noting(job):
        seen.append((threading.current_thread().name, os.getpriority(os.PRIO_PROCESS, 0)))
        write(job)

    monkeypatch.setattr(writing, "_write_folder", noting)
    before = os.getpriority(os.PRIO_PROCESS, 0)
    ck.save(tmp_path, {"w": np.ones(3)}, 1, asynchronous=True).wait()
    ck.save(tmp_path, {"w": np.ones(3)}, 2)
    assert seen == [("checkpoint of step 1", min(19, before + 10)), ("MainThread", before)]
    assert os.getpriority(os.PRIO_PROCESS, 0) == before
