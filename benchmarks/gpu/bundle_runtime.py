# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs of the bundle and their arrays, by the runtime beside this file. Needs NumPy alone."""

from __future__ import annotations

import ctypes
import json
import statistics
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
