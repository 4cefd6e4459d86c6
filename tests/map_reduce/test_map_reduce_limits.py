"""`map_reduce` in little memory: what does not fit waits on disk, and the result is the same."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from fenshen.flow import map_reduce
from fenshen.flow._mapreduce import runs
from fenshen.flow._mapreduce.groups import Groups
from fenshen.flow._mapreduce.job import Job
from fenshen.flow._mapreduce.reducer import reduce_part

pytestmark = pytest.mark.usefixtures("native")


def listed(n: int) -> list[tuple[Any, Any]]:
    return [(f"key {n * 7919 % 5000}", [n]), (n % 5000, "x" * 50)]


@pytest.mark.parametrize("limit", [1, 20_000, 400_000])
def test_what_does_not_fit_waits_on_disk(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[tuple[int, int]] = []
    close = runs.Runs.close

    def noted(self: runs.Runs) -> None:
        kept.append((self.in_memory, self.on_disk))
        close(self)

    monkeypatch.setattr(runs.Runs, "close", noted)
    expected: dict[Any, Any] = {}
    for n in range(10_000):
        for key, value in listed(n):
            expected.setdefault(key, []).append(value)
    got = map_reduce(range(10_000), listed, lambda _, values: values, workers=2, memory_limit=limit)
    assert got == expected
    assert kept[0][1] > 0
    assert kept[0][0] <= limit


def test_counts_in_little_memory() -> None:
    items = [[f"w{n * 31 % 4000}" for n in range(start, start + 500)] for start in range(0, 20_000, 500)]
    expected = Counter(word for words in items for word in words)
    assert map_reduce(items, lambda words: words, len, key=str, workers=2, memory_limit=10_000) == expected


def test_groups_know_about_what_they_weigh() -> None:
    groups = Groups(Job(lambda item: item, lambda key, values: values, None, None, 4, 1 << 30))
    for start in range(0, 20_000, 1000):
        groups.take([(f"key {n}", "x" * 1000) for n in range(start, start + 1000)])
    assert 20_000_000 < groups.weight < 60_000_000
    assert sum(1 for _ in groups.drain()) == 4
    assert groups.weight == 0


def test_a_partition_of_several_turns() -> None:
    job = Job(lambda item: item, lambda key, values: sum(values), None, None, 1, 1 << 30)
    groups = Groups(job)
    groups.take([(n, n) for n in range(100)])
    packed = [part for _, part in groups.drain()]
    found: dict[int, int] = {}
    for turn in range(5):
        part = reduce_part(job, packed, turn, 5)
        assert len(part) < 60
        assert not found.keys() & part.keys()
        found.update(part)
    assert found == {n: n for n in range(100)}


def test_files_without_names_hold_what_is_sent_on(tmp_path: Path) -> None:
    kept = runs.Runs(1000, str(tmp_path))
    try:
        for lot, sizes in enumerate([(600, 300), (500, 50)]):
            writer = runs.Writer(kept.lend(lot, 1))
            for size in sizes:
                writer.send(lot, bytes([lot]) * size)
            kept.take_back(lot, writer.close())
        lost = runs.Writer(kept.lend(2, 1))
        lost.send(0, b"of a worker that died")
        again = runs.Writer(kept.lend(3, 1))
        again.send(0, b"more")
        kept.take_back(3, again.close())
        lost.close()
        assert (kept.in_memory, kept.on_disk) == (950, 504)
        assert list(runs.Batches(kept.batches(0))) == [b"\0" * 600, b"\0" * 300, b"more"]
        assert list(runs.Batches(kept.batches(1))) == [b"\1" * 500, b"\1" * 50]
        assert kept.partitions() == [(0, 904), (1, 550)]
        assert os.listdir(tmp_path) == []
    finally:
        kept.close()
