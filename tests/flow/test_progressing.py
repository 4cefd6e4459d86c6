"""Who is told how far something has come, and in which words."""

from __future__ import annotations

import os
import pty
import queue
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fenshen.flow import Progress, pipeline, progressing, stage, worker_pool

from flow import work
from flow.sides import PATIENCE, on_fenshen


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progressing, "time", clock)
    monkeypatch.delenv("FENSHEN_QUIET", raising=False)
    return clock


def test_call_back_is_told_of_a_pipeline() -> None:
    told: list[Progress] = []
    pipeline(range(20), stage(work.double, "thread", name="two"), progress=told.append, name="mine").run()
    assert told[0].done == 1
    last = told[-1]
    assert last.name == "mine"
    assert (last.done, last.failed, last.total, last.over) == (20, 0, 20, True)
    assert [progress.over for progress in told] == [False] * (len(told) - 1) + [True]
    assert last.stages[0]._replace(model="") == progressing.StageProgress("two", "", 0, 20, 0)
    assert last.elapsed > 0
    assert last.rate == pytest.approx(20 / last.elapsed)


def test_call_back_is_told_of_a_pool() -> None:
    told: list[Progress] = []
    items: queue.Queue[int] = queue.Queue()
    for number in range(8):
        items.put(number)
    with worker_pool(work.unlucky, items, model="thread", progress=told.append):
        pass
    assert (told[-1].done, told[-1].failed, told[-1].total, told[-1].over) == (6, 2, None, True)


def test_total_is_known_only_where_each_item_has_one_result() -> None:
    told: list[Progress] = []
    pipeline(iter(range(5)), stage(work.double, "thread"), progress=told.append).run()
    pipeline(range(5), stage(work.upto, "thread"), progress=told.append).run()
    assert {progress.total for progress in told} == {None}


@pytest.mark.parametrize("run", [lambda p: p.run(), lambda p: on_fenshen(p.arun())])
def test_call_back_that_fails_ends_the_pipeline(run: Any) -> None:
    def tell(_progress: Progress) -> None:
        raise work.Unlucky("told")

    with pytest.raises(work.Unlucky, match="told"):
        run(pipeline(range(5), stage(work.double, "thread"), progress=tell))


def test_call_back_that_fails_ends_the_pool() -> None:
    def tell(_progress: Progress) -> None:
        raise work.Unlucky("told")

    items: queue.Queue[int] = queue.Queue()
    items.put(1)
    pool = worker_pool(work.double, items, model="thread", progress=tell)
    with pytest.raises(work.Unlucky, match="told"):
        pool.drain()


def test_call_back_is_told_ten_times_a_second_at_most(clock: Clock) -> None:
    told: list[Progress] = []
    reporter = progressing.reporter(told.append, "it", 1000)
    for _ in range(1000):
        clock.now += 0.001
        reporter.count()
    reporter.close()
    reporter.close()
    assert len(told) in (11, 12)


def test_lines_in_a_log(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    reporter = progressing.reporter(True, "it", 400)
    for _ in range(300):
        clock.now += 0.125
        reporter.count()
    reporter.count(0, 1)
    reporter.close()
    assert capsys.readouterr().err.splitlines() == [
        "fenshen: it: 9/400 (2%) in 1.1 s, 8.0/s",
        "fenshen: it: 89/400 (22%) in 11.1 s, 8.0/s",
        "fenshen: it: 169/400 (42%) in 21.1 s, 8.0/s",
        "fenshen: it: 249/400 (62%) in 31.1 s, 8.0/s",
        "fenshen: it: 300/400 (75%) in 37.5 s, 8.0/s, 1 failed",
    ]


def test_what_is_over_at_once_says_one_line(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    reporter = progressing.reporter(True, "it")
    reporter.count(3)
    clock.now += 0.5
    reporter.close()
    assert capsys.readouterr().err == "fenshen: it: 3 in 0.5 s, 6.0/s\n"


@pytest.mark.parametrize("wanted", [None, False])
def test_nothing_where_nothing_is_wanted(wanted: Any, capsys: pytest.CaptureFixture[str]) -> None:
    pipeline(range(5), stage(work.double, "thread"), progress=wanted).run()
    assert capsys.readouterr() == ("", "")


def test_nothing_under_quiet(clock: Clock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FENSHEN_QUIET", "1")
    reporter = progressing.reporter(True, "it")
    reporter.count()
    reporter.close()
    assert capsys.readouterr() == ("", "")


def test_what_is_no_progress() -> None:
    with pytest.raises(TypeError, match="progress must be"):
        pipeline(range(5), stage(work.double, "thread"), progress=3).run()  # type: ignore[arg-type]


PROGRAM = """
import sys, threading
from fenshen.flow import pipeline, stage
if sys.argv[1:]:
    sys.modules["tqdm"] = None
pipeline(range(40), stage(lambda number: number, "thread"), progress=True, name="forty").run()
assert threading.active_count() == 1, threading.enumerate()
"""


def on_a_terminal(*arguments: str, **environment: str) -> str:
    """What the program prints on a terminal."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", **environment}
    with subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments], stderr=theirs, env=environment) as program:
        os.close(theirs)
        printed = b""
        while True:
            try:
                some = os.read(ours, 4096)
            except OSError:  # the last one has closed it
                break
            if not some:
                break
            printed += some
        assert program.wait(PATIENCE) == 0
    os.close(ours)
    return printed.decode()


def test_bar_on_a_terminal() -> None:
    pytest.importorskip("tqdm")
    printed = on_a_terminal(NO_COLOR="")
    assert "forty: 100%" in printed
    assert "40/40" in printed
    assert "\x1b[32m" in printed
    assert "fenshen:" not in printed


def test_bar_without_colour() -> None:
    pytest.importorskip("tqdm")
    printed = on_a_terminal(NO_COLOR="1")
    assert "40/40" in printed
    assert "\x1b[" not in printed.replace("\x1b[A", "")


def test_lines_on_a_terminal_without_tqdm(tmp_path: Path) -> None:
    printed = on_a_terminal("without")
    assert printed.startswith("fenshen: forty: 40/40 (100%) in ")
