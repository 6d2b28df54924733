#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Checks and times the bundle this file is in, on this machine's GPU.

    python3 run.py [--device=cuda|emulated|null] [--out DIR] [--seconds N] [--only TEXT]

First every program's result is compared with what the CPU computed where the bundle was made; then
programs are timed; then, where PyTorch is installed, the large results are compared with its and
its times taken: eager, compiled, and a Triton kernel. Each part of the work runs in a process that
is replaced when a part fails or takes too long: a GPU's fault ends all that its process does.
Writes DIR/results.json (default: $OUT, else ./out) as it goes, with what was not run and why. Ends
with status 1 if a result was wrong, 2 if the device cannot be used. Needs NumPy.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path

from bundle_worker import MARK, Worker

HERE = Path(__file__).resolve().parent
# Most that a part may take, seconds. Compiling and tuning take most of a peer's time.
PART_SECONDS = {"open": 60, "check": 60, "time": 60, "compare": 60, "torch": 60, "triton": 90,
                "compiled": 120}


class Conductor:
    """Has workers do the parts, one after another, and keeps the results."""

    def __init__(self, options: argparse.Namespace, manifest: dict):
        self.options, self.manifest = options, manifest
        self.begin = time.monotonic()
        self.out = Path(options.out)
        self.out.mkdir(parents=True, exist_ok=True)
        self.results = {"device": options.device, "machine": machine(),
                        "target": manifest["target"], "compiler": manifest["compiler"],
                        "programs": {}, "not_run": []}
        self.process, self.lines = None, queue.Queue()

    def left(self) -> float:
        return self.options.seconds - (time.monotonic() - self.begin)

    def parts(self) -> list[tuple[str, str]]:
        """What matters most first, should time run out."""
        entries = [e for e in self.manifest["programs"] if self.options.only in e["name"]]
        # The whole model before single kernels.
        entries.sort(key=lambda e: e["kind"] != "encoder")
        timed = [e for e in entries if e["kind"] == "time" or "peer" in e]
        found = [("check", e) for e in entries if "expected" in e]
        if not self.options.no_times:
            found += [("time", e) for e in timed]
            found += [("compare", e) for e in timed if e["kind"] == "time"]
            for what in ("torch", "triton", "compiled"):
                found += [(what, e) for e in timed if what in e["peers"]]
        return [(what, e["name"]) for what, e in found]

    def start(self, parts: list[tuple[str, str]]) -> None:
        command = [sys.executable, str(HERE / "run.py"), f"--device={self.options.device}",
                   "--worker", json.dumps(parts)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.lines = queue.Queue()

        def read(stream, lines):
            for line in stream:
                lines.put(line)
            lines.put(None)

        threading.Thread(target=read, args=(self.process.stdout, self.lines), daemon=True).start()

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
        self.process = None

    def answer(self, what: str) -> dict:
        """The worker's next; a failure when it ends or takes too long."""
        seconds = min(self.options.part_seconds or PART_SECONDS[what], max(1, self.left()))
        end = time.monotonic() + seconds
        while True:
            try:
                line = self.lines.get(timeout=max(0, end - time.monotonic()))
            except queue.Empty:
                return {"failed": f"did not end within {seconds:.3g} s"}
            if line is None:
                return {"failed": f"the process ended with status {self.process.wait()}"}
            if line.startswith(MARK):
                return json.loads(line[len(MARK):])

    def run(self) -> int:
        parts = self.parts()
        opening = ("open", self.manifest["programs"][0]["name"])
        self.start([opening, *parts])
        if why := self.answer("open").get("failed"):
            self.stop()
            print(f"run.py: device {self.options.device} cannot be used: {why}", file=sys.stderr)
            return 2
        for i, (what, name) in enumerate(parts):
            if self.left() <= 0:
                self.not_run(what, name, f"the {self.options.seconds:.0f} s were over")
                continue
            if self.process is None:
                self.start(parts[i:])
            self.keep(what, name, self.answer(what))
        self.stop()
        self.write()
        return self.summarize()

    def keep(self, what: str, name: str, answer: dict) -> None:
        row = self.results["programs"].setdefault(name, {})
        if "not_run" in answer:
            self.not_run(what, name, answer["not_run"])
        elif "failed" in answer:
            self.stop()
            row[f"{what}_failed"] = answer["failed"]
            if what in ("check", "compare", "time"):
                row["ok"] = False
        else:
            is_right = row.get("ok", True) and answer["row"].get("ok", True)
            row.update(answer["row"])
            if "ok" in row:
                row["ok"] = is_right
        self.write()
        shown = {k: v for k, v in answer.get("row", answer).items() if k != "steps_us"}
        print(f"{time.monotonic() - self.begin:4.0f} s {what:8} {name:34} {shown}", flush=True)

    def not_run(self, what: str, name: str, why: str) -> None:
        self.results["not_run"].append([what, name, why])

    def write(self) -> None:
        self.results["seconds"] = round(time.monotonic() - self.begin, 1)
        (self.out / "results.json").write_text(json.dumps(self.results, indent=1) + "\n")

    def summarize(self) -> int:
        rows = self.results["programs"]
        columns = ["ms", "torch_ms", "compiled_ms", "triton_ms", "tflops", "gbytes_per_s", "error"]
        timed = {n: r for n, r in rows.items() if "ms" in r}
        if timed:
            print(f"\n{'':34}" + "".join(f"{c:>14}" for c in columns))
        for name, row in timed.items():
            cells = [f"{row[c]:14.4g}" if c in row else f"{'-':>14}" for c in columns]
            print(f"{name:34}{''.join(cells)}")
        why = sorted({(what, reason) for what, _, reason in self.results["not_run"]})
        for what, reason in why:
            count = sum(w == what and r == reason for w, _, r in self.results["not_run"])
            print(f"not run: {what}, {count} programs: {reason}")
        for name, row in rows.items():
            for what in PART_SECONDS:
                if f"{what}_failed" in row:
                    print(f"failed: {what} of {name}: {row[f'{what}_failed']}")
        wrong = [n for n, row in rows.items() if row.get("ok") is False]
        print(f"{self.options.device}: {sum(r.get('ok') is True for r in rows.values())} right, "
              f"{len(wrong)} wrong{': ' + ', '.join(wrong) if wrong else ''}; "
              f"{self.results['seconds']:.0f} s; {self.out / 'results.json'}")
        return 1 if wrong else 0


def machine() -> dict:
    """What computes here."""
    found = {"system": platform.platform(), "python": platform.python_version()}
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        found["gpu"] = subprocess.run(query, capture_output=True, text=True, timeout=30,
                                      check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError) as error:
        found["gpu"] = f"none: {error}"
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", choices=["cuda", "emulated", "null"])
    parser.add_argument("--out", default=os.environ.get("OUT", "out"))
    parser.add_argument("--seconds", type=float, default=500, help="nothing new after that")
    parser.add_argument("--part-seconds", type=float, help="most that one part may take")
    parser.add_argument("--only", default="", metavar="TEXT", help="programs with this in the name")
    parser.add_argument("--no-times", action="store_true", help="check results only")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    manifest = json.loads((HERE / "bundle.json").read_text())
    entries = {e["name"]: e for e in manifest["programs"]}
    if options.worker:
        Worker(options.device).run(json.loads(options.worker), entries)
        return 0
    return Conductor(options, manifest).run()


if __name__ == "__main__":
    sys.exit(main())
