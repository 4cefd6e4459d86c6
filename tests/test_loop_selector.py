"""A program that picks a selector has a loop that uses it."""

from __future__ import annotations

import asyncio
import selectors
import sys

import pytest
from commands import RUN, end, needs_native, start
from fenshen.loop import EventLoop

pytestmark = needs_native


class Counted(selectors.DefaultSelector):
    """Counts how often it is asked."""

    asked = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.asked += 1
        return super().select(timeout)


@pytest.mark.parametrize("keyword", [False, True])
def test_asyncios_loop_is_made_of_a_selector(keyword: bool) -> None:
    selector = Counted()
    loop = EventLoop(selector=selector) if keyword else EventLoop(selector)
    try:
        assert isinstance(loop, asyncio.SelectorEventLoop)
        assert loop.run_until_complete(asyncio.sleep(0, "done")) == "done"
    finally:
        loop.close()
    assert selector.asked > 0


def test_no_selector_is_ours() -> None:
    for loop in (EventLoop(), EventLoop(None), EventLoop(selector=None)):
        assert type(loop) is EventLoop
        loop.close()


def test_a_derived_class_takes_none() -> None:
    class Derived(EventLoop):
        def __init__(self, number: int) -> None:
            super().__init__(selectors.DefaultSelector() if number else None)

    with pytest.raises(TypeError, match="takes no selector"):
        Derived(1)
    Derived(0).close()


@pytest.mark.skipif(sys.version_info < (3, 13), reason="asyncio.EventLoop is of 3.13")
def test_a_loop_factory_with_a_selector_under_run() -> None:
    program = (
        "import asyncio, selectors\n"
        "factory = lambda: asyncio.EventLoop(selectors.SelectSelector())\n"
        "print(asyncio.run(asyncio.sleep(0, 'done'), loop_factory=factory))\n"
    )
    outcome = end(start([*RUN, "-c", program]))
    assert (outcome.status, outcome.out) == (0, "done\n"), outcome.err
