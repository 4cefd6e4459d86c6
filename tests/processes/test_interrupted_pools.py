"""Ctrl-C amid the tasks of `ProcessPoolExecutor`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent import futures as standard
from pathlib import Path

import pytest
from fenshen import futures

LIMIT = 60


def _running(future: standard.Future) -> None:
    end = time.monotonic() + LIMIT
    while not future.running():
        assert time.monotonic() < end
        assert not future.done()
        time.sleep(0.01)


def _interrupt_oneself(_: object) -> None:
    """As the terminal does, which sends the signal to every process."""
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(LIMIT)


def _begin(flag: str) -> None:
    Path(flag).touch()
    time.sleep(LIMIT)


def test_a_task_that_begins_after_the_interrupt_is_interrupted_too(tmp_path: Path) -> None:
    flag = tmp_path / "began"
    began = time.monotonic()
    pool = futures.ProcessPoolExecutor(1)
    with pytest.raises(KeyboardInterrupt), pool:  # noqa: PT012
        first = pool.submit(_interrupt_oneself, None)
        second, third = (pool.submit(_begin, str(flag)) for _ in range(2))
        with pytest.raises(KeyboardInterrupt):
            first.result(LIMIT)
        while not flag.exists():
            time.sleep(0.001)
        raise KeyboardInterrupt
    assert isinstance(second.exception(0), KeyboardInterrupt)
    assert third.cancelled()
    assert time.monotonic() - began < LIMIT


_INTERRUPTED_TWICE = """
import os, signal, sys, time
from pathlib import Path
from fenshen import futures

def interrupt_oneself():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(600)

def begin(flag):
    Path(flag).touch()
    time.sleep(600)

class Interrupted(futures.ProcessPoolExecutor):
    def __exit__(self, *error):
        while not os.path.exists(sys.argv[1]):
            time.sleep(0.001)
        raise KeyboardInterrupt

if __name__ == "__main__":
    try:
        with Interrupted(1) as pool:
            first = pool.submit(interrupt_oneself)
            for _ in range(3):
                pool.submit(begin, sys.argv[1])
            first.result()
    except KeyboardInterrupt:
        print("interrupted")
"""


def test_an_interrupt_before_the_pool_could_be_shut_down_holds_up_nobody(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(_INTERRUPTED_TWICE)
    words = [sys.executable, str(program), str(tmp_path / "began")]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, timeout=LIMIT, check=True)
    assert done.stdout == "interrupted\n"


def _wait_at(gate: str) -> None:
    """Run until the file is gone."""
    end = time.monotonic() + LIMIT
    while os.path.exists(gate) and time.monotonic() < end:
        time.sleep(0.005)


def test_a_task_that_the_interrupt_did_not_reach_is_waited_for(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    gate.touch()
    with pytest.raises(KeyboardInterrupt), futures.ProcessPoolExecutor(1) as pool:  # noqa: PT012
        running = pool.submit(_wait_at, str(gate))
        _running(running)
        threading.Timer(0.3, gate.unlink).start()
        raise KeyboardInterrupt
    assert running.result(0) is None


def test_an_interrupt_while_the_with_statement_waits_cancels_what_has_not_begun(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    gate.touch()

    def open_for_the_first(_: object) -> None:
        if all(future.cancelled() for future in waiting):
            gate.unlink(missing_ok=True)

    timer = threading.Timer(0.3, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT))
    with pytest.raises(KeyboardInterrupt), futures.ProcessPoolExecutor(1) as pool:  # noqa: PT012
        running, *waiting = [pool.submit(_wait_at, str(gate)) for _ in range(4)]
        for future in waiting:
            future.add_done_callback(open_for_the_first)
        _running(running)
        timer.start()
    assert not gate.exists()
    assert all(future.cancelled() for future in waiting)
    assert running.result(LIMIT) is None
