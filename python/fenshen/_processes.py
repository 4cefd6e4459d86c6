"""The native half of `multiprocessing` and of the process pools: a module of its own in the native library's file.

It is loaded by the first thing that processes share.
"""

from __future__ import annotations

from fenshen._native import load

load(__name__)
