"""How a `Task` runs: what it awaits, in which context, on which loop, and how it is cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import sys
from typing import Any

import pytest
from fenshen import _fenshen
from fenshen._fenshen import Future, Task
from twins import ASYNCIO, OURS, Side, logged, on_both, open_loop, outcome, plain, sides, since_3_12, spin

since_3_11 = pytest.mark.skipif(sys.version_info < (3, 11), reason="from Python 3.11 on")


variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")


async def nothing() -> str:
    return "nothing"


async def forever() -> None:
    await asyncio.get_running_loop().create_future()


def test_bad_awaits_get_asyncios_words() -> None:
    class Yields:
        def __init__(self, what: Any) -> None:
            self.what = what

        def __await__(self) -> Any:
            return (yield self.what)

    def program(side: Side) -> list[str]:
        seen: list[str] = []

        async def catch(what: Any) -> None:
            try:
                seen.append(plain(await Yields(what)))
            except BaseException as e:
                seen.append(plain(e))

        with open_loop(side) as loop, open_loop(side) as other:
            foreign = other.create_future()
            foreign._asyncio_future_blocking = True
            for what in (None, 5, "x", (x for x in "a"), loop.create_future(), foreign, print):
                loop.run_until_complete(catch(what))

            async def itself() -> None:
                try:
                    await asyncio.current_task()  # type: ignore[misc]
                except RuntimeError as e:
                    seen.append(plain(e))

            async def others() -> None:
                try:
                    await other.create_future()
                except RuntimeError as e:
                    seen.append(plain(e))

            loop.run_until_complete(itself())
            loop.run_until_complete(others())
        return seen

    on_both(program)


def test_exceptions_of_every_kind_end_a_task() -> None:
    def program(side: Side) -> list[str]:
        seen: list[str] = []

        async def raises(e: BaseException) -> None:
            await asyncio.sleep(0)
            raise e

        with open_loop(side) as loop, logged():
            for exc in (
                ValueError("v"),
                StopIteration(5),
                StopAsyncIteration(5),
                GeneratorExit("g"),
                asyncio.CancelledError("c"),
                KeyboardInterrupt("k"),
                SystemExit(3),
                BaseException("b"),
                KeyError(),
            ):
                task = loop.create_task(raises(exc))
                seen.append(outcome(lambda: spin(loop, 3)))
                spin(loop)
                seen.append(f"{task.done()} {task.cancelled()} {outcome(task.exception)}")
        return seen

    on_both(program)


def test_the_loop_goes_on_after_an_interrupt() -> None:
    def program(side: Side) -> list[Any]:
        seen: list[Any] = []

        def interrupt(*_: Any) -> None:
            raise KeyboardInterrupt

        with open_loop(side) as loop, logged():
            future = loop.create_future()
            future.add_done_callback(interrupt)
            future.add_done_callback(lambda f: seen.append("after the done-callback"))
            future.set_result(1)
            loop.call_soon(interrupt)
            loop.call_soon(seen.append, "after the callback")
            task = loop.create_task(forever())
            for _ in range(4):
                seen.append(outcome(lambda: spin(loop, 1)))
            task.cancel()
            spin(loop)
            seen.append(task.cancelled())
        return seen

    assert "after the done-callback" in on_both(program)


def test_current_task_in_every_kind_of_callback() -> None:
    def program(side: Side) -> list[Any]:
        seen: list[Any] = []

        def look(*_: Any) -> None:
            task = asyncio.current_task()
            seen.append(task and task.get_name())

        class Looks:
            def __del__(self) -> None:
                look()

        async def main() -> None:
            loop = asyncio.get_running_loop()
            loop.call_soon(look)
            future = loop.create_future()
            future.add_done_callback(look)
            future.set_result(1)
            held = Looks()  # noqa: F841
            look()
            await asyncio.sleep(0)
            look()
            loop.call_later(0, look)
            await asyncio.create_task(child(), name="child")
            look()

        async def child() -> None:
            held = Looks()
            look()
            await asyncio.sleep(0)
            del held
            look()

        with open_loop(side) as loop:
            task = loop.create_task(main(), name="main")
            task.add_done_callback(look)
            loop.run_until_complete(task)
            seen.append(asyncio.current_task(loop))
        return seen

    on_both(program)


class Synchronous:
    """A future of somebody's own that calls its callbacks at once."""

    def __init__(self, loop: Any) -> None:
        self._asyncio_future_blocking = False
        self.loop = loop
        self.callbacks: list[Any] = []
        self.ended = False

    def get_loop(self) -> Any:
        return self.loop

    def add_done_callback(self, fn: Any, *, context: Any = None) -> None:
        self.callbacks.append(fn)

    def cancel(self, msg: Any = None) -> bool:
        return False

    def result(self) -> int:
        return 5

    def end(self) -> None:
        self.ended = True
        for fn in self.callbacks:
            fn(self)

    def __await__(self) -> Any:
        if not self.ended:
            self._asyncio_future_blocking = True
            yield self
        return self.result()


def test_a_foreign_future_that_wakes_at_once() -> None:
    def program(side: Side) -> list[Any]:
        seen: list[Any] = []

        async def wait(foreign: Any) -> None:
            seen.append(await foreign)

        async def main() -> None:
            loop = asyncio.get_running_loop()
            me = asyncio.current_task()
            inside, outside = Synchronous(loop), Synchronous(loop)
            tasks = [asyncio.ensure_future(wait(f)) for f in (inside, outside)]
            await asyncio.sleep(0)
            seen.append(outcome(inside.end, words=False))
            seen.append(asyncio.current_task() is me)
            loop.call_soon(outside.end)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            seen.append(asyncio.current_task() is me)
            seen.append([t.done() for t in tasks])
            tasks[0].cancel()
            await asyncio.sleep(0)
            inside.callbacks.clear()
            for t in tasks:
                t._log_destroy_pending = False

        with open_loop(side) as loop, logged():
            loop.run_until_complete(main())
        return seen

    on_both(program)


@pytest.mark.parametrize("mode", ["ours on theirs", "theirs on ours"])
def test_tasks_on_the_other_kind_of_loop(mode: str) -> None:
    """A task works on a loop that isn't its own kind's, contexts and all, and awaits futures of either kind."""
    run, make = (ASYNCIO, OURS) if mode == "ours on theirs" else (OURS, ASYNCIO)

    async def child(future: Any) -> Any:
        variable.set(f"{variable.get()}+")
        try:
            return await future, variable.get()
        finally:
            assert asyncio.current_task() in asyncio.all_tasks()

    async def main() -> list[Any]:
        loop = asyncio.get_running_loop()
        seen: list[Any] = []
        for kind in (ASYNCIO, OURS):
            for end in ("result", "exception", "cancel", "task cancel"):
                future = kind.Future(loop=loop)
                variable.set(end)
                task = make.Task(child(future), loop=loop, name=end)
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                assert task in asyncio.all_tasks()
                if end == "result":
                    future.set_result(1)
                elif end == "exception":
                    future.set_exception(ValueError("v"))
                else:
                    (future if end == "cancel" else task).cancel("m")
                await asyncio.wait([task])
                seen.append(outcome(task.result))
        shielded = make.Task(child(asyncio.sleep(0, "slept")), loop=loop)
        seen.append(await asyncio.gather(asyncio.shield(shielded), make.Task(nothing(), loop=loop)))
        return seen

    with open_loop(run) as loop:
        first = loop.run_until_complete(main())
    with open_loop(ASYNCIO) as loop:
        make = ASYNCIO
        assert loop.run_until_complete(main()) == first


def test_our_tasks_on_uvloop() -> None:
    uvloop = pytest.importorskip("uvloop")

    async def main() -> Any:
        loop = asyncio.get_running_loop()
        context = contextvars.copy_context()
        context.run(variable.set, "given")
        kwargs = {"context": context} if sys.version_info >= (3, 11) else {}

        async def child() -> str:
            assert asyncio.current_task() is task
            await asyncio.sleep(0.001)
            await Future(loop=loop) if False else None
            return variable.get()

        task = Task(child(), loop=loop, **kwargs)
        assert task in asyncio.all_tasks()
        future = Future(loop=loop)
        loop.call_later(0.001, future.set_result, 5)
        return await task, await future

    loop = uvloop.new_event_loop()
    assert loop.run_until_complete(main()) == ("given" if sys.version_info >= (3, 11) else "none", 5)
    loop.close()


@since_3_12
def test_eager_tasks() -> None:
    def program(side: Side) -> list[Any]:
        seen: list[Any] = []

        async def child(n: int) -> int:
            task = asyncio.current_task()
            seen.append((n, task is not None, task in asyncio.all_tasks()))
            if n == 1:
                await asyncio.sleep(0)
                seen.append("after")
            if n == 2:
                raise ValueError("v")
            if n == 3:
                raise KeyboardInterrupt
            if n == 4:
                seen.append(await side.Task(child(1), loop=task.get_loop(), eager_start=True))
            variable.set(f"child {n}")
            return n

        async def main() -> None:
            loop = asyncio.get_running_loop()
            me = asyncio.current_task()
            for n in range(5):
                try:
                    task = side.Task(child(n), loop=loop, eager_start=True, name=f"eager {n}")
                except KeyboardInterrupt:
                    seen.append("interrupted")
                    continue
                seen.append((task.done(), task.get_coro() is None, plain(task)))
                seen.append(asyncio.current_task() is me)
                await asyncio.wait([task])
                seen.append((outcome(task.result), variable.get()))
            loop.set_task_factory(asyncio.eager_task_factory)
            seen.append(type(loop.create_task(child(0))).__name__)
            loop.set_task_factory(None)

        with open_loop(side) as loop:
            loop.run_until_complete(loop.create_task(main(), name="main"))
            task_outside = side.Task(nothing(), loop=loop, eager_start=True)
            seen.append(task_outside.done())
            spin(loop)
        return seen

    on_both(program)


@since_3_11
def test_contexts() -> None:
    def program(side: Side) -> list[Any]:
        seen: list[Any] = []
        with open_loop(side) as loop:
            context = contextvars.copy_context()
            context.run(variable.set, "given")

            async def child() -> None:
                seen.append(variable.get())
                variable.set("changed")
                await asyncio.sleep(0)
                seen.append(variable.get())

            for kwargs in ({}, {"context": None}, {"context": context}):
                task = loop.create_task(child(), **kwargs)
                task.add_done_callback(lambda t: seen.append(variable.get()), context=context)
                spin(loop, 4)
            seen.append(context[variable])
            seen.append(
                outcome(lambda: side.Task(child(), loop=loop, context=context).get_context() is context)
                if hasattr(asyncio.Task, "get_context")
                else None
            )
            spin(loop, 4)
        return seen

    on_both(program)


def test_a_context_already_entered_is_an_error_that_is_told() -> None:
    if sys.version_info < (3, 11):
        return

    with open_loop(OURS) as loop, logged():
        told: list[Any] = []
        loop.set_exception_handler(lambda loop, context: told.append(context))
        context = contextvars.copy_context()
        task = loop.create_task(nothing(), context=context)
        context.run(spin, loop)
        assert not task.done()
        told.clear()  # from 3.13 on the handler is run in the task's context, and cannot be told
        task._log_destroy_pending = False
        not_one: Any = 5
        task = loop.create_task(nothing(), context=not_one)
        spin(loop)
        assert len(told) == 1
        task._log_destroy_pending = False


@sides
def test_tasks_that_await_each_other_can_be_cancelled(side: Side) -> None:
    with open_loop(side) as loop:
        tasks: list[Any] = []

        async def wait(other: int) -> None:
            await tasks[other]

        tasks += [side.Task(wait(1 - n), loop=loop) for n in range(2)]
        spin(loop)
        with contextlib.suppress(RecursionError):
            tasks[0].cancel()
        for task in tasks:
            task._log_destroy_pending = False


def test_long_chains_end_and_are_dropped() -> None:
    async def wait(task: Any) -> None:
        await task

    for end in ("result", "dropped"):
        with open_loop(OURS) as loop, logged():
            loop.set_exception_handler(lambda loop, context: None)
            task = first = loop.create_future()
            for _ in range(20000):
                task = loop.create_task(wait(task))
                task._log_destroy_pending = False
            spin(loop)
            if end == "result":
                first.set_result(None)
                loop.run_until_complete(task)
            del task, first
            gc.collect()


def test_throw_into() -> None:
    seen: list[str] = []

    async def wait(future: Any) -> None:
        try:
            await future
        except LookupError as e:
            seen.append(str(e))

    with open_loop(OURS) as loop, logged() as lines:
        future = loop.create_future()
        task = loop.create_task(wait(future))
        assert _fenshen.throw_into(task, LookupError("too early")) in (True, False)
        spin(loop)
        if not task.done():
            assert _fenshen.throw_into(task, LookupError("thrown"))
            spin(loop)
        assert task.done()
        assert len(seen) == 1
        assert not _fenshen.throw_into(task, LookupError("too late"))
        with pytest.raises(TypeError):
            _fenshen.throw_into(future, LookupError())
        assert lines == []
