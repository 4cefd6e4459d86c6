"""The queues that `multiprocessing.Queue()` and the contexts' methods make.

The classes in `multiprocessing.queues` stay the standard ones, from which ours derive: libraries derive from them too,
and use what is inside.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def _factory(name: str) -> Callable[..., Any]:
    def bounded(self, maxsize=0):  # type: ignore[no-untyped-def]
        from fenshen.multiprocessing import queues

        return getattr(queues, name)(maxsize, ctx=self.get_context())

    def plain(self):  # type: ignore[no-untyped-def]
        from fenshen.multiprocessing import queues

        return getattr(queues, name)(ctx=self.get_context())

    make = plain if name == "SimpleQueue" else bounded
    make.__name__ = name
    return make


def _of_context(name: str) -> Callable[[Any], Any]:
    def replacement(original: Any) -> Any:
        make = _factory(name)
        make.__qualname__, make.__doc__ = original.__qualname__, original.__doc__
        return make

    return replacement


def _of_module(name: str) -> Callable[[Any], Any]:
    def replacement(original: Any) -> Any:
        """The package's own name is a method that was bound when the package was imported."""
        context = getattr(original, "__self__", None)
        bound = getattr(context, name, original)
        return original if bound == original else bound

    return replacement


Queue, JoinableQueue, SimpleQueue = map(_of_context, ("Queue", "JoinableQueue", "SimpleQueue"))
bound_Queue, bound_JoinableQueue, bound_SimpleQueue = map(_of_module, ("Queue", "JoinableQueue", "SimpleQueue"))
