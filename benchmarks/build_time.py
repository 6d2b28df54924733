# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Time of a clean build: a fresh clone of this commit, configured and built as tools/build does.

Bar: at most 5 minutes on 2 cores. What is not committed is not built.
"""

import argparse
import os
import subprocess
import tempfile
import time
from pathlib import Path

import harness

BAR_SECONDS = 300


def timed(*command: str, cwd: Path) -> float:
    begin = time.perf_counter()
    subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2, help="compilers at once")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        checkout = Path(folder, "tessera")
        timed("git", "clone", "--quiet", "--shared", str(harness.ROOT), str(checkout), cwd=Path(folder))
        configure = timed("cmake", "--preset", "release", cwd=checkout)
        begin = os.times()
        build = timed("cmake", "--build", "--preset", "release", "-j", str(options.jobs), cwd=checkout)
        end = os.times()
        # Nothing changed: what every later call of tools/build costs.
        again = timed("cmake", "--build", "--preset", "release", cwd=checkout)
    total = configure + build
    harness.write("build_time", {
        "jobs": options.jobs,
        "clean_seconds": round(total, 1),
        "configure_seconds": round(configure, 1),
        "build_seconds": round(build, 1),
        "cpu_seconds": round(end.children_user - begin.children_user
                             + end.children_system - begin.children_system, 1),
        "nothing_to_do_seconds": round(again, 2),
    }, bars=[harness.bar("seconds of a clean build", round(total, 1), at_most=BAR_SECONDS)])


if __name__ == "__main__":
    main()
