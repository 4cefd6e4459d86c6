"""The benchmarks run: each workload on ours, for a moment, and the texts that are made of what was measured."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from commands import needs_native

from benchmarks import report
from benchmarks.measure import Plan, Sample, cause, cores, floor_program
from benchmarks.peers import Things
from benchmarks.pools import POOLS
from benchmarks.serving import Generator, serve
from benchmarks.shared import SHARED
from benchmarks.tables import OURS, TABLES
from benchmarks.together import TOGETHER
from benchmarks.workloads import BEST_PEER, Cell, Limit, Target, Workload, every, of_table
from benchmarks.workloads.loops.connections import MEMORY

PROCESS_POOLS = (*OURS, "fenshen Pool")
ROOT = Path(__file__).resolve().parent.parent
needs_cargo = pytest.mark.skipif(shutil.which("cargo") is None, reason="cargo is not here, and the load is in Rust")


def benchmarks(*words: str, seconds: float = 300) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds)


def measured(into: Path, only: str, peers: str, table: str = "loops") -> dict[str, dict[str, Any]]:
    """The samples of one short round."""
    words = ["--only", only, "--peers", peers, "--rounds", "1", "--seconds", "0.02", "--into", str(into), "--json"]
    done = benchmarks(*words)
    assert done.stdout.startswith("{"), done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found.keys() == {table}
    assert found[table]["failures"] == []
    assert (done.returncode, done.stderr) == (0, "")
    return found[table]["samples"]


def all_did_something(samples: dict[str, dict[str, Any]]) -> None:
    for name, by_name in samples.items():
        for who, (sample,) in by_name.items():
            assert sample["rate"] > 0, (name, who)
            assert sample["cpu"] >= 0, (name, who)


@needs_native
def test_programs_on_our_loop(tmp_path: Path) -> None:
    samples = measured(tmp_path, "tasks,callbacks,timers,primitives,startup,subprocesses", "fenshen (installed)")
    assert {"sleep0", "queue", "run_empty", "cat", "spawn_process"} < set(samples)
    all_did_something(samples)
    assert "fenshen (installed)" in (tmp_path / "loops.md").read_text()


@needs_native
@needs_cargo
@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not here, which makes the certificate")
def test_servers_under_load(tmp_path: Path) -> None:
    samples = measured(tmp_path, "echo_*_10k_10,accept", "fenshen (installed)")
    assert len(samples) == 9
    all_did_something(samples)
    assert samples["echo_udp_10k_10"].keys() == {"fenshen (installed)", "floor"}
    text = (tmp_path / "loops.md").read_text()
    assert "### Echo, TLS streams" in text
    assert "| 10 KiB, 10 connections | " in text


@needs_native
def test_threads_with_ours_and_the_standard_library(tmp_path: Path) -> None:
    everybody = {"stdlib", "fenshen", "fenshen (installed)"}
    some = "threads_lock,threads_submit_one,threads_make_event,threads_timeout_1ms_0"
    samples = measured(tmp_path, some, ",".join(everybody), "threads")
    assert all(by_name.keys() == everybody for by_name in samples.values())
    all_did_something(samples)
    for name in everybody:
        assert samples["threads_make_event"][name][0]["more"]["bytes"] > 0
        assert samples["threads_timeout_1ms_0"][name][0]["more"]["early"] == 0
    text = (tmp_path / "threads.md").read_text()
    assert "| Lock, acquire + release | ≥ 1.3x stdlib |" in text
    assert "| alone | stdlib |" in text
    assert "fenshen (installed)" in (tmp_path / "threads.svg").read_text()


def test_pools_of_processes(tmp_path: Path) -> None:
    everybody = {"stdlib fork", "stdlib Pool", *(each for each in PROCESS_POOLS if POOLS[each].available())}
    some = "processes_submit,processes_map,processes_first"
    samples = measured(tmp_path, some, ",".join(everybody), "processes")
    assert all(by_name.keys() == everybody for by_name in samples.values())
    all_did_something(samples)
    for (sample,) in samples["processes_first"].values():
        assert 0 < sample["more"]["MB a worker"] < sample["more"]["MB of all it starts"]
    text = (tmp_path / "processes.md").read_text()
    assert "| | tasks/s | least-greatest | CPU µs each | times stdlib fork |" in text


def test_cpu_work_has_a_floor(tmp_path: Path) -> None:
    samples = measured(tmp_path, "processes_cpu", "stdlib fork", "processes")
    assert samples["processes_cpu"].keys() == {"stdlib fork", "floor"}
    all_did_something(samples)


def test_what_processes_share(tmp_path: Path) -> None:
    everybody = {"stdlib", *(each for each in OURS if SHARED[each].available())}
    some = "ipc_queue_1_1,ipc_pipe_ping_pong,ipc_value_add,ipc_manager_lock"
    samples = measured(tmp_path, some, ",".join(everybody), "ipc")
    assert all(by_name.keys() == everybody for by_name in samples.values())
    all_did_something(samples)


EVERY_PROGRAM = """
import sys
from benchmarks.peers import PEERS
from benchmarks.workloads import of_table
things = PEERS[sys.argv[1]].things()
for workload in of_table("threads").values():
    workload.program(things, *([2000] if workload.kind != "timeouts" else []))
print("all of them")
"""


@pytest.mark.parametrize("name", ["stdlib", *(pytest.param(each, marks=needs_native) for each in OURS)])
def test_every_program_of_threads_runs(name: str) -> None:
    command = [sys.executable, "-c", EVERY_PROGRAM, name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout, done.stderr) == (0, "all of them\n", "")


EVERY_PROGRAM_OF_PROCESSES = """
import sys
from benchmarks.shared import SHARED
from benchmarks.workloads import of_table
things = SHARED[sys.argv[1]].things()
for workload in of_table("ipc").values():
    with workload.program(things) as body:
        body(48)
print("all of them")
"""


@pytest.mark.parametrize("name", ["stdlib", *(pytest.param(each, marks=needs_native) for each in OURS)])
def test_every_program_of_processes_runs(name: str) -> None:
    if not SHARED[name].available():
        pytest.skip("there is nothing of ours that processes share")
    command = [sys.executable, "-c", EVERY_PROGRAM_OF_PROCESSES, name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout, done.stderr) == (0, "all of them\n", "")


@needs_native
@pytest.mark.parametrize("name", TOGETHER)
def test_requests_are_served(name: str) -> None:
    if not TOGETHER[name].available():
        pytest.skip("it is not installed here")
    script = f"from benchmarks.together import TOGETHER; s = TOGETHER[{name!r}].make()(); s.serve(50); s.close()"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def asked(script: str) -> Any:
    """What a script prints, in a process of its own, since what it calls ends all that it has started."""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


LEAVES_A_PROCESS_BEHIND = """
import json, subprocess, sys
from benchmarks import family
from benchmarks.measure import run
family.adopt()
orphan = "import subprocess; print(subprocess.Popen(['sleep', '600'], start_new_session=True).pid)"
status, output, errors = run([sys.executable, "-c", orphan], 60)
print(json.dumps([status, int(output), errors, family.descendants()]))
"""


def test_what_a_measurement_leaves_behind_is_ended() -> None:
    status, orphan, errors, left = asked(LEAVES_A_PROCESS_BEHIND)
    assert (status, errors, left) == (0, "", [])
    assert not Path(f"/proc/{orphan}").exists()


HANGS = """
import json
from benchmarks import measure
from benchmarks.tables import TABLES
from benchmarks.workloads import Workload
taken = []
def take(name, workload, seconds):
    taken.append(name)
    return measure.HUNG if name == "loky" else measure.Sample(1, 1)
measure.take = take
plan = measure.Plan(TABLES["processes"], [Workload("one", "one", 1, None)], ["loky", "pebble"], 2, 0.1)
samples, failures = measure.measure(plan)
print(json.dumps([taken, samples["one"]["loky"], failures]))
"""


def test_the_cause_of_a_failure_is_the_exception() -> None:
    text = "Traceback (most recent call last):\n  f()\na.Error: no\n/x.py:1: UserWarning: late\n  warnings.warn(\n"
    assert cause(text) == "a.Error: no"
    assert cause("first\nsecond of it\n") == "first"
    assert cause("one of it\nsecond of it\n") == "second of it"
    assert cause("") == ""


def test_what_does_not_end_is_not_begun_again() -> None:
    taken, samples, failures = asked(HANGS)
    assert taken == ["loky", "pebble", "pebble"]
    assert samples == [None, None]
    assert failures == ["one, loky, round 1: it did not end"]


CPU_OF_ALL = """
import json, multiprocessing, time
from benchmarks import family
from benchmarks.tasks import burn
def busy(end):
    while time.process_time() < 0.2:
        burn(1000)
    end.send(True)
    end.recv()
context = multiprocessing.get_context("fork")
end, theirs = context.Pipe()
process = context.Process(target=busy, args=(theirs,))
before = family.cpu()
process.start()
end.recv()
alive = family.cpu() - before
weight = family.memory(process.pid)
end.send(None)
process.join()
print(json.dumps([alive, family.cpu() - before, weight]))
"""


def test_the_cpu_of_all_processes_counts() -> None:
    alive, ended, weight = asked(CPU_OF_ALL)
    assert ended >= alive >= 0.19
    assert weight > 100_000


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


def test_names_are_of_one_workload_each() -> None:
    assert len(every()) == sum(len(of_table(table)) for table in TABLES)
    listed = benchmarks("--list", "--only", "threads").stdout.splitlines()
    assert [line.split()[0] for line in listed] == list(of_table("threads"))


def test_an_unknown_workload_is_refused() -> None:
    done = benchmarks("--only", "lock,no_such")
    assert done.returncode == 1
    assert "no such workload: no_such; the groups are loops: tasks, " in done.stderr


def taken(*rates: float) -> list[Sample | None]:
    return [Sample(rate, 1e6 / rate, {"bytes": rate}) if rate else None for rate in rates]


def workload(target: Target | None = None, *limits: Limit) -> Workload:
    return Workload("one", "one", 1, target, limits=limits)


def test_a_target_is_met_by_the_median_of_the_rounds() -> None:
    by_name = {"uvloop": taken(10, 20, 10), "fenshen": taken(30, 30, 18)}
    found = report.verdict(workload(Target(1.8, "uvloop")), by_name, "fenshen")
    assert found == report.Verdict(report.Spread(1.8, 1.5, 3.0), True)
    assert not report.verdict(workload(Target(1.9, "uvloop")), by_name, "fenshen").hit


def test_the_best_peer_is_the_fastest_of_each_round() -> None:
    peers = {"asyncio": taken(1, 9), "uvloop": taken(5, 3), "rloop": taken(0, 0), "floor": taken(99, 99)}
    found = report.verdict(workload(Target(1, BEST_PEER)), {**peers, "fenshen": taken(10, 9)}, "fenshen")
    assert found.ratio == report.Spread(1.5, 1.0, 2.0)


def test_a_workload_may_have_two_targets() -> None:
    one = workload(Target(10, "stdlib fork"))._replace(also=(Target(3, "stdlib Pool"),))
    plan = Plan(TABLES["processes"], [one], ["stdlib fork", "stdlib Pool", "fenshen"], 1, 1.0)
    by_name = {"stdlib fork": taken(10), "stdlib Pool": taken(50), "fenshen": taken(100)}
    lines = report.summary(plan, {"one": by_name})
    assert lines[2:] == [
        "| one | ≥ 10x stdlib fork | 10.00x (10.00-10.00) hit |",
        "| one | ≥ 3x stdlib Pool | 2.00x (2.00-2.00) **miss** |",
    ]


def test_a_limit_is_kept_from_above() -> None:
    by_name = {"uvloop": taken(10), "fenshen": taken(15)}
    assert not report.kept(Limit("bytes", 1, "uvloop"), by_name, "fenshen").hit
    assert report.kept(Limit("bytes", 2, "uvloop"), by_name, "fenshen").hit
    assert report.kept(Limit("bytes", 15), by_name, "fenshen").hit
    assert not report.kept(Limit("bytes", 14), by_name, "fenshen").hit


def test_what_a_peer_does_not_have_is_a_dash() -> None:
    by_name = {"uvloop": [None], "fenshen": taken(4)}
    assert report.verdict_text(report.verdict(workload(Target(1, "uvloop")), by_name, "fenshen")) == "-"
    assert report.kept(Limit("bytes", 1, "uvloop"), by_name, "fenshen") is None
    assert "| uvloop | - | | | | |" in report.details(workload(), by_name, "uvloop")
    assert report.cell_text([None]) == "-"


def test_what_is_passed_on_is_not_ours() -> None:
    ours = Things(threading, but_not={"Lock": threading.Lock})
    assert ours.RLock is threading.RLock
    with pytest.raises(NotImplementedError, match="there is no Lock"):
        _ = ours.Lock
    with pytest.raises(NotImplementedError, match="there is no Queue"):
        _ = ours.Queue


def test_no_limit_of_none_is_kept_on_average() -> None:
    by_name = {"fenshen": [Sample(1, 1, {"early": early}) for early in (0, 0, 1)]}
    assert not report.kept(Limit("early", 0), by_name, "fenshen").hit
    assert report.kept(Limit("early", 0), {"fenshen": by_name["fenshen"][:2]}, "fenshen").hit


def test_rows_that_are_alike_have_a_column_for_each_that_does_any() -> None:
    one = workload()._replace(cell=Cell("Alike", "first"))
    plan = Plan(TABLES["threads"], [one], ["stdlib", "janus", "fenshen"], 1, 1.0)
    samples = {"one": {"stdlib": taken(10, 10), "janus": [None, None], "fenshen": taken(20, 30)}}
    lines = report.every_workload(plan, samples)
    assert "| | stdlib | fenshen | fenshen, times stdlib |" in lines
    row = "10.0, 100 k µs, 10.0 bytes | 25.0, 41.7 k µs, 25.0 bytes | 2.50x (2.00-3.00)"
    assert f"| first | {row} |" in lines


def test_lateness_has_a_line_for_each() -> None:
    one = workload()._replace(kind="timeouts", cell=Cell("Timeouts", "alone"))
    plan = Plan(TABLES["threads"], [one], ["stdlib", "fenshen"], 1, 1.0)
    samples = {"one": {"stdlib": [Sample(1, 1, {"late": 70.0})], "fenshen": [Sample(1, 1, {"late": 60.0})]}}
    lines = report.every_workload(plan, samples)
    assert lines[2:6] == ["| | | late |", "|---|---|--:|", "| alone | stdlib | 70.0 |", "| alone | fenshen | 60.0 |"]


def test_what_is_slower_than_asyncio_is_said() -> None:
    plan = Plan(TABLES["loops"], [workload()], ["asyncio", "fenshen"], 1, 1.0)
    lines = report.slower(plan, {"one": {"asyncio": taken(10, 10), "fenshen": taken(9, 8)}})
    assert lines == ["- one: fenshen, 0.85x (0.80-0.90)"]
    assert report.slower(plan, {"one": {"asyncio": taken(10, 10), "fenshen": taken(10, 11)}}) == []
