"""Runs once at an interpreter's start, from the hook, when `-X fenshen` or FENSHEN=1 asks for it. Never raises."""

from __future__ import annotations

import os
import sys


def _start() -> None:
    asked = sys._xoptions.get("fenshen", os.environ.get("FENSHEN", ""))
    import fenshen.installing as installing

    text = "1" if asked is True else asked
    if text and any("multiprocessing" in word for word in sys.orig_argv[1:]):
        text += ",child"  # the parent has said what there is to say
    try:
        installing.begin(text)
    except Exception as e:
        import fenshen._engine as _engine

        _engine.say(f"not installed: {e}")


_start()
