#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""500 steps of ts.Trainer: losses equal PyTorch's at every step, in bf16 to 2 %. A seed is one of five cases.

    trainer.py --seed 1 --seeds 5
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "python/train"))
import torch_training  # noqa: E402

STEPS = 500
CASES = [("f32", [], 1e-4), ("f64", [], 1e-11), ("f32", torch_training.MESH, 1e-4),
         ("f64", torch_training.MESH, 1e-11), ("bf16-mixed", torch_training.MESH, 0.02)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=len(CASES))
    parser.add_argument("--steps", type=int, default=STEPS)
    options = parser.parse_args()
    failures = 0
    for precision, mesh, tolerance in CASES[options.seed - 1 : options.seed - 1 + options.seeds]:
        worst, _, ours, theirs = torch_training.compared(precision, options.steps, *mesh)
        if precision == "bf16-mixed":
            worst = abs(ours / theirs - 1).max()  # Of the loss in f32.
        failures += not worst <= tolerance
        print(precision, " ".join(mesh) or "one device", "ok" if worst <= tolerance else "FAILED",
              f"<= {tolerance}:", worst, f"losses {ours[0]:.3f} to {ours[-1]:.3f}", flush=True)
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
