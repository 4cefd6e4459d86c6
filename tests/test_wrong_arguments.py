"""A call with wrong arguments is refused in the words of the standard library, whose methods are made in Python."""

from __future__ import annotations

import asyncio
import concurrent.futures
import multiprocessing
import queue
import threading
from collections.abc import Callable
from typing import Any

import fenshen.futures
import fenshen.multiprocessing
import fenshen.queue
import fenshen.threading
import pytest
from commands import PYTHON, RUN, end, needs_native, start
from fenshen import asyncio as ours

pytestmark = needs_native

Call = Callable[[Any], Any]


def _refusal(call: Call, module: Any) -> str:
    with pytest.raises((TypeError, AttributeError)) as caught:
        call(module)
    return f"{type(caught.value).__name__}: {caught.value}"


IN_QUEUE: list[Call] = [
    lambda m: m.Queue(1, 2),
    lambda m: m.Queue(maxsize=1, size=2),
    lambda m: m.Queue(1, maxsize=2),
    lambda m: m.Queue().put(),
    lambda m: m.Queue().put(1, item=2),
    lambda m: m.Queue().get(1, 2, 3),
    lambda m: m.Queue().put_nowait(),
    lambda m: list(m.Queue()),
    lambda m: len(m.LifoQueue()),
    lambda m: m.PriorityQueue().top,
]
IN_THREADING: list[Call] = [
    lambda m: m.Event(3),
    lambda m: m.Event().wait(1, 2),
    lambda m: m.Barrier(),
    lambda m: m.Barrier(1).wait(1, 2),
    lambda m: m.Condition(1, 2, 3),
    lambda m: m.Condition().wait_for(),
    lambda m: m.Semaphore(1, 2),
    lambda m: m.Semaphore().acquire(1, 2, 3),
]
IN_FUTURES: list[Call] = [
    lambda m: m.Future().result(1, 2),
    lambda m: m.Future().set_result(),
    lambda m: m.Future().add_done_callback(),
    lambda m: m.Future().value,
]
IN_MULTIPROCESSING: list[Call] = [
    lambda m: m.Queue().put(),
    lambda m: m.Queue().get(1, 2, 3),
    lambda m: m.Event().wait(1, 2),
    lambda m: m.Condition().notify(1, 2),
    lambda m: m.Pipe()[0].send_bytes(),
    lambda m: m.Pipe()[0].recv_bytes(1, 2),
    lambda m: m.Pipe()[0].poll(1, 2),
]
IN_ASYNCIO: list[Call] = [
    lambda m: m.Queue(1, 2),
    lambda m: m.Queue().put(),
    lambda m: m.Lock(1),
    lambda m: m.Semaphore(1, 2),
    lambda m: m.Condition().wait_for(),
    lambda m: m.StreamReader(1, 2, 3),
    lambda m: m.StreamReader().readexactly(),
    lambda m: asyncio.get_running_loop().call_soon(),  # type: ignore[call-arg]
    lambda m: asyncio.get_running_loop().call_later(),  # type: ignore[call-arg]
    lambda m: asyncio.get_running_loop().create_task(),  # type: ignore[call-arg]
]


@pytest.mark.parametrize("number", range(len(IN_QUEUE)))
def test_queues(number: int) -> None:
    assert _refusal(IN_QUEUE[number], fenshen.queue) == _refusal(IN_QUEUE[number], queue)


@pytest.mark.parametrize("number", range(len(IN_THREADING)))
def test_threading(number: int) -> None:
    assert _refusal(IN_THREADING[number], fenshen.threading) == _refusal(IN_THREADING[number], threading)


@pytest.mark.parametrize("number", range(len(IN_FUTURES)))
def test_futures(number: int) -> None:
    assert _refusal(IN_FUTURES[number], fenshen.futures) == _refusal(IN_FUTURES[number], concurrent.futures)


@pytest.mark.parametrize("number", range(len(IN_MULTIPROCESSING)))
def test_multiprocessing(number: int) -> None:
    call = IN_MULTIPROCESSING[number]
    assert _refusal(call, fenshen.multiprocessing) == _refusal(call, multiprocessing)


@pytest.mark.parametrize("number", range(len(IN_ASYNCIO)))
def test_asyncio(number: int) -> None:
    async def on(module: Any) -> str:
        return _refusal(IN_ASYNCIO[number], module)

    loop = asyncio.SelectorEventLoop()
    try:
        expected = loop.run_until_complete(on(asyncio))
    finally:
        loop.close()
    assert fenshen.run(on(ours)) == expected


PROGRAM = """
import multiprocessing
from inspect import signature

for name in ("Queue", "JoinableQueue", "SimpleQueue"):
    make = getattr(multiprocessing, name)
    print(name, signature(make))
    try:
        make(1, 2)
    except TypeError as error:
        print(error)
"""


def test_what_makes_multiprocessings_queues() -> None:
    plain, run = (end(start([*command, "-c", PROGRAM])) for command in (PYTHON, RUN))
    assert plain.out.count("positional argument") == 3
    assert run == plain
