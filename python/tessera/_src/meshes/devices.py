# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Kinds of devices, and how many there are of each."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass

from tessera._src.core.errors import ShardingError, did_you_mean

DEVICES = ("cpu", "emulated", "null", "cuda")
# What others call them.
DEVICE_ALIASES = {"gpu": "cuda", "nvidia": "cuda", "host": "cpu", "x86": "cpu", "none": "null"}
# That one process runs. The runtime has it as abi::maxDevices; meshes that programs are only compiled
# and priced for may have more.
MAX_DEVICES = 256


@dataclass(frozen=True)
class Device:
    """One device of a mesh: its kind, and its number in the mesh."""

    platform: str
    id: int

    def __repr__(self) -> str:
        return f"Device({self.platform}:{self.id})"


def cuda_device_count() -> int:
    """CUDA devices that the driver shows; 0 without a driver."""
    named = os.environ.get("TESSERA_LIBCUDA")
    for name in [named] if named else ["libcuda.so.1", "libcuda.so"]:
        try:
            driver = ctypes.CDLL(name)
        except OSError:
            continue
        count = ctypes.c_int(0)
        if driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0:
            return count.value
    return 0


def device_count(device: str = "cpu") -> int:
    """How many devices of a kind a mesh may have.

    Of "cuda" the number of GPUs; a mesh that names no device may have more, which share the GPUs in
    turn. Of the others 256, or TESSERA_DEVICE_COUNT if that is less.
    """
    if device not in DEVICES:
        raise ShardingError("TS2003", f"unknown kind of device {device!r}", choices=DEVICES,
                            hint=did_you_mean(device, DEVICES, DEVICE_ALIASES))
    if device == "cuda":
        return cuda_device_count()
    text = os.environ.get("TESSERA_DEVICE_COUNT") or str(MAX_DEVICES)
    if not (text.isascii() and text.isdigit() and text.strip("0")):
        raise ShardingError("TS2003", "TESSERA_DEVICE_COUNT must be a number of devices", got=text,
                            expected=f"1 to {MAX_DEVICES}")
    return min(int(text), MAX_DEVICES)
