"""Every public name says what it is, and what the standard library does not have is in the documents."""

from __future__ import annotations

import importlib
import inspect
import re

import documents
import pytest
from commands import needs_native

# Each module of ours, and whose names it has.
MODULES = {
    "fenshen": None,
    "fenshen.flow": None,
    "fenshen.futures": "concurrent.futures",
    "fenshen.multiprocessing": "multiprocessing",
    "fenshen.queue": "queue",
    "fenshen.threading": "threading",
}


def public(module: str) -> list[str]:
    found = importlib.import_module(module)
    return sorted(name for name in getattr(found, "__all__", dir(found)) if not name.startswith("_"))


def own(module: str) -> list[str]:
    """What the standard library's module does not have in any version that we run on."""
    standard = MODULES[module]
    if standard is None:
        return public(module)
    # The standard library got these later, in some of its modules.
    theirs = {*dir(importlib.import_module(standard)), "ShutDown", "InvalidStateError"}
    return [name for name in public(module) if name not in theirs]


def _is_ours(value: object) -> bool:
    kind = inspect.isclass(value) or inspect.isroutine(value)
    return kind and str(getattr(value, "__module__", "")).startswith("fenshen")


@needs_native
@pytest.mark.parametrize("module", MODULES)
def test_docstrings(module):
    found = importlib.import_module(module)
    silent = [name for name in public(module) if _is_ours(value := getattr(found, name)) and not inspect.getdoc(value)]
    assert silent == []


@needs_native
@pytest.mark.parametrize("module", MODULES)
def test_what_is_ours_is_documented(module):
    # A type that a function of its name returns is told of with that function.
    text = "\n".join(page.read_text() for page in documents.pages()).lower().replace("_", "")
    missing = [name for name in own(module) if not re.search(rf"\b{name.lower().replace('_', '')}\b", text)]
    assert missing == []
