"""`fenshen run --advise`: programs whose right answer is known, and that nothing else of them changes."""

from __future__ import annotations

import math
import re
import textwrap
from pathlib import Path
from typing import NamedTuple

import pytest
from commands import RUN, RUN_HERE, Outcome, needs_native, run

pytestmark = needs_native

HEAD = """
import asyncio, ctypes, functools, hashlib, multiprocessing, os, socket, sys, threading, time, zlib
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool

def spin(seconds):
    # Of the processor's time: what other processes take of it is not counted.
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        for _ in range(1000):
            pass

def in_pool(function, *arguments, workers=4):
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(function, *arguments))

"""


class Told(NamedTuple):
    """What the report tells of one function."""

    way: str
    measured: str
    kind: str
    advice: str
    more: list[str]

    @property
    def calls(self) -> int:
        found = re.match(r"(\d+) (?:call|task)s?\b", self.measured)
        assert found, self.measured
        return int(found[1])

    @property
    def speedup(self) -> float:
        found = re.search(r"expected speed-up up to ([\d.]+)x", self.advice)
        assert found, self.advice
        return float(found[1])

    def seconds(self, what: str) -> float:
        found = re.search(rf"{what}:? ([\d.]+) (m?s)\b", self.measured)
        assert found, self.measured
        return float(found[1]) / (1000 if found[2] == "ms" else 1)


def outcome(folder: Path, source: str, *flags: str, start: list[str] = RUN, **env: str) -> Outcome:
    (folder / "app.py").write_text(HEAD + textwrap.dedent(source).lstrip("\n"))
    return run([*start, "--no-blocked", *flags, "app.py"], cwd=folder, **env)


def split(text: str) -> dict[str, Told]:
    """A report by the names of the functions."""
    head, *lines = text.splitlines()
    assert re.match(
        r"fenshen: advice for app.py \(process \d+, [\d.]+ CPUs? to use, \d+ looks at its threads\):$", head
    )
    found: dict[str, list[str]] = {}
    name = ""
    for line in lines:
        if line.startswith("    "):
            found[name].append(line.strip())
        else:
            name, way = line.strip().rsplit(", ", 1)
            name = name.partition(" (")[0]
            assert name not in found, text
            found[name] = [way]
    return {name: Told(*parts[:4], parts[4:]) for name, parts in found.items()}


def advice(folder: Path, source: str, *flags: str, **env: str) -> dict[str, Told]:
    ended = outcome(folder, source, "--advise", *flags, **env)
    assert ended.status == 0, ended
    return split(ended.err)


def usable() -> float:
    from fenshen.advice.machine import cpus

    return cpus()


# -- Which model fits -------------------------------------------------------------------------------------------------


def check_processes(told: Told, which: str) -> None:
    if usable() < 2:
        assert told.advice.startswith("nothing is gained by processes"), told
        return
    assert told.advice.startswith(f"use processes ({which})"), told
    assert 1.15 <= told.speedup <= usable(), told


def test_pure_python_in_a_pool(tmp_path: Path) -> None:
    told = advice(tmp_path, "in_pool(spin, [0.15] * 8)")["spin"]
    assert told.way == "in a thread pool"
    assert told.calls == 8
    assert told.kind.startswith("CPU-bound under the interpreter lock")
    check_processes(told, "concurrent.futures.ProcessPoolExecutor")
    assert 1.2 <= told.seconds("CPU") <= told.seconds("wall")
    assert 0 < told.seconds("waiting for the interpreter lock") <= told.seconds("wall") - told.seconds("CPU") + 0.01


def test_pure_python_in_threads(tmp_path: Path) -> None:
    told = advice(
        tmp_path,
        """
        threads = [threading.Thread(target=spin, args=(0.3,)) for _ in range(4)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        """,
    )["spin"]
    assert told.way == "in threads"
    assert told.calls == 4
    assert told.kind.startswith("CPU-bound under the interpreter lock")
    check_processes(told, "multiprocessing.Process")


def test_calls_that_never_overlap(tmp_path: Path) -> None:
    told = advice(tmp_path, "[in_pool(spin, [0.1], workers=1) for _ in range(4)]")["spin"]
    assert told.kind.startswith("CPU-bound under the interpreter lock")
    assert told.advice.startswith("nothing is gained by processes as it is used now: ")
    if usable() >= 2:
        assert told.advice.endswith("its calls never overlapped")


def test_sleep_and_sockets(tmp_path: Path) -> None:
    found = advice(
        tmp_path,
        """
        def receive(connection):
            return connection.recv(1)

        def pairs():
            here, there = zip(*[socket.socketpair() for _ in range(4)])
            with ThreadPoolExecutor(4) as pool:
                waiting = [pool.submit(receive, end) for end in there]
                time.sleep(0.4)
                [end.send(b"x") for end in here]
                return [end.result() for end in waiting]

        in_pool(time.sleep, [0.2] * 8)
        pairs()
        """,
    )
    for name in ("time.sleep", "receive"):
        assert found[name].kind.startswith("I/O-bound"), found
        assert found[name].advice == "threads are right, and so would asyncio be", found


def test_waiting_for_other_threads(tmp_path: Path) -> None:
    told = advice(
        tmp_path,
        """
        import queue
        items = queue.Queue()
        def consume():
            while items.get() is not None:
                pass
        thread = threading.Thread(target=consume)
        thread.start()
        for _ in range(20):
            time.sleep(0.02)
            items.put(1)
        items.put(None)
        thread.join()
        """,
    )["consume"]
    assert told.kind.startswith("waits for other threads")
    assert told.advice == "threads are right"


@pytest.mark.parametrize("work", ["hashlib.sha256(data).digest()", "zlib.compress(data, 9)"])
def test_computing_outside_the_lock(tmp_path: Path, work: str) -> None:
    told = advice(
        tmp_path,
        f"""
        data = os.urandom(1 << 22)
        def work(_):
            end = time.thread_time() + 0.2
            while time.thread_time() < end:
                {work}
        in_pool(work, range(4))
        """,
    )["work"]
    assert told.kind.startswith("CPU-bound outside the interpreter lock")
    assert told.advice.startswith("threads are right")


def test_half_computing_half_waiting(tmp_path: Path) -> None:
    told = advice(
        tmp_path,
        """
        def mixed(_):
            for _ in range(10):
                spin(0.02)
                time.sleep(0.02)
        in_pool(mixed, range(4))
        """,
    )["mixed"]
    assert told.kind.startswith("mixed: it computes for "), told


def test_asleep_with_the_lock(tmp_path: Path) -> None:
    told = advice(
        tmp_path,
        """
        libc = ctypes.PyDLL(None)
        def hog():
            libc.usleep(100_000)
        with ThreadPoolExecutor(4) as pool:
            [pool.submit(hog) for _ in range(8)]
        """,
    )["hog"]
    assert told.kind.startswith("sleeps while it holds the interpreter lock"), told
    check_holding = told.advice.startswith("use processes (concurrent.futures.ProcessPoolExecutor)")
    assert check_holding or usable() < 2, told


def test_waiting_for_a_lock_that_another_holds(tmp_path: Path) -> None:
    found = advice(
        tmp_path,
        """
        libc = ctypes.PyDLL(None)
        def hog():
            for _ in range(10):
                libc.usleep(50_000)
                time.sleep(0.001)
        def victim(stop):
            while not stop.is_set():
                time.sleep(0.0005)
        stop = threading.Event()
        with ThreadPoolExecutor(2) as pool:
            pool.submit(victim, stop)
            pool.submit(hog).add_done_callback(lambda _: stop.set())
        """,
    )
    told = found["victim"]
    # Nearly all of the half second that the other one sleeps with the lock is spent waiting for it.
    assert told.seconds("waiting for the interpreter lock") >= told.seconds("wall") / 2, found
    assert "its waits for the interpreter lock are due to others: hog" in told.more, found


def test_few_calls(tmp_path: Path) -> None:
    told = advice(tmp_path, "in_pool(spin, [0.001] * 2)")["spin"]
    assert told.kind.startswith("not enough evidence"), told
    assert told.advice == "run it longer, or on more data"


def test_nothing_handed_over(tmp_path: Path) -> None:
    ended = outcome(tmp_path, "print('done')", "--advise")
    assert ended == Outcome(0, "done\n", "fenshen: advice: nothing was handed to a thread, a thread pool or a task\n")


# -- Tasks ------------------------------------------------------------------------------------------------------------


def test_tasks(tmp_path: Path) -> None:
    found = advice(
        tmp_path,
        """
        async def waits():
            for _ in range(10):
                await asyncio.sleep(0.01)

        async def computes(seconds):
            await asyncio.sleep(0)
            spin(seconds)

        async def blocks():
            await asyncio.sleep(0)
            time.sleep(0.15)

        async def main():
            await asyncio.gather(*[waits() for _ in range(10)])
            await asyncio.gather(*[computes(0.2) for _ in range(3)])
            tasks = [asyncio.create_task(blocks()) for _ in range(3)]
            await asyncio.wait(tasks)

        asyncio.run(main())
        """,
    )
    assert set(found) == {"main", "waits", "computes", "blocks"}
    assert all(told.way == "in tasks" for told in found.values())
    assert found["waits"].calls == 10
    assert found["waits"].kind.startswith("awaits: "), found
    assert found["waits"].advice == "a task is right"
    computes = found["computes"]
    assert computes.calls == 3
    assert computes.kind.startswith("holds the event loop, for "), found
    assert "computing" in computes.kind
    assert "under the interpreter lock" in computes.kind
    assert computes.advice.startswith("compute in a process: await loop.run_in_executor(")
    if usable() >= 2:
        assert 1.15 <= computes.speedup <= usable()
        assert re.fullmatch(
            r"pickled for each call: \d+ bytes to send, \d+ bytes to return \(seen in 3 calls\)", computes.more[0]
        )
    assert found["blocks"].kind.endswith("in one step, waiting for something"), found
    assert found["blocks"].advice.startswith("wait in a thread (await asyncio.to_thread(...))")
    assert 1.15 <= found["blocks"].speedup <= 3


def test_task_that_computes_outside_the_lock(tmp_path: Path) -> None:
    told = advice(
        tmp_path,
        """
        async def digest(data):
            end = time.thread_time() + 0.2
            while time.thread_time() < end:
                hashlib.sha256(data).digest()

        async def main():
            await asyncio.gather(*[digest(os.urandom(1 << 24)) for _ in range(3)])

        asyncio.run(main())
        """,
    )["digest"]
    assert told.kind.endswith("computing outside the interpreter lock")
    assert told.advice.startswith("compute in a thread: await asyncio.to_thread(...)")


def test_tasks_that_are_cancelled_or_fail(tmp_path: Path) -> None:
    told = advice(
        tmp_path,
        """
        async def work(fail):
            await asyncio.sleep(0.05)
            if fail:
                raise ValueError
            await asyncio.sleep(60)

        async def main():
            tasks = [asyncio.create_task(work(n % 2)) for n in range(6)]
            await asyncio.sleep(0.2)
            [task.cancel() for task in tasks]
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run(main())
        """,
    )["work"]
    assert told.calls == 6
    assert "not ended" not in told.measured
    assert told.kind.startswith("awaits: ")
    assert told.seconds("wall") >= 0.3


# -- How functions are handed over, and what they are called ----------------------------------------------------------


def test_names(tmp_path: Path) -> None:
    found = advice(
        tmp_path,
        """
        class Crowd(threading.Thread):
            def run(self):
                time.sleep(0.1)

        class Job:
            def method(self):
                time.sleep(0.1)
            def __call__(self):
                time.sleep(0.1)

        def late(): time.sleep(0.1)
        def direct(): time.sleep(0.1)
        def partial(a, b): time.sleep(0.1)
        def in_executor(): time.sleep(0.1)
        def to_thread(a): time.sleep(0.1)
        def mapped(a): time.sleep(0.1)
        def applied(): time.sleep(0.1)
        def ours(): time.sleep(0.1)

        async def main():
            loop = asyncio.get_running_loop()
            await asyncio.gather(
                loop.run_in_executor(None, in_executor),
                asyncio.to_thread(to_thread, 1),
            )

        Crowd().start()
        threading.Timer(0.01, late).start()
        with ThreadPoolExecutor() as pool:
            pool.submit(direct)
            pool.submit(functools.partial(partial, 1), 2)
            pool.submit(Job().method)
            pool.submit(Job())
            for _ in range(3):
                pool.submit(lambda: time.sleep(0.1))
        from fenshen import futures
        with futures.ThreadPoolExecutor() as pool:
            pool.submit(ours)
        with ThreadPool(2) as pool:
            pool.map(mapped, range(2))
            list(pool.imap(mapped, range(2)))
            pool.apply(applied)
        asyncio.run(main())
        """,
    )
    ways = {name: told.way for name, told in found.items()}
    pool = "in a thread pool"
    assert ways == {
        "Crowd.run": "in threads",
        "late": "in threads",
        **dict.fromkeys(
            ("direct", "partial", "Job.method", "in_executor", "to_thread", "mapped", "applied", "ours"), pool
        ),
        "Job": pool,
        "<lambda>": pool,
        "main": "in tasks",
    }
    assert {name: found[name].calls for name in ("<lambda>", "mapped", "late")} == {
        "<lambda>": 3,
        "mapped": 4,
        "late": 1,
    }


def test_a_thread_that_is_still_running(tmp_path: Path) -> None:
    told = advice(
        tmp_path,
        """
        def forever():
            while True:
                time.sleep(0.01)
        threading.Thread(target=forever, daemon=True).start()
        time.sleep(0.3)
        """,
    )["forever"]
    assert told.measured.startswith("1 call, 1 of them not ended; wall ")
    assert told.kind.startswith("I/O-bound")
    assert told.seconds("wall") >= 0.2


# -- What would be pickled --------------------------------------------------------------------------------------------


@pytest.mark.skipif("usable() < 2")
def test_bytes(tmp_path: Path) -> None:
    told = advice(
        tmp_path,
        """
        def work(data, *, factor):
            spin(0.1)
            return data * factor
        with ThreadPoolExecutor(4) as pool:
            [pool.submit(work, bytes(10_000), factor=20) for _ in range(8)]
        """,
    )["work"]
    assert told.more == ["pickled for each call: 10.1 kB to send, 200 kB to return (seen in 5 calls)"]


@pytest.mark.skipif("usable() < 2")
def test_what_does_not_pickle(tmp_path: Path) -> None:
    found = advice(
        tmp_path,
        """
        class Job:
            def __init__(self):
                self.parts = {"locks": [1, threading.Lock()]}
        def argument(job): spin(0.1)
        def keyword(*, callback=None): spin(0.1)
        def result(_):
            spin(0.1)
            return [lambda: 1]
        in_pool(argument, [Job() for _ in range(8)])
        with ThreadPoolExecutor(4) as pool:
            [pool.submit(keyword, callback=lambda: 1) for _ in range(8)]
            for _ in range(8):
                pool.submit(lambda: spin(0.1))
        in_pool(result, range(8))
        class Own(threading.Thread):
            def __init__(self):
                super().__init__()
                self.number, self.output = 1, sys.stdout
            def run(self):
                spin(0.1)
        threads = [Own() for _ in range(4)]
        [thread.start() for thread in threads]
        """,
    )
    path = {name: told.more[0].partition(": ")[2].partition(":")[0] for name, told in found.items()}
    assert path.pop("argument").startswith("args[0].parts['locks'][1] (")
    assert path == {
        "keyword": "kwargs['callback'] (function)",
        "<lambda>": "the function (function)",
        "result": "the result[0] (function)",
        "Own.run": "self.output (_io.TextIOWrapper)",
    }
    assert all(told.more[0].startswith("but it does not pickle: ") for told in found.values())


def test_only_what_computes_is_pickled(tmp_path: Path) -> None:
    ended = outcome(
        tmp_path,
        """
        class Told:
            def __reduce__(self):
                print("pickled")
                return Told, ()
        in_pool(lambda told: time.sleep(0.1), [Told() for _ in range(4)])
        """,
        "--advise",
    )
    assert ended.status == 0
    assert ended.out == ""
    assert "I/O-bound" in ended.err


# -- Nothing else changes ---------------------------------------------------------------------------------------------

PROGRAM = """
    def fails(x):
        return 1 / x
    def shows(future):
        import traceback
        traceback.print_exception(future.exception())
    with ThreadPoolExecutor(1) as pool:
        shows(pool.submit(fails, 0))
        try:
            pool.submit()
        except TypeError as e:
            print(e)
        try:
            pool.submit(3).result()
        except TypeError as e:
            print(e)
    thread = threading.Thread(target=fails, args=(0,))
    thread.start()
    thread.join()
    print(thread.name, vars(thread).keys() == vars(threading.Thread()).keys())
    async def main():
        task = asyncio.create_task(asyncio.sleep(0, "slept"))
        print(type(task.get_coro()).__name__, await task, await asyncio.to_thread(lambda: 7))
        await asyncio.to_thread(fails, 0)
    try:
        asyncio.run(main())
    except ZeroDivisionError as e:
        print(e.__traceback__.tb_frame.f_code.co_name)
    sys.exit(3)
    """


@pytest.mark.parametrize("start", [RUN, RUN_HERE], ids=["replaced", "here"])
def test_program_comes_out_the_same(tmp_path: Path, start: list[str]) -> None:
    plain = outcome(tmp_path, PROGRAM, start=start)
    advised = outcome(tmp_path, PROGRAM, "--advise", start=start)
    assert plain.status == advised.status == 3
    assert advised.out == plain.out
    said, report = advised.err.split("fenshen: advice for ")
    assert said == plain.err
    assert re.findall(r"^  (\w+).*, (in .*)$", report, re.M).count(("fails", "in threads")) == 1
    assert re.search(r"^  fails \(app.py:\d+\), in a thread pool\n    2 calls ", report, re.M)


def test_quiet(tmp_path: Path) -> None:
    ended = outcome(tmp_path, "in_pool(spin, [0.1] * 4)", "--advise", FENSHEN_QUIET="1")
    assert ended == Outcome(0, "", "")


def test_nothing_without_it(tmp_path: Path) -> None:
    ended = outcome(
        tmp_path,
        """
        in_pool(spin, [0.01] * 4)
        print([name for name in sys.modules if name.startswith("fenshen.advi")])
        print(threading.Thread._bootstrap_inner.__module__, ThreadPoolExecutor.submit.__module__)
        """,
    )
    assert ended.err == ""
    assert ended.out.startswith("[]\nthreading ")
    assert "fenshen.advice" not in ended.out


def test_stdlib_engine(tmp_path: Path) -> None:
    ended = outcome(tmp_path, "in_pool(spin, [0.1] * 4)", "--advise", FENSHEN_ENGINE="stdlib")
    assert ended.status == 0
    assert "advice" not in ended.err


def test_words() -> None:
    from fenshen._options import Options

    options = Options.from_text("advise,no-loop")
    assert options is not None
    assert options.advise
    assert not options.loop
    assert options.to_text() == "no-loop,advise"
    again = Options.from_text("1")
    assert again is not None
    assert not again.advise


# -- The sampling thread, forks and children --------------------------------------------------------------------------


def test_sampling_thread_is_a_helper(tmp_path: Path) -> None:
    ended = outcome(
        tmp_path,
        """
        from fenshen import _fenshen
        def look():
            time.sleep(0.1)
            names = {}
            for tid in os.listdir("/proc/self/task"):
                with open(f"/proc/self/task/{tid}/comm") as file:
                    names[int(tid)] = file.read().strip()
            helpers = _fenshen.helper_threads()
            print([names[tid] for tid in helpers], [n for n in names.values() if n.startswith("fenshen")])
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        """,
        "--advise",
    )
    assert ended.out == "['fenshen-advise'] ['fenshen-advise']\n", ended


def test_stall_is_still_an_error(tmp_path: Path) -> None:
    ended = outcome(
        tmp_path,
        """
        async def main():
            await asyncio.Event().wait()
        asyncio.run(main())
        """,
        "--advise",
    )
    assert ended.status == 1, ended
    assert "DeadlockError" in ended.err, ended


def test_deadlock_is_still_an_error(tmp_path: Path) -> None:
    ended = outcome(
        tmp_path,
        """
        first, second = threading.Lock(), threading.Lock()
        met = threading.Barrier(2)
        def work(a, b):
            with a:
                met.wait()
                with b:
                    pass
        threads = [threading.Thread(target=work, args=pair) for pair in ((first, second), (second, first))]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        """,
        "--advise",
    )
    assert "DeadlockError" in ended.err, ended
    assert "work (app.py:" in ended.err.partition("fenshen: advice for app.py")[2], ended


def test_forks_without_a_warning(tmp_path: Path) -> None:
    ended = outcome(
        tmp_path,
        """
        def work():
            time.sleep(0.05)
            for _ in range(20):
                pid = os.fork()
                if pid == 0:
                    os._exit(0)
                os.waitpid(pid, 0)
        work()  # in the main thread: a fork from another one always warns
        thread = threading.Thread(target=time.sleep, args=(0.3,))
        async def main():
            work()
            await asyncio.sleep(0.01)
        asyncio.run(main())
        """,
        "--advise",
        "-W",
        "error",
    )
    assert ended.status == 0, ended
    assert set(split(ended.err)) == {"main"}


def test_what_runs_across_a_fork_is_still_seen(tmp_path: Path) -> None:
    told = advice(
        tmp_path,
        """
        import warnings
        warnings.simplefilter("ignore")
        def work():
            for _ in range(10):
                pid = os.fork()
                if pid == 0:
                    os._exit(0)
                os.waitpid(pid, 0)
                time.sleep(0.05)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        """,
    )["work"]
    assert told.kind.startswith("I/O-bound"), told


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children(tmp_path: Path, method: str) -> None:
    ended = outcome(
        tmp_path,
        f"""
        def child():
            in_pool(time.sleep, [0.1] * 4)
        if __name__ == "__main__":
            context = multiprocessing.get_context({method!r})
            process = context.Process(target=child)
            process.start()
            process.join(20)
            with ThreadPoolExecutor() as pool:
                pool.submit(spin, 0.1)
        """,
        "--advise",
    )
    assert ended.status == 0, ended
    reports = ended.err.split("fenshen: advice for ")
    assert reports[0] == "", ended
    assert len(reports) == 3, ended
    assert "time.sleep, in a thread pool" in reports[1]
    assert "spin" not in reports[1]
    assert "spin (app.py:" in reports[2]
    assert "time.sleep" not in reports[2]


def test_child_with_nothing_to_tell(tmp_path: Path) -> None:
    ended = outcome(
        tmp_path,
        """
        if __name__ == "__main__":
            process = multiprocessing.Process(target=print, args=("child",))
            process.start()
            process.join(20)
        """,
        "--advise",
        PYTHONWARNINGS="ignore",
    )
    assert ended == Outcome(0, "child\n", "fenshen: advice: nothing was handed to a thread, a thread pool or a task\n")


# -- The measurements -------------------------------------------------------------------------------------------------


def evidence(
    *,
    peak: int = 4,
    busy: float = 4.0,
    cpu: float = 1.0,
    calls: int = 8,
    pairs: tuple[int, ...] = (1, 0, 0, 0),
    followed: tuple[float, float] = (0.0, 0.0),
    **looks: int,
):
    from fenshen.advice.evidence import KINDS, Evidence

    longest = busy / calls
    times = [busy, busy, cpu, longest, longest, busy / peak, cpu / calls, *followed]
    counts = [calls, 0, peak, 0, *(round(time * 1e9) for time in times)]
    return Evidence(counts, [looks.get(kind, 0) for kind in KINDS], pairs)


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="the scheduler's statistics tell the truth")
def test_wait_for_the_lock_agrees_with_the_scheduler(tmp_path: Path) -> None:
    ended = outcome(
        tmp_path,
        """
        waited = []
        def now():
            with open("/proc/thread-self/schedstat") as file:
                starved = int(file.read().split()[1]) / 1e9
            return time.perf_counter() - time.thread_time() - starved
        def work():
            begun = now()
            spin(0.25)
            waited.append(now() - begun)
        threads = [threading.Thread(target=work) for _ in range(4)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        print(sum(waited))
        """,
        "--advise",
    )
    told = split(ended.err)["work"]
    # A thread that computes and never sleeps waits for the lock whenever it neither runs nor is kept from it.
    assert told.seconds("waiting for the interpreter lock") == pytest.approx(float(ended.out), rel=0.25, abs=0.05)


def test_error_is_binomial() -> None:
    from fenshen.advice.evidence import half_width

    assert half_width(50, 100, 100) == pytest.approx(1.96 * math.sqrt(0.25 / 103.84), rel=1e-3)
    assert half_width(0, 0, 0) == 1.0
    assert 0 < half_width(0, 1000, 1000) < 0.005 < half_width(0, 30, 30)
    assert half_width(500, 1000, 250) == pytest.approx(2 * half_width(500, 1000, 1000), rel=0.02)


def test_correlated_looks_count_less() -> None:
    fresh = evidence(under=250, lock=600, sleeps=150, pairs=(60, 190, 190, 560))
    sticky = evidence(under=250, lock=600, sleeps=150, pairs=(200, 50, 50, 700))
    assert fresh.lock_wait == sticky.lock_wait == pytest.approx(3.0 * 0.8)
    correlation = 700 / 750 - 50 / 250
    factor = (1 - correlation) / (1 + correlation)
    assert sticky.lock_error == pytest.approx(fresh.lock_error / math.sqrt(factor), rel=0.05)


@pytest.mark.parametrize("followed", [(0.0, 0.0), (3.2, 0.32)])
def test_times_add_up(followed: tuple[float, float]) -> None:
    found = evidence(cpu=1.0, followed=followed, under=250, lock=400, sleeps=160, threads=80, starved=100, unclear=5)
    starved = 4.0 * 100 / 990 if followed[0] == 0 else 0.4
    asleep = 4.0 - 1.0 - starved
    assert found.lock_wait == pytest.approx(asleep * 400 / 640)
    assert found.idle == pytest.approx({"sleeps": asleep * 0.25, "threads": asleep * 0.125, "holding": 0.0})
    assert found.cpu + found.lock_wait + sum(found.idle.values()) + found.starved == pytest.approx(found.busy)
    least, most = found.cpu_share
    assert least < found.cpu / found.own < most


@pytest.mark.parametrize(
    ("looks", "lock", "kind"),
    [
        ({"under": 250, "lock": 750}, "known", "under"),
        ({"under": 10, "lock": 5}, "known", "few"),
        ({"outside": 250, "starved": 750}, "known", "outside"),
        ({"under": 125, "outside": 125, "starved": 750}, "known", "both"),
        ({"under": 250, "sleeps": 250, "lock": 500}, "known", "mixed"),
        ({"sleeps": 1000}, "known", "waits"),
        ({"threads": 1000}, "known", "threads"),
        ({"holding": 1000}, "known", "holding"),
        ({"computes": 250, "lock": 750}, "waits", "few"),
        ({"sleeps": 40, "unclear": 960}, "unknown", "few"),
        ({"outside": 250, "starved": 750}, "none", "outside"),
    ],
)
def test_kinds(looks: dict[str, int], lock: str, kind: str) -> None:
    from fenshen.advice.verdict import kind as judged

    cpu = 0.001 if looks.keys() & {"threads", "holding"} or looks.get("sleeps", 0) > 300 else 1.0
    assert judged(evidence(cpu=cpu, **looks), lock) == kind


def test_expected_speedup() -> None:
    from fenshen.advice.verdict import speedup

    bound = evidence(busy=4.0, cpu=1.0, peak=4, under=250, lock=750)
    assert [speedup(-1, bound, cpus, bound.span) for cpus in (1.0, 1.5, 2.0, 4.0, 16.0)] == pytest.approx(
        [1, 1.5, 2, 4, 4]
    )
    alone = evidence(busy=1.0, cpu=1.0, peak=1, under=1000)
    assert speedup(-1, alone, 8.0, alone.span) == pytest.approx(1.0)
    loaded = evidence(busy=8.0, cpu=1.0, peak=4, under=125, lock=375, starved=500)
    assert speedup(-1, loaded, 2.0, loaded.span) == pytest.approx(2.0)
    uneven = evidence(busy=4.0, cpu=1.0, peak=4, calls=1, under=250, lock=750)
    assert speedup(-1, uneven, 4.0, uneven.span) == pytest.approx(1.0)


def test_pickling_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    from fenshen.advice import pickling
    from fenshen.advice.verdict import speedup

    bound = evidence(busy=4.0, cpu=1.0, peak=4, under=250, lock=750)
    monkeypatch.setitem(pickling._weights, 7, [pickling.Weight(1, 1, 0.0625)])
    assert speedup(7, bound, 2.0, bound.span) == pytest.approx(1 / (0.5 + 2 * 0.0625 * 8))


def test_size_counts_buffers_and_stops() -> None:
    import pickle

    from fenshen.advice import pickling

    assert pickling.size(b"x" * 1000) == len(pickle.dumps(b"x" * 1000, protocol=5))
    buffer = pickling.size(pickle.PickleBuffer(bytearray(5000)))
    assert 5000 < buffer < 5100
    assert (
        pickling.size([bytearray(pickling.LIMIT // 4)] * 2 + [bytearray(pickling.LIMIT) for _ in range(2)])
        > pickling.LIMIT
    )


def test_quota(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fenshen.advice import machine

    files = {
        "/proc/self/cgroup": "3:cpu,cpuacct:/a/b\n0::/c\n",
        "/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us": "25000",
        "/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us": "100000",
        "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1",
        "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
        "/sys/fs/cgroup/c/cpu.max": "50000 100000",
        "/sys/fs/cgroup/cpu.max": "max 100000",
    }

    def read(path: str) -> str:
        if path not in files:
            raise FileNotFoundError(path)
        return files[path]

    monkeypatch.setattr(machine, "_read", read)
    assert machine.cpus() == 0.25
    del files["/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us"]
    assert machine.cpus() == 0.5
    files["/proc/self/cgroup"] = "0::/\n"
    assert machine.cpus() >= 1
