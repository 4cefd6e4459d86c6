"""What a worker has to know of a `map_reduce`, and how it says where something went wrong."""

from __future__ import annotations

import reprlib
import sys
from typing import NamedTuple

from fenshen.flow._mapreduce.folds import COUNT, fold_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = 120


class Job(NamedTuple):
    """The user's functions, and how the work is cut."""

    map: Callable[[Any], Any]
    reduce: Any
    combine: Any
    key: Callable[[Any], Any] | None
    partitions: int
    #: Bytes that the groups of one worker may weigh before they are sent on.
    share: int

    @property
    def counts(self) -> bool:
        """Whether values are only counted."""
        return self.reduce is COUNT and self.combine is None

    @property
    def fold(self) -> Any:
        """What makes one value of two in a worker; None if there is no such function."""
        if self.counts:
            return fold_of(sum)
        return fold_of(self.reduce if self.combine is None else self.combine)

    @property
    def last_fold(self) -> Any:
        """The same for the last step."""
        return fold_of(sum) if self.counts else fold_of(self.reduce)


def blame(exc: BaseException, doing: str, what: object) -> None:
    """Note with an exception what was being done when it was raised."""
    if sys.version_info >= (3, 11):
        exc.add_note(f"fenshen: map_reduce: {doing} {_repr.repr(what)}")
