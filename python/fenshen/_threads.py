"""The native half of `threading`, `queue` and `futures`: a module of its own in the native library's file.

It needs nothing of asyncio, so a program without an event loop never loads that.
"""

from __future__ import annotations

from fenshen._native import load

load(__name__)
