"""Processes for the children of groups, which end with these tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from multiprocessing import get_context
from typing import Any

import pytest
from fenshen.futures import ProcessPoolExecutor


@pytest.fixture(scope="package")
def processes() -> Iterator[Any]:
    """A pool of two processes."""
    with ProcessPoolExecutor(2, mp_context=get_context("forkserver")) as pool:
        yield pool


@pytest.fixture(scope="package", autouse=True)
def nothing_is_left_running() -> Iterator[None]:
    yield
    from multiprocessing import active_children, forkserver, resource_tracker

    for name, own in (("fenshen._to_process", "_pool"), ("fenshen._process_tasks", "_own")):
        pools = getattr(sys.modules.get(name), own, {})
        for pool in pools.values():
            pool.shutdown()
        pools.clear()
    active_children()
    forkserver._forkserver._stop()
    resource_tracker._resource_tracker._stop()
