#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""500 steps of AdamW on a small GPT: losses equal PyTorch's at every step. A seed is one of four cases.

    train.py --seed 1 --seeds 4
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

import tessera as ts

sys.path.insert(0, str(Path(__file__).parents[1] / "python"))
import gpt  # noqa: E402

STEPS = 500
MESH = {"dp": 2, "tp": 2}
CASES = [(np.float32, None, 1e-4), (np.float64, None, 1e-11),
         (np.float32, MESH, 1e-4), (np.float64, MESH, 1e-11)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=len(CASES))
    options = parser.parse_args()
    failures = 0
    for dtype, mesh, tolerance in CASES[options.seed - 1 : options.seed - 1 + options.seeds]:
        step = gpt.compiled_step(ts.make_mesh(mesh) if mesh else None)
        wanted = gpt.torch_losses(torch, dtype, STEPS)

        def worst(**mistake: float) -> float:
            return float(np.abs(gpt.losses(step, dtype, STEPS, **mistake) - wanted).max())

        right = worst()
        wrong = {"epsilon 1e-6": worst(epsilon=1e-6), "decay 0.09": worst(decay=0.09)}
        passed = right <= tolerance < min(wrong.values())
        failures += not passed
        print(np.dtype(dtype), mesh or "one device", "ok" if passed else "FAILED", f"<= {tolerance}:",
              right, "with a mistake:", wrong, flush=True)
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
