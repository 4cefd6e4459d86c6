"""Handles: the same answers as asyncio's, and no harm from callbacks that meddle with their own handle."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import functools
import gc
import itertools
import math
import pickle
import sys
import threading
import time
import weakref
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from fenshen._fenshen import Handle, TimerHandle
from twins import ASYNCIO, OURS, Side, logged, on_both, open_loop, outcome, plain, spin


def callback(*args: Any) -> None:
    pass


def handles(side: Side, loop: Any) -> dict[str, Any]:
    made = {
        "soon": loop.call_soon(callback, 1),
        "later": loop.call_at(10**9, callback, 1, 2),
        "threadsafe": loop.call_soon_threadsafe(callback),
        "method": loop.call_soon([].append, 1),
        "partial": loop.call_soon(functools.partial(callback, 5), 6),
        "by hand": side.Handle(callback, (1,), loop),
        "timer by hand": side.TimerHandle(7.5, callback, (1,), loop),
        "cancelled": loop.call_soon(callback, 1),
        "timer cancelled": loop.call_at(10**9, callback, 1),
    }
    made["cancelled"].cancel()
    made["timer cancelled"].cancel()
    return made


def test_every_method_in_every_state() -> None:
    names = ["cancelled", "when", "cancel", "_run", "__hash__", "__repr__"]
    attributes = ["_callback", "_args", "_cancelled", "_when", "_scheduled", "_repr", "_source_traceback"]

    def program(side: Side) -> list[str]:
        seen = []
        with open_loop(side) as loop:
            for name in names:
                for kind, handle in handles(side, loop).items():
                    if name == "__hash__" and not hasattr(handle, "when"):
                        continue
                    if name == "_run" and "cancelled" in kind:
                        continue  # asyncio fails there; ours does nothing
                    seen.append(f"{name} {kind}: {outcome(lambda: getattr(handle, name)())}")  # noqa: B023
                    if name != "_run":  # ours lets go of its callback then
                        seen.append(f"then {plain(handle)}")
                spin(loop)
            for name in attributes:
                for kind, handle in handles(side, loop).items():
                    if "cancelled" not in kind:
                        seen.append(f"{name} {kind}: {outcome(lambda: plain(getattr(handle, name)))}")  # noqa: B023
                    seen.append(outcome(lambda: setattr(handle, "anything", 1), words=False))  # noqa: B023
            return seen

    on_both(program)


def test_construction() -> None:
    def program(side: Side) -> list[str]:
        with open_loop(side) as loop:
            return [
                outcome(lambda: side.Handle(), words=False),
                outcome(lambda: side.Handle(callback, (), loop, None, 5), words=False),
                outcome(lambda: side.Handle(callback, (), loop, nonsense=1), words=False),
                outcome(lambda: side.Handle(callback=callback, args=(1,), loop=loop, context=None)),
                outcome(lambda: side.TimerHandle(1, callback), words=False),
                outcome(lambda: side.TimerHandle(1, callback, (), loop).when()),
                outcome(lambda: side.TimerHandle(Fraction(1, 3), callback, (), loop).when()),
                outcome(lambda: side.Handle(callback, (), 5), words=False),
                outcome(lambda: copy.copy(weakref.ref(side.Handle(callback, (), loop))()) is None),
            ]

    on_both(program)


def test_order_and_equality_of_timers() -> None:
    def program(side: Side) -> list[str]:
        seen = []
        with open_loop(side) as loop:
            made = [
                side.TimerHandle(when, f, args, loop)
                for when in (1, 2.0, 2)
                for f in (callback, print)
                for args in ((), (1,))
            ]
            made += [side.TimerHandle(1, callback, (), loop), 5, None]
            made[0].cancel()
            for a in made[:-2]:
                for b in made:
                    seen.append(
                        str(
                            [
                                outcome(lambda: op(a, b), words=False)  # noqa: B023
                                for op in (type(a).__lt__, type(a).__le__, type(a).__eq__, type(a).__ge__)
                            ]
                        )
                    )
        return [s.replace("NotImplemented", "-") for s in seen]

    on_both(program)


def test_comparing_what_cancels_itself() -> None:
    held: list[Any] = []

    class Meddler:
        def __call__(self) -> None:
            pass

        def __eq__(self, other: object) -> bool:
            for handle in held:
                handle.cancel()
            held.clear()
            gc.collect()
            return NotImplemented

        __hash__ = None  # type: ignore[assignment]

    with open_loop(OURS) as loop:
        for _ in range(8):
            held[:] = [loop.call_at(5, Meddler(), Meddler()) for _ in range(2)]
            a, b = held
            assert a != b


def test_a_callback_that_runs_or_cancels_its_own_handle() -> None:
    class Recursive:
        def __init__(self) -> None:
            self.handle: Any = None
            self.calls = 0

        def method(self, what: str, *_: Any) -> None:
            self.calls += 1
            if self.calls == 1:
                repr(self.handle)
                assert self.handle._callback == self.method
                getattr(self.handle, what)()
                gc.collect()

    with open_loop(OURS) as loop, logged():
        for debug, what in itertools.product((False, True), ("_run", "cancel", "__repr__")):
            loop.set_debug(debug)
            for schedule in (loop.call_soon, functools.partial(loop.call_later, 0), loop.call_soon_threadsafe):
                target = Recursive()
                reference = weakref.ref(target)
                target.handle = schedule(target.method, what, object())
                spin(loop)
                assert target.calls == 1
                del target
                gc.collect()
                assert reference() is None


def test_deadlines_of_every_kind() -> None:
    def program(side: Side) -> list[str]:
        seen: list[str] = []
        with open_loop(side) as loop:
            now = loop.time()
            whens = [0, -1, -math.inf, int(now) - 10, now - 5, Fraction(1, 2), True]
            for n, when in enumerate(whens):
                loop.call_at(when, seen.append, f"at number {n}")
            for delay in (-math.inf, -5, Fraction(-1, 3), 0, False):
                loop.call_later(delay, seen.append, f"after {delay}")
            far = [loop.call_later(delay, seen.append, "never") for delay in (math.inf, 1e300, 10**9, 10**300)]
            loop.call_later(0.005, loop.stop)
            loop.run_forever()
            seen = sorted(seen)
            seen += [plain(h.when() > now) for h in far]
            for wrong in ("x", None, [], 1j):
                seen.append(outcome(lambda: loop.call_later(wrong, callback), words=False))  # noqa: B023
            seen.append(outcome(lambda: loop.call_at(None, callback), words=False))
            for h in far:
                h.cancel()
        return seen

    on_both(program)


def test_nan_is_due_at_once_and_disturbs_nothing() -> None:
    with open_loop(OURS) as loop:
        called: list[Any] = []
        for n in range(20):
            loop.call_later(0.001 * n, called.append, n)
            loop.call_later(math.nan, called.append, "nan")
        loop.call_later(0.03, loop.stop)
        loop.run_forever()
        assert called == ["nan"] * 20 + list(range(20)) or sorted(c for c in called if c != "nan") == list(range(20))
        loop.call_at(Decimal("5.5"), called.append, "decimal")
        spin(loop)
        assert called[-1] == "decimal"


def test_many_cancelled_timers() -> None:
    with open_loop(OURS) as loop:
        called: list[int] = []
        for round_ in range(20):
            made = [loop.call_later(5 + n % 7, called.append, n) for n in range(500)]
            for handle in made if round_ % 2 else made[::2]:
                handle.cancel()
                handle.cancel()
                assert handle.cancelled()
        loop.call_later(0, called.append, -1)
        spin(loop)
        assert called == [-1]


def test_they_are_asyncios_to_everyone() -> None:
    with open_loop(OURS) as loop:
        soon, later = loop.call_soon(callback), loop.call_later(5, callback)
        assert type(soon) is Handle
        assert type(later) is TimerHandle
        assert isinstance(soon, asyncio.Handle)
        assert isinstance(later, asyncio.TimerHandle)
        assert isinstance(later, asyncio.Handle)
        assert not isinstance(soon, asyncio.TimerHandle)
        assert weakref.ref(later)() is later
        for action in (copy.copy, pickle.dumps):
            with pytest.raises(TypeError):
                action(soon)


def test_asyncios_handles_on_our_loop() -> None:
    with open_loop(OURS) as loop:
        called: list[int] = []
        for n, cancelled in enumerate((False, True)):
            handle = asyncio.Handle(called.append, (n,), loop)
            if cancelled:
                handle.cancel()
            loop._add_callback(handle)
            loop._add_callback_signalsafe(handle)
        timer = asyncio.TimerHandle(1, called.append, (5,), loop)
        timer.cancel()
        mine = Handle(called.append, (7,), loop)
        loop._add_callback(mine)
        spin(loop)
        assert called == [0, 0, 7]
    with open_loop(ASYNCIO) as loop:
        mine = Handle(called.append, (8,), loop)
        loop._add_callback(mine)
        timer = TimerHandle(5, called.append, (9,), loop)
        timer.cancel()
        spin(loop)
        assert called[-1] == 8


def test_contexts() -> None:
    variable = contextvars.ContextVar("variable", default="none")
    with open_loop(OURS) as loop:
        seen: list[str] = []
        context = contextvars.copy_context()
        context.run(variable.set, "given")
        for schedule in (
            loop.call_soon,
            loop.call_soon_threadsafe,
            functools.partial(loop.call_later, 0),
            functools.partial(loop.call_at, 0),
        ):
            schedule(lambda: seen.append(variable.get()))
            handle = schedule(lambda: seen.append(variable.get()), context=context)
            assert handle.get_context() is context
            schedule(lambda: seen.append(variable.get()), context=None)
        spin(loop)
        assert sorted(seen) == ["given"] * 4 + ["none"] * 8


def test_arguments_given_by_name() -> None:
    def program(side: Side) -> list[str]:
        with open_loop(side) as loop:
            return [
                outcome(lambda: type(loop.call_soon(callback=callback)) is side.Handle),
                outcome(lambda: isinstance(loop.call_soon_threadsafe(callback=callback), side.Handle)),
                outcome(lambda: type(loop.call_later(delay=0, callback=callback)) is side.TimerHandle),
                outcome(lambda: type(loop.call_later(0, callback=callback)) is side.TimerHandle),
                outcome(lambda: type(loop.call_at(when=0, callback=callback)) is side.TimerHandle),
                outcome(lambda: loop.call_soon(), words=False),
                outcome(lambda: loop.call_later(1), words=False),
                outcome(lambda: loop.call_at(), words=False),
                outcome(lambda: loop.call_soon(callback, nonsense=1), words=False),
                outcome(lambda: loop.call_soon(callback, callback=callback), words=False),
                outcome(lambda: loop.call_later(1, callback, 5, delay=1), words=False),
            ]

    on_both(program)


@pytest.mark.skipif(sys.version_info < (3, 14), reason="since 3.14")
def test_a_cancel_from_another_thread_waits_for_the_callback() -> None:
    began, ended, seen = threading.Event(), threading.Event(), []

    def slowly() -> None:
        began.set()
        time.sleep(0.1)
        ended.set()

    with open_loop(OURS) as loop:

        def elsewhere() -> None:
            handle = loop.call_soon_threadsafe(slowly)
            began.wait()
            handle.cancel()
            seen.append(ended.is_set())
            loop.call_soon_threadsafe(loop.stop)

        thread = threading.Thread(target=elsewhere)
        loop.call_soon(thread.start)
        loop.run_forever()
        thread.join()
    assert seen == [True]
