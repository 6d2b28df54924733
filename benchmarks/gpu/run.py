#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Checks and times the bundle this file is in, on this machine's GPU.

    python3 run.py [--device=cuda|emulated|null] [--out DIR] [--seconds N] [--only TEXT]

First every program's result is compared with what the CPU computed where the bundle was made; then
programs are timed against PyTorch where it is installed. Writes DIR/results.json (default: $OUT,
else ./out) as it goes. Ends with status 1 if a result was wrong, 2 if the device cannot be used.
Needs NumPy.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent


class Input(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("placed", ctypes.c_void_p)]


class Runtime:
    """libtessera_rt.so."""

    def __init__(self):
        self.lib = lib = ctypes.CDLL(str(HERE / "lib" / "libtessera_rt.so"))
        for name, result in {"tesseraRtLastError": ctypes.c_char_p,
                             "tesseraRtLoad": ctypes.c_void_p, "tesseraRtUnload": None,
                             "tesseraRtDescribe": ctypes.c_char_p,
                             "tesseraRtPlace": ctypes.c_void_p, "tesseraRtReleasePlaced": None,
                             "tesseraRtRun": ctypes.c_int,
                             "tesseraRtRunReport": ctypes.c_char_p}.items():
            getattr(lib, name).restype = result

    def error(self) -> RuntimeError:
        return RuntimeError(self.lib.tesseraRtLastError().decode())


class Executable:
    """One program with its inputs on the device."""

    def __init__(self, runtime: Runtime, path: Path, device: str, inputs: list[np.ndarray],
                 profile: bool = False):
        self.runtime, self.lib, self.placed = runtime, runtime.lib, []
        data = path.read_bytes()
        options = json.dumps({"device": device, "profile": profile}).encode()
        self.handle = self.lib.tesseraRtLoad(data, ctypes.c_size_t(len(data)), options)
        if not self.handle:
            raise runtime.error()
        self.handle = ctypes.c_void_p(self.handle)
        self.description = json.loads(self.lib.tesseraRtDescribe(self.handle))
        self.inputs = (Input * len(inputs))()
        self.kept = inputs
        for i, array in enumerate(inputs):
            placed = self.lib.tesseraRtPlace(self.handle, ctypes.c_int64(i),
                                             ctypes.c_void_p(array.ctypes.data),
                                             ctypes.c_size_t(array.nbytes))
            if not placed:
                raise runtime.error()
            self.placed.append(placed)
            self.inputs[i].placed = placed
        self.outputs = [np.empty(o["shape"], bits_dtype(o["dtype"]))
                        for o in self.description["outputs"]]
        self.addresses = (ctypes.c_void_p * len(self.outputs))(
            *[o.ctypes.data for o in self.outputs])

    def run(self) -> dict:
        code = self.lib.tesseraRtRun(self.handle, self.inputs, ctypes.c_int64(len(self.inputs)),
                                     self.addresses, ctypes.c_int64(len(self.outputs)))
        if code:
            raise self.runtime.error()
        return json.loads(self.lib.tesseraRtRunReport(self.handle))

    def close(self) -> None:
        for placed in self.placed:
            self.lib.tesseraRtReleasePlaced(ctypes.c_void_p(placed))
        self.lib.tesseraRtUnload(self.handle)


def bits_dtype(name: str) -> np.dtype:
    """NumPy's type of the same size; bf16 is its bits."""
    short = {"bf16": "uint16", "bfloat16": "uint16", "f16": "float16", "f32": "float32",
             "f64": "float64", "i1": "bool", "i8": "int8", "i16": "int16", "i32": "int32",
             "i64": "int64", "ui8": "uint8", "ui32": "uint32", "ui64": "uint64"}
    return np.dtype(short.get(name, name))


def to_float(array: np.ndarray, dtype: str) -> np.ndarray:
    if dtype in ("bf16", "bfloat16"):
        return (array.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return array.astype(np.float64)


def to_bf16(array: np.ndarray) -> np.ndarray:
    """Bits of the nearest bf16, halves to even."""
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def load_input(spec: dict) -> np.ndarray:
    if "file" in spec:
        array = np.load(HERE / spec["file"])
        wanted = spec.get("as", spec["dtype"])
        return to_bf16(array) if wanted == "bfloat16" and array.dtype == np.float32 else array
    rng = np.random.default_rng(spec["seed"])
    array = rng.standard_normal(spec["shape"], dtype=np.float32)
    return to_bf16(array) if spec["dtype"] == "bfloat16" else array.astype(spec["dtype"])


def error_of(a: np.ndarray, b: np.ndarray) -> float:
    """The largest difference, relative to the largest magnitude in `b`; NaN counts as wrong."""
    if a.shape != b.shape:
        return float("inf")
    if not a.size:
        return 0.0
    worst = np.abs(a - b).max() / max(1.0, np.abs(b).max())
    return float("inf") if np.isnan(worst) else float(worst)


def median_ms(seconds: list[float]) -> float:
    return round(statistics.median(seconds) * 1e3, 5)


class Peers:
    """PyTorch on the same data; `why` says why it is not used."""

    def __init__(self, device: str):
        self.torch, self.why = None, ""
        if device != "cuda":
            self.why = f"device {device} is not timed against PyTorch"
            return
        try:
            import torch
        except ImportError as error:
            self.why = f"PyTorch is not installed: {error}"
            return
        if not torch.cuda.is_available():
            self.why = "PyTorch sees no GPU"
            return
        torch.backends.cuda.matmul.allow_tf32 = False
        self.torch = torch

    def tensor(self, array: np.ndarray, dtype: str):
        torch = self.torch
        if dtype == "bfloat16":
            return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16).cuda()
        return torch.from_numpy(array).cuda()

    def functions(self, name: str):
        """The eager function, and whether torch.compile is worth its time."""
        F = self.torch.nn.functional
        return {
            "matmul_nt": (lambda x, y: x @ y.T, False),
            "linear_gelu": (lambda x, w, b: F.gelu(F.linear(x, w, b)), True),
            "attention": (lambda q, k, v: F.scaled_dot_product_attention(
                *(t.transpose(1, 2) for t in (q, k, v))).transpose(1, 2), False),
            "layer_norm": (lambda x, w, b: F.layer_norm(x, x.shape[-1:], w, b), True),
            "softmax": (lambda x: self.torch.softmax(x, -1), True),
            "add": (lambda x, y: x + y, False),
            "transpose": (lambda x: (x.T * 1.5).contiguous(), True),
            "sum_columns": (lambda x: x.sum(0), True),
        }[name]

    def time(self, function, repeats: int) -> float:
        """Wall time of a call and the wait for it, as the runtime's own times are."""
        torch = self.torch
        for _ in range(3):
            function()
        torch.cuda.synchronize()
        seconds = []
        for _ in range(repeats):
            begin = time.perf_counter()
            function()
            torch.cuda.synchronize()
            seconds.append(time.perf_counter() - begin)
        return median_ms(seconds)

    def encoder(self, model: dict):
        """A model of the same sizes by transformers, with random weights."""
        import transformers

        torch = self.torch
        config = transformers.BertConfig(
            vocab_size=model["vocab_size"], hidden_size=model["hidden_size"],
            intermediate_size=model["intermediate_size"],
            num_attention_heads=model["num_attention_heads"],
            num_hidden_layers=model["num_hidden_layers"])
        bert = transformers.BertModel(config, add_pooling_layer=False).eval().cuda()
        if model["dtype"] == "bfloat16":
            bert = bert.to(torch.bfloat16)
        shape = (model["batch"], model["length"])
        ids = torch.randint(0, model["vocab_size"], shape, device="cuda")
        mask = torch.ones(shape, dtype=torch.long, device="cuda")

        def forward():
            hidden = bert(input_ids=ids, attention_mask=mask).last_hidden_state
            return torch.nn.functional.normalize(hidden.mean(1), dim=1)

        return forward


class Session:
    """One run over the bundle."""

    def __init__(self, options: argparse.Namespace):
        self.options, self.device = options, options.device
        self.runtime, self.peers = Runtime(), Peers(options.device)
        self.end = time.monotonic() + options.seconds
        self.manifest = json.loads((HERE / "bundle.json").read_text())
        self.out = Path(options.out)
        self.out.mkdir(parents=True, exist_ok=True)
        self.results = {"device": self.device, "machine": machine(),
                        "target": self.manifest["target"], "compiler": self.manifest["compiler"],
                        "peers": self.peers.why or f"torch {self.peers.torch.__version__}",
                        "programs": {}}

    def write(self) -> None:
        path = self.out / "results.json"
        path.write_text(json.dumps(self.results, indent=1) + "\n")

    def left(self) -> float:
        return self.end - time.monotonic()

    def open(self, entry: dict, profile: bool = False) -> Executable | None:
        artefact = entry["artefacts"].get("cuda" if self.device == "null" else self.device)
        if artefact is None:
            return None
        inputs = [load_input(spec) for spec in entry["inputs"]]
        return Executable(self.runtime, HERE / artefact, self.device, inputs, profile)

    def check(self, entry: dict, row: dict) -> None:
        executable = self.open(entry)
        if executable is None:
            row["skipped"] = f"the bundle has no artefact for {self.device}"
            return
        executable.run()
        if self.device == "null":
            row["ok"] = True  # Loads and runs its plan; nothing is computed.
        elif "expected" in entry:
            spec = entry["expected"]
            got, expected = executable.outputs[0], np.load(HERE / spec["file"])
            computed = executable.description["outputs"][0]["dtype"]
            row["error"] = error_of(to_float(got, computed), to_float(expected, spec["dtype"]))
            row["ok"] = row["error"] <= entry["tolerance"]
        executable.close()

    def check_large(self, entry: dict, row: dict) -> None:
        """A timed program against the peer's result in the same precision."""
        function, _ = self.peers.functions(entry["peer"])
        executable = self.open(entry)
        executable.run()
        tensors = [self.peers.tensor(a, s["dtype"]) for a, s in
                   zip(executable.kept, entry["inputs"])]
        expected = function(*tensors).double().cpu().numpy()
        got = to_float(executable.outputs[0], executable.description["outputs"][0]["dtype"])
        row["error"] = error_of(got, expected)
        row["ok"] = row["error"] <= entry["tolerance"]
        executable.close()

    def time_program(self, entry: dict, row: dict) -> None:
        """The program's steps, each with the wait for it, without copies to and from the host."""
        executable = self.open(entry, profile=True)
        seconds = []
        for _ in range(23):
            report = executable.run()
            seconds.append(sum(step["ns"] for step in report["steps"]) * 1e-9)
        executable.close()
        row["ms"] = median_ms(seconds[3:])
        rate(row, entry, row["ms"], "")
        if not self.peers.torch:
            return
        function, is_compiled = self.peers.functions(entry["peer"])
        tensors = [self.peers.tensor(load_input(s), s["dtype"]) for s in entry["inputs"]]
        row["torch_ms"] = self.peers.time(lambda: function(*tensors), 20)
        rate(row, entry, row["torch_ms"], "torch_")
        if is_compiled and self.left() > 120:
            compiled = self.peers.torch.compile(function)
            row["torch_compile_ms"] = self.peers.time(lambda: compiled(*tensors), 20)

    def time_encoder(self, entry: dict, row: dict) -> None:
        executable = self.open(entry)
        seconds = [executable.run()["ns"] * 1e-9 for _ in range(53)]
        executable.close()
        row["ms"] = median_ms(seconds[3:])
        profiled = self.open(entry, profile=True)
        for _ in range(5):
            report = profiled.run()
        profiled.close()
        row["steps_us"] = [[s["step"], round(s["ns"] * 1e-3, 2)] for s in report["steps"]]
        if not self.peers.torch:
            return
        with self.peers.torch.inference_mode():
            forward = self.peers.encoder(entry["model"])
            row["torch_ms"] = self.peers.time(forward, 50)
            if self.left() > 150:
                row["torch_compile_ms"] = self.peers.time(self.peers.torch.compile(forward), 50)

    def attempt(self, entry: dict, work, what: str) -> None:
        row = self.results["programs"].setdefault(entry["name"], {"kind": entry["kind"]})
        try:
            work(entry, row)
        except Exception as error:  # One failing program must not hide the others.
            row["ok"] = False
            row[f"{what}_failed"] = f"{type(error).__name__}: {error}"
        self.write()
        shown = {k: v for k, v in row.items() if k not in ("kind", "steps_us")}
        print(f"{what:5} {entry['name']:34} {shown}", flush=True)

    def run(self) -> int:
        entries = [e for e in self.manifest["programs"] if self.options.only in e["name"]]
        try:
            self.open(self.manifest["programs"][0]).close()
        except RuntimeError as error:
            print(f"run.py: device {self.device} cannot be used: {error}", file=sys.stderr)
            return 2
        for entry in entries:
            if entry["kind"] != "time":
                self.attempt(entry, self.check, "check")
        if self.device == "cuda" and not self.options.no_times:
            # The whole model first: it is what matters if time runs out.
            for entry in sorted(entries, key=lambda e: e["kind"] != "encoder"):
                if self.left() < 20:
                    print(f"out of time before {entry['name']}")
                    break
                if entry["kind"] == "encoder":
                    self.attempt(entry, self.time_encoder, "time")
                elif entry["kind"] == "time":
                    if self.peers.torch:
                        self.attempt(entry, self.check_large, "check")
                    self.attempt(entry, self.time_program, "time")
        self.write()
        wrong = [n for n, row in self.results["programs"].items() if row.get("ok") is False]
        rows = self.results["programs"].values()
        print(f"{self.device}: {sum(r.get('ok') is True for r in rows)} right, {len(wrong)} wrong"
              f"{': ' + ', '.join(wrong) if wrong else ''}; peers: {self.results['peers']}; "
              f"{self.out / 'results.json'}")
        return 1 if wrong else 0


def rate(row: dict, entry: dict, ms: float, prefix: str) -> None:
    if entry.get("flops"):
        row[prefix + "tflops"] = round(entry["flops"] / ms * 1e-9, 2)
    if entry.get("bytes"):
        row[prefix + "gbytes_per_s"] = round(entry["bytes"] / ms * 1e-6, 1)


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
    parser.add_argument("--seconds", type=float, default=500, help="no new timing after that")
    parser.add_argument("--only", default="", metavar="TEXT", help="programs with this in the name")
    parser.add_argument("--no-times", action="store_true", help="check results only")
    return Session(parser.parse_args()).run()


if __name__ == "__main__":
    sys.exit(main())
