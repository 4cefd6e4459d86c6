"""The names of `multiprocessing.pool`: our pools, and their results, which are the standard library's."""

from __future__ import annotations

import multiprocessing.pool as _standard
from multiprocessing.pool import *  # noqa: F403

from fenshen._process_pool import Pool as Pool
from fenshen._thread_pool import ThreadPool as ThreadPool

__all__ = _standard.__all__


def __getattr__(name: str) -> object:
    return getattr(_standard, name)


def __dir__() -> list[str]:
    return sorted({*vars(_standard), *globals()})
