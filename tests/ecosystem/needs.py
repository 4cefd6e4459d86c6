"""What a test needs of the machine: without it the test is skipped by name, or, with `CI=true`, fails."""

from __future__ import annotations

import importlib.util
import os
from typing import NoReturn

import pytest


def lacking(what: str) -> NoReturn:
    """End the test that runs: `what` is not on this machine."""
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(f"{what}, and CI=true asks for all of it", pytrace=False)
    pytest.skip(what)


def libraries(*names: str) -> None:
    """End the test that runs unless these modules can be imported."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            lacking(f"no {name} in this environment (scripts/prepare --ecosystem installs it)")
