"""What a worker of a `multiprocessing.Pool` runs: as any pool's, but with the exceptions of that one."""

from __future__ import annotations

from multiprocessing.pool import MaybeEncodingError
from multiprocessing.reduction import ForkingPickler

from fenshen import _worker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any


class _Helper(_worker.Helper):
    """What the native worker asks of Python."""

    @staticmethod
    def by_value(value: object) -> bytes:
        """A result that pickle has refused. Raises MaybeEncodingError: the task fails with it, as it always did."""
        try:
            return bytes(ForkingPickler.dumps(value))
        except Exception as exc:
            raise MaybeEncodingError(exc, value) from None

    @staticmethod
    def not_pickled(exc: BaseException, refused: BaseException) -> tuple[BaseException, str]:
        """What is sent for an exception that cannot be pickled."""
        _, text = _worker.Helper.not_pickled(exc, refused)
        return MaybeEncodingError(refused, exc), text


def main(
    initializer: Callable[..., object] | None,
    initargs: Sequence[Any],
    logs: bool,
    growth: int | None,
    fds: Sequence[int],
) -> None:
    """Serve a pool over the descriptors of the link to it. What the initializer raises ends the process."""
    worker = _worker.enter(fds, _Helper, growth)
    if initializer is not None:
        initializer(*initargs)
    worker.serve()
