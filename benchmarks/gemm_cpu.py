# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""f32 matrix products on two threads, either factor transposed or not, as forward and backward passes
have them: Tessera against OpenBLAS (the one inside NumPy), taking turns in one process on random data.
Times are those of a user's call, dispatch included.

    python benchmarks/gemm_cpu.py [--sizes 256,8x4096x4096] [--forms "x @ w,x.T @ g"] [--rounds 9] [--dry-run]
"""

from __future__ import annotations

import argparse
import os

os.environ["OPENBLAS_NUM_THREADS"] = "2"
os.environ.setdefault("TESSERA_CACHE", "0")

import statistics

import harness
import numpy as np

import tessera as ts

# Rows x summed x columns; one number: a cube.
SIZES = "256,512,1024,2048,4096x384x1536,1000x999x1001,8x4096x4096"
FORMS = {
    "x @ w": lambda x, w: x @ w,
    "x @ w.T": lambda x, w: x @ w.T,
    "x.T @ g": lambda x, g: x.T @ g,
    "x.T @ g.T": lambda x, g: x.T @ g.T,
}


def factors(m: int, k: int, n: int, form: str) -> tuple[np.ndarray, np.ndarray]:
    left, right = form.split(" @ ")
    rng = np.random.default_rng([m, k, n])
    shapes = ((k, m) if left.endswith(".T") else (m, k)), ((n, k) if right.endswith(".T") else (k, n))
    return tuple(rng.standard_normal(shape, dtype=np.float32) for shape in shapes)


def measure(size: str, form: str, rounds: int) -> dict:
    m, k, n = map(int, size.split("x")) if "x" in size else [int(size)] * 3
    a, b = factors(m, k, n, form)
    product = ts.jit(FORMS[form], mesh=ts.make_mesh({"tp": 1}), threads=2)
    difference = float(np.abs(np.asarray(product(a, b)) - FORMS[form](a, b)).max())
    # Turns of about 20 ms, at least three calls.
    burst = max(3, int(0.02 * 4e11 / (2 * m * k * n)))
    times = harness.interleave({"tessera": lambda: product(a, b), "openblas": lambda: FORMS[form](a, b)},
                               rounds, burst=burst)
    # Of the medians of turns that follow one another, so that what loads the machine for a while
    # loads both.
    turns = {name: [statistics.median(seconds[i:i + burst]) for i in range(0, len(seconds), burst)]
             for name, seconds in times.items()}
    ratio = statistics.median(ours / theirs for ours, theirs in zip(turns["tessera"], turns["openblas"]))
    result = harness.summary(times)
    return {
        "times": result,
        "gflops": {name: round(2e-6 * m * k * n / entry["median_ms"], 1) for name, entry in result.items()},
        "time_over_openblas": round(ratio, 3),
        "largest_difference": difference,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default=SIZES)
    parser.add_argument("--forms", default=",".join(FORMS))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--dry-run", action="store_true", help="print the figures and record nothing")
    args = parser.parse_args()
    forms: dict[str, dict[str, dict]] = {}
    for form in args.forms.split(","):
        for size in args.sizes.split(","):
            row = measure(size, form, args.rounds)
            forms.setdefault(form, {})[size] = row
            print(f"{form:10} {size:15} {row['gflops']} time over OpenBLAS's: {row['time_over_openblas']}",
                  flush=True)
    if args.dry_run:
        return
    peer = f"{harness.blas_kernels()} (NumPy {np.__version__})"
    # What the README's table shows.
    cubes = {size: {**row, "speed_relative_to_openblas": round(1 / row["time_over_openblas"], 3)}
             for size, row in forms.get("x @ w", {}).items() if "x" not in size}
    harness.write("gemm_cpu", {"peer": peer, "threads": 2, "dtype": "f32", "sizes": cubes, "forms": forms},
                  bars=[harness.bar(f"time over OpenBLAS's, {form}, size {size}", row["time_over_openblas"],
                                    at_most=1.0)
                        for form, rows in forms.items() for size, row in rows.items()])


if __name__ == "__main__":
    main()
