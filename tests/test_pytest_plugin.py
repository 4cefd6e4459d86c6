"""The plugin for pytest: what a test leaves behind fails it, and is named."""

from __future__ import annotations

import re
import sys
from importlib.metadata import entry_points

import pytest
from commands import needs_native
from commands import run as run_command

pytest_plugins = ["pytester"]

# What else may be installed here is not what is tried.
ALONE = [*("-p", "no:cacheprovider"), *("-p", "no:asyncio"), *("-p", "no:anyio"), *("-p", "no:timeout")]

LEAKS = """
    import asyncio, os, subprocess, sys, threading
    from multiprocessing import shared_memory
    import pytest

    kept = []

    def test_thread():
        kept.append(threading.Event())
        threading.Thread(target=kept[-1].wait, name="lingerer", daemon=True).start()

    def test_process():
        kept.append(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE))

    def test_zombie():
        kept.append(subprocess.Popen(["true"]))

    def test_shared_memory():
        kept.append(shared_memory.SharedMemory(create=True, size=4096))

    async def sleeper():
        await asyncio.sleep(1000)

    def test_pending_task():
        loop = asyncio.new_event_loop()
        kept.append((loop, loop.create_task(sleeper(), name="sleeper")))
        loop.run_until_complete(asyncio.sleep(0))

    def test_forgotten_task():
        async def main():
            kept.append(asyncio.create_task(sleeper(), name="forgotten"))
            await asyncio.sleep(0)
        asyncio.run(main())

    def test_several():
        kept.append(threading.Event())
        threading.Thread(target=kept[-1].wait, name="first", daemon=True).start()
        threading.Thread(target=kept[-1].wait, name="second", daemon=True).start()

    def test_clean():
        thread = threading.Thread(target=len, args=("",))
        thread.start()
        thread.join()
        subprocess.run(["true"])
        block = shared_memory.SharedMemory(create=True, size=10)
        block.close()
        block.unlink()
        asyncio.run(asyncio.sleep(0))

    @pytest.fixture(scope="module", autouse=True)
    def all_gone():
        yield
        for left in kept:
            if isinstance(left, threading.Event):
                left.set()
            elif isinstance(left, subprocess.Popen):
                left.communicate()
            elif isinstance(left, shared_memory.SharedMemory):
                left.close()
                left.unlink()
            elif isinstance(left, tuple):
                left[1].cancel()
                left[0].run_until_complete(asyncio.sleep(0))
                left[0].close()
"""

FENSHEN = """
    import os, signal
    import fenshen
    import pytest
    from fenshen.futures import BrokenExecutor, ProcessPoolExecutor, ThreadPoolExecutor
    from fenshen.multiprocessing import get_context, shared_memory

    kept = []

    def test_pool():
        kept.append(ProcessPoolExecutor(1))
        assert kept[0].submit(os.getpid).result() != os.getpid()

    def test_threads():
        kept.append(ThreadPoolExecutor(1, thread_name_prefix="hand"))
        kept[1].submit(len, "").result()

    def test_task():
        async def main():
            kept.append(fenshen.asyncio.create_task(fenshen.asyncio.sleep(1000), name="forgotten"))
        fenshen.run(main())

    def test_block():
        kept.append(shared_memory.SharedMemory(create=True, size=10))

    def test_closed():
        with ProcessPoolExecutor(1) as pool, ThreadPoolExecutor(1) as threads:
            assert pool.submit(os.getpid).result() != threads.submit(os.getpid).result()
        process = get_context("fork").Process(target=len, args=("",))
        process.start()
        process.join()

    def test_the_programs_own_pool():
        assert fenshen.run(fenshen.to_process(os.getpid)) != os.getpid()

    @pytest.fixture(scope="module", params=["fork", "spawn", "forkserver"])
    def shared(request):
        with ProcessPoolExecutor(1, mp_context=get_context(request.param)) as pool:
            yield pool

    def test_a_pool_that_was_there_before(shared):
        pid = shared.submit(os.getpid).result()
        with pytest.raises(BrokenExecutor):
            shared.submit(os.kill, pid, signal.SIGKILL).result()
        assert shared.submit(os.getpid).result() != pid

    def teardown_module():
        kept[0].shutdown()
        kept[1].shutdown()
        kept[3].close()
        kept[3].unlink()
"""

CHOICES = """
    import asyncio, threading
    import pytest

    over = threading.Event()

    def leave():
        threading.Thread(target=over.wait, name="lingerer").start()

    @pytest.mark.fenshen_leaks
    def test_marked():
        leave()

    @pytest.mark.fenshen_leaks(False)
    def test_left_out():
        leave()

    @pytest.mark.fenshen_leaks(threads=False)
    def test_threads_left_out():
        leave()

    def test_as_configured():
        leave()

    @pytest.mark.fenshen_leaks(wait=60)
    def test_waits_for_what_ends_by_itself():
        threading.Timer(0.2, len, ("",)).start()

    @pytest.mark.fenshen_leaks
    def test_what_nobody_refers_to_is_collected():
        loop = asyncio.SelectorEventLoop()
        async def wait():
            here = task
            await loop.create_future()
        task = loop.create_task(wait())
        loop.run_until_complete(asyncio.sleep(0))
        task._log_destroy_pending = False
        loop.close()

    @pytest.fixture(scope="module")
    def server():
        over_too = threading.Event()
        thread = threading.Thread(target=over_too.wait)
        thread.start()
        yield thread
        over_too.set()
        thread.join()

    @pytest.fixture
    def helper():
        over_too = threading.Event()
        thread = threading.Thread(target=over_too.wait)
        thread.start()
        yield thread
        over_too.set()
        thread.join()

    def test_fixtures_clean_up(server, helper):
        assert server.is_alive() and helper.is_alive()

    def teardown_module():
        over.set()
"""


@pytest.fixture
def run(pytester, monkeypatch):
    """Run a file of tests in a pytest of its own: its result, and its output with numbers made equal."""
    for name in ("PYTEST_ADDOPTS", "FENSHEN"):
        monkeypatch.delenv(name, raising=False)

    def run(text, *arguments):
        pytester.makepyfile(test_it=text)
        result = pytester.runpytest_subprocess(*ALONE, "-o", "fenshen_leaks_wait=0.3", *arguments, timeout=100)
        return result, re.sub(r"\d+", "N", result.stdout.str())

    return run


def failed(output):
    return re.findall(r"^LEAKED \S+::(\w+)", output, re.MULTILINE)


def test_entry_point():
    assert "fenshen.pytest_plugin" in {point.value for point in entry_points(group="pytest11")}


def test_each_kind_is_named(run):
    result, output = run(LEAKS, "--fenshen-leaks")
    names = ["thread", "process", "zombie", "shared_memory", "pending_task", "forgotten_task", "several"]
    assert failed(result.stdout.str()) == [f"test_{name}" for name in names], output
    result.assert_outcomes(passed=8, failed=7)
    for line in (
        "daemon thread lingerer, at .*, started at test_it.py:N in test_thread",
        "process N, `.* -c input()`, started at test_it.py:N in test_process",
        "process N, .*which has ended and was not waited for, started at test_it.py:N in test_zombie",
        "shared memory /dev/shm/.*, N,N bytes, not unlinked, made at test_it.py:N in test_shared_memory",
        "task sleeper, running sleeper, at test_it.py:N, created at test_it.py:N in test_pending_task",
        "task forgotten, running sleeper, at test_it.py:N, created at test_it.py:N in main, cancelled by the end",
        "daemon thread first, ",
        "daemon thread second, ",
    ):
        pattern = ".*".join(map(re.escape, line.split(".*")))
        assert re.search(rf"^  {pattern}", output, re.MULTILINE), (line, output)


@needs_native
def test_what_is_ours(run):
    result, output = run(FENSHEN, "--fenshen-leaks")
    assert failed(result.stdout.str()) == ["test_pool", "test_threads", "test_task", "test_block"], output
    for part in ("  process N, ", "  thread hand_N, ", "  task forgotten, ", "  shared memory /dev/shm/"):
        assert part in output


TOGETHER = """
    import asyncio, os
    import fenshen
    from fenshen.flow import pipeline, stage

    async def nap(x):
        await asyncio.sleep(0.001)
        return x

    def begin(group):
        return [group.to_thread(os.getpid), group.to_process(os.getpid), group.to_process(nap, 1)]

    def test_group():
        async def main():
            async with fenshen.TaskGroup() as group:
                begin(group)
                group.create_task(nap(1))
        fenshen.run(main())

    def test_plain_group():
        with fenshen.TaskGroup() as group:
            begin(group)

    def test_pipeline():
        stages = stage(str, "thread"), stage(int, "process"), stage(nap, "async"), stage(nap, "process+async")
        assert pipeline(range(10), *stages).run() == list(range(10))

    def test_queue():
        queue = fenshen.Queue(shared=True)
        queue.put(1)
        assert queue.get() == 1
"""


@needs_native
@pytest.mark.parametrize("under", [[], ["fenshen", "run", "-m"]], ids=["python", "fenshen run"])
def test_what_ends_by_itself(under, pytester, tmp_path):
    """Groups, pipelines and queues leave nothing; and pytest has nothing to say of how the package was imported."""
    pytester.makepyfile(test_it=TOGETHER)
    words = ["pytest", *ALONE, "-W", "error", "-o", "fenshen_leaks_wait=10", "--fenshen-leaks"]
    done = run_command([sys.executable, "-m", *under, *words], cwd=pytester.path)
    assert "4 passed" in done.out, done.out + done.err
    assert "warning" not in done.out


def test_nothing_is_looked_for_unasked(run):
    result, output = run(CHOICES)
    assert failed(result.stdout.str()) == ["test_marked"], output
    result.assert_outcomes(passed=7, failed=1)


def test_configured(run, pytester):
    pytester.makeini("[pytest]\nfenshen_leaks = true\naddopts = --strict-markers\n")
    result, output = run(CHOICES)
    assert failed(result.stdout.str()) == ["test_marked", "test_as_configured"], output


def test_a_mark_that_says_something_else(run):
    result, output = run("import pytest\n@pytest.mark.fenshen_leaks(theads=False)\ndef test(): pass")
    result.assert_outcomes(passed=0, errors=1)
    assert "fenshen_leaks knows one argument and tasks, threads, processes, shared_memory, wait" in output
