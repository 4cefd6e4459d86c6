"""The whole of `multiprocessing`, over shared memory, and nothing installed: `from fenshen import multiprocessing`.

The names are multiprocessing's own, and `OwnerDied` more, which a lock's waiters get when its owner was killed. Start
methods, processes and contexts are the standard library's; what is shared between them is ours: locks, queues, pipes,
values, pools and managers. Each is loaded when it is first made.
"""

from __future__ import annotations

import multiprocessing as _standard

from fenshen import _engine
from fenshen.multiprocessing import _aliases

TYPE_CHECKING = False
if TYPE_CHECKING:
    from multiprocessing import *  # noqa: F403
    from typing import Any

    from fenshen._owner_died import OwnerDied as OwnerDied

__all__ = [*_standard.__all__, "OwnerDied"]

_aliases.find(own=_engine.expected() == "native")

from fenshen.multiprocessing import context  # noqa: E402

globals().update((name, getattr(context._default_context, name)) for name in _standard.__all__)


def __getattr__(name: str) -> Any:
    if name == "OwnerDied":
        from fenshen._owner_died import OwnerDied as value
    elif name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    else:
        from importlib import import_module

        try:
            value = import_module(f"{__name__}.{name}")
        except ModuleNotFoundError:
            value = getattr(_standard, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *dir(_standard)})
