"""The native half of `fenshen.Queue`, `fenshen.Event` and `fenshen.Semaphore`.

A module of its own in the native library's file, which stands on those of threads and of the event loop.
"""

from __future__ import annotations

import fenshen._fenshen
import fenshen._threads  # noqa: F401
from fenshen._native import load

load(__name__)
