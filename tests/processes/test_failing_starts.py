"""Workers of `ProcessPoolExecutor` that do not start, or do not end: nobody waits for ever."""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from fenshen import futures

sys.path.insert(0, str(Path(__file__).parent))
import pooling


def test_a_task_that_comes_as_the_pool_gives_up_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    with futures.ProcessPoolExecutor(1, mp.get_context("fork"), pooling.bad_initializer) as pool:
        with pytest.raises(futures.BrokenExecutor):
            pool.submit(pooling.square, 1).result(60)
        pool._supervisor.join(60)
        monkeypatch.setattr(pool, "_check", lambda: None)  # as it was when whoever submits looked
        with pytest.raises(futures.BrokenExecutor, match="before it was ready"):
            pool.submit(pooling.square, 1).result(60)


def test_a_worker_that_sigterm_does_not_end_ends_all_the_same() -> None:
    before = signal.signal(signal.SIGTERM, lambda *_: None)  # which forked workers inherit
    try:
        pool = futures.ProcessPoolExecutor(2, mp.get_context("fork"))
        running = pool.submit(time.sleep, 1)
        _until(running.running)
        pool.terminate_workers()
        thread = pool._executor_manager_thread
        thread.join(60)
        alive = thread.is_alive()
        pool.kill_workers()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert not alive


def test_a_worker_that_cannot_be_started_again_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    with futures.ProcessPoolExecutor(1, mp.get_context("fork")) as pool:
        assert pool.submit(pooling.square, 3).result(60) == 9

        def refuse(*_, **__):
            raise EOFError("the fork server has gone")

        monkeypatch.setattr(pool._supervisor._launcher, "start_many", refuse)
        first, second = pool.submit(pooling.kill), pool.submit(pooling.square, 1)
        with pytest.raises(futures.WorkerDied):
            first.result(60)
        with pytest.raises(futures.BrokenExecutor, match="the fork server has gone"):
            second.result(60)


def _die_while(path: str) -> None:
    if os.path.exists(path):
        pooling.kill()


def test_workers_that_die_at_their_start_are_not_the_end_while_another_works(tmp_path) -> None:
    path = tmp_path / "deadly"
    with futures.ProcessPoolExecutor(2, mp.get_context("fork"), _die_while, (str(path),)) as pool:
        for future in [pool.submit(time.sleep, 0.2) for _ in range(2)]:
            future.result(60)
        _until(lambda: len(pool._supervisor._ready) == 2)
        path.touch()
        os.kill(next(iter(pool._processes)), signal.SIGKILL)
        _until(lambda: pool.stats()["died"] > 5)
        assert pool.submit(pooling.square, 3).result(60) == 9
        path.unlink()
        _until(lambda: len(pool._supervisor._ready) == 2)
        assert pool.submit(pooling.square, 4).result(60) == 16


def _until(condition) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
