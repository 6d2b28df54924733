# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""How many of the machine's cores this process may use, as the runtime counts them (HostCores.cpp)."""

from __future__ import annotations

import os
from pathlib import Path

_GROUPS = "/sys/fs/cgroup"


def file_text(path: str) -> str:
    """What a file says; "" where it cannot be read."""
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def group_limits(file: str) -> list[str]:
    """What a file of the process's control group and of those around it says (version 2)."""
    lines = file_text("/proc/self/cgroup").splitlines()
    path = next((line[3:] for line in lines if line.startswith("0::")), "")
    found = []
    while True:
        found.append(file_text(f"{_GROUPS}{path}/{file}"))
        if not path.strip("/"):
            return [text for text in found if text]
        path = path.rpartition("/")[0]


def cores_of_quota(text: str) -> float | None:
    """Cores that "150000 100000", microseconds in a period, stands for; None where there is no limit."""
    quota, _, period = text.partition(" ")
    if not (quota.isdigit() and period.isdigit()) or int(period) == 0:
        return None
    return int(quota) / int(period)


def allowed_cores() -> int:
    """Cores of the process's affinity mask."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def quota_of_cores() -> float | None:
    """The least quota of the control groups, in cores; None where there is none."""
    quotas = [cores_of_quota(text) for text in group_limits("cpu.max")]
    return min((quota for quota in quotas if quota), default=None)


def usable_cores() -> float:
    """Cores whose time the process can have: those of its affinity mask, or its quota if that is less."""
    quota = quota_of_cores()
    return min(float(allowed_cores()), quota) if quota else float(allowed_cores())
