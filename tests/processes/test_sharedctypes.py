"""Values and arrays in shared memory: as the standard library's, side by side."""

from __future__ import annotations

import ctypes
import multiprocessing
import pickle
import sys
import threading

import pytest
from commands import start
from fenshen import _segments
from fenshen import multiprocessing as ours

from processes.sides import PATIENCE, assert_same, each_context, each_side, needs_native, our_contexts, run

pytestmark = needs_native


class Point(ctypes.Structure):
    _fields_ = (("x", ctypes.c_double), ("y", ctypes.c_double))


CODES = {
    "b": -7,
    "B": 200,
    "h": -300,
    "H": 60000,
    "i": -70000,
    "I": 7,
    "l": 1,
    "L": 2,
    "q": -5,
    "Q": 6,
    "f": 0.5,
    "d": 2.5,
}


@each_side
@pytest.mark.parametrize(("code", "value"), [*CODES.items(), ("c", b"x"), ("u", "ü")])
def test_values_of_every_kind(processes, code, value):
    shared, raw = processes.Value(code, value), processes.RawValue(code)
    assert shared.value == value
    assert raw.value in (0, b"\0", "\0")
    shared.value = raw.value
    assert shared.value == raw.value
    assert type(shared.get_obj()) is type(raw)


@each_side
@pytest.mark.parametrize("code", [*CODES])
def test_arrays_of_every_kind(processes, code):
    array = processes.Array(code, [1, 2, 3, 4])
    assert (len(array), array[:], array[1:3], list(array)) == (4, [1, 2, 3, 4], [2, 3], [1, 2, 3, 4])
    array[0], array[2:] = 9, [8, 7]
    assert array[:] == [9, 2, 8, 7]
    assert processes.RawArray(code, 3)[:] == [0, 0, 0]


@each_side
def test_strings(processes):
    string = processes.Array("c", b"hello")
    assert (string.value, string.raw, len(string)) == (b"hello", b"hello", 5)
    string.value = b"no"
    assert (string.value, string.raw) == (b"no", b"no\0lo")
    string.raw = b"again"
    assert string[:] == b"again"


@each_side
def test_structures(processes):
    point = processes.Value(Point, 1.5, 2.5)
    assert (point.x, point.y, type(point).__name__) == (1.5, 2.5, "SynchronizedPoint")
    point.x = 4
    assert (point.get_obj().x, type(point) is type(processes.Value(Point))) == (4, True)
    points = processes.Array(Point, [(1, 2), (3, 4)])
    assert (points[1].x, points[1].y) == (3, 4)
    copied = processes.sharedctypes.copy(point.get_obj())
    point.x = 5
    assert (copied.x, copied.y) == (4, 2.5)


def test_words():
    def changed(shared, value):
        shared.value = value

    def gone(shared):
        del shared.value

    assert_same(
        lambda m: m.Value("i", 3).value,
        lambda m: m.Value("i"),
        lambda m: m.Value("no such code"),
        lambda m: m.Value("i", "three"),
        lambda m: m.Value("i", 1, 2),
        lambda m: m.Array("i", -1),
        lambda m: m.Array("i", [1, "two"]),
        lambda m: m.Array("i", [1, 2])[2],
        lambda m: m.Array("i", 2)[:],
        lambda m: m.RawValue("d"),
        lambda m: m.RawArray("h", range(3))[:],
        lambda m: m.Value("i", 1, lock="no lock"),
        lambda m: m.Value("i", 1, lock=False),
        lambda m: m.Value("i", 1, lock=m.Lock()).get_lock(),
        lambda m: m.Array("i", 1, lock=None).get_lock(),
        lambda m: m.sharedctypes.synchronized(m.RawValue("i", 4)).value,
        lambda m: m.sharedctypes.synchronized(m.Value("i", 4)),
        lambda m: changed(m.Value("i"), "three"),
        lambda m: changed(m.Value("i"), None),
        lambda m: changed(m.Value("c"), b"long"),
        lambda m: pickle.dumps(m.Value("i")),
        lambda m: pickle.dumps(m.Array("i", 3)),
    )
    with pytest.raises(AttributeError):
        gone(ours.Value("i"))


@each_side
def test_every_access_holds_the_lock(processes):
    value, array = processes.Value("i", 1), processes.Array("i", 2)
    for shared, actions in (
        (value, [lambda: value.value, lambda: setattr(value, "value", 2)]),
        (array, [lambda: array[0], lambda: array[:], lambda: array.__setitem__(0, 1)]),
    ):
        for action in actions:
            thread = threading.Thread(target=action, daemon=True)
            with shared.get_lock():
                thread.start()
                thread.join(0.05)
                assert thread.is_alive()
            thread.join(PATIENCE)
            assert not thread.is_alive()
    with value, value:
        value.value += 1
    assert value.acquire() is True
    value.release()
    assert (value.value, value.get_lock()._semlock._get_value()) == (3, 1)


def test_a_lock_of_a_class_of_ones_own():
    calls = []

    class Mine(type(ours.RLock())):
        def acquire(self, *args):
            calls.append("acquire")
            return super().acquire(*args)

        def release(self):
            calls.append("release")
            super().release()

    value = ours.Value("i", 1, lock=Mine(ctx=ours.get_context()))
    assert value.value == 1
    assert calls == ["acquire", "release"]
    with pytest.raises(TypeError):
        value.value = "one"
    assert calls == ["acquire", "release"] * 2


def _work(value, array, string, point, raw, rounds):
    for _ in range(rounds):
        with value.get_lock():
            value.value += 1
        with array:
            array[1] += 2
        with point:
            point.x += 1
    string.value = b"bye"
    raw[0] = 7


@each_context
def test_all_have_the_same(ctx):
    shared = (
        ctx.Value("i", 0),
        ctx.Array("d", 3),
        ctx.Array("c", b"hello"),
        ctx.Value(Point, 0, 2.5),
        ctx.RawArray("i", 2),
    )
    run(ctx, _work, *[(*shared, 100)] * 3)
    value, array, string, point, raw = shared
    assert (value.value, array[:], string.raw) == (300, [0, 600, 0], b"bye\0o")
    assert (point.x, point.y, raw[:]) == (300, 2.5, [7, 0])


def _grow(array):
    array[-1] = 1


@our_contexts
def test_large_ones(ctx):
    array = ctx.RawArray("B", 1 << 24)
    run(ctx, _grow, (array,))
    assert (array[0], array[-1]) == (0, 1)


def test_each_is_the_standard_librarys_too():
    standard = multiprocessing.sharedctypes
    assert isinstance(ours.Value("i"), standard.Synchronized)
    assert isinstance(ours.Array("i", 1), standard.SynchronizedArray)
    assert isinstance(ours.Array("c", 1), standard.SynchronizedString)
    assert isinstance(ours.Value(Point), standard.SynchronizedBase)


def test_carried_they_are_the_same():
    value, raw = ours.Value("i", 5), ours.RawArray("i", 3)
    with _segments.carrying() as pins:
        carried = multiprocessing.reduction.ForkingPickler.dumps((value, raw))
    assert all(isinstance(pin, type(pins[0])) for pin in pins)
    again, raw_again = pickle.loads(carried)
    again.value, raw_again[2] = 6, 7
    assert (value.value, raw[:]) == (6, [0, 0, 7])
    with again.get_lock():
        assert value.get_lock()._semlock._get_value() == 0


def test_installed():
    code = """
import fenshen
fenshen.install()
import multiprocessing as m
spawn, fork = m.get_context("spawn"), m.get_context("fork")
for made in (m.Value("i", 1), spawn.Array("d", 3), fork.Lock()):
    print(type(made).__module__)
value = m.Value("i", 1)
with value.get_lock():
    value.value += 1
fenshen.uninstall()
print(value.value, type(m.Lock()).__module__)
"""
    with start([sys.executable, "-c", code]) as program:
        out, err = program.communicate(timeout=PATIENCE)
    home = "fenshen.multiprocessing."
    lines = [f"{home}sharedctypes"] * 2 + [f"{home}synchronize", "2 multiprocessing.synchronize"]
    assert (out.split("\n")[:-1], err) == (lines, "")
