from __future__ import annotations

import types

import pytest

from threads import futures_twins


@pytest.fixture
def futures(request: pytest.FixtureRequest) -> types.ModuleType:
    """`concurrent.futures`, or ours."""
    return futures_twins.module(request.param)
