"""`Keyed`: what there is one of for each key, and no more of them than are of use."""

from __future__ import annotations

import gc

from fenshen.flow._keyed import Keyed


class Thing:
    def __init__(self) -> None:
        self.idle = True


def test_one_for_each_key() -> None:
    keyed = Keyed(Thing)
    assert keyed("a") is keyed("a")
    assert keyed("a") is not keyed("b")


def test_idle_ones_are_forgotten_in_the_end() -> None:
    keyed = Keyed(Thing)
    busy = id(keyed("busy"))
    keyed("busy").idle = False
    had = keyed("had")
    for number in range(10_000):
        keyed(number)
    gc.collect()
    assert len(keyed) <= Keyed._MANY + 2
    assert keyed("had") is had
    assert id(keyed("busy")) == busy
    assert not keyed("busy").idle
