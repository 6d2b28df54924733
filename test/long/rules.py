#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Derivatives of every function on random shapes and broadcasts, against JAX and finite differences in f64,
and in each type of 16 and 32 bits. A seed makes a case of each function.

    rules.py --seed 1 --seeds 10
"""

import argparse
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "python" / part) for part in ("", "derivatives")]
from derivative_checks import jax, wrong_derivatives, wrong_in_narrow_types  # noqa: E402
from random_cases import MAKERS, random_cases  # noqa: E402


def main() -> int:
    jax.config.update("jax_enable_x64", True)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    failures, count, begin = 0, 0, time.monotonic()
    for seed in range(options.seed, options.seed + options.seeds):
        for group in MAKERS:
            cases = random_cases(group, seed)
            wrong = wrong_derivatives(cases, seed) + wrong_in_narrow_types(cases, seed)
            count, failures = count + len(cases), failures + bool(wrong)
            for line in wrong:
                print(f"seed {seed}, {group}: {line}", flush=True)
            jax.clear_caches()
    print(f"{count} cases from seed {options.seed}, failures in {failures} groups, "
          f"{time.monotonic() - begin:.0f} seconds")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
