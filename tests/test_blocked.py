"""The step that blocks a loop is named, while it still does; nothing else of the program changes."""

from __future__ import annotations

import os
import re
import sys
import textwrap
from pathlib import Path

import pytest
from commands import RUN, Outcome, needs_native, run

pytestmark = needs_native

HEAD = """
import asyncio, os, re, signal, subprocess, sys, threading, time

def spin(seconds):
    # Of the processor's time: what other processes take of it is not the step's fault.
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass

def backtrack():
    # Each further letter doubles the time that C code holds the interpreter.
    for letters in range(18, 40):
        start = time.perf_counter()
        re.match("(a+)+$", "a" * letters + "b")
        if time.perf_counter() - start > 0.25:
            return

"""

# The line on which a program's own text begins.
FIRST = HEAD.count("\n") + 1


def outcome(folder: Path, source: str, *flags: str, start: list[str] = RUN, **env: str) -> Outcome:
    (folder / "app.py").write_text(HEAD + textwrap.dedent(source).lstrip("\n"))
    return run([*start, *flags, "app.py"], cwd=folder, **env)


def lines(ended: Outcome, status: int = 0) -> list[str]:
    assert ended.status == status, ended
    found = ended.err.splitlines()
    assert all(line.startswith("fenshen: ") for line in found), ended.err
    return found


def only(ended: Outcome) -> str:
    (line,) = lines(ended)
    return line


# -- What is named ----------------------------------------------------------------------------------------------------


def test_line(tmp_path: Path) -> None:
    ended = outcome(
        tmp_path,
        """
        def parse():
            spin(0.3)
        async def fetch():
            parse()
        async def main():
            await asyncio.create_task(fetch())
        asyncio.run(main())
        """,
    )
    pattern = (
        r"fenshen: Task-2 \(fetch\) has held the loop for \d\.\d\d s at app\.py:\d+ in spin "
        rf"\(called from app\.py:{FIRST + 1} in parse, app\.py:{FIRST + 3} in fetch\)"
    )
    assert re.fullmatch(pattern, only(ended))


def test_while_c_code_holds_the_interpreter(tmp_path: Path) -> None:
    line = only(outcome(tmp_path, "async def main(): backtrack()\nasyncio.run(main())"))
    assert re.search(r"Task-1 \(main\) has held .* in match \(called from app\.py:\d+ in backtrack, ", line)


@pytest.mark.parametrize(
    "step",
    ["time.sleep(0.3)", "spin(0.3)", "sorted(range(3_000_000), key=lambda n: -n)", "subprocess.run(['sleep', '0.3'])"],
)
def test_other_ways_of_blocking(tmp_path: Path, step: str) -> None:
    line = only(outcome(tmp_path, f"async def main(): {step}\nasyncio.run(main())"))
    assert "Task-1 (main) has held the loop for 0." in line
    assert f"app.py:{FIRST} in main" in line


def test_said_while_it_is_stuck(tmp_path: Path) -> None:
    ended = outcome(
        tmp_path,
        """
        async def main():
            time.sleep(0.3)
            os.write(2, b"fenshen: it goes on\\n")
        asyncio.run(main())
        """,
    )
    first, second = lines(ended)
    assert (" in main" in first, second) == (True, "fenshen: it goes on")


def test_two_culprits(tmp_path: Path) -> None:
    ended = outcome(
        tmp_path,
        """
        async def one(): spin(0.25)
        async def two(): time.sleep(0.25)
        async def main():
            await asyncio.gather(one(), two())
        asyncio.run(main())
        """,
    )
    first, second = lines(ended)
    assert "Task-2 (one) " in first
    assert "Task-3 (two) " in second


def test_names(tmp_path: Path) -> None:
    ended = outcome(
        tmp_path,
        """
        async def 読む(): time.sleep(0.25)
        async def slow(): time.sleep(0.25)
        async def main():
            await asyncio.create_task(読む(), name="分身\\n\\u00e9 \\U0001f600")
            task = asyncio.create_task(slow())
            task.set_name("x" * 1000)
            await task
        asyncio.run(main())
        """,
    )
    first, second = lines(ended)
    assert first.startswith("fenshen: 分身 é 😀 (読む) has held the loop for 0.")
    assert first.endswith(" in 読む")
    assert second.startswith("fenshen: " + "x" * 80 + " (slow) has held")


def test_callbacks(tmp_path: Path) -> None:
    ended = outcome(
        tmp_path,
        """
        def tick(): time.sleep(0.25)
        def finished(_): time.sleep(0.25)
        async def main():
            loop = asyncio.get_running_loop()
            loop.call_soon(tick)
            await asyncio.sleep(0)
            future = loop.create_future()
            future.add_done_callback(finished)
            future.set_result(None)
            await asyncio.sleep(0)
            loop.call_soon(time.sleep, 0.25)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        asyncio.run(main())
        """,
    )
    tick, finished, sleep = lines(ended)
    assert "fenshen: a callback (tick) has held the loop for 0." in tick
    assert "fenshen: a done-callback (finished) has held the loop for 0." in finished
    assert re.fullmatch(r"fenshen: a callback has held .* s, in a function that is not written in Python", sleep)


def test_a_loop_in_another_thread(tmp_path: Path) -> None:
    ended = outcome(
        tmp_path,
        """
        async def main(): spin(0.3)
        thread = threading.Thread(target=asyncio.run, args=(main(),))
        thread.start()
        thread.join()
        """,
    )
    assert "(main) has held the loop" in only(ended)


def test_deep_stack(tmp_path: Path) -> None:
    ended = outcome(
        tmp_path,
        """
        def deep(n): return deep(n - 1) if n else time.sleep(0.3)
        async def main(): deep(500)
        asyncio.run(main())
        """,
    )
    assert re.search(r"Task-1 has held .* in deep \(called from (app\.py:\d+ in deep, ){5}\.\.\.\)", only(ended))


def test_own_limit(tmp_path: Path) -> None:
    program = """
        async def main():
            asyncio.get_running_loop().slow_callback_duration = {}
            await asyncio.sleep(0)
            time.sleep({})
        asyncio.run(main())
        """
    assert lines(outcome(tmp_path, program.format(60, 0.4))) == []
    first, *_ = lines(outcome(tmp_path, program.format(0.03, 0.09)))
    assert "Task-1 (main) has held the loop for 0." in first


# -- When nothing is said ---------------------------------------------------------------------------------------------

# The usual tenth of a second is soon over on a machine that does much else.
PATIENT = """
async def patient():
    asyncio.get_running_loop().slow_callback_duration = 0.6
    await asyncio.sleep(0)

"""
QUIET = {
    "short": "async def main():\n    await patient()\n    time.sleep(0.05)",
    "short steps": """
        async def main():
            await patient()
            for _ in range(40):
                spin(0.02)
                await asyncio.sleep(0)
        """,
    "waits": "async def main(): await asyncio.sleep(0.4)",
    "outside a loop": "time.sleep(0.4)\nasync def main(): pass",
    "threads compete": """
        async def main():
            await patient()
            stop = []
            def compete():
                while not stop: sum(range(1000))
            threads = [threading.Thread(target=compete) for _ in range(3)]
            for thread in threads: thread.start()
            for _ in range(20): await asyncio.sleep(0.01)
            stop.append(1)
        """,
    "a thread that gets no processor for long": """
        class Late(threading.Thread):
            def _bootstrap(self):
                time.sleep(0.5)
                super()._bootstrap()
        async def main(): Late().start()
        """,
    "stopped by a signal": """
        async def main():
            await patient()
            subprocess.Popen("kill -STOP %d; sleep 1; kill -CONT %d" % (os.getpid(), os.getpid()), shell=True)
            end = time.monotonic() + 1.5
            while time.monotonic() < end:
                await asyncio.sleep(0)
        """,
}


@pytest.mark.parametrize("name", QUIET)
def test_silent(tmp_path: Path, name: str) -> None:
    assert lines(outcome(tmp_path, PATIENT + textwrap.dedent(QUIET[name]) + "\nasyncio.run(main())")) == []


BLOCKS = "async def main(): time.sleep(0.3)\nasyncio.run(main())"


def test_switched_off(tmp_path: Path) -> None:
    assert lines(outcome(tmp_path, BLOCKS, FENSHEN_QUIET="1")) == []
    assert lines(outcome(tmp_path, BLOCKS, "--no-blocked")) == []
    assert lines(outcome(tmp_path, "import fenshen\nfenshen.install()\n" + BLOCKS, start=[sys.executable])) == []
    assert lines(outcome(tmp_path, "import fenshen.blocked\nfenshen.blocked.stop()\n" + BLOCKS)) == []
    assert lines(outcome(tmp_path, "sys.settrace(lambda *_: None)\n" + BLOCKS)) == []


def test_library(tmp_path: Path) -> None:
    program = """
        import fenshen, fenshen.blocked
        async def main():
            print(fenshen.blocked.start())
            await asyncio.sleep(0)
            time.sleep(0.3)
        fenshen.run(main())
        async def again():
            time.sleep(0.3)
        fenshen.run(again())
        fenshen.blocked.stop()
        async def last():
            time.sleep(0.3)
        fenshen.run(last())
        """
    first, second = lines(outcome(tmp_path, program, start=[sys.executable]))
    assert "(main)" in first
    assert "(again)" in second


def test_not_too_often(tmp_path: Path) -> None:
    program = """
        async def slow(): spin(0.2)
        async def main():
            start = time.monotonic()
            for n in range(20):
                await asyncio.create_task(slow(), name=f"number {n}")
            print(time.monotonic() - start)
        asyncio.run(main())
        """
    ended = outcome(tmp_path, program)
    first, *again = lines(ended)
    assert re.search(r"number \d+ \(slow\)", first)
    # On a machine that is busy with other things it may last long enough to be said again.
    assert len(again) <= float(ended.out) // 10
    assert all(" more since it was last named" in line for line in again)


def test_not_while_a_debugger_waits(tmp_path: Path) -> None:
    program = """
        import pdb
        async def main():
            here = pdb.Pdb(stdin=os.fdopen(os.pipe()[0]), stdout=sys.stdout)
            here.set_trace()
            print("on")
        threading.Timer(0.4, os._exit, (0,)).start()
        asyncio.run(main())
        """
    assert lines(outcome(tmp_path, program)) == []


# -- The program's own affairs ----------------------------------------------------------------------------------------


def test_waits_in_the_kernel_go_on(tmp_path: Path) -> None:
    program = """
        import ctypes, socket
        async def main():
            start = time.monotonic()
            time.sleep(0.4)
            assert time.monotonic() - start >= 0.4
            await asyncio.sleep(0)
            a, b = socket.socketpair()
            threading.Timer(0.4, b.send, (b"x",)).start()
            assert a.recv(1) == b"x"
            await asyncio.sleep(0)
            r, w = os.pipe()
            threading.Timer(0.4, os.write, (w, b"x")).start()
            # C's own read(), which nobody would call again.
            assert ctypes.CDLL(None).read(r, ctypes.create_string_buffer(1), 1) == 1
            await asyncio.sleep(0)
            lock = threading.Lock()
            lock.acquire()
            assert not lock.acquire(timeout=0.4)
        asyncio.run(main())
        """
    assert len(lines(outcome(tmp_path, program))) == 4


def test_faulthandler_is_the_programs(tmp_path: Path) -> None:
    program = """
        import faulthandler
        out = open("dump", "w+")
        faulthandler.enable(out)
        faulthandler.register(signal.SIGUSR1, out)
        async def main():
            time.sleep(0.3)
            os.kill(os.getpid(), signal.SIGUSR1)
            faulthandler.dump_traceback(out)
            faulthandler.unregister(signal.SIGUSR1)
            await asyncio.sleep(0)
            spin(0.3)
        asyncio.run(main())
        print(open("dump").read().count("in main"), all(
            signal.getsignal(n) in (signal.SIG_DFL, signal.SIG_IGN, signal.default_int_handler)
            or (n >= signal.SIGRTMIN and signal.getsignal(n).__module__ == "fenshen._request")
            for n in signal.valid_signals()))
        """
    ended = outcome(tmp_path, program)
    assert len(lines(ended)) == 2
    assert ended.out == "2 True\n"


def test_signals_taken_by_the_program(tmp_path: Path) -> None:
    program = """
        async def main():
            for n in range(signal.SIGRTMIN, signal.SIGRTMAX + 1):
                signal.signal(n, lambda *_: print("!"))
            time.sleep(0.3)
            await asyncio.sleep(0)
            for n in range(signal.SIGRTMIN, signal.SIGRTMAX + 1):
                signal.signal(n, signal.SIG_DFL)
            spin(0.3)
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            await asyncio.sleep(0)
            spin(0.3)
            assert not signal.sigpending()
        asyncio.run(main())
        """
    ended = outcome(tmp_path, program)
    assert ended.out == ""
    assert all("does not answer where it is" in line for line in lines(ended))


def test_descriptors_closed_by_the_program(tmp_path: Path) -> None:
    program = """
        async def main():
            os.closerange(3, 1024)
            files = [open("file%d" % n, "w+") for n in range(100)]
            time.sleep(0.3)
            assert not any(file.read() for file in files)
            os._exit(0)
        asyncio.run(main())
        """
    assert "does not answer where it is" in only(outcome(tmp_path, program))


@pytest.mark.parametrize("closed", ["os.close(2)", "os.close(2); keep = socket.socketpair()"])
def test_closed_stderr(tmp_path: Path, closed: str) -> None:
    program = f"""
        import socket
        async def main():
            {closed}
            time.sleep(0.3)
            if "keep" in vars():
                for s in keep: s.setblocking(False)
                try: print(keep[0].recv(100), keep[1].recv(100))
                except BlockingIOError: print("nothing came")
        keep = None
        asyncio.run(main())
        """
    ended = outcome(tmp_path, program.replace("vars()", "dir()"))
    assert (ended.status, ended.err) == (0, "")
    assert ended.out in ("", "nothing came\n")


def test_a_full_stderr_holds_nothing_up(tmp_path: Path) -> None:
    program = """
        async def main():
            r, w = os.pipe()
            os.set_blocking(w, False)
            try:
                while True: os.write(w, bytes(4096))
            except BlockingIOError:
                os.set_blocking(w, True)
            kept = os.dup(2)
            os.dup2(w, 2)
            time.sleep(0.3)
            if os.fork() == 0: os._exit(0)
            os.wait()
            os.dup2(kept, 2)
        asyncio.run(main())
        print("done")
        """
    assert outcome(tmp_path, program) == Outcome(0, "done\n", "")


def test_forks_without_a_warning(tmp_path: Path) -> None:
    program = """
        async def main():
            time.sleep(0.2)
            for n in range(20):
                pid = os.fork()
                if pid == 0:
                    os._exit(0)
                assert os.wait() == (pid, 0)
                try: os.wait()
                except ChildProcessError: pass
                else: assert False
            await asyncio.sleep(0)
            spin(0.2)
        asyncio.run(main())
        if os.fork() == 0:
            async def child(): time.sleep(0.3)
            asyncio.run(child())
            os._exit(0)
        os.wait()
        """
    first, again, child = lines(outcome(tmp_path, program, "-W", "error"))
    assert "(main)" in first
    assert "(main)" in again
    assert "(child)" in child


def test_signals_are_not_taken_by_the_helper(tmp_path: Path) -> None:
    program = """
        async def main():
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
            for _ in range(20):
                os.kill(os.getpid(), signal.SIGUSR1)
                assert signal.sigwait({signal.SIGUSR1}) == signal.SIGUSR1
                await asyncio.sleep(0.01)
        asyncio.run(main())
        """
    assert lines(outcome(tmp_path, program)) == []


def test_no_thread_without_a_loop_and_none_awake_without_steps(tmp_path: Path) -> None:
    program = """
        def helpers():
            return [t for t in os.listdir("/proc/self/task")
                    if open(f"/proc/self/task/{t}/comm").read() == "fenshen-watch\\n"]
        def switches():
            return [line for t in helpers() for line in open(f"/proc/self/task/{t}/status") if "ctxt" in line]
        assert not helpers()
        async def main():
            await asyncio.sleep(0)
            await asyncio.to_thread(rest)
            await asyncio.sleep(0)
            spin(0.3)
        def rest():
            time.sleep(1.5)
            assert len(helpers()) == 1
            before = switches()
            time.sleep(0.5)
            assert switches() == before
        asyncio.run(main())
        """
    assert "in spin" in only(outcome(tmp_path, program))


def test_many_loops(tmp_path: Path) -> None:
    program = """
        import gc
        def size():
            return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))
        async def main(): pass
        asyncio.run(main())
        before = size()
        for _ in range(300):
            asyncio.run(main())
        assert size() == before
        """
    assert lines(outcome(tmp_path, program)) == []


@pytest.mark.skipif(not os.environ.get("FENSHEN_SOAK"), reason="a long run")
def test_asked_in_all_kinds_of_code(tmp_path: Path) -> None:
    program = """
        import json
        class C:
            def __init__(self, n): self.n = n
            def __lt__(self, other): return self.n < other.n
        def work(n):
            if n: return work(n - 1)
            json.loads(json.dumps([dict(a=i, b=str(i)) for i in range(300)]))
            sorted(C(i * 7919 % 101) for i in range(100))
            return list(x for x in (y for y in range(100)))
        async def main():
            asyncio.get_running_loop().slow_callback_duration = 0.01
            end = time.monotonic() + 20
            while time.monotonic() < end:
                until = time.monotonic() + 0.012
                while time.monotonic() < until: work(30)
                await asyncio.sleep(0)
        asyncio.run(main())
        """
    lines(outcome(tmp_path, program))
