"""How the modules of the native library's file are loaded that are not the one it is named after."""

from __future__ import annotations

import os
import sys
from _frozen_importlib import module_from_spec
from _frozen_importlib_external import ExtensionFileLoader, spec_from_file_location
from _imp import extension_suffixes


def load(name: str) -> None:
    """Put the native module of that name in the place of the one that is being imported.

    Raises ImportError if there is no native library for this Python.
    """
    here = os.path.dirname(os.path.abspath(__file__))
    for suffix in extension_suffixes():
        path = os.path.join(here, "_fenshen" + suffix)
        if os.path.exists(path):
            break
    else:
        raise ImportError("there is no native module for this Python", name=name)
    loader = ExtensionFileLoader(name, path)
    spec = spec_from_file_location(name, path, loader=loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    sys.modules[name] = module
