# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the benchmarks share: interleaved timing, the machine's description, results as JSON."""

from __future__ import annotations

import datetime
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable

ROOT = Path(__file__).resolve().parents[1]

# Some machines hold OpenBLAS to older kernels by these; a peer is measured at its best. The script
# that imports this module does so before NumPy, which loads OpenBLAS.
_SETTINGS_OF_MACHINE = [name for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
                        if os.environ.pop(name, None)]
# What a NumPy that was loaded before has read of them.
_SETTINGS_IN_USE = _SETTINGS_OF_MACHINE if "numpy" in sys.modules else []


def interleave(candidates: dict[str, Callable[[], Any]], rounds: int, warmup: int = 2,
               burst: int = 1, settle: float = 0.15) -> dict[str, list[float]]:
    """Seconds of each call, the candidates taking turns so that drift hits all alike.

    Before a turn all threads rest `settle` seconds: workers of the peer before may spin that long
    for more work (OpenBLAS's do for 2^28 cycles) and would take a core from the next. A turn is a
    call that is not counted, which wakes the candidate's own workers, then `burst` counted ones.

    Raises RuntimeError if NumPy was imported before this module and took a machine's settings.
    """
    if _SETTINGS_IN_USE:
        raise RuntimeError(f"OpenBLAS runs with {', '.join(_SETTINGS_IN_USE)}: import harness before numpy")
    for run in candidates.values():
        for _ in range(warmup):
            run()
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, run in candidates.items():
            time.sleep(settle)
            run()
            for _ in range(burst):
                begin = time.perf_counter()
                run()
                times[name].append(time.perf_counter() - begin)
    return times


def summary(times: dict[str, list[float]], unit: float = 1e3) -> dict[str, dict[str, float]]:
    """Median, least and most, in milliseconds by default."""
    return {
        name: {
            "median_ms": round(statistics.median(values) * unit, 4),
            "min_ms": round(min(values) * unit, 4),
            "max_ms": round(max(values) * unit, 4),
        }
        for name, values in times.items()
    }


def cpu_name() -> str:
    """Name, family and model, which tell the generation where the name does not, and widest vectors."""
    first = Path("/proc/cpuinfo").read_text().partition("\n\n")[0]
    fields = dict(re.split(r"\s*:\s*", line, maxsplit=1) for line in first.splitlines() if ":" in line)
    name = fields.get("model name", platform.processor() or platform.machine())
    flags = fields.get("flags", "").split()
    generation = [f"{what} {fields[key]}" for what, key in (("family", "cpu family"), ("model", "model"))
                  if key in fields]
    vectors = [name for flag, name in (("avx512f", "AVX-512"), ("avx2", "AVX2")) if flag in flags][:1]
    details = ", ".join([*generation, *vectors])
    return f"{name} ({details})" if details else name


def blas_kernels() -> str:
    """The BLAS that NumPy runs, with the processor whose kernels it chose: "openblas 0.3.30 SkylakeX"."""
    import threadpoolctl

    found = [info for info in threadpoolctl.threadpool_info() if info["user_api"] == "blas"]
    return ", ".join(f"{i['internal_api']} {i['version']} {i.get('architecture', '')}".strip() for i in found)


def git(*command: str) -> str:
    return subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True).stdout.strip()


def commit() -> str:
    """The commit that is measured; "-dirty" where the tree has changes beside results."""
    changes = git("status", "--porcelain", "--untracked-files=no", "--", ".",
                  ":(exclude)benchmarks/results", ":(exclude)README.md")
    return git("rev-parse", "--short=10", "HEAD") + ("-dirty" if changes else "")


def bar(what: str, value: float, at_most: float | None = None,
        at_least: float | None = None) -> dict[str, Any]:
    """A figure that must not miss a bar, as results record it."""
    passes = value <= at_most if at_most is not None else value >= at_least
    limit = {"at_most": at_most} if at_most is not None else {"at_least": at_least}
    return {"what": what, "value": value, **limit, "passes": passes}


def write(name: str, data: dict[str, Any], bars: list[dict[str, Any]]) -> None:
    """Writes benchmarks/results/NAME.json with machine, date, commit and command, and prints it.

    A missed bar is recorded like any other figure; the check of the README's table fails on it.
    """
    record = {
        "benchmark": name,
        "command": "python " + " ".join([str(Path(sys.argv[0]).name), *sys.argv[1:]]),
        "machine": {"cpu": cpu_name(), "cores": os.cpu_count(), "system": platform.platform()},
        "date": datetime.date.today().isoformat(),
        "commit": commit(),
        **data,
        "bars": bars,
    }
    path = ROOT / "benchmarks/results" / f"{name}.json"
    path.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))
