"""`AtomicInt`: one number, many threads, and the children of a fork."""

from __future__ import annotations

import copy
import pickle
import sys
import weakref

import pytest
from commands import PYTHON, needs_native, run
from fenshen.threading import AtomicInt

from threads.sides import outcome, running

pytestmark = needs_native

LEAST, MOST = -(2**63), 2**63 - 1


def test_one_thread():
    number = AtomicInt()
    assert number.load() == 0
    assert number.add() == 1
    assert number.add(5) == 6
    assert number.add(n=-10) == -4
    assert number.sub() == -5
    assert number.sub(n=5) == -10
    assert number.store(7) is None
    assert number.exchange(8) == 7
    assert number.compare_exchange(7, 9) is False
    assert number.compare_exchange(expected=8, value=9) is True
    assert (int(number), hex(number), repr(number)) == (9, "0x9", "AtomicInt(9)")
    assert AtomicInt(True).load() == 1


def test_it_compares_as_its_value():
    number = AtomicInt(5)
    assert number == 5
    assert 5 == number  # noqa: SIM300
    assert number != 6
    assert number == AtomicInt(5)
    assert number == 5.0
    assert number != "5"
    assert 4 < number < 6
    assert number >= AtomicInt(5)
    assert number <= 5.5
    assert bool(number)
    assert not AtomicInt()
    with pytest.raises(TypeError):
        hash(number)
    with pytest.raises(TypeError):
        _ = number < "6"


def test_in_place():
    number = same = AtomicInt(1)
    number += 4
    number -= AtomicInt(2)
    assert number is same
    assert same == 3
    with pytest.raises(TypeError):
        number += 1.5


def test_64_bits_and_no_more():
    number = AtomicInt(MOST)
    for action in (
        lambda: number.add(),
        lambda: number.sub(-1),
        lambda: number.add(2**64),
        lambda: number.store(MOST + 1),
        lambda: number.exchange(LEAST - 1),
        lambda: number.compare_exchange(0, 2**63),
        lambda: AtomicInt(2**63),
    ):
        assert outcome(action) == "OverflowError: an AtomicInt has 64 bits"
    assert number == MOST
    number.store(LEAST)
    assert outcome(number.sub) == "OverflowError: an AtomicInt has 64 bits"
    assert number.load() == LEAST


def test_only_whole_numbers():
    for action in (
        lambda: AtomicInt("1"),
        lambda: AtomicInt(1.0),
        lambda: AtomicInt().add(None),
        lambda: AtomicInt(1, 2),
    ):
        assert outcome(action).startswith("TypeError")


def test_no_step_is_lost():
    number, before = AtomicInt(), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def work():
        for _ in range(3000):
            number.add(3)
            number.sub()
            seen = number.load()
            while not number.compare_exchange(seen, seen - 1):
                seen = number.load()

    try:
        with running(*[work] * 4):
            pass
    finally:
        sys.setswitchinterval(before)
    assert number == 4 * 3000


def test_derived_weakly_referenced_and_not_pickled():
    class Counter(AtomicInt):
        def __init__(self, value, name):
            self.name = name

        def __new__(cls, value, name):
            return super().__new__(cls, value)

    counter = Counter(4, "requests")
    ref = weakref.ref(counter)
    assert (ref().name, int(ref())) == ("requests", 4)
    for number in (counter, AtomicInt(), AtomicInt(shared=True)):
        with pytest.raises(TypeError, match="cannot pickle"):
            pickle.dumps(number)
        with pytest.raises(TypeError, match="cannot pickle"):
            copy.copy(number)
    del counter, number
    assert ref() is None


def test_children_of_a_fork_have_it_too():
    status, out, err = run([*PYTHON, "-c", FORKING])
    assert (status, out, err) == (0, "shared 4000 AtomicInt(4000, shared=True), own 0\n", "")


FORKING = """
import os, sys
from fenshen.threading import AtomicInt

shared, own = AtomicInt(shared=True), AtomicInt()
assert shared.shared and not own.shared
children = []
for _ in range(4):
    child = os.fork()
    if child == 0:
        for _ in range(1000):
            shared.add()
            own.add()
        os._exit(0 if own == 1000 else 1)
    children.append(child)
assert all(os.waitpid(child, 0)[1] == 0 for child in children)
print(f"shared {shared.load()} {shared!r}, own {own.load()}")
"""


def test_shared_memory_is_given_back():
    with open("/proc/self/maps") as f:
        before = len(f.readlines())
    for _ in range(20):
        numbers = [AtomicInt(n, shared=True) for n in range(50)]
        assert sum(map(int, numbers)) == 1225
    del numbers
    with open("/proc/self/maps") as f:
        assert len(f.readlines()) < before + 20
