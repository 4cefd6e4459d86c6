"""The benchmarks run: each workload on our loop, for a moment, and the texts that are made of what was measured."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from commands import needs_native

from benchmarks import report
from benchmarks.measure import Plan, Sample, cores, floor_program
from benchmarks.serving import Generator, serve
from benchmarks.workloads import BEST_PEER, Limit, Target, Workload, every
from benchmarks.workloads.connections import MEMORY

ROOT = Path(__file__).resolve().parent.parent
needs_cargo = pytest.mark.skipif(shutil.which("cargo") is None, reason="cargo is not here, and the load is in Rust")


def benchmarks(*words: str, seconds: float = 300) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds)


def measured(into: Path, only: str, loops: str = "asyncio,fenshen,fenshen (installed)") -> dict[str, dict[str, Any]]:
    """The samples of one short round."""
    words = ["--only", only, "--loops", loops, "--rounds", "1", "--seconds", "0.02", "--into", str(into), "--json"]
    done = benchmarks(*words)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout[-2000:] + done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["failures"] == []
    return found["samples"]


def all_did_something(samples: dict[str, dict[str, Any]]) -> None:
    for name, by_loop in samples.items():
        for loop, (sample,) in by_loop.items():
            assert sample["rate"] > 0, (name, loop)
            assert sample["cpu"] >= 0, (name, loop)


@needs_native
def test_programs_on_our_loop(tmp_path: Path) -> None:
    samples = measured(tmp_path, "tasks,callbacks,timers,primitives,startup,subprocesses", "fenshen (installed)")
    assert {"sleep0", "queue", "run_empty", "cat", "spawn_process"} < set(samples)
    all_did_something(samples)
    assert "fenshen (installed)" in (tmp_path / "latest.md").read_text()


@needs_native
@needs_cargo
@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not here, which makes the certificate")
def test_servers_under_load(tmp_path: Path) -> None:
    samples = measured(tmp_path, "echo_*_10k_10,accept", "fenshen (installed)")
    assert len(samples) == 9
    all_did_something(samples)
    assert samples["echo_udp_10k_10"].keys() == {"fenshen (installed)", "floor"}
    text = (tmp_path / "latest.md").read_text()
    assert "### Echo, TLS streams" in text
    assert "| 10 KiB, 10 connections | " in text


@needs_native
@needs_cargo
def test_a_crowd() -> None:
    one = every()["crowd_protocol"]
    load = one.load._replace(idle=200, connections=5)
    found = serve(one._replace(load=load), "fenshen", Generator(floor_program(), cores()[1], 0.02))
    assert found.operations > 0
    assert found.more["p99 alone, µs"] > 0
    assert found.more["p99 among the idle, µs"] > 0
    assert found.more[MEMORY] < 100_000  # what an earlier test has freed may serve


def test_a_pattern_names_workloads() -> None:
    listed = benchmarks("--list", "--only", "echo_tls_*,lock").stdout.split("\n")
    assert next(line.split()[0] for line in listed if line) == "lock"
    assert sum(line.startswith("echo_tls_") for line in listed) == 12


def test_an_unknown_workload_is_refused() -> None:
    done = benchmarks("--only", "lock,no_such")
    assert done.returncode == 1
    assert "no such workload: no_such; the groups are tasks, " in done.stderr


def taken(*rates: float) -> list[Sample | None]:
    return [Sample(rate, 1e6 / rate, {"bytes": rate}) if rate else None for rate in rates]


def workload(target: Target | None = None, *limits: Limit) -> Workload:
    return Workload("one", "one", 1, target, limits=limits)


def test_a_target_is_met_by_the_median_of_the_rounds() -> None:
    by_loop = {"uvloop": taken(10, 20, 10), "fenshen": taken(30, 30, 18)}
    found = report.verdict(workload(Target(1.8, "uvloop")), by_loop, "fenshen")
    assert found == report.Verdict(report.Spread(1.8, 1.5, 3.0), True)
    assert not report.verdict(workload(Target(1.9, "uvloop")), by_loop, "fenshen").hit


def test_the_best_peer_is_the_fastest_of_each_round() -> None:
    peers = {"asyncio": taken(1, 9), "uvloop": taken(5, 3), "rloop": taken(0, 0), "floor": taken(99, 99)}
    found = report.verdict(workload(Target(1, BEST_PEER)), {**peers, "fenshen": taken(10, 9)}, "fenshen")
    assert found.ratio == report.Spread(1.5, 1.0, 2.0)


def test_a_limit_is_kept_from_above() -> None:
    by_loop = {"uvloop": taken(10), "fenshen": taken(15)}
    assert not report.kept(Limit("bytes", 1, "uvloop"), by_loop, "fenshen").hit
    assert report.kept(Limit("bytes", 2, "uvloop"), by_loop, "fenshen").hit
    assert report.kept(Limit("bytes", 15), by_loop, "fenshen").hit
    assert not report.kept(Limit("bytes", 14), by_loop, "fenshen").hit


def test_what_a_peer_does_not_have_is_a_dash() -> None:
    by_loop = {"uvloop": [None], "fenshen": taken(4)}
    assert report.verdict_text(report.verdict(workload(Target(1, "uvloop")), by_loop, "fenshen")) == "-"
    assert report.kept(Limit("bytes", 1, "uvloop"), by_loop, "fenshen") is None
    assert "| uvloop | - | | | | |" in report.details(workload(), by_loop)
    assert report.cell_text([None]) == "-"


def test_what_is_slower_than_asyncio_is_said() -> None:
    plan = Plan([workload()], ["asyncio", "fenshen"], 1, 1.0)
    lines = report.slower(plan, {"one": {"asyncio": taken(10, 10), "fenshen": taken(9, 8)}})
    assert lines == ["- one: fenshen, 0.85x (0.80-0.90)"]
    assert report.slower(plan, {"one": {"asyncio": taken(10, 10), "fenshen": taken(10, 11)}}) == []
