"""What is made of the measurements of process pools."""

from __future__ import annotations

import functools
from types import SimpleNamespace

import pytest
from commands import needs_native

pytestmark = needs_native


def remote(
    *,
    calls: int = 100,
    tasks: int = 100,
    wall: float = 1.0,
    cpu: float = 1.0,
    starved: float = 0.0,
    moving: float = 0.01,
    size: int = 100,
    peak: int = 100,
    workers: int = 2,
    span: float = 0.6,
):
    """Measurements: times in seconds for all calls together, the size in bytes for each."""
    from fenshen.advice.remote import Remote

    ns = [round(seconds * 1e9) for seconds in (span, wall, cpu, starved, moving / 4)]
    way = [calls * size // 2, ns[4], ns[4]]
    return Remote([0, 0, peak, ns[0], tasks, calls, 0, *ns[1:4], *way, *way], workers)


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        ({}, "fits"),
        ({"cpu": 0.5}, "fits"),
        ({"cpu": 0.1}, "waits"),
        # A loaded machine: most of the wall time there was no processor.
        ({"wall": 5.0, "starved": 4.0}, "fits"),
        ({"moving": 1.5}, "dear"),
        ({"moving": 1.5, "cpu": 0.1}, "dear"),
        ({"wall": 0.02, "cpu": 0.02}, "few"),
        ({"wall": 0.01, "cpu": 0.01, "moving": 0.06}, "dear"),
        ({"tasks": 0, "calls": 0, "wall": 0.0, "cpu": 0.0, "moving": 0.0}, "few"),
        ({"calls": 100_000, "tasks": 100_000}, "small"),
        ({"calls": 100_000, "tasks": 500}, "fits"),
        ({"workers": 4}, "crowded"),
        ({"workers": 4, "peak": 2}, "fits"),
        ({"workers": 4, "cpu": 0.5}, "fits"),
        ({"workers": 4, "cpu": 0.1}, "waits"),
        # Tasks with threads of their own.
        ({"cpu": 1.9}, "fits"),
    ],
)
def test_kinds(what: dict[str, float], kind: str) -> None:
    from fenshen.advice.remote_verdict import judge

    assert judge(remote(**what), 2.0, "known").kind == kind  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("what", "lock", "advice"),
    [
        ({}, "known", "processes fit; 1.7 times as fast as one call after the other"),
        ({"span": 1.0}, "known", "processes fit"),
        ({"span": 3.0}, "known", "processes fit, with more of it: 1 s of work took 3 s"),
        ({"peak": 1}, "known", "processes fit; nothing ran beside it, as its calls never overlapped"),
        ({"workers": 1}, "known", "processes fit; nothing ran beside it, as there was one worker"),
        ({"tasks": 1, "peak": 1}, "known", "processes fit; nothing ran beside it, as it was one task"),
        (
            {"span": 1.0},
            "none",
            "processes fit, and so would threads: there is no interpreter lock",
        ),
        ({"workers": 4}, "known", "take 2 workers: more of them only take turns"),
        (
            {"moving": 2.0, "size": 1 << 20},
            "known",
            "run it here, or in threads, which moves nothing; or have the data in shared memory (fenshen.shared_array)",
        ),
        ({"moving": 2.0}, "known", "run it here"),
        (
            {"moving": 2.0, "calls": 100_000, "tasks": 100_000},
            "known",
            "run it here, or make more calls in each task: map(..., chunksize=200), or a function that makes several",
        ),
        ({"moving": 2.0, "calls": 100_000, "tasks": 1_000}, "known", "run it here"),
    ],
)
def test_advice(what: dict[str, float], lock: str, advice: str) -> None:
    from fenshen.advice.remote_verdict import judge

    assert judge(remote(**what), 2.0, lock).advice == advice  # type: ignore[arg-type]


def test_a_fraction_of_a_cpu_is_one_worker() -> None:
    from fenshen.advice.remote_verdict import judge

    assert judge(remote(), 0.5, "known").advice.startswith("take 1 worker: ")


def test_chunks_leave_some_tasks_for_each_worker() -> None:
    from fenshen.advice.remote_verdict import chunk_size

    assert chunk_size(remote(calls=100_000, tasks=100_000)) == 200  # 10 us each: 2 ms
    assert chunk_size(remote(calls=800, tasks=800, wall=0.001, cpu=0.001)) == 100
    assert chunk_size(remote(calls=3, tasks=3)) == 1


def test_which_function_and_how_many_calls() -> None:
    from multiprocessing.pool import mapstar, starmapstar  # type: ignore[attr-defined]

    from fenshen._process_map import _chunk
    from fenshen.advice import functions, remote

    def work(*_: object) -> None: ...

    pool = SimpleNamespace(workers=3)
    number, calls = remote.task(pool, work, (1,))
    assert (functions.function(number, None).name, calls) == ("test_which_function_and_how_many_calls.<locals>.work", 1)
    assert remote.task(pool, functools.partial(work, 1), (2,)) == (number, 1)
    assert remote.task(pool, _chunk, (work, [1, 2, 3], [4, 5, 6])) == (number, 3)
    assert remote.task(pool, mapstar, ((work, (1, 2)),)) == (number, 2)
    assert remote.task(SimpleNamespace(workers=1), starmapstar, ((work, ((1,), (2,), (3,))),)) == (number, 3)
    assert remote._workers[number] == 3
    assert remote.task(pool, mapstar, ((_chunk, (1, 2)),))[0] != number


def test_words() -> None:
    from fenshen.advice import words

    assert [words.time(seconds) for seconds in (2.5e-6, 0.0125, 3.0)] == ["2.5 us", "12.5 ms", "3 s"]
    assert [words.seconds(seconds) for seconds in (0.0125, 3.0)] == ["12.5 ms", "3.00 s"]
    assert [words.size(count) for count in (12, 1500, 2e6, 3e9)] == ["12 bytes", "1.5 kB", "2 MB", "3 GB"]
    assert [words.counted(count, "call") for count in (0, 1, 2)] == ["0 calls", "1 call", "2 calls"]
