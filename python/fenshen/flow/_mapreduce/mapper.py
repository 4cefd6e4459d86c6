"""The map step: one lot through the user's function, grouped, and sent on by partition."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

from fenshen.flow._mapreduce.groups import Groups, chunks
from fenshen.flow._mapreduce.job import blame
from fenshen.flow._mapreduce.sources import each_mapped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from fenshen.flow._mapreduce.job import Job

#: Dicts whose items are what lies in them.
_DICTS = (dict, Counter, defaultdict)


def map_lot(job: Job, lot: Any, send: Callable[[int, bytes], object]) -> None:
    """Map a lot; `send(partition, packed)` is called with what its groups come to, whenever they weigh too much."""
    groups = Groups(job)
    for item, produced in each_mapped(lot, job.map):
        try:
            if job.key is None and isinstance(produced, Mapping):
                if type(produced) not in _DICTS:
                    produced = list(produced.items())
            elif not isinstance(produced, (list, tuple)):
                _take_chunks(job, groups, produced, send)
                continue
            groups.take(produced)
        except Exception as exc:
            blame(exc, "what map() gave of the item", item)
            raise
        del item, produced
        if groups.weight > job.share:
            _flush(groups, send)
    _flush(groups, send)


def _take_chunks(job: Job, groups: Groups, produced: Any, send: Callable[[int, bytes], object]) -> None:
    """Take what a generator yields, without having all of it at once."""
    for chunk in chunks(produced):
        groups.take(chunk)
        if groups.weight > job.share:
            _flush(groups, send)


def _flush(groups: Groups, send: Callable[[int, bytes], object]) -> None:
    for number, packed in groups.drain():
        send(number, packed)
