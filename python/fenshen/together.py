"""What threads, tasks and processes share: `fenshen.Queue`, `fenshen.Event` and `fenshen.Semaphore`."""

from __future__ import annotations

from fenshen._together import Event as Event
from fenshen._together import Queue as Queue
from fenshen._together import Semaphore as Semaphore

__all__ = ["Event", "Queue", "Semaphore"]
