"""`fenshen run --advise`: programs whose right answer is known."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from advised import Told, advice, outcome, split, usable
from commands import Outcome, needs_native

pytestmark = needs_native


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
    assert ended == Outcome(0, "done\n", "fenshen: advice: nothing was handed to a thread, a pool or a task\n")


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
    # Only calls that have the processor for most of their time are looked at: on a busy machine, not all of them.
    assert re.fullmatch(
        r"pickled for each call: 10\.1 kB to send, 200 kB to return \(seen in [1-5] calls?\)", *told.more
    )


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


# -- The wait for the lock ---------------------------------------------------------------------------------------------


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
