# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Square f32 matrix products on two threads: Tessera against OpenBLAS (the one inside NumPy),
taking turns in one process on random data. Times are those of a user's call, dispatch included.

    python benchmarks/gemm_cpu.py [--sizes 256,512,1024,2048] [--rounds 15]
"""

from __future__ import annotations

import argparse
import os

os.environ["OPENBLAS_NUM_THREADS"] = "2"
os.environ.setdefault("TESSERA_CACHE", "0")

import harness
import numpy as np

import tessera as ts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="256,512,1024,2048")
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    rows = {}
    for size in map(int, args.sizes.split(",")):
        rng = np.random.default_rng(size)
        a, b = (rng.standard_normal((size, size), dtype=np.float32) for _ in range(2))
        product = ts.jit(lambda x, y: x @ y, mesh=ts.make_mesh({"tp": 1}), threads=2)
        difference = float(np.abs(np.asarray(product(a, b)) - a @ b).max())
        times = harness.interleave({"tessera": lambda: product(a, b),
                                    "openblas": lambda: a @ b}, args.rounds,
                                   burst=max(2, 1024 // size * 8))
        result = harness.summary(times)
        gflops = {n: round(2e-6 * size**3 / e["median_ms"], 1) for n, e in result.items()}
        rows[str(size)] = {
            "times": result, "gflops": gflops,
            "speed_relative_to_openblas": round(gflops["tessera"] / gflops["openblas"], 3),
            "largest_difference": difference,
        }
    peer = f"{harness.blas_kernels()} (NumPy {np.__version__})"
    harness.write("gemm_cpu", {"peer": peer, "threads": 2, "dtype": "f32", "sizes": rows},
                  bars=[harness.bar(f"speed relative to OpenBLAS, size {size}",
                                    row["speed_relative_to_openblas"], at_least=0.8)
                        for size, row in rows.items()])


if __name__ == "__main__":
    main()
