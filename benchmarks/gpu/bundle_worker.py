# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Does parts of the bundle's work in a process of its own, for run.py."""

from __future__ import annotations

import json
import os

import numpy as np

from bundle_peers import Peers
from bundle_runtime import HERE, Executable, Runtime, error_of, load_input, median_ms, to_float

# A line that is an answer begins with this; others are what libraries print.
MARK = "answer: "


class NotRun(Exception):
    """Why a part makes no sense here."""


class Worker:
    """Does parts of the work in a process of its own; each part's row goes to the conductor."""

    def __init__(self, device: str):
        self.device, self.runtime, self.known = device, Runtime(), None

    def peers(self) -> Peers:
        if self.known is None:
            self.known = Peers(self.device)
        if self.known.torch is None:
            raise NotRun(self.known.why)
        return self.known

    def load(self, entry: dict, profile: bool = False) -> Executable:
        artefact = entry["artefacts"].get("cuda" if self.device == "null" else self.device)
        if artefact is None:
            raise NotRun(f"the bundle has no artefact for {self.device}")
        inputs = [load_input(spec) for spec in entry["inputs"]]
        return Executable(self.runtime, HERE / artefact, self.device, inputs, profile)

    def open(self, entry: dict) -> dict:
        """Whether the device can be used at all."""
        self.load(entry).close()
        return {}

    def check(self, entry: dict) -> dict:
        """The result against the expected one."""
        executable = self.load(entry)
        executable.run()
        row = {"ok": True}  # The null device loads and runs a plan and computes nothing.
        if self.device != "null":
            spec = entry["expected"]
            computed = executable.description["outputs"][0]["dtype"]
            row = verdict(to_float(executable.outputs[0], computed),
                          to_float(np.load(HERE / spec["file"]), spec["dtype"]), entry)
        executable.close()
        return row

    def compare(self, entry: dict) -> dict:
        """A large result against the peer's in the same precision."""
        function = self.peers().function(entry["peer"])
        executable = self.load(entry)
        executable.run()
        tensors = [self.peers().tensor(a, s["dtype"])
                   for a, s in zip(executable.kept, entry["inputs"])]
        expected = function(*tensors).double().cpu().numpy()
        got = to_float(executable.outputs[0], executable.description["outputs"][0]["dtype"])
        executable.close()
        return {"ok": True} if self.device == "null" else verdict(got, expected, entry)

    def time(self, entry: dict) -> dict:
        """The program's steps, each with the wait for it; of an encoder, whole calls too."""
        row = {}
        if entry["kind"] == "encoder":
            executable = self.load(entry)
            row["ms"] = median_ms([executable.run()["ns"] * 1e-9 for _ in range(53)][3:])
            executable.close()
        executable = self.load(entry, profile=True)
        reports = [executable.run()["steps"] for _ in range(23)][3:]
        executable.close()
        if entry["kind"] == "encoder":
            row["steps_us"] = [[s["step"], round(s["ns"] * 1e-3, 2)] for s in reports[-1]]
        else:
            row["ms"] = median_ms([sum(s["ns"] for s in steps) * 1e-9 for steps in reports])
        return row | rates(entry, row["ms"], "")

    def torch(self, entry: dict) -> dict:
        return self.time_peer(entry, "torch", lambda function: function)

    def compiled(self, entry: dict) -> dict:
        if self.device != "cuda":
            raise NotRun("torch.compile is timed on a GPU alone")
        return self.time_peer(entry, "compiled", self.peers().torch.compile)

    def triton(self, entry: dict) -> dict:
        if self.device != "cuda":
            raise NotRun("Triton is timed on a GPU alone")
        self.peers()
        try:
            import bundle_triton
        except ImportError as error:
            raise NotRun(f"Triton is not installed: {error}") from None

        return self.time_peer(entry, "triton", lambda _: bundle_triton.product_nt)

    def time_peer(self, entry: dict, name: str, change) -> dict:
        peers = self.peers()
        if entry["kind"] == "encoder":
            call = change(peers.encoder(entry["model"]))
        else:
            function = change(peers.function(entry["peer"]))
            tensors = [peers.tensor(load_input(s), s["dtype"]) for s in entry["inputs"]]
            def call():
                return function(*tensors)
        with peers.torch.inference_mode():
            ms = peers.time(call, 20)
        return {f"{name}_ms": ms} | rates(entry, ms, f"{name}_")

    def run(self, parts: list[tuple[str, str]], entries: dict[str, dict]) -> None:
        for what, name in parts:
            try:
                answer = {"row": getattr(self, what)(entries[name])}
            except NotRun as reason:
                answer = {"not_run": str(reason)}
            except Exception as error:  # One failing part must not hide the others.
                answer = {"failed": f"{type(error).__name__}: {error}"}
            print(MARK + json.dumps(answer), flush=True)
            if "failed" in answer:
                # What a fault left of this process's context is of no use to the parts after it.
                os._exit(1)


def verdict(got: np.ndarray, expected: np.ndarray, entry: dict) -> dict:
    error = error_of(got, expected)
    return {"ok": error <= entry["tolerance"], "error": error}


def rates(entry: dict, ms: float, prefix: str) -> dict:
    found = {}
    if entry.get("flops"):
        found[prefix + "tflops"] = round(entry["flops"] / ms * 1e-9, 2)
    if entry.get("bytes"):
        found[prefix + "gbytes_per_s"] = round(entry["bytes"] / ms * 1e-6, 1)
    return found
