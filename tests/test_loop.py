"""The loop itself: running, stopping, closing, threads, files, signals, debug mode, exceptions."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import gc
import os
import signal
import sys
import threading
import time
import warnings
from typing import Any

import pytest
from fenshen.loop import EventLoop, new_event_loop
from twins import ASYNCIO, OURS, Side, logged, on_both, open_loop, outcome, plain, spin


def callback(*args: Any) -> None:
    pass


async def coroutine_function() -> int:
    return 5


# -- States and errors ------------------------------------------------------------------------------------------------


def test_a_closed_loop() -> None:
    def program(side: Side) -> list[str]:
        loop = side.new_loop()
        future = loop.create_future()
        loop.close()
        loop.close()
        coroutine = coroutine_function()
        seen = [
            outcome(lambda: loop.call_soon(callback)),
            outcome(lambda: loop.call_later(1, callback)),
            outcome(lambda: loop.call_at(1, callback)),
            outcome(lambda: loop.call_soon_threadsafe(callback)),
            outcome(lambda: loop.create_task(coroutine)),
            outcome(lambda: loop.run_until_complete(future)),
            outcome(loop.run_forever),
            outcome(lambda: loop.run_in_executor(None, callback)),
            outcome(lambda: loop.add_reader(0, callback)),
            outcome(lambda: loop.add_writer(0, callback)),
            outcome(lambda: loop.add_signal_handler(signal.SIGUSR1, callback)),
            outcome(loop.stop),
            outcome(loop.is_closed),
            outcome(loop.is_running),
            outcome(lambda: future.set_result(1)),
            outcome(lambda: future.add_done_callback(callback)),
            outcome(lambda: loop.create_future().done()),
            outcome(lambda: plain(loop)),
        ]
        coroutine.close()
        return seen

    on_both(program)


def test_a_running_loop() -> None:
    """asyncio's words. (3.13.0's own loop forgets that it runs when it is asked to run again.)"""
    with open_loop(OURS) as loop, open_loop(OURS) as other:
        future = loop.create_future()

        def inside() -> None:
            for action, words in (
                (loop.close, "Cannot close a running event loop"),
                (loop.run_forever, "This event loop is already running"),
                (lambda: loop.run_until_complete(future), "This event loop is already running"),
                (other.run_forever, "Cannot run the event loop while another loop is running"),
            ):
                with pytest.raises(RuntimeError, match=words):
                    action()
                assert loop.is_running()
                assert asyncio.get_running_loop() is loop
            loop.stop()

        loop.call_soon(inside)
        loop.run_forever()
        assert not loop.is_running()
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()


def test_run_until_complete() -> None:
    def program(side: Side) -> list[str]:
        with open_loop(side) as loop, logged():
            seen = [
                outcome(lambda: loop.run_until_complete(coroutine_function())),
                outcome(lambda: loop.run_until_complete(5)),
                outcome(lambda: loop.run_until_complete(asyncio.sleep(0, "x"))),
            ]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                seen.append(outcome(lambda: loop.run_until_complete(coroutine_function), words=False))
            future = loop.create_future()
            loop.call_soon(loop.stop)
            seen.append(outcome(lambda: loop.run_until_complete(future)))

            async def fails() -> None:
                await asyncio.sleep(0)
                raise SystemExit(3)

            seen.append(outcome(lambda: loop.run_until_complete(fails())))
            seen.append(outcome(lambda: loop.run_until_complete(coroutine_function())))
            return seen

    on_both(program)


def test_exceptions_go_to_the_handler_as_asyncios_do() -> None:
    def fails(*args: Any) -> None:
        raise ValueError("v")

    def program(side: Side) -> list[str]:
        seen: list[str] = []
        with open_loop(side) as loop, logged() as lines:
            handlers: list[Any] = [
                lambda loop, context: seen.append(plain(sorted(context.items(), key=lambda kv: kv[0]))),
                fails,
                None,
            ]
            for handler in handlers:
                loop.set_exception_handler(handler)
                loop.call_soon(fails)
                loop.call_soon(fails, 1, "x")
                loop.call_later(0, fails)
                loop.call_soon(None)
                future = loop.create_future()
                future.add_done_callback(fails)
                future.set_result(1)
                loop.call_exception_handler({"message": "mine"})
                time.sleep(0.001)
                spin(loop)
            seen += [plain(line.splitlines()[0].split("(")[0]) for line in lines]
            seen.append(outcome(lambda: loop.set_exception_handler(5)))
            seen.append(outcome(lambda: loop.get_exception_handler()))
        return [s.replace("TimerHandle", "Handle") for s in seen if "when=" not in s]

    on_both(program)


def test_the_exception_handler_may_end_the_loop() -> None:
    def program(side: Side) -> list[str]:
        seen: list[str] = []

        def handler(loop: Any, context: Any) -> None:
            raise KeyboardInterrupt

        with open_loop(side) as loop, logged():
            loop.set_exception_handler(handler)
            loop.call_soon(lambda: 1 / 0)
            loop.call_soon(seen.append, "later")
            seen.append(outcome(lambda: spin(loop, 1)))
            seen.append(outcome(lambda: spin(loop, 1)))
        return seen

    assert "later" in on_both(program)


# -- Derived classes --------------------------------------------------------------------------------------------------


def test_derived_loops() -> None:
    seen: list[str] = []

    class Traced(EventLoop):
        def call_soon(self, callback: Any, *args: Any, context: Any = None) -> Any:
            seen.append("call_soon")
            return super().call_soon(callback, *args, context=context)

        def call_exception_handler(self, context: Any) -> None:
            seen.append("told")

        def create_future(self) -> Any:
            seen.append("create_future")
            return super().create_future()

    async def main() -> int:
        await asyncio.sleep(0)
        asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        await asyncio.sleep(0.001)
        return 5

    loop = Traced()
    assert loop.run_until_complete(main()) == 5
    loop.close()
    assert "told" in seen
    assert "create_future" in seen
    assert seen.count("call_soon") >= 4, "a task's steps too"

    class NoSuper(EventLoop):
        def __init__(self) -> None:
            pass

    bare = NoSuper()
    for name in ("run_forever", "close", "__repr__", "time", "create_future"):
        outcome(getattr(bare, name))
    with logged():
        del bare
        gc.collect()


def test_an_uninitialised_loop_does_not_crash() -> None:
    for name in dir(EventLoop):
        bare = EventLoop.__new__(EventLoop)
        if name in ("__class_getitem__", "__init_subclass__", "__subclasshook__", "run_forever", "_run", "_run_once"):
            continue
        attribute = getattr(bare, name, None)
        for args in ((), (1,), (callback,), (1, callback)):
            if callable(attribute):
                with contextlib.suppress(BaseException):
                    result = attribute(*args)
                    if asyncio.iscoroutine(result):
                        result.close()
        with contextlib.suppress(BaseException):
            bare._close()
    gc.collect()


# -- Threads ----------------------------------------------------------------------------------------------------------


def test_a_flood_from_threads_keeps_each_threads_order() -> None:
    count, threads = 5000, 8
    with open_loop(OURS) as loop:
        came: list[list[int]] = [[] for _ in range(threads)]
        left = [threads * count]

        def arrive(thread: int, n: int) -> None:
            came[thread].append(n)
            left[0] -= 1
            if not left[0]:
                loop.stop()

        def send(thread: int) -> None:
            for n in range(count):
                loop.call_soon_threadsafe(arrive, thread, n)

        senders = [threading.Thread(target=send, args=(t,)) for t in range(threads)]
        loop.call_soon(lambda: [s.start() for s in senders])
        loop.run_forever()
        for sender in senders:
            sender.join()
        assert came == [list(range(count))] * threads


def test_every_call_from_a_thread_wakes_a_waiting_loop() -> None:
    with open_loop(OURS) as loop:
        for _ in range(200):
            threading.Timer(0.0005, loop.call_soon_threadsafe, (loop.stop,)).start()
            started = time.monotonic()
            loop.run_forever()
            assert time.monotonic() - started < 30


def test_loops_in_many_threads() -> None:
    def work(n: int) -> int:
        async def main() -> int:
            total = 0
            for _ in range(50):
                await asyncio.sleep(0)
                total += await asyncio.to_thread(int, n)
                results = await asyncio.gather(*[asyncio.sleep(0, 1) for _ in range(5)])
                total += sum(results)
                assert asyncio.all_tasks() == {asyncio.current_task()}
            return total

        loop = new_event_loop()
        try:
            return loop.run_until_complete(main())
        finally:
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        assert list(pool.map(work, range(12))) == [50 * (n + 5) for n in range(12)]


def test_run_coroutine_threadsafe_and_wrap_future() -> None:
    async def main() -> list[Any]:
        loop = asyncio.get_running_loop()

        async def inner(fail: bool) -> int:
            await asyncio.sleep(0.001)
            if fail:
                raise ValueError("v")
            return 5

        def outside(fail: bool) -> int:
            return asyncio.run_coroutine_threadsafe(inner(fail), loop).result(5)

        first = await asyncio.to_thread(outside, False)
        second = await asyncio.gather(asyncio.to_thread(outside, True), return_exceptions=True)
        done: concurrent.futures.Future[int] = concurrent.futures.Future()
        threading.Timer(0.002, done.set_result, (7,)).start()
        third = await asyncio.wrap_future(done)
        pending: concurrent.futures.Future[int] = concurrent.futures.Future()
        wrapped = asyncio.wrap_future(pending)
        wrapped.cancel()
        await asyncio.sleep(0)
        return [first, plain(second), third, pending.cancelled()]

    with open_loop(OURS) as loop:
        assert loop.run_until_complete(main()) == [5, "[ValueError('v')]", 7, True]
        loop.run_until_complete(loop.shutdown_default_executor())


# -- Files and fairness -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("work", ["tasks", "callbacks"])
def test_a_busy_loop_looks_at_its_files(work: str) -> None:
    """At least once in 64 steps, or 250 us."""
    steps = [0]
    waited: list[int] = []
    with open_loop(OURS) as loop:
        readable, writable = os.pipe()

        def ready() -> None:
            os.read(readable, 1)
            waited.append(steps[0])
            if len(waited) == 20:
                loop.stop()

        def step() -> None:
            steps[0] += 1
            if steps[0] % 1000 == 0:
                steps[0] = 0
                os.write(writable, b"x")

        def again() -> None:
            step()
            loop.call_soon(again)

        async def spins() -> None:
            while True:
                step()
                await asyncio.sleep(0)

        loop.add_reader(readable, ready)
        tasks = [loop.create_task(spins()) for _ in range(3 if work == "tasks" else 0)]
        for _ in range(3 if work == "callbacks" else 0):
            loop.call_soon(again)
        loop.run_forever()
        for task in tasks:
            task.cancel()
        spin(loop, 1)
        os.close(readable)
        os.close(writable)
    # The reader is looked for within 64 steps, and runs after what was ready by then.
    assert max(waited) <= 64 + 8, waited


def test_a_file_that_is_watched_anew_while_its_events_come() -> None:
    with open_loop(OURS) as loop:
        seen: list[str] = []
        pipes = [os.pipe() for _ in range(4)]

        def first(n: int) -> None:
            seen.append(f"first {n}")
            for m, (readable, _) in enumerate(pipes):
                if m == n:
                    loop.remove_reader(readable)
                else:
                    loop.add_reader(readable, second, m)

        def second(n: int) -> None:
            seen.append(f"second {n}")
            assert loop.remove_reader(pipes[n][0])

        for n, (readable, writable) in enumerate(pipes):
            loop.add_reader(readable, first, n)
            os.write(writable, b"x")
        loop.call_later(0.02, loop.stop)
        loop.run_forever()
        assert len(seen) == 4
        assert seen[0].startswith("first")
        assert all(s.startswith("second") for s in seen[1:])
        for pipe in pipes:
            for fd in pipe:
                os.close(fd)


def test_wrong_files() -> None:
    def program(side: Side) -> list[str]:
        with open_loop(side) as loop:
            seen = []
            for wrong in (-1, 10**6, "x", None, object()):
                for name in ("add_reader", "add_writer"):
                    seen.append(outcome(lambda: getattr(loop, name)(wrong, callback), words=False))  # noqa: B023
                if wrong != 10**6:
                    seen.append(outcome(lambda: loop.remove_reader(wrong), words=False))  # noqa: B023
            return seen

    on_both(program)


# -- Debug mode -------------------------------------------------------------------------------------------------------


def test_debug_mode() -> None:
    class Unprintable:
        def __call__(self, *args: Any) -> None:
            pass

        def __repr__(self) -> str:
            raise LookupError("repr")

    def program(side: Side) -> list[str]:
        seen: list[str] = []
        with open_loop(side) as loop, logged() as lines:
            loop.set_debug(True)
            loop.slow_callback_duration = 100  # other steps are not to be slow on any machine
            coroutine = coroutine_function()
            for method, args in (
                ("call_soon", ()),
                ("call_soon_threadsafe", ()),
                ("call_later", (1,)),
                ("call_at", (1,)),
            ):
                for wrong in (coroutine, coroutine_function, 5):
                    seen.append(outcome(lambda: getattr(loop, method)(*args, wrong)))  # noqa: B023
            coroutine.close()

            async def slow() -> None:
                time.sleep(0.22)

            loop.slow_callback_duration = 0.2
            loop.call_soon(time.sleep, 0.22)
            loop.run_until_complete(slow())
            loop.slow_callback_duration = 100
            for unprintable in (Unprintable(), Unprintable()):
                future = loop.create_future()
                future.add_done_callback(unprintable)
                future.set_result(1)
                loop.call_soon(unprintable)
            spin(loop)

            def elsewhere() -> None:
                for action in (
                    lambda: loop.call_soon(callback),
                    lambda: loop.call_later(1, callback),
                    lambda: loop.call_at(1, callback),
                    lambda: future.add_done_callback(callback),
                ):
                    seen.append(outcome(action))
                loop.call_soon_threadsafe(loop.stop)

            loop.call_soon(lambda: threading.Thread(target=elsewhere).start())
            loop.run_forever()
            words = [
                line.split(" took ")[0].split(" created at ")[0] for line in map(plain, lines) if "Executing" in line
            ]
            return [*seen, *words]

    on_both(program)


def test_a_coroutine_never_awaited_is_named_with_where_it_was_made() -> None:
    with open_loop(OURS) as loop, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        loop.set_debug(True)

        async def main() -> None:
            coroutine_function()
            gc.collect()

        loop.run_until_complete(main())
        texts = [str(w.message) for w in warned]
        assert any("was never awaited" in t and "Coroutine created at" in t for t in texts)
        assert sys.get_coroutine_origin_tracking_depth() == 0


def test_the_clock() -> None:
    with open_loop(OURS) as loop:
        began, now, ended = time.monotonic(), loop.time(), time.monotonic()
        assert began - 0.1 < now < ended + 0.1
        started = loop.time()
        loop.call_later(0.02, loop.stop)
        loop.run_forever()
        assert 0.02 <= loop.time() - started < 30


def test_asynchronous_generators_are_closed() -> None:
    def program(side: Side) -> list[str]:
        seen: list[str] = []

        async def generator() -> Any:
            try:
                yield 1
                yield 2
            finally:
                await asyncio.sleep(0)
                seen.append("closed")

        async def main(keep: list[Any]) -> None:
            keep.append(generator())
            async for _ in keep[0]:
                break
            async for _ in generator():
                break
            await asyncio.sleep(0.001)

        with open_loop(side) as loop:
            keep: list[Any] = []
            loop.run_until_complete(main(keep))
            gc.collect()
            loop.run_until_complete(loop.shutdown_asyncgens())
            seen.append(str(sys.get_asyncgen_hooks()))
        return seen

    assert on_both(program).count("closed") == 2


def test_closing_in_a_callback_is_refused_and_in_a_finaliser_is_not() -> None:
    class Closer:
        def __init__(self, loop: Any) -> None:
            self.loop = loop

        def __call__(self) -> None:
            pass

        def __del__(self) -> None:
            self.loop.close()
            with contextlib.suppress(RuntimeError):
                self.loop.call_soon(callback)

    for side in (ASYNCIO, OURS):
        loop = side.new_loop()
        loop.call_later(5, Closer(loop))
        loop.call_soon(Closer(loop))
        loop.call_soon_threadsafe(Closer(loop))
        future = loop.create_future()
        future.add_done_callback(functools.partial(callback, Closer(loop)))
        future.set_result(1)
        del future
        loop.close()
        assert loop.is_closed()
        del loop
        gc.collect()
