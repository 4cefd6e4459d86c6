"""What is left running for later use is ended after these tests: others look for children nobody has waited for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="package", autouse=True)
def nothing_is_left_running() -> Iterator[None]:
    yield
    from multiprocessing import active_children, forkserver, resource_tracker

    active_children()
    forkserver._forkserver._stop()
    resource_tracker._resource_tracker._stop()
