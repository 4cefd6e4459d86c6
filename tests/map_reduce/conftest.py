"""No test here may hang; what is left running for later use is ended after them."""

from __future__ import annotations

import faulthandler
from collections.abc import Iterator

import fenshen
import pytest


@pytest.fixture
def native() -> None:
    if fenshen.engine != "native":
        pytest.skip("the native engine is not built for this Python")


@pytest.fixture(autouse=True)
def ends() -> Iterator[None]:
    faulthandler.dump_traceback_later(300, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="package", autouse=True)
def no_process_is_left() -> Iterator[None]:
    yield
    from multiprocessing import active_children, forkserver, resource_tracker

    active_children()
    forkserver._forkserver._stop()
    resource_tracker._resource_tracker._stop()
