"""ctypes objects in shared memory: `from fenshen.multiprocessing.sharedctypes import Value`.

They are ctypes' own objects, or wrappers of them, as the standard library's are; only the memory, the lock and the way
to another process are ours.
"""

from __future__ import annotations

import ctypes
import multiprocessing.sharedctypes as _standard
import weakref
from multiprocessing import reduction
from multiprocessing.sharedctypes import typecode_to_type

from fenshen import _segments
from fenshen._processes import Block, Field, own_methods
from fenshen._processes import Synchronized as _Synchronized

TYPE_CHECKING = False
if TYPE_CHECKING:
    from multiprocessing.context import BaseContext
    from typing import Any

__all__ = ["Array", "RawArray", "RawValue", "Value", "copy", "synchronized"]


def get_context() -> BaseContext:
    """The context of the default start method, with our locks."""
    from fenshen.multiprocessing.context import _default_context

    return _default_context.get_context()


def _new_value(type_: Any) -> Any:
    return rebuild_ctype(type_, Block(ctypes.sizeof(type_)), None)


def RawValue(typecode_or_type: Any, *args: Any) -> Any:
    """Return a ctypes object in shared memory, made with `args`; a type code is one of the module `array`'s or "c".

    Raises what the ctypes type raises for the arguments, and OSError where there is no memory.
    """
    type_ = typecode_to_type.get(typecode_or_type, typecode_or_type)
    obj = _new_value(type_)
    obj.__init__(*args)
    return obj


def RawArray(typecode_or_type: Any, size_or_initializer: Any) -> Any:
    """Return a ctypes array in shared memory: of so many zeros, or of the items of a sequence.

    Raises what the ctypes type raises for the items, and OSError where there is no memory.
    """
    type_ = typecode_to_type.get(typecode_or_type, typecode_or_type)
    if isinstance(size_or_initializer, int):
        return _new_value(type_ * size_or_initializer)
    obj = _new_value(type_ * len(size_or_initializer))
    obj.__init__(*size_or_initializer)
    return obj


def Value(typecode_or_type: Any, *args: Any, lock: Any = True, ctx: BaseContext | None = None) -> Any:
    """Return a `RawValue` with a lock: an RLock of its own, or `lock`; with `lock=False`, just the `RawValue`.

    Raises AttributeError if `lock` has no `acquire`.
    """
    return _with_lock(RawValue(typecode_or_type, *args), lock, ctx)


def Array(typecode_or_type: Any, size_or_initializer: Any, *, lock: Any = True, ctx: BaseContext | None = None) -> Any:
    """Return a `RawArray` with a lock: an RLock of its own, or `lock`; with `lock=False`, just the `RawArray`.

    Raises AttributeError if `lock` has no `acquire`.
    """
    return _with_lock(RawArray(typecode_or_type, size_or_initializer), lock, ctx)


def _with_lock(obj: Any, lock: Any, ctx: BaseContext | None) -> Any:
    if lock is False:
        return obj
    if lock in (True, None):
        ctx = ctx or get_context()
        lock = ctx.RLock()
    if not hasattr(lock, "acquire"):
        raise AttributeError(f"{lock!r} has no method 'acquire'")
    return synchronized(obj, lock, ctx=ctx)


def copy(obj: Any) -> Any:
    """Return a copy of a ctypes object, in shared memory."""
    new_obj = _new_value(type(obj))
    ctypes.pointer(new_obj)[0] = obj
    return new_obj


def synchronized(obj: Any, lock: Any = None, ctx: BaseContext | None = None) -> SynchronizedBase:
    """Return a wrapper of a ctypes object whose every access holds `lock`, or an RLock of its own."""
    assert not isinstance(obj, _standard.SynchronizedBase), "object already synchronized"
    ctx = ctx or get_context()
    if isinstance(obj, ctypes._SimpleCData):
        return Synchronized(obj, lock, ctx)
    if isinstance(obj, ctypes.Array):
        kind = SynchronizedString if obj._type_ is ctypes.c_char else SynchronizedArray
        return kind(obj, lock, ctx)
    cls = type(obj)
    if cls not in class_cache:
        fields = {field[0]: make_property(field[0]) for field in cls._fields_}
        class_cache[cls] = type(f"Synchronized{cls.__name__}", (SynchronizedBase,), fields)
    return class_cache[cls](obj, lock, ctx)


def make_property(name: str) -> Any:
    """Return the property of a wrapper for an attribute of what it wraps."""
    return prop_cache.setdefault(name, Field(name))


def reduce_ctype(obj: Any) -> tuple[Any, ...]:
    """How a ctypes object in shared memory is pickled."""
    _segments.check(obj)
    return rebuild_ctype, _parts(obj)


def _parts(obj: Any) -> tuple[Any, ...]:
    if isinstance(obj, ctypes.Array):
        return obj._type_, obj._wrapper, obj._length_
    return type(obj), obj._wrapper, None


def rebuild_ctype(type_: Any, wrapper: Any, length: int | None) -> Any:
    """Return the ctypes object that lies in a piece of shared memory."""
    if length is not None:
        type_ = type_ * length
    reduction.ForkingPickler.register(type_, reduce_ctype)
    obj = type_.from_buffer(wrapper.create_memoryview())
    obj._wrapper = wrapper
    return obj


def _rebuild_synchronized(parts: tuple[Any, ...], lock: Any) -> SynchronizedBase:
    return synchronized(rebuild_ctype(*parts), lock)


class SynchronizedBase(_Synchronized, _standard.SynchronizedBase):
    """What the wrappers have in common."""

    def __init__(self, obj: Any, lock: Any = None, ctx: BaseContext | None = None):
        lock = lock or (ctx or get_context()).RLock()
        block, code = getattr(obj, "_wrapper", None), _codes.get(type(obj))
        if code is not None and isinstance(block, Block):
            super().__init__(obj, lock, block, code)
        else:
            super().__init__(obj, lock)

    def __reduce__(self) -> tuple[Any, ...]:
        _segments.check(self)
        if isinstance(getattr(self._obj, "_wrapper", None), Block):
            return _rebuild_synchronized, (_parts(self._obj), self._lock)
        return synchronized, (self._obj, self._lock)


_codes = {typecode_to_type[code]: code for code in "bBhHiIlLqQfd"}
prop_cache: dict[str, Any] = {}
class_cache: weakref.WeakKeyDictionary[type, type[SynchronizedBase]] = weakref.WeakKeyDictionary()


class Synchronized(SynchronizedBase, _standard.Synchronized):
    """A simple value with its lock."""

    value = make_property("value")


class SynchronizedArray(SynchronizedBase, _standard.SynchronizedArray):
    """An array with its lock."""


class SynchronizedString(SynchronizedArray, _standard.SynchronizedString):
    """An array of characters with its lock."""

    value = make_property("value")
    raw = make_property("raw")


def __getattr__(name: str) -> Any:
    return getattr(_standard, name)


for _class in (Synchronized, SynchronizedArray, SynchronizedString):
    own_methods(_class, "get_lock", "get_obj")
