"""Faults that were found and mended once, each by the name of what went wrong."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import time
from typing import Any

import fenshen
import pytest
from fenshen import _fenshen
from fenshen._fenshen import Task
from twins import OURS, logged, open_loop, spin


def test_a_handle_run_from_within_its_own_callback_freed_its_arguments() -> None:
    class Target:
        handle: Any = None
        calls = 0

        def method(self, *args: Any) -> None:
            self.calls += 1
            if self.calls == 1:
                self.handle._run()

    with open_loop(OURS) as loop, logged():
        loop.set_exception_handler(lambda loop, context: None)
        for _ in range(50):
            target = Target()
            target.handle = loop.call_soon(target.method, object())
            spin(loop)
            assert target.calls == 1
        gc.collect()


def test_a_task_initialised_anew_in_its_own_step_wrote_to_a_freed_context() -> None:
    async def other() -> int:
        return 2

    with open_loop(OURS) as loop, logged():
        held: list[Any] = []

        async def itself() -> None:
            Task.__init__(held[0], other(), loop=loop)
            gc.collect()
            await asyncio.sleep(0)

        for _ in range(8):
            held[:] = [Task(itself(), loop=loop)]
            spin(loop, 4)
            assert held[0].done()


def test_timers_compared_by_something_that_cancels_them_were_read_after_they_were_freed() -> None:
    held: list[Any] = []

    class Meddler:
        def __eq__(self, other: object) -> bool:
            for handle in held:
                handle.cancel()
            held.clear()
            return NotImplemented

        def __call__(self) -> None:
            pass

        __hash__ = None  # type: ignore[assignment]

    with open_loop(OURS) as loop:
        for _ in range(100):
            held[:] = [loop.call_at(5, Meddler()) for _ in range(2)]
            first, second = held
            assert first != second


def test_cancelling_one_of_two_tasks_that_await_each_other_overflowed_the_stack() -> None:
    with open_loop(OURS) as loop:
        tasks: list[Any] = []

        async def wait(other: int) -> None:
            await tasks[other]

        tasks += [loop.create_task(wait(1 - n)) for n in range(2)]
        spin(loop)
        with contextlib.suppress(RecursionError):
            tasks[0].cancel()
        for task in tasks:
            task._log_destroy_pending = False


def test_a_callable_without_a_repr_ended_the_loop_in_debug_mode() -> None:
    called: list[int] = []

    class Unprintable:
        def __call__(self, *args: Any) -> None:
            called.append(1)

        def __repr__(self) -> str:
            raise LookupError("repr")

    with open_loop(OURS) as loop:
        loop.set_debug(True)
        future = loop.create_future()
        future.add_done_callback(Unprintable())
        future.set_result(1)
        loop.call_soon(Unprintable())
        spin(loop)
    assert called == [1, 1]


def test_an_exception_thrown_into_a_ready_task_stepped_it_twice() -> None:
    async def main() -> None:
        with contextlib.suppress(LookupError):
            await asyncio.sleep(0)

    with open_loop(OURS) as loop, logged() as lines:
        task = loop.create_task(main())
        spin(loop, 1)
        assert not _fenshen.throw_into(task, LookupError())
        spin(loop)
        assert task.done()
        assert lines == []


def test_a_comparison_that_ended_a_future_lost_its_other_callbacks() -> None:
    class Ends:
        def __eq__(self, other: object) -> bool:
            future.done() or future.set_result(5)
            return False

        __hash__ = None  # type: ignore[assignment]

    async def wait() -> int:
        return await future

    with open_loop(OURS) as loop:
        future = loop.create_future()
        task = loop.create_task(wait())
        spin(loop)
        future.remove_done_callback(Ends())
        assert loop.run_until_complete(asyncio.wait_for(task, 5)) == 5


def test_a_loop_that_was_told_to_stop_did_not_look_at_its_files() -> None:
    """Many a tear-down counts on it: what is ready when a loop stops has been handled when it has stopped."""

    async def main(seen: list[bytes]) -> None:
        accepted = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            accepted.set()
            seen.append(await reader.read())
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"x")
        await accepted.wait()
        writer.close()
        await asyncio.sleep(0)
        time.sleep(0.05)  # by now the end has arrived
        for _ in range(3):
            await asyncio.sleep(0)
        server.close()

    for make in (fenshen.new_event_loop, asyncio.SelectorEventLoop):
        with contextlib.closing(make()) as loop:
            seen: list[bytes] = []
            loop.run_until_complete(main(seen))
            loop.call_soon(loop.stop)
            loop.run_forever()
            assert seen == [b"x"]
            loop.run_until_complete(asyncio.sleep(0.01))


def test_a_watched_socket_that_was_closed_could_not_be_let_go() -> None:
    for make in (fenshen.new_event_loop, asyncio.SelectorEventLoop):
        with contextlib.closing(make()) as loop:
            for add, remove in ((loop.add_reader, loop.remove_reader), (loop.add_writer, loop.remove_writer)):
                a, b = socket.socketpair()
                add(a, print)
                a.close()
                b.close()
                assert remove(a)
                with pytest.raises(ValueError, match="Invalid file"):
                    remove(a)
