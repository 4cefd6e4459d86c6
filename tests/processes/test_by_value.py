"""What goes by `cloudpickle` may hold what processes share."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import Future

import pytest
from commands import needs_native
from fenshen import futures
from fenshen import multiprocessing as ours

pytestmark = needs_native


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_local_function_and_a_semaphore(method: str) -> None:
    pytest.importorskip("cloudpickle")
    shared = ours.get_context(method).Semaphore(0)
    with futures.ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
        done: Future[bool] = pool.submit(lambda semaphore: semaphore.acquire(timeout=20), shared)
        shared.release()
        assert done.result(30)
