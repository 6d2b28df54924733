#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A process that saves checkpoints is killed at 50 random moments: the newest one loads each time.

    kill-saving.py --seed 1 --seeds 1

A seed is 50 kills of one training, which goes on from what each left.
"""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "python" / "checkpoints"))
import killing  # noqa: E402

KILLS = 50


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    for seed in range(options.seed, options.seed + options.seeds):
        with tempfile.TemporaryDirectory() as folder:
            hit = killing.kill_at_random_moments(Path(folder, "run"), KILLS, seed)
            print(f"seed {seed}: {KILLS} kills, {hit} of them while a folder was written or removed",
                  flush=True)
            if hit < KILLS // 5:
                print("too few kills hit a saving")
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
