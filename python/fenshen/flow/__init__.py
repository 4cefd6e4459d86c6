"""Patterns over threads, processes and tasks: pipelines, limits, pools of handlers (docs/flow.md), map and reduce
(docs/map-reduce.md).

Importing this package imports nothing else: each name below is loaded when it is first used.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fenshen.flow._map_reduce import files as files
    from fenshen.flow._map_reduce import map_reduce as map_reduce
    from fenshen.flow._map_reduce import shards as shards
    from fenshen.flow.choosing import Choice as Choice
    from fenshen.flow.limiter import Limiter as Limiter
    from fenshen.flow.pipelines import Pipeline as Pipeline
    from fenshen.flow.pipelines import pipeline as pipeline
    from fenshen.flow.progressing import Progress as Progress
    from fenshen.flow.rate_limiter import RateLimiter as RateLimiter
    from fenshen.flow.stages import Stage as Stage
    from fenshen.flow.stages import stage as stage
    from fenshen.flow.worker_pools import WorkerPool as WorkerPool
    from fenshen.flow.worker_pools import worker_pool as worker_pool

__all__ = [
    "Choice",
    "Limiter",
    "Pipeline",
    "Progress",
    "RateLimiter",
    "Stage",
    "WorkerPool",
    "files",
    "map_reduce",
    "pipeline",
    "shards",
    "stage",
    "worker_pool",
]

_homes = {
    "Choice": "choosing",
    "Limiter": "limiter",
    "Pipeline": "pipelines",
    "Progress": "progressing",
    "RateLimiter": "rate_limiter",
    "Stage": "stages",
    "WorkerPool": "worker_pools",
    "files": "_map_reduce",
    "map_reduce": "_map_reduce",
    "pipeline": "pipelines",
    "shards": "_map_reduce",
    "stage": "stages",
    "worker_pool": "worker_pools",
}


def __getattr__(name: str) -> object:
    if name not in _homes:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value: object = getattr(importlib.import_module(f"{__name__}.{_homes[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
