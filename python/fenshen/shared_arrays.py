"""numpy arrays in shared memory, which all processes write in place."""

from __future__ import annotations

import math

from fenshen import _processes

try:
    import numpy as np
except ImportError as e:
    raise ImportError("fenshen.shared_array needs numpy, which is not installed", name="numpy") from e

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import DTypeLike


class SharedArray(np.ndarray):  # type: ignore[type-arg]
    """What `fenshen.shared_array` returns, and every view of that: pickled, it is the same memory elsewhere."""

    # Where its data lies; None for an array that is no view, such as the result of an operation.
    _block: _processes.Block | None = None

    def __array_finalize__(self, source: Any) -> None:
        block = getattr(source, "_block", None)
        self._block = block if block is not None and _offset(self, block) is not None else None

    def __reduce_ex__(self, protocol: Any) -> Any:
        block = self._block
        if block is None or (offset := _offset(self, block)) is None:
            return np.asarray(self).__reduce_ex__(protocol)
        return _rebuild, (block, self.shape, self.dtype, offset, self.strides, self.flags.writeable)


def _offset(array: np.ndarray[Any, Any], block: _processes.Block) -> int | None:
    """Where in the block an array begins; None if it is not there."""
    offset = _address(array) - _address(np.frombuffer(block, np.uint8))
    return offset if 0 <= offset < len(block) else None


def _address(array: np.ndarray[Any, Any]) -> int:
    return int(array.__array_interface__["data"][0])


def _rebuild(
    block: _processes.Block,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    offset: int,
    strides: tuple[int, ...] | None,
    writeable: bool,
) -> SharedArray:
    array = SharedArray(shape, dtype, block, offset, strides)  # type: ignore[arg-type]
    array._block = block
    array.flags.writeable = writeable
    return array


def shared_array(shape: int | tuple[int, ...], dtype: DTypeLike = float) -> SharedArray:
    """Return a numpy array of zeros, in shared memory that has no name, for all processes to write in place.

    It may be an argument of a process that is started, by any start method, an argument or a result of a task of our
    pools, and an item of our queues and pipes; what arrives is the same memory, and a view arrives as a view. The
    memory goes when the last process that has it ends or lets go of it. What is computed from it is an ordinary array
    of the process that does so. Nothing is locked: writers of the same elements agree among themselves.

    `shape` is the number of elements along each dimension, and `dtype` their type, by default 64-bit floats.

    Raises ImportError without numpy, TypeError for a `dtype` that holds Python objects, ValueError for a negative
    dimension, and OSError where the kernel has no memory. To pickle it for anything else raises RuntimeError, as the
    locks of `multiprocessing` do.
    """
    kind = np.dtype(dtype)
    if kind.hasobject:
        raise TypeError(f"shared_array() cannot hold Python objects: {kind}")
    lengths = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    if any(length < 0 for length in lengths):
        raise ValueError("negative dimensions are not allowed")
    size = kind.itemsize * math.prod(int(length) for length in lengths)
    return _rebuild(_processes.Block(max(size, 1)), lengths, kind, 0, None, True)
