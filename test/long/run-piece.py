#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs one piece of the long tier: a fuzzer over a fixed range of seeds.

    run-piece.py --record records/fuzz-partition.1.json --seed 1 --seeds 313 --per-seed 16 -- COMMAND...

COMMAND is given `--seed` and `--seeds`. A piece that passes leaves a record: seeds, how many programs they
make, failures, seconds, commit, processor, date. A piece whose record is of the commit at hand, without
local changes, is not run again, so an interrupted tier goes on where it stopped.

    run-piece.py --collect records/ --out FILE

writes one file of all records, and fails where they are of more than one commit.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def commit() -> str:
    """The commit that is tested; "-dirty" where tracked files have changed."""
    def git(*command: str) -> str:
        return subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    changes = git("status", "--porcelain", "--untracked-files=no")
    return git("rev-parse", "HEAD") + ("-dirty" if changes else "")


def cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def run(options: argparse.Namespace) -> int:
    now = commit()
    if options.record.exists():
        known = json.loads(options.record.read_text())
        if known["commit"] == now and not now.endswith("-dirty") and known["failures"] == 0:
            print(f"passed before at this commit: {json.dumps(known)}")
            return 0
    begin = time.monotonic()
    command = [*options.command, "--seed", str(options.seed), "--seeds", str(options.seeds)]
    code = subprocess.run(command).returncode
    record = {
        "piece": options.record.stem,
        "command": " ".join(Path(word).name for word in command),
        "seeds": [options.seed, options.seed + options.seeds - 1],
        "programs": options.seeds * options.per_seed,
        "failures": int(code != 0),
        "seconds": round(time.monotonic() - begin),
        "commit": now,
        "cpu": cpu_name(),
        "date": datetime.date.today().isoformat(),
    }
    options.record.parent.mkdir(parents=True, exist_ok=True)
    options.record.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record))
    return code


def collect(folder: Path, out: Path) -> int:
    records = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    commits = {record["commit"] for record in records}
    if len(commits) != 1:
        print(f"{folder} has records of {len(commits)} commits; run `ctest -L long` at one")
        return 1
    programs: dict[str, int] = {}
    for record in records:
        family = record["piece"].rpartition(".")[0]
        programs[family] = programs.get(family, 0) + record["programs"]
    failures = sum(record["failures"] for record in records)
    out.write_text(json.dumps({"commit": commits.pop(), "programs": programs, "failures": failures,
                               "pieces": records}, indent=1) + "\n")
    print(out.read_text())
    return 1 if failures else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", type=Path, help="where the record of the piece is kept")
    parser.add_argument("--seed", type=int, help="the first seed")
    parser.add_argument("--seeds", type=int, help="how many of them")
    parser.add_argument("--per-seed", type=int, default=1, help="programs that a seed makes")
    parser.add_argument("--collect", type=Path, metavar="FOLDER", help="join the records of a folder")
    parser.add_argument("--out", type=Path, help="with --collect: the file that is written")
    parser.add_argument("command", nargs="*", help="the fuzzer, after --")
    options = parser.parse_args()
    if options.collect:
        return collect(options.collect, options.out)
    return run(options)


if __name__ == "__main__":
    sys.exit(main())
