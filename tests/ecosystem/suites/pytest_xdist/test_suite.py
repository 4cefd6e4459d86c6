"""Somebody's tests, which xdist spreads over two processes; some of them have processes of their own."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest


def square(number: int) -> int:
    return number * number


@pytest.fixture(scope="session")
def worker(worker_id: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    Path(os.environ["WORKERS"], worker_id).touch()
    return worker_id


@pytest.mark.parametrize("number", range(20))
def test_plain(worker: str, number: int) -> None:
    assert square(number) == number**2


@pytest.mark.parametrize("number", range(4))
def test_pool(worker: str, number: int) -> None:
    with multiprocessing.Pool(2) as pool:
        assert pool.map(square, range(number)) == [n * n for n in range(number)]


@pytest.mark.parametrize("number", range(4))
def test_executor(worker: str, number: int) -> None:
    with ProcessPoolExecutor(1) as executor:
        assert executor.submit(square, number).result(60) == number**2


def test_queue(worker: str) -> None:
    queue = multiprocessing.Queue()
    process = multiprocessing.Process(target=queue.put, args=(os.getpid(),))
    process.start()
    assert queue.get(timeout=60) == os.getpid()
    process.join()


def test_that_fails(worker: str) -> None:
    assert square(2) == 5


def test_that_kills_its_process(worker: str) -> None:
    if "KILLS" in os.environ:
        os._exit(9)
