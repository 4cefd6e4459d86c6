"""No test here may hang, nor leave a thread; what is left running for later use is ended after them."""

from __future__ import annotations

import faulthandler
import threading
from collections.abc import Iterator

import pytest

from flow.sides import until


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    faulthandler.dump_traceback_later(300, exit=True)
    yield
    until(lambda: not [t for t in threading.enumerate() if t.name.startswith("fenshen-flow")])
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="package", autouse=True)
def no_process_is_left() -> Iterator[None]:
    yield
    from multiprocessing import active_children, forkserver, resource_tracker

    from fenshen import _process_tasks, _to_process

    for kept in (_to_process._pool, _process_tasks._own):
        while kept:
            kept.popitem()[1].shutdown()  # type: ignore[attr-defined]
    active_children()
    forkserver._forkserver._stop()
    resource_tracker._resource_tracker._stop()
