# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What `tessera doctor` looks at of the machine: processor, cores, memory, GPUs, the environment."""

from __future__ import annotations

import ctypes
import importlib.util
import math
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator, Mapping

from tessera._src.commands.findings import Finding, ok, problem, size_text, warning
from tessera._src.core.errors import TesseraError
from tessera._src.core.host_cores import (
    allowed_cores,
    file_text,
    group_limits,
    quota_of_cores,
    usable_cores,
)
from tessera._src.meshes.devices import cuda_device_count, device_count

# Features of processors that kernels get faster by, in the words of /proc/cpuinfo.
_FEATURES = ("avx", "avx2", "fma", "f16c", "avx512f", "avx512_bf16", "avx512_vnni", "amx_tile", "amx_bf16",
             "asimd", "sve", "sve2", "bf16", "i8mm")
_VECTORS = {"avx2", "avx512f", "asimd"}
# Less than this is too little to compile and train anything but toys.
_LITTLE_MEMORY = 2 << 30
_SECONDS = 3.0  # That ptxas may take to say its version.


def processor() -> Finding:
    """Its name, and the features that kernels use."""
    lines = [line.partition(":") for line in file_text("/proc/cpuinfo").splitlines()]
    found = {key.strip(): value.strip() for key, _, value in reversed(lines)}
    name = found.get("model name") or platform.processor() or platform.machine()
    flags = set((found.get("flags") or found.get("Features") or "").split())
    have = [feature for feature in _FEATURES if feature in flags]
    if not flags:
        return warning("processor", f"{name}; /proc/cpuinfo does not list its features",
                       "mount /proc, by which it is known what compiled programs on disk are for")
    if not flags & _VECTORS:
        return warning("processor", f"{name}, without AVX2", "products of matrices are several times slower "
                       "than on a processor with it; in a virtual machine, pass the host's processor through")
    return ok("processor", f"{name}: {' '.join(have)}")


def cores(environment: Mapping[str, str] = os.environ) -> Finding:
    """Cores of the machine, and how many of them the process may use."""
    there = os.cpu_count() or 1
    allowed, quota = allowed_cores(), quota_of_cores()
    usable = max(1, math.ceil(usable_cores()))
    parts = [f"{usable} of {there} cores may be used"]
    if allowed < there:
        parts.append(f"the affinity mask allows {allowed}")
    if quota and quota < allowed:
        parts.append(f"the container's quota is that of {quota:g}")
    text = ", ".join(parts)
    threads = environment.get("TESSERA_NUM_THREADS")
    if threads:
        if not (threads.isascii() and threads.isdigit() and 1 <= int(threads) <= 1024):
            return problem("cores", f"{text}; TESSERA_NUM_THREADS is '{threads}'",
                           "set it to a number from 1 to 1024, or unset it")
        if int(threads) > usable:
            return warning("cores", f"{text}, but TESSERA_NUM_THREADS is {threads}",
                           f"threads wait for each other: set it to {usable}, or unset it")
        text += f"; TESSERA_NUM_THREADS is {threads}"
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > there + 1:
        return warning("cores", f"{text}; the load is {load:.1f}",
                       "other programs use the cores, so that a training is slower and its MFU lower")
    return ok("cores", text)


def memory() -> Finding:
    """What there is, and how much of it is free for this process."""
    sizes = {}
    for line in file_text("/proc/meminfo").splitlines():
        name, _, rest = line.partition(":")
        number = rest.split()
        if number and number[0].isdigit():
            sizes[name] = int(number[0]) << 10
    if "MemTotal" not in sizes:
        return warning("memory", "/proc/meminfo does not say how much there is", "mount /proc")
    free = sizes.get("MemAvailable", sizes["MemTotal"])
    text = f"{size_text(sizes['MemTotal'])}, {size_text(free)} of it free"
    limits = [int(limit) for limit in group_limits("memory.max") if limit.isdigit()]
    if limits and min(limits) < sizes["MemTotal"]:
        used = next((int(u) for u in group_limits("memory.current") if u.isdigit()), 0)
        free = min(free, max(min(limits) - used, 0))
        text += f"; the container's limit is {size_text(min(limits))}, {size_text(free)} of it free"
    if free < _LITTLE_MEMORY:
        return warning("memory", text, "end other programs, or raise the container's limit: compiling "
                       "a model and a training of even a small one take some GiB")
    return ok("memory", text)


def devices() -> Finding:
    """How many devices a CPU mesh may have."""
    try:
        return ok("devices", f"a CPU mesh may have {device_count()} devices, which share the cores")
    except TesseraError as error:
        return problem("devices", error.message,
                       "unset TESSERA_DEVICE_COUNT, or set it to a number up to 256")


def gpus() -> Finding:
    """GPUs that the driver shows, and what besides they are used with."""
    count = cuda_device_count()
    if not count:
        return ok("GPUs", "none: there is no NVIDIA driver or no GPU; CPU meshes need none")
    parts = [f"{count} GPU{'s' * (count != 1)} by the NVIDIA driver"]
    has_nccl = importlib.util.find_spec("nvidia") is not None and importlib.util.find_spec("nvidia.nccl")
    for name in ("libnccl.so.2", "libnccl.so"):
        try:
            ctypes.CDLL(name)
            has_nccl = True
            break
        except OSError:
            continue
    parts.append("NCCL is installed" if has_nccl else "NCCL is not installed")
    parts.append("the collectives of one process need none")
    return ok("GPUs", ", ".join(parts))


def assembler(environment: Mapping[str, str] = os.environ) -> Finding:
    """ptxas, which makes the code of GPUs."""
    path = environment.get("TESSERA_PTXAS") or shutil.which("ptxas") or "/usr/local/cuda/bin/ptxas"
    fix = "pip install nvidia-cuda-nvcc and put its ptxas on the PATH, or set TESSERA_PTXAS"
    if not os.path.exists(path):
        if environment.get("TESSERA_PTXAS"):
            return problem("ptxas", f"TESSERA_PTXAS is {path}, which does not exist",
                           "unset it, or correct it")
        make = warning if cuda_device_count() else ok
        return make("ptxas", "not installed; only programs for NVIDIA GPUs need it", fix)
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return problem("ptxas", f"{path} does not run: {error}", fix)
    version = [word for word in done.stdout.replace(",", " ").split() if word.startswith("V")]
    if done.returncode or not version:
        return problem("ptxas", f"{path} --version fails: {done.stderr.strip()[:100]}", fix)
    return ok("ptxas", f"{version[-1]} at {path}")


def variables(environment: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Variables that make other libraries slow, and with them what Tessera is compared with."""
    usable = allowed_cores()
    others = "NumPy and PyTorch, not Tessera"
    found = False
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "GOTO_NUM_THREADS"):
        threads = environment.get(name, "")
        if threads.isascii() and threads.isdigit() and 1 <= int(threads) < usable:
            found = True
            yield warning("variables", f"{name}={threads} lets {others}, use {threads} of {usable} cores",
                          f"unset {name} before Tessera is compared with them")
    if environment.get("OPENBLAS_CORETYPE"):
        found = True
        yield warning("variables", f"OPENBLAS_CORETYPE={environment['OPENBLAS_CORETYPE']} chooses the "
                      "kernels of OpenBLAS, by which NumPy multiplies", "unset it, unless OpenBLAS does not "
                      "know this processor; the wrong kernels are several times slower")
    for name in ("OPENBLAS_VERBOSE", "OPENBLAS_MAIN_FREE"):
        if environment.get(name):
            found = True
            yield warning("variables", f"{name} is set, which changes how OpenBLAS runs its threads or what "
                          "it prints", f"unset {name}")
    if not found:
        yield ok("variables", "none is set that makes NumPy or PyTorch slow")
