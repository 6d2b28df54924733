# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What kills, full disks and failing threads leave: the last checkpoint as it was, and one error."""

import errno
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest
from conftest import needs_runtime
from killing import kill_at_random_moments

import tessera as ts
from tessera._src.checkpoints import writing

ck = ts.checkpoints
TREE = {"w": np.arange(30, dtype=np.float32).reshape(5, 6), "count": 3}


def may_mount():
    """Whether this system lets a process mount a file system that only it sees."""
    try:
        return subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "tessera", "/mnt"],
                              capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def contents(directory):
    """Every file under a directory with its bytes, but for the lock."""
    return {str(path.relative_to(directory)): path.read_bytes()
            for path in sorted(Path(directory).rglob("*")) if path.is_file() and path.name != ".lock"}


@needs_runtime
def test_newest_checkpoint_loads_after_kills_at_random_moments(tmp_path):
    interrupted = kill_at_random_moments(tmp_path / "run", 12, seed=1)
    assert interrupted  # The kills do hit savings: most of them do.


def test_next_save_removes_what_a_killed_one_left(tmp_path):
    ck.save(tmp_path, TREE, 1)
    for name in (".step-00000002.0123456789ab.tmp", ".step-00000000.0123456789ab.old", "step-00000003"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "part-00000-of-00001.safetensors").write_bytes(b"half")
    (tmp_path / "step-00000004").mkdir()
    (tmp_path / "step-00000004" / "notes.txt").write_text("not ours")
    (tmp_path / ".step-notes").mkdir()
    (tmp_path / "step-00000005").write_text("a file")
    with pytest.warns(RuntimeWarning, match="step-00000003 is left out: .* has no index.json"):
        assert ck.steps(tmp_path) == [1] and ck.latest(tmp_path) == 1
        assert ck.load(tmp_path).step == 1
    ck.save(tmp_path, TREE, 3)
    assert sorted(os.listdir(tmp_path)) == [".lock", ".step-notes", "step-00000001", "step-00000003",
                                            "step-00000004", "step-00000005"]


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("call", ["write", "fsync", "rename"])
def test_full_disk_is_one_error_and_changes_nothing(tmp_path, monkeypatch, asynchronous, call):
    ck.save(tmp_path, TREE, 1)
    before = contents(tmp_path)

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        if call == "write":
            patch.setattr(writing, "ElementsHash", full)
        else:
            patch.setattr(writing.os, call, full)
        with pytest.raises(ts.CheckpointError) as raised:
            ck.save(tmp_path, TREE, 2, keep=1, asynchronous=asynchronous).wait()
    text = str(raised.value)
    assert raised.value.code == "TS6005" and raised.value.__cause__ is None
    assert f"{tmp_path}/step-00000002 cannot be written: No space left on device" in text
    assert "the newest complete checkpoint is still that of step 1" in text and "free space" in text
    assert Path(__file__).name in text
    assert contents(tmp_path) == before
    ck.save(tmp_path, TREE, 2, keep=1)
    assert ck.steps(tmp_path) == [2]


@pytest.mark.skipif(not may_mount(), reason="a small file system cannot be mounted")
def test_small_file_system_that_is_full_keeps_the_last_checkpoint(tmp_path):
    """A real full disk: 4 MiB of it, of which the second checkpoint would want 8."""
    program = textwrap.dedent("""
        import os, sys
        import numpy as np, tessera as ts
        ck, folder = ts.checkpoints, sys.argv[1]
        fits = {"w": np.arange(1 << 18, dtype=np.float32), "count": 7}
        ck.save(folder, fits, 1)
        for asynchronous in (False, True):
            try:
                ck.save(folder, {"a": np.ones(1 << 20, np.float32), "b": np.ones(1 << 20, np.float32)}, 2,
                        keep=1, asynchronous=asynchronous).wait()
            except ts.CheckpointError as error:
                print(error)
            assert sorted(os.listdir(folder)) == [".lock", "step-00000001"], os.listdir(folder)
            assert ck.verify(folder) == [] and ck.latest(folder) == 1
            loaded = ck.load(folder, fits).tree
            assert np.array_equal(loaded["w"], fits["w"]) and loaded["count"] == 7
        ck.save(folder, fits, 3, keep=1)
        assert ck.steps(folder) == [3] and ck.verify(folder) == []
    """)
    mounted = 'mount -t tmpfs -o size=4m tessera "$1" && exec "$0" -c "$2" "$1"'
    done = subprocess.run(["unshare", "-rm", "sh", "-c", mounted, sys.executable, tmp_path, program],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert done.stdout.count("step-00000002 cannot be written: No space left on device") == 2
    assert done.stdout.count("TS6005") == 2 and done.stdout.count("still that of step 1") == 2


def test_limit_of_file_size_is_one_error_and_changes_nothing(tmp_path):
    """The system's own error, in the midst of a file, after a header and a tensor that fit."""
    ck.save(tmp_path, TREE, 1)
    before = contents(tmp_path)
    program = textwrap.dedent("""
        import resource, sys
        import numpy as np, tessera as ts
        resource.setrlimit(resource.RLIMIT_FSIZE, (3 << 20, 3 << 20))
        tree = {"a": np.ones(1 << 18, np.float32), "b": np.ones(1 << 20, np.float32)}
        try:
            ts.checkpoints.save(sys.argv[1], tree, 2, asynchronous=sys.argv[2] == "1").wait()
        except ts.CheckpointError as error:
            print(error)
    """)
    for asynchronous in "01":
        done = subprocess.run([sys.executable, "-c", program, tmp_path, asynchronous], capture_output=True,
                              text=True, timeout=60)
        assert done.returncode == 0 and done.stderr == ""
        assert done.stdout.count("TS6005") == 1 and "cannot be written: File too large" in done.stdout
        assert "still that of step 1" in done.stdout and "5 MiB to write" in done.stdout
        assert contents(tmp_path) == before


def test_asynchronous_error_arrives_at_next_save_once(tmp_path):
    (tmp_path / "file").write_text("")
    saving = ck.save(tmp_path / "file" / "run", TREE, 1, asynchronous=True)
    with pytest.raises(ts.CheckpointError, match="step-00000001 cannot be written: Not a directory"):
        ck.save(tmp_path / "run", TREE, 2)
    assert ck.steps(tmp_path / "run") == []
    ck.save(tmp_path / "run", TREE, 2)
    assert ck.steps(tmp_path / "run") == [2]
    for _ in range(2):  # Whoever waits for it learns it all the same.
        with pytest.raises(ts.CheckpointError, match="TS6005"):
            saving.wait()
    assert saving.is_done()
    saving = ck.save(tmp_path / "file" / "run", TREE, 3, asynchronous=True)
    with pytest.raises(ts.CheckpointError, match="TS6005"):
        saving.wait()
    ck.save(tmp_path / "run", TREE, 3)  # What has been reported is not raised again.
    assert ck.steps(tmp_path / "run") == [2, 3]


def test_error_that_nobody_asks_for_is_printed_when_the_program_ends(tmp_path):
    (tmp_path / "file").write_text("")
    program = ("import sys, numpy as np, tessera as ts\n"
               "ts.checkpoints.save(sys.argv[1], {'w': np.ones(3)}, 7, asynchronous=True)\n")
    failed = subprocess.run([sys.executable, "-c", program, tmp_path / "file"], capture_output=True,
                            text=True)
    assert "the checkpoint of step 7 was not saved: [TS6005]" in failed.stderr
    saved = subprocess.run([sys.executable, "-c", program, tmp_path / "run"], capture_output=True, text=True)
    assert saved.stderr == "" and ck.steps(tmp_path / "run") == [7]


def test_asynchronous_save_has_what_was_there_at_the_call(tmp_path, monkeypatch):
    may_write = threading.Event()
    write = writing._write_folder
    monkeypatch.setattr(writing, "_write_folder", lambda job: (may_write.wait(30), write(job)))
    host, shared, notes = np.arange(6.0), np.arange(4, dtype=np.int32), {"seen": [1, 2]}
    tree = {"host": host, "shared": ts.asarray(shared), "count": 1}
    saving = ck.save(tmp_path, tree, 1, metadata=notes, asynchronous=True)
    assert not saving.is_done() and ck.latest(tmp_path) is None
    host[:], shared[:], tree["count"] = -1, -1, 2
    notes["seen"].append(3)
    may_write.set()
    assert saving.wait() == tmp_path / "step-00000001"
    loaded = ck.load(tmp_path)
    assert loaded.tree["host"].tolist() == list(range(6)) and loaded.tree["shared"].tolist() == [0, 1, 2, 3]
    assert loaded.tree["count"] == 1 and loaded.metadata == {"seen": [1, 2]}


@needs_runtime
def test_arrays_may_be_donated_while_they_are_saved(tmp_path, monkeypatch):
    may_write = threading.Event()
    write = writing._write_folder
    monkeypatch.setattr(writing, "_write_folder", lambda job: (may_write.wait(30), write(job)))
    mesh = ts.make_mesh({"tp": 2})
    step = ts.jit(lambda w: w * 0.0 - 1.0, donate_argnums=0, mesh=mesh)
    w = ts.device_put(np.arange(15, dtype=np.float32).reshape(5, 3), ts.NamedSharding(mesh, ts.P("tp")))
    saving = ck.save(tmp_path, {"w": w}, 1, asynchronous=True)
    after = step(w)
    assert w.is_deleted() and np.all(np.asarray(after) == -1)
    may_write.set()
    saving.wait()
    assert np.array_equal(ck.load(tmp_path).tree["w"], np.arange(15).reshape(5, 3))
    with pytest.raises(ts.CheckpointError, match="'w' was donated or deleted"):
        ck.save(tmp_path, {"w": w}, 2)


def test_two_processes_do_not_save_into_one_directory(tmp_path):
    program = textwrap.dedent("""
        import sys, time
        import numpy as np, tessera as ts
        from tessera._src.checkpoints import writing
        write = writing._write_folder
        def slow(job):
            print("writing", flush=True)
            sys.stdin.readline()
            write(job)
        writing._write_folder = slow
        ts.checkpoints.save(sys.argv[1], {"w": np.ones(3)}, 5)
    """)
    child = subprocess.Popen([sys.executable, "-c", program, tmp_path], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout.readline() == "writing\n"
        with pytest.raises(ts.CheckpointError, match="TS6009.*another process is saving into") as raised:
            ck.save(tmp_path, TREE, 6, asynchronous=True).wait()
        assert Path(__file__).name in str(raised.value)
        assert ck.steps(tmp_path) == []
    finally:
        child.communicate("go\n", timeout=60)
    ck.save(tmp_path, TREE, 6)
    assert child.returncode == 0 and ck.steps(tmp_path) == [5, 6]
