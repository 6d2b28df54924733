#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`tessera train` is killed at 50 random moments: its log has every step once, with the losses of one run.

    kill-training.py --seed 1 --seeds 1

A seed is 50 kills of one training, which goes on from what each left. The losses depend on the samples of
each step, so that one which is left out or given twice shows.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "python" / "train"))
import train_cases  # noqa: E402

import tessera as ts  # noqa: E402

KILLS = 50
STEPS = 4000  # More than are reached between kills; the last run goes to the step it is at.


def steps_of(folder: Path) -> list[dict]:
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [record for record in records if record["event"] == "step"]


def killed(seed: int, folder: Path) -> str | None:
    """What is wrong, if anything."""
    draw = random.Random(seed)
    given = train_cases.config(
        "parallel.tp=2", "parallel.dp=2", f"train.steps={STEPS}", "train.save_every=7", "checkpoint.keep=2",
        "model.config.resid_pdrop=0.1", "optim.total=4000", train={"folder": str(folder / "run")})
    file = folder / "train.json"
    file.write_text(json.dumps(given.to_dict()))
    command = [sys.executable, "-m", "tessera", "train", str(file), "monitor.mfu=false", "monitor.plot=false"]
    environment = {**os.environ, "TESSERA_CACHE_DIR": str(folder / "cache")}
    reached = 0
    for number in range(KILLS):
        with open(folder / "output", "w") as output:
            child = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
            time.sleep(draw.uniform(1.0, 5.0))
            child.kill()
            child.wait()
        latest = ts.checkpoints.latest(folder / "run") if (folder / "run").exists() else None
        if latest is not None and (problems := ts.checkpoints.verify(folder / "run")):
            return f"kill {number}: {problems}"
        if latest is not None and latest < reached:
            return f"kill {number}: the newest checkpoint is of step {latest}, and was of {reached}"
        reached = latest or reached
    if reached < 50:
        return f"only {reached} steps were saved"
    last = reached + 3
    done = subprocess.run([*command, f"train.steps={last}"], capture_output=True, text=True, env=environment)
    if done.returncode:
        return f"the last run failed: {done.stderr}"
    steps = steps_of(folder / "run")
    if [record["step"] for record in steps] != list(range(1, last + 1)):
        return f"the log has steps {[record['step'] for record in steps]}"
    whole = given.replace(f"train.steps={last}", "train.save_every=0", f"train.folder={folder / 'whole'}")
    recorder, _ = train_cases.trained(whole)
    if recorder.losses != [record["loss"] for record in steps]:
        return "losses differ from those of a run that was not interrupted"
    print(f"seed {seed}: {KILLS} kills in {last} steps", flush=True)
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    failures = 0
    for seed in range(options.seed, options.seed + options.seeds):
        with tempfile.TemporaryDirectory() as folder:
            problem = killed(seed, Path(folder))
        if problem:
            print(f"seed {seed}: {problem}", flush=True)
            failures += 1
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
