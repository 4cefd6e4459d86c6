"""`map_reduce`: what comes of it, whatever the functions and the keys are."""

from __future__ import annotations

import datetime
import enum
import operator
import uuid
from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import pytest
from fenshen.flow import Progress, map_reduce

pytestmark = pytest.mark.usefixtures("native")

TEXT = "the quick brown fox jumps over the lazy dog and the fox naps 分身 é\x00\x00 a-word-of-more-than-sixteen-bytes"
WORDS = TEXT.split()
LINES = [" ".join(WORDS[i % 7 : i % 11 + 3]) for i in range(200)]
COUNTS = Counter(word for line in LINES for word in line.split())


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


@dataclass(frozen=True)
class Point:
    x: int
    y: str


class Pair(NamedTuple):
    left: Any
    right: Any


class Text(str):
    __slots__ = ()


def pairs(line: str) -> Iterator[tuple[str, int]]:
    for word in line.split():
        yield word, 1


def total(key: Any, values: list[int]) -> int:
    assert isinstance(values, list)
    return sum(values)


@pytest.mark.parametrize(
    ("function", "options"),
    [
        (pairs, {"reduce": sum}),
        (pairs, {"reduce": total}),
        (pairs, {"reduce": total, "combine": total}),
        (pairs, {"reduce": total, "combine": sum}),
        (pairs, {"reduce": len}),
        (lambda line: Counter(line.split()), {"reduce": sum}),
        (lambda line: OrderedDict(Counter(line.split())), {"reduce": operator.add}),
        (str.split, {"reduce": len, "key": str}),
        (str.split, {"reduce": lambda key, values: len(values), "key": lambda word: word}),
        (lambda line: [(word, 1) for word in line.split()], {"reduce": operator.add, "memory_limit": 1}),
    ],
)
def test_counts_of_words(function: Any, options: dict[str, Any]) -> None:
    assert map_reduce(LINES, function, workers=2, **options) == COUNTS


def test_values_come_in_the_order_of_the_input() -> None:
    expected = {rest: [n for n in range(5000) if n % 7 == rest] for rest in range(7)}
    got = map_reduce(range(5000), lambda n: [(n % 7, n)], lambda _, values: values, workers=2)
    assert got == expected


def test_a_value_may_be_anything() -> None:
    values = [[], {}, None, "", b"", 0.5, 1j, {1: [2]}, (3,), lambda: 7, 10**30]
    got = map_reduce(range(len(values)), lambda n: [(n, values[n])], lambda _, found: found[0], workers=1)
    assert got.pop(9)() == 7
    assert got == {n: value for n, value in enumerate(values) if n != 9}


def test_folds() -> None:
    numbers = list(range(1, 400))
    by_digit: dict[int, list[int]] = {}
    for number in numbers:
        by_digit.setdefault(number % 10, []).append(number)
    for fold in (sum, min, max):
        got = map_reduce(numbers, lambda n: [(n % 10, n)], fold, workers=2)
        assert got == {digit: fold(found) for digit, found in by_digit.items()}
    got = map_reduce(numbers, lambda n: [(n % 10, {n})], operator.or_, workers=2)
    assert got == {digit: set(found) for digit, found in by_digit.items()}


def test_sums_that_are_no_whole_numbers_of_a_machine() -> None:
    large = 2**62
    got = map_reduce(range(6), lambda n: [("large", large), ("mixed", n), ("mixed", n / 2)], sum, workers=2)
    assert got == {"large": 6 * large, "mixed": 22.5}


def test_equal_keys_are_one() -> None:
    groups: list[list[Any]] = [
        [1, 1.0, True, Decimal(1), Fraction(1), 1 + 0j],
        [-2, -2.0, Decimal(-2)],
        [2**70, float(2**70)],
        ["text", Text("text")],
        [b"text"],
        [(1, "a"), (1.0, Text("a")), Pair(True, "a")],
        [frozenset({1, "b"}), frozenset({"b", 1.0})],
        [None],
        [()],
        [""],
        [Colour.RED],
        [Colour.BLUE],
        [Point(1, "y"), Point(1, "y")],
        [Point(2, "y")],
        [datetime.date(2026, 1, 2)],
        [datetime.datetime(2026, 1, 2), datetime.datetime(2026, 1, 2, fold=1)],
        [
            datetime.datetime(2026, 1, 2, 12, tzinfo=datetime.timezone.utc),
            datetime.datetime(2026, 1, 2, 14, tzinfo=datetime.timezone(datetime.timedelta(hours=2))),
        ],
        [datetime.timedelta(hours=24), datetime.timedelta(days=1)],
        [uuid.UUID(int=7), uuid.UUID("00000000-0000-0000-0000-000000000007")],
        [PurePosixPath("a/b"), PurePosixPath("a//b")],
        ["\udc80"],
    ]
    items = [(key, 1) for group in groups for key in group] * 20
    got = map_reduce(items, lambda item: [item], sum, workers=2)
    assert got == {group[0]: 20 * len(group) for group in groups}


def test_nothing_to_map() -> None:
    assert map_reduce([], pairs, sum) == {}
    assert map_reduce(["", ""], pairs, sum) == {}


def test_progress() -> None:
    seen: list[Progress] = []
    map_reduce(range(50), lambda n: [(n, n)], sum, workers=1, progress=seen.append)
    last = {each.name: each for each in seen if each.over}
    assert list(last) == ["map", "reduce"]
    assert last["map"].done >= 1
    assert last["map"].total is None
    assert last["reduce"].done == last["reduce"].total


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"engine": "spark"}, ValueError),
        ({"workers": 0}, ValueError),
        ({"memory_limit": 0}, ValueError),
        ({"combine": len}, ValueError),
        ({"map": None}, TypeError),
        ({"progress": "yes"}, TypeError),
        ({"reduce": 3}, TypeError),
    ],
)
def test_wrong_arguments(options: dict[str, Any], kind: type[Exception]) -> None:
    arguments = {"items": [], "map": pairs, "reduce": sum, **options}
    with pytest.raises(kind):
        map_reduce(**arguments)
