"""A loop that nothing can wake: an error when that is certain, silence while something may still come."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import fenshen
import pytest
from commands import RUN, Outcome, end, killed_when_it_says, needs_native, run, start

pytestmark = needs_native


def outcome(folder: Path, source: str, *options: str, **env: str) -> Outcome:
    (folder / "app.py").write_text(textwrap.dedent(source))
    return run([*RUN, *options, "app.py"], cwd=folder, **env)


def is_error(ended: Outcome, *texts: str) -> None:
    assert ended.status == 1, ended
    assert "\nfenshen.DeadlockError: " in ended.err, ended.err
    for text in texts:
        assert text in ended.err


def is_fine(ended: Outcome, out: str = "done\n") -> None:
    assert ended == Outcome(0, out, "")


# -- Certain ----------------------------------------------------------------------------------------------------------


def test_event_that_nobody_sets(tmp_path: Path) -> None:
    ended = outcome(
        tmp_path,
        """
        import asyncio
        async def inner(event):
            await event.wait()
        async def main():
            await inner(asyncio.Event())
        asyncio.run(main())
        """,
    )
    is_error(ended, "Task-1 (main) waits on <", "Event", "app.py:6 in main", "app.py:4 in inner", "await inner(")


def test_two_locks_in_a_ring(tmp_path: Path) -> None:
    ended = outcome(
        tmp_path,
        """
        import asyncio
        async def both(first, second):
            async with first:
                await asyncio.sleep(0.01)
                async with second:
                    pass
        async def main():
            a, b = asyncio.Lock(), asyncio.Lock()
            await asyncio.gather(asyncio.create_task(both(a, b), name="left"), asyncio.create_task(both(b, a), name="right"))
        try:
            asyncio.run(main())
        except RuntimeError as e:
            print(type(e).__name__, [t.name for t in e.tasks], sorted(t.name for t in e.cycle))
            print(all("Lock" in t.waits_on and "app.py:6 in both" in t.stack for t in e.cycle))
        """,  # noqa: E501
    )
    names = "['Task-1 (main)', 'left (both)', 'right (both)'] ['left (both)', 'right (both)']"
    is_fine(ended, f"DeadlockError {names}\nTrue\n")


def test_two_tasks_wait_for_each_other(tmp_path: Path) -> None:
    ended = outcome(
        tmp_path,
        """
        import asyncio
        tasks = {}
        async def wait_for(name):
            await asyncio.sleep(0)
            await tasks[name]
        async def main():
            for name, other in ("one", "two"), ("two", "one"):
                tasks[name] = asyncio.create_task(wait_for(other), name=name)
            await asyncio.wait(tasks.values())
        asyncio.run(main())
        """,
    )
    is_error(ended, "one (wait_for) waits on task two (wait_for)", "in a ring: one (wait_for) -> two (wait_for) -> one")


def test_queues_that_nobody_fills(tmp_path: Path) -> None:
    ended = outcome(
        tmp_path,
        """
        import asyncio
        async def pass_on(source, target):
            while True:
                await target.put(await source.get())
        async def main():
            a, b = asyncio.Queue(), asyncio.Queue()
            await asyncio.gather(pass_on(a, b), pass_on(b, a))
        asyncio.run(main())
        """,
    )
    is_error(ended, "Task-2 (pass_on) waits on <Queue", "Task-3 (pass_on) waits on <Queue", "app.py:5 in pass_on")


@pytest.mark.parametrize("what", ["loop.create_future()", "asyncio.gather(wait(), wait())"])
def test_a_future_is_what_the_program_runs(tmp_path: Path, what: str) -> None:
    ended = outcome(
        tmp_path,
        f"""
        import asyncio
        async def wait():
            await asyncio.Event().wait()
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        loop.run_until_complete({what.replace("wait()", "loop.create_task(wait())")})
        """,
    )
    assert ended.status == 1
    assert "fenshen.DeadlockError: nothing can wake the event loop any more, and what the program runs" in ended.err


def test_idle_workers_of_executors(tmp_path: Path) -> None:
    ended = outcome(
        tmp_path,
        """
        import asyncio, concurrent.futures
        async def main():
            with concurrent.futures.ThreadPoolExecutor(3) as pool:
                list(pool.map(abs, range(30)))
                await asyncio.gather(*(asyncio.to_thread(pow, 2, i) for i in range(5)))
                await asyncio.Event().wait()
        asyncio.run(main())
        """,
    )
    is_error(ended)


def test_a_caught_error_lets_the_program_go_on(tmp_path: Path) -> None:
    ended = outcome(
        tmp_path,
        """
        import asyncio, fenshen
        async def main():
            event = asyncio.Event()
            try:
                await event.wait()
            except fenshen.DeadlockError:
                print("caught")
            await asyncio.sleep(0.1)
            asyncio.get_running_loop().call_later(0.2, event.set)
            await event.wait()
            print("done")
        asyncio.run(main())
        """,
    )
    is_fine(ended, "caught\ndone\n")


def test_the_second_time_is_a_report(tmp_path: Path) -> None:
    program = """
        import asyncio, fenshen
        async def main():
            while True:
                try:
                    await asyncio.Event().wait()
                except fenshen.DeadlockError:
                    print("caught", flush=True)
        asyncio.run(main())
        """
    out, err = killed_after(tmp_path, program, 1.5)
    assert out == "caught\n"
    assert err.count("fenshen: nothing can wake the event loop any more") == 1


def test_the_end_of_a_thread_that_left_it_open(tmp_path: Path) -> None:
    ended = outcome(
        tmp_path,
        """
        import asyncio, threading, time
        threading.Thread(target=time.sleep, args=(0.7,)).start()
        asyncio.run(asyncio.Event().wait())
        """,
    )
    is_error(ended)


def test_tasks_in_a_ring_can_be_cancelled(tmp_path: Path) -> None:
    ended = outcome(
        tmp_path,
        """
        import asyncio
        tasks = []
        async def wait_for(n):
            await asyncio.sleep(0)
            await tasks[n]
        async def main(size):
            tasks[:] = [asyncio.create_task(wait_for((n + 1) % size)) for n in range(size)]
            await asyncio.sleep(0.01)
            tasks[0].cancel("enough")
            await asyncio.wait(tasks)
            print(size, all(t.cancelled() for t in tasks))
        for size in 2, 3, 100:
            asyncio.run(main(size))
        """,
    )
    is_fine(ended, "2 True\n3 True\n100 True\n")


def test_a_long_chain_is_cancelled_or_refused(tmp_path: Path) -> None:
    ended = outcome(
        tmp_path,
        """
        import asyncio
        async def wait_for(task):
            await task
        async def main():
            task = asyncio.create_task(asyncio.sleep(60))
            for _ in range(30000):
                task = asyncio.create_task(wait_for(task))
            await asyncio.sleep(0.01)
            try:
                task.cancel()
            except RecursionError:
                pass
            print("done", flush=True)
        asyncio.new_event_loop().run_until_complete(main())
        import os; os._exit(0)
        """,
    )
    is_fine(ended)


def test_pickles() -> None:
    error = pickle.loads(pickle.dumps(fenshen.DeadlockError("text", [("a", "b", ["c"])], [])))
    assert (str(error), error.tasks, error.cycle) == ("text", [("a", "b", ["c"])], [])
    assert isinstance(error, RuntimeError)
    assert fenshen.DeadlockError().tasks == []


# -- Something may still come -----------------------------------------------------------------------------------------

WAKERS = {
    "timer": "asyncio.get_running_loop().call_later(0.4, event.set)",
    "timer thread": "threading.Timer(0.4, call, (event.set,)).start()",
    "job": "asyncio.get_running_loop().run_in_executor(None, lambda: (time.sleep(0.4), call(event.set)))",
    "queued job": """
            pool = concurrent.futures.ThreadPoolExecutor(1)
            pool.submit(time.sleep, 0.3)
            pool.submit(call, event.set)
            """,
    "SIGTERM, loop's handler": """
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, event.set)
            shell("sleep 0.4; kill -TERM $PPID")
            """,
    "SIGTERM, Python handler": """
            signal.signal(signal.SIGTERM, lambda *_: call(event.set))
            shell("sleep 0.4; kill -TERM $PPID")
            """,
    "SIGTERM, sent by a stranger": """
            signal.signal(signal.SIGTERM, lambda *_: call(event.set))
            shell("(sleep 0.4; kill -TERM %d) & exit" % os.getpid()).wait()
            """,
    "subprocess": """
            process = await asyncio.create_subprocess_exec("sleep", "0.4")
            await process.wait()
            event.set()
            """,
    "subprocess in a thread": """
            process = subprocess.Popen(["sleep", "0.4"])
            threading.Thread(target=lambda: (process.wait(), call(event.set)), daemon=True).start()
            """,
    "reader": """
            process = shell("sleep 0.4; echo")
            asyncio.get_running_loop().add_reader(process.stdout.fileno(), event.set)
            """,
    "C thread": """
            libc = ctypes.CDLL(None)
            # libc's own thread waits for the time, and makes another, which enters the interpreter.
            kept.append(FUNCTION(lambda _: call(event.set)))
            number = ctypes.c_ulong()
            assert libc.timer_create(1, ctypes.byref(Event(0, 0, 2, kept[0])), ctypes.byref(number)) == 0
            assert libc.timer_settime(number, 0, (ctypes.c_long * 4)(0, 0, 3, 0), None) == 0
            """,
    "C thread that sleeps": """
            libc = ctypes.CDLL(None)
            # It runs C's sleep() and nothing else.
            threads.append(ctypes.c_ulong())
            libc.pthread_create(ctypes.byref(threads[0]), None, ctypes.cast(libc.sleep, ctypes.c_void_p), 1)
            asyncio.get_running_loop().call_later(0.8, event.set)
            """,
}

PROGRAM = """
import asyncio, concurrent.futures, ctypes, os, signal, subprocess, threading, time

kept, threads = [], []
FUNCTION = ctypes.CFUNCTYPE(None, ctypes.c_void_p)

class Event(ctypes.Structure):
    _fields_ = [("value", ctypes.c_void_p), ("signal", ctypes.c_int), ("kind", ctypes.c_int),
                ("function", FUNCTION), ("rest", ctypes.c_char * 64)]

def shell(text):
    return subprocess.Popen(text, shell=True, stdout=subprocess.PIPE)

async def main():
    loop = asyncio.get_running_loop()
    call = loop.call_soon_threadsafe
    event = asyncio.Event()
    {}
    await event.wait()
    print("done")

asyncio.run(main())
"""


@pytest.mark.parametrize("name", WAKERS)
def test_silent_while_something_may_come(tmp_path: Path, name: str) -> None:
    body = textwrap.indent(textwrap.dedent(WAKERS[name]), "    ").strip()
    is_fine(outcome(tmp_path, PROGRAM.format(body)))


@pytest.mark.parametrize("what", ["server", "signal", "forever"])
def test_what_waits_for_ever_is_silent_and_asleep(tmp_path: Path, what: str) -> None:
    program = """
        import asyncio, signal
        async def main(what):
            loop = asyncio.get_running_loop()
            if what == "server":
                server = await asyncio.start_server(print, "127.0.0.1", 0)
                await server.serve_forever()
            loop.add_signal_handler(signal.SIGTERM, loop.stop)
            await asyncio.Event().wait()
        if what == "forever":
            loop = asyncio.new_event_loop()
            task = loop.create_task(asyncio.Event().wait())
            loop.run_forever()
        asyncio.run(main(what))
        """
    source = f"what = {what!r}\n" + textwrap.dedent(program)
    (tmp_path / "app.py").write_text(source)
    process = start([*RUN, "app.py"], cwd=tmp_path)
    time.sleep(1)
    limit = time.monotonic() + 60  # for its beginning
    while True:
        before = switches(process.pid)
        time.sleep(1.5)
        if switches(process.pid) == before:
            break
        assert time.monotonic() < limit
    os.kill(process.pid, signal.SIGKILL)
    ended = end(process)
    assert ended.out + ended.err == ""


def switches(pid: int) -> list[str]:
    """How often the main thread has run."""
    lines = Path(f"/proc/{pid}/task/{pid}/status").read_text().splitlines()
    return [line for line in lines if "voluntary_ctxt_switches" in line]


def started(folder: Path, source: str, *options: str, **env: str) -> subprocess.Popen[str]:
    (folder / "app.py").write_text(textwrap.dedent(source))
    return start([*RUN, *options, "app.py"], cwd=folder, **env)


def killed_after(folder: Path, source: str, seconds: float, *options: str, **env: str) -> tuple[str, str]:
    process = started(folder, source, *options, **env)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(seconds)
    os.kill(process.pid, signal.SIGKILL)
    ended = end(process)
    return ended.out, ended.err


# -- Modes ------------------------------------------------------------------------------------------------------------

STALLED = "import asyncio\nasyncio.run(asyncio.Event().wait())"


def test_report(tmp_path: Path) -> None:
    _, _, err = killed_when_it_says("nothing can wake", started(tmp_path, STALLED, "--deadlock=report"))
    assert err.startswith("fenshen: nothing can wake the event loop any more, and the main task waits:\n")
    assert err.count("fenshen:") == 1
    assert "DeadlockError" not in err


@pytest.mark.parametrize("way", ["option", "quiet", "library"])
def test_silent(tmp_path: Path, way: str) -> None:
    if way == "option":
        said = killed_after(tmp_path, STALLED, 0.8, "--deadlock=off")
    elif way == "quiet":
        said = killed_after(tmp_path, STALLED, 0.8, "--deadlock=report", FENSHEN_QUIET="1")
    else:
        source = "import fenshen\nfenshen.install()\n" + STALLED
        (tmp_path / "app.py").write_text(source)
        process = start([sys.executable, "app.py"], cwd=tmp_path)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.8)
        os.kill(process.pid, signal.SIGKILL)
        said = end(process)[1:]
    assert said == ("", "")


def test_library(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import fenshen\nfenshen.install(deadlock='raise')\n" + STALLED)
    is_error(run([sys.executable, "app.py"], cwd=tmp_path))


def test_a_thread_that_waits_for_ever_wakes_nobody(tmp_path: Path) -> None:
    program = """
        import asyncio, threading
        threading.Thread(target=threading.Event().wait, name="stranger", daemon=True).start()
        asyncio.run(asyncio.Event().wait())
        """
    (tmp_path / "app.py").write_text(textwrap.dedent(program))
    is_error(run([*RUN, "app.py"], cwd=tmp_path))


def test_doubt_becomes_a_report(tmp_path: Path) -> None:
    program = """
        import asyncio, threading, time
        threading.Thread(target=time.sleep, args=(60,), name="stranger", daemon=True).start()
        asyncio.run(asyncio.Event().wait())
        """
    _, _, err = killed_when_it_says("can wake the event loop", started(tmp_path, program))
    assert err.startswith("fenshen: only another thread (stranger) can wake the event loop, idle for ")
    assert err.count("fenshen:") == 1
    assert "DeadlockError" not in err
