"""The standard library's futures and pools beside ours: what most tests here hold for both."""

from __future__ import annotations

import concurrent.futures
import importlib
import importlib.util
import types

import pytest
from commands import needs_native

__all__ = ["LIMIT", "needs_native", "twins"]

LIMIT = 30
"""Seconds that nothing here takes, even on a busy machine."""


def twins() -> pytest.MarkDecorator:
    """A test of the contract: it gets the module `futures`, once the standard library's and once ours."""
    return pytest.mark.parametrize("futures", ["concurrent.futures", "fenshen.futures"], indirect=True)


def module(name: str) -> types.ModuleType:
    """One of the two."""
    return concurrent.futures if name == "concurrent.futures" else importlib.import_module(name)
