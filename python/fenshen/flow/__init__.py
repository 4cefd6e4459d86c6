"""Patterns of concurrent programs."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fenshen.flow._map_reduce import files as files
    from fenshen.flow._map_reduce import map_reduce as map_reduce
    from fenshen.flow._map_reduce import shards as shards

__all__ = ["files", "map_reduce", "shards"]

_homes = {
    "files": "fenshen.flow._map_reduce",
    "map_reduce": "fenshen.flow._map_reduce",
    "shards": "fenshen.flow._map_reduce",
}


def __getattr__(name: str) -> object:
    import importlib

    if name not in _homes:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(_homes[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
