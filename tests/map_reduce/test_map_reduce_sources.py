"""What `map_reduce` reads: files in pieces, shards, and iterables no further than it must."""

from __future__ import annotations

import itertools
import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from fenshen.flow import files, map_reduce, shards
from fenshen.flow._mapreduce import local, sources

TEXTS = {
    "empty.txt": "",
    "one.txt": "no end of line",
    "lines.txt": "".join(f"line {n} é 分身\n" for n in range(300)),
    "sub/long.txt": "x" * 70_000 + "\nshort\n" + "y" * 3000,
    "sub/blank.txt": "\n\n\n",
    "sub/carriage.txt": "a\r\nb\r\n",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, text in TEXTS.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text.encode())
    (tmp_path / "other.dat").write_text("not text")
    return tmp_path


@pytest.mark.parametrize("split", [7, 64, 1000, 65536, 1 << 20, None])
def test_pieces_are_whole_lines_and_all_of_them(tree: Path, split: int | None) -> None:
    lots = files("**/*.txt", root=tree, split=split).lots(2)
    blocks = []
    while (lot := lots.next()) is not None:
        blocks += lot.each()
    assert sum(map(len, blocks)) == sum(map(len, TEXTS.values()))
    lines = Counter(line for text in TEXTS.values() for line in text.splitlines(keepends=True))
    if split is not None:
        assert Counter(line for block in blocks for line in block.split("\n") if line) == Counter(
            line.removesuffix("\n") for line in lines.elements() if line != "\n"
        )
        assert all(block.endswith("\n") or any(t.endswith(block) for t in TEXTS.values()) for block in blocks)
    else:
        assert sorted(blocks) == sorted(text for text in TEXTS.values() if text)


@pytest.mark.parametrize("split", [1, 5, None])
def test_lines_without_their_ends(tree: Path, split: int | None) -> None:
    lots = files("lines.txt", "sub/carriage.txt", "sub/blank.txt", root=tree, split=split, lines=True).lots(1)
    found = []
    while (lot := lots.next()) is not None:
        found += lot.each()
    expected = [
        line for name in ("lines.txt", "sub/blank.txt", "sub/carriage.txt") for line in TEXTS[name].splitlines()
    ]
    assert found == expected


def test_bytes(tree: Path) -> None:
    assert list(files("one.txt", root=tree, encoding=None).lots(1).next().each()) == [b"no end of line"]


def test_each_file_once_and_folders_never(tree: Path) -> None:
    (tree / "folder.txt").mkdir()
    found = files("*.txt", "**/*.txt", tree / "one.txt", root=tree).paths()
    assert found == sorted(str(tree / name) for name in TEXTS)


def test_wrong_splits() -> None:
    with pytest.raises(ValueError, match="split"):
        files("*", split=0)
    with pytest.raises(ValueError, match="utf-16"):
        files("*", encoding="utf-16")
    files("*", encoding="utf-16", split=None)


@pytest.mark.usefixtures("native")
def test_a_name_that_is_no_pattern(tmp_path: Path) -> None:
    (tmp_path / "part[1].txt").write_text("a b")
    assert files("part[1].txt", root=tmp_path).paths() == [str(tmp_path / "part[1].txt")]
    assert files("*.csv", "part[2].txt", root=tmp_path).paths() == []
    with pytest.raises(FileNotFoundError, match=r"part\.txt"):
        map_reduce(files("part.txt", root=tmp_path), str.split, len, key=str)


def test_files_are_read_by_workers(tree: Path) -> None:
    expected = Counter(word for text in TEXTS.values() for word in text.split())
    assert map_reduce(files("**/*.txt", root=tree, split=500), str.split, len, key=str, workers=2) == expected


@pytest.mark.usefixtures("native")
def test_shards() -> None:
    def numbers() -> Iterator[int]:
        yield from range(10)

    found = map_reduce(shards([range(5), [5, 6], numbers, iter(())]), lambda n: [(n, 1)], sum, workers=2)
    assert found == {**{n: 2 for n in range(7)}, 7: 1, 8: 1, 9: 1}


@pytest.mark.usefixtures("native")
def test_an_iterable_is_read_no_further_than_workers_follow(tmp_path: Path) -> None:
    ahead = []

    def items() -> Iterator[int]:
        for n in range(10):
            ahead.append(n - len(os.listdir(tmp_path)))
            yield n

    def slow(n: int) -> list[tuple[int, int]]:
        time.sleep(2 * sources._TAKES)  # so that there is one item in a lot
        (tmp_path / str(n)).touch()
        return [(0, 1)]

    assert map_reduce(items(), slow, sum, workers=2) == {0: 10}
    assert max(ahead) < 2 * local._AHEAD


@pytest.mark.usefixtures("native")
def test_an_endless_iterable_ends_with_an_error() -> None:
    def stop(n: int) -> list[tuple[int, int]]:
        if n == 3000:
            raise LookupError("enough")
        return []

    with pytest.raises(LookupError, match="enough"):
        map_reduce(itertools.count(), stop, sum, workers=2)


def test_lots_of_items_follow_the_time_that_they_take() -> None:
    lots = sources.ItemLots(range(1000))
    lot = lots.next()
    assert lot.items == [0]
    lots.took(lot, 0.0)
    lot = lots.next()
    assert 1 < len(lot.items) <= 16
    lots.took(lot, 1000.0)
    assert len(lots.next().items) == 1


def test_a_lot_of_large_items_is_small() -> None:
    lots = sources.ItemLots("x" * (9 << 20) for _ in range(10))
    for _ in range(3):
        lot = lots.next()
        lots.took(lot, 0.0)
    assert len(lots.next().items) == 2
