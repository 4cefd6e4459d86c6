"""The native half of `fenshen.Queue`, `fenshen.Event` and `fenshen.Semaphore`.

A module of its own in the native library's file, which stands on those of threads and of the event loop.
"""

from __future__ import annotations

import os
import sys
from _frozen_importlib import module_from_spec
from _frozen_importlib_external import ExtensionFileLoader, spec_from_file_location
from _imp import extension_suffixes

import fenshen._fenshen
import fenshen._threads  # noqa: F401


def _load() -> None:
    here = os.path.dirname(os.path.abspath(__file__))
    for suffix in extension_suffixes():
        path = os.path.join(here, "_fenshen" + suffix)
        if os.path.exists(path):
            break
    else:
        raise ImportError("there is no native module for this Python", name=__name__)
    loader = ExtensionFileLoader(__name__, path)
    spec = spec_from_file_location(__name__, path, loader=loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    sys.modules[__name__] = module


_load()
