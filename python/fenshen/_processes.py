"""The native half of `multiprocessing` and of the process pools: a module of its own in the native library's file.

It is loaded by the first thing that processes share.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys


def _load() -> None:
    here = os.path.dirname(os.path.abspath(__file__))
    for suffix in importlib.machinery.EXTENSION_SUFFIXES:
        path = os.path.join(here, "_fenshen" + suffix)
        if os.path.exists(path):
            break
    else:
        raise ImportError("there is no native module for this Python", name=__name__)
    loader = importlib.machinery.ExtensionFileLoader(__name__, path)
    spec = importlib.util.spec_from_file_location(__name__, path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    sys.modules[__name__] = module


_load()
