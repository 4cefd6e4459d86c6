"""`ProcessPoolExecutor.map`: calls in chunks, their results one by one."""

from __future__ import annotations

import itertools
import time
from concurrent.futures import _base

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

    from fenshen._process_executor import ProcessPoolExecutor
    from fenshen._threads import Future


def mapped(
    pool: ProcessPoolExecutor,
    submit: Callable[..., Future[Any]],
    fn: Callable[..., Any],
    iterables: tuple[Iterable[Any], ...],
    timeout: float | None,
    chunksize: int | None,
    buffersize: int | None,
) -> Iterator[Any]:
    """What `map()` of a pool returns, whose chunks `submit` sends; without `chunksize` the pool chooses."""
    if chunksize is not None and chunksize < 1:
        raise ValueError("chunksize must be >= 1.")
    if buffersize is not None:
        if not isinstance(buffersize, int):
            raise TypeError("buffersize must be an integer or None")
        if buffersize < 1:
            raise ValueError("buffersize must be None or > 0")
    if chunksize is None:
        chunksize = 1 if buffersize is not None else _chunksize(iterables, pool._max_workers)
    if chunksize == 1:
        started = (submit(fn, *args) for args in zip(*iterables))  # noqa: B905
    else:
        started = (submit(_chunk, fn, *columns) for columns in _chunks(iterables, chunksize))
    futures = list(itertools.islice(started, None if buffersize is None else max(1, buffersize // chunksize)))
    end = None if timeout is None else timeout + time.monotonic()
    return _results(futures, started, end, chunksize > 1)


def _chunks(iterables: tuple[Iterable[Any], ...], size: int) -> Iterator[tuple[Sequence[Any], ...]]:
    """The arguments of so many calls at a time: the first arguments, the second ones, and so on."""
    if len(iterables) == 1:
        items = iter(iterables[0])
        while chunk := list(itertools.islice(items, size)):
            yield (chunk,)
    else:
        calls = zip(*iterables)  # noqa: B905
        while rows := list(itertools.islice(calls, size)):
            yield tuple(zip(*rows))  # noqa: B905


def _chunksize(iterables: tuple[Iterable[Any], ...], workers: int) -> int:
    lengths = []
    for iterable in iterables:
        try:
            lengths.append(len(iterable))  # type: ignore[arg-type]
        except TypeError:
            continue
    # As many chunks as even out calls of different length: eight for each worker.
    return max(1, min(lengths, default=0) // (8 * workers)) if lengths else 1


def _results(
    futures: list[Future[Any]], more: Iterator[Future[Any]], end: float | None, chunked: bool
) -> Iterator[Any]:
    futures.reverse()
    try:
        while futures:
            future = futures.pop()
            try:
                result = future.result() if end is None else future.result(end - time.monotonic())
            except _base.TimeoutError:
                _forgo(future)
                raise
            for following in itertools.islice(more, 1):
                futures.insert(0, following)
            values, exc = result if chunked else ([result], None)
            del future, result
            values.reverse()
            while values:
                yield values.pop()  # and nothing of it is kept
            if exc is not None:
                raise exc
    finally:
        for future in futures:
            _forgo(future)


def _forgo(future: Future[Any]) -> None:
    """Cancel what has not begun; what runs is nobody's to end who did not ask for that."""
    if not future.running():
        future.cancel()


def _chunk(function: Callable[..., Any], *columns: Sequence[Any]) -> tuple[list[Any], BaseException | None]:
    """The results of some calls, up to the first that raises, and what that raises.

    The arguments come by their places: a tuple for each call costs as much as a small call.
    """
    results: list[Any] = []
    append = results.append
    try:
        if len(columns) == 1:
            for arg in columns[0]:
                append(function(arg))
        else:
            for args in zip(*columns):  # noqa: B905
                append(function(*args))
    except Exception as exc:
        return results, exc
    return results, None
