"""The native table of counts, against `Counter`."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from fenshen.flow._mapreduce.fingerprint import fingerprint

pytestmark = pytest.mark.usefixtures("native")


def words(random_: random.Random, number: int) -> list[str]:
    alphabet = "ab\0é分😀"
    known = [
        "".join(random_.choices(alphabet, k=random_.choice([0, 1, 2, 3, 5, 9, 17, 40]))) for _ in range(number // 3)
    ]
    return random_.choices(known, k=number)


@pytest.mark.parametrize("number", [0, 1, 10, 1000, 100_000])
def test_counts(number: int) -> None:
    from fenshen._processes import Tally

    found = words(random.Random(number), number) if number > 5 else ["é"] * number
    tally = Tally()
    assert tally.count(found[::2]) == []
    assert tally.count(tuple(found[1::2])) == []
    expected = Counter(found)
    assert tally.texts() == len(expected)
    [packed] = tally.drain(1)
    assert tally.texts() == 0
    assert tally.drain(2) == [b"", b""]
    assert (tally.unpack(packed) if packed else {}) == expected


def test_every_length_of_text() -> None:
    from fenshen._processes import Tally

    texts = ["x" * n for n in range(70)] + ["x" * n + "y" for n in range(70)] + ["x" * n + "\0" for n in range(70)]
    tally = Tally()
    for _ in range(3):
        tally.count(texts)
    [packed] = tally.drain(1)
    assert tally.unpack(packed) == dict.fromkeys(texts, 3)


def test_sums_and_what_is_given_back() -> None:
    from fenshen._processes import Tally

    class Text(str):
        __slots__ = ()

    tally = Tally()
    strange = [(1, 1), ("a", 1.0), ("a", True), (Text("a"), 1), ("\udc80", 1), ("a", 2**63), ("a",), "ab", None]
    assert tally.add([("a", 1), *strange, ("b", -5), ("a", 10)]) == strange
    assert tally.add({"a": 2, 7: 1, "c": 2**63 - 1}) == [(7, 1)]
    assert tally.add({"c": 1}) == [("c", 1)]
    assert tally.count(["a", 3, Text("a")]) == [3, "a"]
    [packed] = tally.drain(1)
    assert tally.unpack(packed) == {"a": 14, "b": -5, "c": 2**63 - 1}
    tally.merge(packed)
    with pytest.raises(ValueError, match="too large"):
        tally.merge(packed)


def test_partitions_are_those_of_the_fingerprint() -> None:
    from fenshen._processes import Tally

    texts = [f"word {n} é" for n in range(1000)]
    tally = Tally()
    tally.count(texts)
    for number, packed in enumerate(tally.drain(7)):
        assert all(fingerprint(text) % 7 == number for text in tally.unpack(packed))


@pytest.mark.parametrize("packed", [b"", b"x", b"t\1", b"t\5\0\0\0" + bytes(8) + b"abcd", b"t" + b"\xff" * 12])
def test_bytes_that_are_no_counts(packed: bytes) -> None:
    from fenshen._processes import Tally

    with pytest.raises(ValueError, match="packed"):
        Tally().merge(packed)


@pytest.mark.parametrize("wrong", [None, 5, "text", {1}])
def test_wrong_types(wrong: object) -> None:
    from fenshen._processes import Tally

    for method in (Tally().count, Tally().add, Tally().merge, Tally().drain, Tally().unpack):
        if method.__name__ == "drain" and wrong == 5:
            continue
        with pytest.raises(TypeError):
            method(wrong)  # type: ignore[operator]
    with pytest.raises(ValueError, match="at least 1"):
        Tally().drain(0)
