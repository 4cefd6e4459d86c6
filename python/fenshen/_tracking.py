"""What programs tell the standard library's resource tracker of shared memory.

A module by itself, since every spawned process has a tracker and few of them have shared memory.
"""

from __future__ import annotations

from fenshen import _keeper, _keeping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# What the program itself has had the standard library's tracker remove.
_registered: set[str] = set()


def register(standard: Callable[[str, str], None]) -> Callable[[str, str], None]:
    """`multiprocessing.resource_tracker.register`, which remembers blocks for `unregister`."""

    def register(name: str, rtype: str) -> None:
        """Register name of resource with resource tracker."""
        if rtype == "shared_memory":
            _registered.add(name)
        standard(name, rtype)

    return register


def unregister(standard: Callable[[str, str], None]) -> Callable[[str, str], None]:
    """`multiprocessing.resource_tracker.unregister`: programs call it to have a block of ours outlive them."""

    def unregister(name: str, rtype: str) -> None:
        """Unregister name of resource with resource tracker."""
        if rtype != "shared_memory" or name in _registered:
            _registered.discard(name)
            standard(name, rtype)
        elif (inode := _keeper.inode_of(name.lstrip("/"))) is not None:
            _keeping.tell("-", name.lstrip("/"), inode)

    return unregister
