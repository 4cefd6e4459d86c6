"""The metaclass of native types that stand for one of the standard library's."""

from __future__ import annotations

from abc import ABCMeta

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Kind(ABCMeta):
    """The class of our types that stand for standard ones: instances of those count as instances of ours.

    Under `install()` the name `asyncio.Task` means ours, and a task that was made before must still be one. It derives
    from ABCMeta so that a program's class may derive from a future and from an abstract class at once.
    """

    def __instancecheck__(cls, instance: Any) -> bool:
        standard = cls.__dict__.get("__standard__")
        return type.__instancecheck__(cls, instance) or (standard is not None and isinstance(instance, standard))

    def __subclasscheck__(cls, subclass: type) -> bool:
        standard = cls.__dict__.get("__standard__")
        return type.__subclasscheck__(cls, subclass) or (standard is not None and issubclass(subclass, standard))
