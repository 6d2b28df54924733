#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""200 steps of AdamW with clipping and dropout in eight layouts: losses and norms are those of one device.

    layouts.py --seed 1 --seeds 4

A seed is a type and half of the layouts.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "python" / "train"))
from training_layouts import LAYOUTS, check_curves  # noqa: E402

CASES = [(dtype, half) for dtype in ("f64", "f32") for half in (LAYOUTS[:4], LAYOUTS[4:])]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=len(CASES))
    options = parser.parse_args()
    failures = 0
    for dtype, layouts in CASES[options.seed - 1 : options.seed - 1 + options.seeds]:
        try:
            check_curves(dtype, 200, layouts)
            result = "ok"
        except AssertionError as error:
            failures += 1
            result = f"FAILED: {error}"
        print(dtype, *(f"[{layout}]" for layout in layouts), result, flush=True)
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
