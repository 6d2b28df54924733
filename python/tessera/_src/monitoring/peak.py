# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a machine can do, what a training needs of it, and the part of it that is used (MFU)."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tessera._src.arrays.placing import array, block_until_ready
from tessera._src.core import dtypes
from tessera._src.core.errors import ConfigError
from tessera._src.core.files import write_whole
from tessera._src.core.host_cores import usable_cores
from tessera._src.functions.jit import jit
from tessera._src.meshes.mesh import SINGLE
from tessera._src.ops.products import matmul
from tessera._src.programs import cache, native, targets

# Sides of the square products.
_SIDES = {"cpu": (1024, 1536), "cuda": (4096, 8192)}
_RUNS = 7


def flops_per_token(parameters: int, *, layers: int = 0, width: int = 0, sequence_length: int = 0) -> float:
    """Floating-point operations that training on one token takes: 6 N + 12 L W T.

    N weights take part in a multiplication and an addition each, once in the forward and twice in the
    backward pass. In each of L layers, attention multiplies queries with T keys and weights with T values,
    which are W = heads x head size wide: 4 W T operations in the forward pass, 12 with the backward pass.
    (PaLM: Scaling Language Modeling with Pathways, 2022, appendix B.) As there, what a causal mask leaves
    out counts, and what is recomputed in the backward pass does not; so MFU is comparable.

    Args:
        parameters: N, elements of the weights that multiply: all but embeddings that are only looked up
            (an embedding that is the output layer as well counts).
        layers: L, that attend.
        width: W.
        sequence_length: T, tokens of a sample.
    """
    return 6.0 * parameters + 12.0 * layers * width * sequence_length


def explain_flops(parameters: int, *, layers: int = 0, width: int = 0, sequence_length: int = 0) -> str:
    """The sum of `flops_per_token` with its numbers, as text."""
    total = flops_per_token(parameters, layers=layers, width=width, sequence_length=sequence_length)
    return (f"6 x {parameters:,} weights + 12 x {layers} layers x {width} wide x {sequence_length} tokens = "
            f"{total:.4g} operations per token")


def mfu(tokens_per_second: float, flops: float, peak: float) -> float:
    """The part of the peak that a training uses: tokens per second x operations per token / peak.

    Args:
        flops: see `flops_per_token`.
        peak: operations a second of all devices together; see `measured_peak`.
    """
    return tokens_per_second * flops / peak


def measured_peak(dtype: Any = np.float32, *, threads: int | None = None, device: str = "cpu",
                  refresh: bool = False) -> float:
    """Floating-point operations a second that this process's devices do in products of matrices.

    It is measured with Tessera's own kernel: products of square matrices on all cores, of some sizes. Of
    the runs of a size the median counts, and of the sizes the fastest. The time of a run is that of the
    cores which it used, where other programs held it up, so that it does not depend on what else the machine
    does. Devices of a CPU mesh share the cores, so that it is the peak of any mesh here. On GPUs it is that
    of one.

    The first call takes about a second. The result is kept beside compiled programs on disk, for this
    processor, its cores, type and version; TESSERA_CACHE=0 turns that off.

    Args:
        dtype: of the matrices.
        threads: all cores by default.
        device: "cpu" or "cuda".
        refresh: measures again, and keeps the new result.

    Raises:
        ConfigError: a type that is not of floats, or a device of another kind or that is not here.
    """
    dtype = _checked(dtype, threads, device)
    kept = None if refresh else kept_peak(dtype, threads=threads, device=device)
    if kept is not None:
        return kept
    file = _kept_in(dtype, threads, device)
    peak = max(statistics.median(_rates(dtype, threads, device, side)) for side in _SIDES[device])
    if file is not None:
        with contextlib.suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(file, json.dumps({"flops": peak}).encode())
    return peak


def kept_peak(dtype: Any = np.float32, *, threads: int | None = None, device: str = "cpu") -> float | None:
    """What `measured_peak` gives without measuring; None where it would have to.

    Raises: ConfigError: as measured_peak.
    """
    return _read(_kept_in(_checked(dtype, threads, device), threads, device)) or None


def _checked(dtype: Any, threads: int | None, device: str) -> np.dtype:
    dtype = np.dtype(dtype)
    if dtypes.name_of(dtype)[0] not in "fb" or dtype == dtypes.bool_:
        raise ConfigError("TS4040", f"dtype of measured_peak is {dtypes.name_of(dtype)}",
                          expected="a type of floats, such as ts.f32")
    if device not in _SIDES:
        raise ConfigError("TS4040", f"device of measured_peak is {device!r}", choices=_SIDES)
    targets.check_threads(threads)
    targets.check_runnable(device, targets.target_of(device))
    return dtype


def _rates(dtype: np.dtype, threads: int | None, device: str, side: int) -> Iterator[float]:
    """Operations a second of some products of square matrices."""
    with SINGLE:
        product = jit(lambda x, y: matmul(x, y), threads=threads, device=device)
        random = np.random.default_rng(0)
        x, y = (array(random.standard_normal((side, side), np.float32).astype(dtype)) for _ in range(2))
        block_until_ready(product(x, y))  # Compiles, and touches memory for the first time.
        cores = _cores(threads)
        for _ in range(_RUNS):
            begin, begin_of_cores = time.perf_counter(), time.process_time()
            block_until_ready(product(x, y))
            seconds = time.perf_counter() - begin
            if device == "cpu":
                seconds = min(seconds, (time.process_time() - begin_of_cores) / cores)
            yield 2 * side**3 / seconds


def _cores(threads: int | None) -> float:
    """Cores that a run uses at once, where nothing else does."""
    named = os.environ.get("TESSERA_NUM_THREADS", "")
    wanted = threads or (int(named) if named.isdigit() else 0)
    return min(wanted, usable_cores()) if wanted else usable_cores()


def _kept_in(dtype: np.dtype, threads: int | None, device: str) -> Path | None:
    folder = cache.directory()
    if folder is None:
        return None
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    key = cache.key_of("peak", cache.machine(), native.compiler_version(), dtypes.name_of(dtype), device,
                       [threads, cores, os.environ.get("TESSERA_NUM_THREADS")], list(_SIDES[device]))
    return folder / f"peak-{key[:24]}.json"


def _read(file: Path | None) -> float:
    """What is kept; 0 if that is nothing, or damaged."""
    if file is None:
        return 0.0
    try:
        return float(json.loads(file.read_text())["flops"])
    except (OSError, ValueError, LookupError, TypeError):
        return 0.0
