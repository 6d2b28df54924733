# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Names of devices, targets, stages and compiler options, checked before anything is compiled."""

from __future__ import annotations

import os
import shutil
from typing import Any

from tessera._src.core.errors import ConfigError, did_you_mean
from tessera._src.meshes.devices import DEVICE_ALIASES, DEVICES, cuda_device_count

CHIPS = ("sm_80", "sm_90a", "sm_100a")
TARGETS = ("cpu", "cpu:<model>", *(f"cuda:{chip}" for chip in CHIPS), "emulated",
           *(f"emulated:{chip}" for chip in CHIPS))
STAGES = ("tessera", "layouts", "reshards", "local", "kernels", "llvm", "nvvm", "ptx", "plan")
_ONLY_CPU, _ONLY_GPU = ("llvm",), ("nvvm", "ptx")
# What other compilers call a stage.
_STAGE_ALIASES = {"hlo": "tessera", "stablehlo": "tessera", "mlir": "tessera", "jaxpr": "tessera",
                  "spmd": "local", "tile": "kernels", "asm": "llvm", "host": "plan"}
COLLECTIVES = ("all_reduce", "all_gather", "reduce_scatter", "all_to_all", "permute")
MAX_THREADS = 1024


def check_target(target: Any) -> str:
    """A target's name, or an error that lists them. The compiler checks the names of CPU models."""
    is_model = isinstance(target, str) and target.startswith("cpu:") and "<" not in target
    if not is_model and (target not in TARGETS or target == "cpu:<model>"):
        raise ConfigError("TS4002", f"unknown target {target!r}", choices=TARGETS,
                          hint=did_you_mean(target, TARGETS, {"gpu": "cuda:sm_90a", "cuda": "cuda:sm_90a"}))
    return target


def check_device(device: Any) -> str:
    """A device's name, or an error that lists them."""
    if device not in DEVICES:
        raise ConfigError("TS4003", f"unknown device {device!r}", choices=DEVICES,
                          hint=did_you_mean(device, DEVICES, DEVICE_ALIASES))
    return device


def check_threads(threads: Any) -> int | None:
    """A number of threads, 0 for all cores, or None for the default; else an error."""
    if threads is None or (isinstance(threads, int) and 0 <= threads <= MAX_THREADS):
        return threads
    raise ConfigError("TS4010", "threads must be a number of threads", got=repr(threads),
                      expected=f"0 (all cores) to {MAX_THREADS}")


def check_fits(device: str, target: str) -> None:
    """Raises unless `device` runs what is compiled for `target`."""
    kind = kind_of(target)
    if device != "null" and kind != device:
        raise ConfigError(
            "TS4003", f"device '{device}' does not run what is compiled for '{target}'",
            choices=[kind, "null"], hint=f"to run on '{device}', leave target out; to save the "
            "program, leave device out",
        )


def check_runnable(device: str, target: str) -> None:
    """Raises unless `device` is here and runs what is compiled for `target`."""
    check_fits(device, target)
    if device == "cuda" and not cuda_device_count():
        raise ConfigError("TS4003", "there is no CUDA device here", choices=["cpu", "emulated"],
                          hint=".lower(...).compile() works without one")


def check_compile_options(options: Any) -> dict[str, Any]:
    """The compiler's options, or an error that lists them."""
    if not isinstance(options, dict) or any(name != "forbidImplicit" for name in options):
        raise ConfigError("TS4010", "unknown compiler options", got=repr(options),
                          choices=['{"forbidImplicit": ["all_gather", ...]}'])
    kinds = options.get("forbidImplicit", ())
    if not isinstance(kinds, (list, tuple)):
        raise ConfigError("TS4010", "forbidImplicit must be a list of collectives", got=repr(kinds),
                          expected=f'such as ["{COLLECTIVES[0]}"]')
    for kind in kinds:
        if kind not in COLLECTIVES:
            raise ConfigError("TS4010", f"forbidImplicit names {kind!r}, which is not a collective",
                              choices=COLLECTIVES, hint=did_you_mean(kind, COLLECTIVES))
    return dict(options)


def kind_of(target: str) -> str:
    """What a target is for, without its chip or model: the device that runs it."""
    return target.partition(":")[0]


def stages_of(target: str) -> tuple[str, ...]:
    """The stages a program for this target goes through."""
    left_out = _ONLY_GPU if kind_of(target) == "cpu" else _ONLY_CPU
    return tuple(stage for stage in STAGES if stage not in left_out)


def assembler_of(target: str) -> list[Any]:
    """What tells apart the ptxas that a target's kernels are assembled by; empty for other targets.

    Path, size and time of its file: asking it for its version takes longer than finding a program.
    """
    if kind_of(target) != "cuda":
        return []
    path = os.environ.get("TESSERA_PTXAS") or shutil.which("ptxas") or "/usr/local/cuda/bin/ptxas"
    try:
        status = os.stat(path)
    except OSError:
        return [path]
    return [os.path.realpath(path), status.st_size, status.st_mtime_ns]


def check_stage(stage: str, target: str) -> None:
    """Raises unless a program for this target goes through a stage."""
    stages = stages_of(target)
    if stage not in stages:
        is_known = stage in STAGES
        what = f"target '{target}' has no stage" if is_known else "unknown stage"
        raise ConfigError("TS4004", f"{what} '{stage}'", choices=stages,
                          hint=None if is_known else did_you_mean(stage, stages, _STAGE_ALIASES))


def target_of(device: str) -> str:
    """What a device runs."""
    return {"cuda": "cuda:sm_90a", "emulated": "emulated"}.get(device, "cpu")
