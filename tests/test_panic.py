"""A panic in Rust becomes a Python exception, and the loop can still be used and closed."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
from typing import Any

import pytest
from fenshen._fenshen import Task, panic_for_test
from fenshen.loop import new_event_loop
from twins import logged, spin

panics = functools.partial(panic_for_test, "a test of the wall")


@pytest.fixture
def loop() -> Any:
    loop = new_event_loop()
    yield loop
    assert loop.run_until_complete(asyncio.sleep(0, "still runs")) == "still runs"
    loop.close()
    assert loop.is_closed()


def is_panic(exc: BaseException | None) -> bool:
    return type(exc).__name__ == "PanicException" and "a test of the wall" in str(exc)


def test_called_directly() -> None:
    with pytest.raises(BaseException, match="a test of the wall") as caught:
        panics()
    assert is_panic(caught.value)
    assert not isinstance(caught.value, Exception)


@pytest.mark.parametrize("where", ["call_soon", "call_later", "call_soon_threadsafe", "done-callback", "reader"])
def test_in_a_callback(loop: Any, where: str) -> None:
    told: list[Any] = []
    loop.set_exception_handler(lambda loop, context: told.append(context))
    after: list[int] = []
    readable, writable = os.pipe()
    if where == "call_soon":
        loop.call_soon(panics)
    elif where == "call_later":
        loop.call_later(0, panics)
    elif where == "call_soon_threadsafe":
        loop.call_soon_threadsafe(panics)
    elif where == "reader":
        loop.add_reader(readable, lambda: (loop.remove_reader(readable), panics()))
        os.write(writable, b"x")
    else:
        future = loop.create_future()
        future.add_done_callback(lambda f: panics())
        future.add_done_callback(lambda f: after.append(1))
        future.set_result(None)
    loop.call_soon(after.append, 2)
    raised = []
    for _ in range(5):
        try:
            spin(loop, 1)
        except BaseException as e:
            raised.append(e)
    os.close(readable)
    os.close(writable)
    assert all(is_panic(e) for e in [*raised, *(c["exception"] for c in told)])
    assert len(raised) + len(told) == 1
    assert after == ([1, 2] if where == "done-callback" else [2])


def test_in_a_task(loop: Any) -> None:
    async def main() -> None:
        await asyncio.sleep(0)
        panics()

    task = loop.create_task(main())
    with pytest.raises(BaseException, match="a test of the wall"):
        loop.run_until_complete(task)
    assert task.done()
    assert is_panic(task.exception())


def test_in_a_task_on_another_loop() -> None:
    async def main() -> None:
        panics()

    loop = asyncio.SelectorEventLoop()
    task = Task(main(), loop=loop)
    with pytest.raises(BaseException, match="a test of the wall"):
        loop.run_until_complete(task)
    loop.close()


def test_in_the_exception_handler(loop: Any) -> None:
    loop.set_exception_handler(lambda loop, context: panics())
    loop.call_soon(lambda: 1 / 0)
    called: list[int] = []
    loop.call_soon(called.append, 1)
    with logged():
        for _ in range(3):
            with contextlib.suppress(BaseException):
                spin(loop, 1)
    assert called == [1]
    loop.set_exception_handler(None)


def test_in_a_task_factory(loop: Any) -> None:
    loop.set_task_factory(lambda loop, coro, **kw: (coro.close(), panics()))
    with pytest.raises(BaseException, match="a test of the wall"):
        loop.create_task(asyncio.sleep(0))
    loop.set_task_factory(None)
