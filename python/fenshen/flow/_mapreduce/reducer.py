"""The reduce step: what all workers have sent of one partition."""

from __future__ import annotations

import operator

from fenshen.flow._mapreduce.fingerprint import fingerprint
from fenshen.flow._mapreduce.job import blame
from fenshen.flow._mapreduce.packing import is_tally, pack, unpack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from fenshen.flow._mapreduce.job import Job


def reduce_packed(job: Job, packed: Iterable[bytes], turns: int) -> list[bytes]:
    """One partition reduced in so many turns, and packed again; `packed` can be gone through more than once."""
    fold = job.last_fold
    if fold is operator.add and (merged := _merged(packed)) is not None:
        return [merged]
    results = []
    for turn in range(turns):
        found = reduce_part(job, packed, turn, turns)
        results.append(pack(list(found), list(found.values()), False))
    return results


def _merged(packed: Iterable[bytes]) -> bytes | None:
    """Counts alone, added up without a look at each; None if there is anything else."""
    tally: Any = None
    for each in packed:
        if not is_tally(each):
            return None
        if tally is None:
            from fenshen._processes import Tally

            tally = Tally()
        try:
            tally.merge(each)
        except ValueError:  # a sum is too large for a machine's number
            return None
    return None if tally is None else tally.drain(1)[0]


def reduce_part(job: Job, packed: Iterable[bytes], turn: int = 0, turns: int = 1) -> dict[Any, Any]:
    """The keys of one partition, each with its reduced value.

    With several `turns`, those keys alone whose turn it is: so a partition that would be too large goes through memory
    in parts.
    """
    fold, listed = job.last_fold, job.fold is None
    groups: dict[Any, Any] = {}
    for batch in packed:
        keys, values = unpack(batch)
        if turns > 1:
            chosen = [i for i, key in enumerate(keys) if fingerprint(key) // job.partitions % turns == turn]
            keys, values = [keys[i] for i in chosen], [values[i] for i in chosen]
        if fold is not None and not listed:
            _fold(groups, keys, values, fold)
        else:
            _gather(groups, keys, values, listed)
    if fold is not None and not listed:
        return groups
    return _reduced(job, groups)


def _fold(groups: dict[Any, Any], keys: list[Any], values: list[Any], fold: Any) -> None:
    absent = object()
    get = groups.get
    for key, value in zip(keys, values, strict=True):
        before = get(key, absent)
        groups[key] = value if before is absent else fold(before, value)


def _gather(groups: dict[Any, Any], keys: list[Any], values: list[Any], listed: bool) -> None:
    get = groups.get
    for key, value in zip(keys, values, strict=True):
        found = get(key)
        if found is None:
            groups[key] = value if listed else [value]
        elif listed:
            found += value
        else:
            found.append(value)


def _reduced(job: Job, groups: dict[Any, Any]) -> dict[Any, Any]:
    reduce, fold = job.reduce, job.last_fold
    for key, values in groups.items():
        try:
            if fold is None:
                groups[key] = reduce(key, values)
            else:
                total = values[0]
                for value in values[1:]:
                    total = fold(total, value)
                groups[key] = total
        except Exception as exc:
            blame(exc, "reduce() of the key", key)
            raise
    return groups
