"""`fenshen run --advise` and pools of processes: programs whose right answer is known."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
from advised import Told, advice, outcome, split, usable
from commands import Outcome, needs_native

pytestmark = needs_native

POOL = "in a process pool"
METHODS = ["fork", "spawn", "forkserver"]


def program(source: str) -> str:
    """A program whose children import it without running it; what is defined in it comes before a line of dashes."""
    defined, _, rest = textwrap.dedent(source).partition("---\n")
    return defined + 'if __name__ == "__main__":\n' + textwrap.indent(rest, "    ")


def advised(folder: Path, source: str, *flags: str) -> dict[str, Told]:
    return advice(folder, program(source), *flags, PYTHONWARNINGS="ignore")


def moved(told: Told) -> dict[str, tuple[float, float, float]]:
    """By the way: the bytes of one call, and the seconds that pickling them took, and loading them."""
    found = re.fullmatch(r"moved for each call: (.+ to send), (.+ to return)", told.more[-1])
    assert found, told
    return {part.split()[-1]: _way(part) for part in found.groups()}


def _way(text: str) -> tuple[float, float, float]:
    found = re.match(r"(\S+) (bytes|kB|MB|GB) \((\S+) (u?m?s) to pickle, (\S+) (u?m?s) to load\)", text)
    assert found, text
    size = {"bytes": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}
    unit = {"s": 1, "ms": 1e-3, "us": 1e-6}
    return float(found[1]) * size[found[2]], float(found[3]) * unit[found[4]], float(found[5]) * unit[found[6]]


# -- What fits --------------------------------------------------------------------------------------------------------


def test_computing(tmp_path: Path) -> None:
    told = advised(
        tmp_path,
        """
        from concurrent.futures import ProcessPoolExecutor
        ---
        with ProcessPoolExecutor(1) as pool:
            futures = [pool.submit(spin, 0.1) for _ in range(4)]
        """,
    )["spin"]
    assert told.way == POOL
    assert told.measured.startswith("4 calls in 4 tasks (1 at once, 1 worker); wall ")
    assert 0.4 <= told.seconds("CPU") <= told.seconds("wall") + 0.1
    assert told.kind.startswith("CPU-bound (CPU ")
    assert told.advice == "processes fit; nothing ran beside it, as there was one worker"
    ways = moved(told)
    assert 10 < ways["send"][0] < 200
    assert 0 < ways["return"][0] < 50
    assert all(0 < seconds < 0.5 for way in ways.values() for seconds in way[1:]), told


def test_more_workers_than_cpus(tmp_path: Path) -> None:
    most = int(-(-usable() // 1))
    told = advised(
        tmp_path,
        f"""
        from concurrent.futures import ProcessPoolExecutor
        ---
        with ProcessPoolExecutor({2 * most}) as pool:
            list(pool.map(spin, [0.1] * {4 * most}, chunksize=1))
        """,
    )["spin"]
    assert told.kind.startswith("CPU-bound (CPU ")
    assert told.kind.endswith(f", in {2 * most} workers for {usable():.3g} CPU{'' if usable() == 1 else 's'}")
    assert told.advice == f"take {most} worker{'' if most == 1 else 's'}: more of them only take turns"


@pytest.mark.parametrize("way", ["send", "return"])
def test_moving_costs_more_than_the_work(tmp_path: Path, way: str) -> None:
    told = advised(
        tmp_path,
        f"""
        from concurrent.futures import ProcessPoolExecutor
        def send(data):
            return None
        kept = bytes(10_000_000)
        def back(_):
            return kept
        ---
        with ProcessPoolExecutor(1) as pool:
            for _ in range(20):
                pool.submit({"send, kept" if way == "send" else "back, 1"}).result()
        """,
    )["send" if way == "send" else "back"]
    assert told.calls == 20
    assert told.kind.startswith("moving it costs more than the work: "), told
    assert told.advice.startswith("run it here, or in threads, which moves nothing; or have the data in shared memory")
    ways = moved(told)
    assert ways[way][0] == pytest.approx(1e7, rel=0.01)
    assert ways["return" if way == "send" else "send"][0] < 200
    # Ten megabytes are copied on either side, which is less than a hundredth of a second and more than nothing.
    assert all(seconds > 1e-4 for seconds in ways[way][1:]), told


def test_small_tasks(tmp_path: Path) -> None:
    told = advised(
        tmp_path,
        """
        from concurrent.futures import ProcessPoolExecutor
        def tiny(n):
            return n + 1
        ---
        with ProcessPoolExecutor(1) as pool:
            for _ in range(2):
                list(pool.map(tiny, range(15_000), chunksize=1))
        """,
    )["tiny"]
    assert told.measured.startswith("30000 calls in 30000 tasks (1 at once, 1 worker); ")
    assert told.kind.startswith("moving it costs more than the work: ")
    found = re.fullmatch(
        r"run it here, or make more calls in each task: map\(\.\.\., chunksize=(\d+)\), or .*", told.advice
    )
    assert found, told
    assert int(found[1]) > 100


def test_waiting(tmp_path: Path) -> None:
    told = advised(
        tmp_path,
        """
        from concurrent.futures import ProcessPoolExecutor
        ---
        with ProcessPoolExecutor(2) as pool:
            list(pool.map(time.sleep, [0.05] * 8, chunksize=1))
        """,
    )["time.sleep"]
    assert told.seconds("wall") >= 0.4
    assert re.fullmatch(r"waits \(CPU \d% of its own time\)", told.kind)
    assert told.advice == "no process is needed to wait: threads, or tasks, would do"


def test_one_short_call(tmp_path: Path) -> None:
    told = advised(
        tmp_path,
        """
        from concurrent.futures import ProcessPoolExecutor
        ---
        with ProcessPoolExecutor(1) as pool:
            pool.submit(int, "7")
        """,
    )["int"]
    assert told.kind.startswith("not enough evidence: 1 call with ")
    assert told.advice == "run it longer, or on more data"


def test_nothing_came_back(tmp_path: Path) -> None:
    told = advised(
        tmp_path,
        """
        from concurrent.futures import ProcessPoolExecutor
        ---
        with ProcessPoolExecutor(1) as pool:
            pool.submit(os._exit, 3).exception()
        """,
    )["posix._exit"]
    assert told.measured.startswith("0 calls in 0 tasks ")
    assert told.kind == "not enough evidence: no call has come back"
    assert told.more == []


# -- How functions are handed over ------------------------------------------------------------------------------------


def test_chunks_belong_to_their_function(tmp_path: Path) -> None:
    found = advised(
        tmp_path,
        """
        from concurrent.futures import ProcessPoolExecutor
        def one(a): time.sleep(0.01)
        def two(a, b): time.sleep(0.01)
        def starred(a, b): time.sleep(0.01)
        def lazy(a): time.sleep(0.01)
        def applied(a): time.sleep(0.1)
        def partial(a, b): time.sleep(0.1)
        def awaited(a): time.sleep(0.1)
        async def main():
            from fenshen import to_process
            await asyncio.gather(*[to_process(awaited, n) for n in range(3)])
        ---
        with ProcessPoolExecutor(2) as pool:
            list(pool.map(one, range(20), chunksize=5))
            list(pool.map(two, range(20), range(20), chunksize=10))
            pool.submit(functools.partial(partial, 1), 2)
            pool.submit(lambda: time.sleep(0.1))
        with multiprocessing.Pool(2) as pool:
            pool.map(one, range(20), chunksize=5)
            pool.starmap(starred, [(n, n) for n in range(20)], chunksize=10)
            list(pool.imap(lazy, range(20), chunksize=4))
            pool.apply(applied, (1,))
        asyncio.run(main())
        """,
    )
    cut = {
        name: re.match(r"(\d+) calls? in (\d+) tasks?(?: of about (\S+))? \(", told.measured).groups()
        for name, told in found.items()
        if told.way == POOL
    }
    assert cut == {
        "one": ("40", "8", "5"),
        "two": ("20", "2", "10"),
        "partial": ("1", "1", None),
        "<lambda>": ("1", "1", None),
        "starred": ("20", "2", "10"),
        "lazy": ("20", "5", "4"),
        "applied": ("1", "1", None),
        "awaited": ("3", "3", None),
    }
    assert found["main"].way == "in tasks"


def test_one_table_for_threads_tasks_and_processes(tmp_path: Path) -> None:
    ended = outcome(
        tmp_path,
        program(
            """
            from concurrent.futures import ProcessPoolExecutor
            async def main():
                await asyncio.sleep(0.1)
            ---
            in_pool(spin, [0.05] * 4)
            with ProcessPoolExecutor(2) as pool:
                list(pool.map(spin, [0.05] * 4, chunksize=1))
            asyncio.run(main())
            """
        ),
        "--advise",
        PYTHONWARNINGS="ignore",
    )
    assert ended.status == 0, ended
    assert ended.err.count("fenshen: advice") == 1
    ways = set(re.findall(r"^  (\w+) \(app\.py:\d+\), (in .*)$", ended.err, re.M))
    assert ways == {("spin", "in a thread pool"), ("spin", POOL), ("main", "in tasks")}


def test_what_raises_is_counted(tmp_path: Path) -> None:
    told = advised(
        tmp_path,
        """
        from concurrent.futures import ProcessPoolExecutor
        def fails(n):
            spin(0.05)
            return 1 / n
        ---
        with ProcessPoolExecutor(1) as pool:
            for n in (1, 0, 0):
                pool.submit(fails, n).exception()
        """,
    )["fails"]
    assert told.measured.startswith("3 calls in 3 tasks (1 at once, 1 worker), 2 of them raised; wall ")
    assert told.kind.startswith("CPU-bound")


# -- Workers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("pool", ["ProcessPoolExecutor", "Pool"])
def test_workers_print_nothing(tmp_path: Path, method: str, pool: str) -> None:
    """Not even of threads and tasks of their own; and they measure under every start method."""
    made = {
        "ProcessPoolExecutor": "ProcessPoolExecutor(1, mp_context=context)",
        "Pool": "context.Pool(1)",
    }[pool]
    ended = outcome(
        tmp_path,
        program(
            f"""
            from concurrent.futures import ProcessPoolExecutor
            async def wait():
                await asyncio.sleep(0.1)
            def work(_):
                in_pool(time.sleep, [0.1] * 2)
                asyncio.run(wait())
            ---
            context = multiprocessing.get_context({method!r})
            with {made} as pool:
                list(pool.map(work, range(2), chunksize=1))
            """
        ),
        "--advise",
        PYTHONWARNINGS="ignore",
    )
    assert ended.status == 0, ended
    assert ended.err.count("fenshen: ") == 1, ended
    found = split(ended.err)
    assert set(found) == {"work"}
    assert found["work"].measured.startswith("2 calls in 2 tasks ")
    assert found["work"].seconds("wall") >= 0.4
    assert found["work"].kind.startswith("waits ")


def test_results_are_the_same(tmp_path: Path) -> None:
    source = program(
        """
        from concurrent.futures import ProcessPoolExecutor
        def double(what): return what + what
        def fails(n): return 1 / n
        ---
        with ProcessPoolExecutor(2) as pool:
            small = pool.submit(double, b"ab").result()
            large = pool.submit(double, os.urandom(50_000)).result()
            array = pool.submit(double, bytearray(100_000)).result()
            print(small, len(large), large[:50_000] == large[50_000:], type(array), len(array))
            print(list(pool.map(double, range(10), chunksize=3)), pool.submit(lambda n: n * 3, 7).result())
            error = pool.submit(fails, 0).exception()
            print(repr(error), "fails" in str(error.__cause__))
            try:
                pool.submit(double, threading.Lock()).result()
            except TypeError as e:
                print(e)
        """
    )
    plain = outcome(tmp_path, source, PYTHONWARNINGS="ignore")
    measured = outcome(tmp_path, source, "--advise", PYTHONWARNINGS="ignore")
    assert plain == Outcome(0, plain.out, ""), plain
    assert plain.out.startswith("b'abab' 100000 True <class 'bytearray'> 200000\n[0, 2, ")
    assert (measured.status, measured.out) == (0, plain.out)
    assert set(split(measured.err)) == {"double", "fails", "<lambda>"}


def test_streams_are_left_alone(tmp_path: Path) -> None:
    ended = outcome(
        tmp_path,
        program(
            """
            from fenshen.futures import ProcessPoolExecutor
            def count(n):
                for i in range(n):
                    yield bytes(20_000), i
            def work():
                time.sleep(0.1)
            ---
            with ProcessPoolExecutor(1) as pool:
                pool.submit(work).result()
                print(sum(i for _, i in pool.stream(count, 100)))
                pool.submit(work).result()
            """
        ),
        "--advise",
        PYTHONWARNINGS="ignore",
    )
    assert (ended.status, ended.out) == (0, "4950\n"), ended
    found = split(ended.err)
    assert set(found) == {"work"}
    assert found["work"].calls == 2


def test_a_worker_that_dies(tmp_path: Path) -> None:
    told = advised(
        tmp_path,
        """
        from concurrent.futures import ProcessPoolExecutor
        def work(n):
            if n == 1:
                os._exit(1)
            spin(0.05)
        ---
        with ProcessPoolExecutor(1) as pool:
            for n in range(4):
                pool.submit(work, n).exception()
        """,
    )["work"]
    assert told.measured.startswith("3 calls in 3 tasks (1 at once, 1 worker); wall ")
