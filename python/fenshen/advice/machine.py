"""How many CPUs this process may use."""

from __future__ import annotations

import os


def cpus() -> float:
    """The CPUs that this process may run on, or what the quota of its control groups allows, whichever is less."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min([float(allowed), *_quotas()])


def _quotas() -> list[float]:
    found = []
    for folder, second in _groups():
        try:
            found.append(_quota(folder, second))
        except (OSError, ValueError, ZeroDivisionError):
            continue  # no quota, or none that can be read
    return [quota for quota in found if quota > 0]


def _quota(folder: str, second: bool) -> float:
    if second:
        quota, period = _read(f"{folder}/cpu.max").split()
    else:
        quota, period = _read(f"{folder}/cpu.cfs_quota_us"), _read(f"{folder}/cpu.cfs_period_us")
    return int(quota) / int(period)  # "max" is no number: then there is none


def _groups() -> list[tuple[str, bool]]:
    """The folders of this process's control groups for CPU time and of those above; whether each is of version 2."""
    found = []
    try:
        lines = _read("/proc/self/cgroup").splitlines()
    except OSError:
        return []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        parts = [part for part in path.split("/") if part]
        for place in ("/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct") if controllers else ("/sys/fs/cgroup",):
            ways = ["/".join([place, *parts[:n]]) for n in range(len(parts) + 1)]
            found += [(way, not controllers) for way in ways]
    return found


def _read(path: str) -> str:
    with open(path, encoding="ascii") as file:
        return file.read().strip()
