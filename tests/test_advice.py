"""What is made of the measurements of `fenshen run --advise`."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from commands import needs_native

pytestmark = needs_native


def evidence(
    *,
    peak: int = 4,
    busy: float = 4.0,
    cpu: float = 1.0,
    calls: int = 8,
    pairs: tuple[int, ...] = (1, 0, 0, 0),
    followed: tuple[float, float] = (0.0, 0.0),
    **looks: int,
):
    from fenshen.advice.evidence import KINDS, Evidence

    longest = busy / calls
    times = [busy, busy, cpu, longest, longest, busy / peak, cpu / calls, *followed]
    counts = [calls, 0, peak, 0, *(round(time * 1e9) for time in times)]
    return Evidence(counts, [looks.get(kind, 0) for kind in KINDS], pairs)


def test_error_is_binomial() -> None:
    from fenshen.advice.evidence import half_width

    assert half_width(50, 100, 100) == pytest.approx(1.96 * math.sqrt(0.25 / 103.84), rel=1e-3)
    assert half_width(0, 0, 0) == 1.0
    assert 0 < half_width(0, 1000, 1000) < 0.005 < half_width(0, 30, 30)
    assert half_width(500, 1000, 250) == pytest.approx(2 * half_width(500, 1000, 1000), rel=0.02)


def test_correlated_looks_count_less() -> None:
    fresh = evidence(under=250, lock=600, sleeps=150, pairs=(60, 190, 190, 560))
    sticky = evidence(under=250, lock=600, sleeps=150, pairs=(200, 50, 50, 700))
    assert fresh.lock_wait == sticky.lock_wait == pytest.approx(3.0 * 0.8)
    correlation = 700 / 750 - 50 / 250
    factor = (1 - correlation) / (1 + correlation)
    assert sticky.lock_error == pytest.approx(fresh.lock_error / math.sqrt(factor), rel=0.05)


@pytest.mark.parametrize("followed", [(0.0, 0.0), (3.2, 0.32)])
def test_times_add_up(followed: tuple[float, float]) -> None:
    found = evidence(cpu=1.0, followed=followed, under=250, lock=400, sleeps=160, threads=80, starved=100, unclear=5)
    starved = 4.0 * 100 / 990 if followed[0] == 0 else 0.4
    asleep = 4.0 - 1.0 - starved
    assert found.lock_wait == pytest.approx(asleep * 400 / 640)
    assert found.idle == pytest.approx({"sleeps": asleep * 0.25, "threads": asleep * 0.125, "holding": 0.0})
    assert found.cpu + found.lock_wait + sum(found.idle.values()) + found.starved == pytest.approx(found.busy)
    least, most = found.cpu_share
    assert least < found.cpu / found.own < most


@pytest.mark.parametrize(
    ("looks", "lock", "kind"),
    [
        ({"under": 250, "lock": 750}, "known", "under"),
        ({"under": 10, "lock": 5}, "known", "few"),
        ({"outside": 250, "starved": 750}, "known", "outside"),
        ({"under": 125, "outside": 125, "starved": 750}, "known", "both"),
        ({"under": 250, "sleeps": 250, "lock": 500}, "known", "mixed"),
        ({"sleeps": 1000}, "known", "waits"),
        ({"threads": 1000}, "known", "threads"),
        ({"holding": 1000}, "known", "holding"),
        ({"computes": 250, "lock": 750}, "waits", "few"),
        ({"sleeps": 40, "unclear": 960}, "unknown", "few"),
        ({"outside": 250, "starved": 750}, "none", "outside"),
    ],
)
def test_kinds(looks: dict[str, int], lock: str, kind: str) -> None:
    from fenshen.advice.verdict import kind as judged

    cpu = 0.001 if looks.keys() & {"threads", "holding"} or looks.get("sleeps", 0) > 300 else 1.0
    assert judged(evidence(cpu=cpu, **looks), lock) == kind


def test_expected_speedup() -> None:
    from fenshen.advice.verdict import speedup

    bound = evidence(busy=4.0, cpu=1.0, peak=4, under=250, lock=750)
    assert [speedup(-1, bound, cpus, bound.span) for cpus in (1.0, 1.5, 2.0, 4.0, 16.0)] == pytest.approx(
        [1, 1.5, 2, 4, 4]
    )
    alone = evidence(busy=1.0, cpu=1.0, peak=1, under=1000)
    assert speedup(-1, alone, 8.0, alone.span) == pytest.approx(1.0)
    loaded = evidence(busy=8.0, cpu=1.0, peak=4, under=125, lock=375, starved=500)
    assert speedup(-1, loaded, 2.0, loaded.span) == pytest.approx(2.0)
    uneven = evidence(busy=4.0, cpu=1.0, peak=4, calls=1, under=250, lock=750)
    assert speedup(-1, uneven, 4.0, uneven.span) == pytest.approx(1.0)


def test_pickling_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    from fenshen.advice import pickling
    from fenshen.advice.verdict import speedup

    bound = evidence(busy=4.0, cpu=1.0, peak=4, under=250, lock=750)
    monkeypatch.setitem(pickling._weights, 7, [pickling.Weight(1, 1, 0.0625)])
    assert speedup(7, bound, 2.0, bound.span) == pytest.approx(1 / (0.5 + 2 * 0.0625 * 8))


def test_size_counts_buffers_and_stops() -> None:
    import pickle

    from fenshen.advice import pickling

    assert pickling.size(b"x" * 1000) == len(pickle.dumps(b"x" * 1000, protocol=5))
    buffer = pickling.size(pickle.PickleBuffer(bytearray(5000)))
    assert 5000 < buffer < 5100
    assert (
        pickling.size([bytearray(pickling.LIMIT // 4)] * 2 + [bytearray(pickling.LIMIT) for _ in range(2)])
        > pickling.LIMIT
    )


def test_quota(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fenshen.advice import machine

    files = {
        "/proc/self/cgroup": "3:cpu,cpuacct:/a/b\n0::/c\n",
        "/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us": "25000",
        "/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us": "100000",
        "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1",
        "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
        "/sys/fs/cgroup/c/cpu.max": "50000 100000",
        "/sys/fs/cgroup/cpu.max": "max 100000",
    }

    def read(path: str) -> str:
        if path not in files:
            raise FileNotFoundError(path)
        return files[path]

    monkeypatch.setattr(machine, "_read", read)
    assert machine.cpus() == 0.25
    del files["/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us"]
    assert machine.cpus() == 0.5
    files["/proc/self/cgroup"] = "0::/\n"
    assert machine.cpus() >= 1
