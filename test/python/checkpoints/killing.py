# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Kills a process that does nothing but save checkpoints, and loads what is left; also that process.

    killing.py DIRECTORY

goes on from the newest checkpoint, saving step after step, until it is killed.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

import tessera as ts

KEEP = {"last": 2, "every": 10}
MESH = ts.make_mesh({"dp": 2, "tp": 2})
LAYOUTS = {"w": ts.P("tp", "dp"), "m": ts.P("tp"), "v": ts.P()}


def state(step: int) -> dict:
    """What is saved at a step: some 3 MB, in four files, the optimizer's count included."""
    # Quickly made, so that most of the time goes into saving; 301 rows over two devices are uneven.
    values = {name: (np.arange(301 * 700, dtype=np.uint32) * np.uint32(6 * step + 2 * i + 1)).view(np.float32)
              .reshape(301, 700) for i, name in enumerate(LAYOUTS)}
    placed = {name: ts.device_put(value, ts.NamedSharding(MESH, LAYOUTS[name]))
              for name, value in values.items()}
    return {**placed, "count": step, "seen": np.arange(step, step + 7, dtype=np.uint32)}


def check_newest(directory: Path) -> int:
    """The newest step, which must load on one device, bit for bit; 0 where there is none yet."""
    step = ts.checkpoints.latest(directory)
    if step is None:
        return 0
    loaded = ts.checkpoints.load(directory)
    wanted = state(step)
    assert loaded.step == step and loaded.metadata == {"position": (step, "shuffled")}
    for name, value in wanted.items():
        assert np.asarray(loaded.tree[name]).tobytes() == np.asarray(value).tobytes(), (step, name)
    return step


def kill_at_random_moments(directory: Path, count: int, seed: int) -> int:
    """Kills a saving process `count` times; after each the newest checkpoint loads. How many of the kills
    left a folder that was being written or removed."""
    directory.mkdir(exist_ok=True)
    moments = random.Random(seed)
    newest = interrupted = 0
    for _ in range(count):
        child = subprocess.Popen([sys.executable, __file__, directory], stdout=subprocess.PIPE, text=True)
        try:
            first = child.stdout.readline()
            assert first.strip() == f"from {newest}", first
            time.sleep(moments.uniform(0, 0.5))
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait()
            rest = child.stdout.read().split()
            child.stdout.close()
        interrupted += any(name.startswith(".step-") for name in os.listdir(directory))
        saved = [int(step) for step in rest]
        now = check_newest(directory)
        # What was reported as saved is there; one more may be.
        assert now >= max(saved, default=newest), (now, saved)
        assert not now or ts.checkpoints.verify(directory) == []
        newest = now
    return interrupted


def main() -> None:
    directory = Path(sys.argv[1])
    step = check_newest(directory)
    print(f"from {step}", flush=True)
    while True:
        step += 1
        saving = ts.checkpoints.save(directory, state(step), step, metadata={"position": (step, "shuffled")},
                                     keep=KEEP, asynchronous=step % 2 == 0)
        saving.wait()
        print(step, flush=True)


if __name__ == "__main__":
    main()
