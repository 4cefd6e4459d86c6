"""Runs once at an interpreter's start, from the hook, when `-X fenshen` or FENSHEN=1 asks for it. Never raises."""

from __future__ import annotations

import os
import sys


def _start() -> None:
    asked = sys._xoptions.get("fenshen", os.environ.get("FENSHEN", ""))
    import fenshen.installing as installing

    try:
        installing.begin("1" if asked is True else asked)
    except Exception as e:
        import fenshen._engine as _engine

        _engine.say(f"not installed: {e}")


_start()
