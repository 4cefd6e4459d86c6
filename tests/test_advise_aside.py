"""`fenshen run --advise` changes nothing else of a program; forks, children, and the sampling thread."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from advised import advice, outcome, split
from commands import RUN, RUN_HERE, Outcome, needs_native

pytestmark = needs_native


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
        print(threading.Thread._bootstrap_inner.__module__, ThreadPoolExecutor.submit)
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
    assert ended == Outcome(0, "child\n", "fenshen: advice: nothing was handed to a thread, a pool or a task\n")
