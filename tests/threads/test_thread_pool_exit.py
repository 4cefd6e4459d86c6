"""Thread pools when the interpreter ends, when a process forks, and under Ctrl-C."""

from __future__ import annotations

import os
import signal
import textwrap
import time

import pytest
from commands import PYTHON, Outcome, end, needs_native, run, start

pytestmark = needs_native

twins = pytest.mark.parametrize("module", ["concurrent.futures", "fenshen.futures"])


def program(module: str, text: str) -> Outcome:
    return run(command(module, text))


def command(module: str, text: str) -> list[str]:
    head = f"import atexit, os, sys, threading, time\nfrom {module} import ThreadPoolExecutor, wait\n"
    return [*PYTHON, "-c", head + textwrap.dedent(text)]


@twins
def test_the_exit_waits_for_what_was_submitted(module) -> None:
    outcome = program(
        module,
        """
        pool = ThreadPoolExecutor(1)
        pool.submit(time.sleep, 0.05)
        pool.submit(print, "done")
        atexit.register(print, "exit")
        print("end of main")
        """,
    )
    assert outcome == (0, "end of main\ndone\nexit\n", "")


@twins
def test_no_job_is_taken_at_the_exit(module) -> None:
    outcome = program(
        module,
        """
        def late():
            threading.main_thread().join()
            time.sleep(0.05)
            try:
                pool.submit(print)
            except RuntimeError as e:
                print(e)
        pool = ThreadPoolExecutor(2)
        pool.submit(int).result()
        threading.Thread(target=late).start()
        """,
    )
    # The standard library's worker, woken by the exit, may have shut the pool down by then.
    assert outcome[0::2] == (0, "")
    assert outcome.out.startswith("cannot schedule new futures after ")


@twins
def test_a_job_of_a_job_at_the_exit(module) -> None:
    outcome = program(
        module,
        """
        def job():
            time.sleep(0.1)
            try:
                pool.submit(print, "another")
            except RuntimeError as e:
                print(e)
        pool = ThreadPoolExecutor(1)
        pool.submit(job)
        """,
    )
    assert outcome == (0, "cannot schedule new futures after interpreter shutdown\n", "")


@twins
def test_idle_workers_and_an_exit_by_an_error(module) -> None:
    outcome = program(module, "pool = ThreadPoolExecutor(3); wait([pool.submit(int) for _ in range(9)]); 1 / 0")
    assert outcome.status == 1
    assert outcome.err.endswith("ZeroDivisionError: division by zero\n")


def test_nobody_waits_for_a_stuck_worker_after_the_second_ctrl_c() -> None:
    """The first ends the wait for a result, the second the one at the end of the block, and the exit does not begin a
    third.
    """
    process = start(
        command(
            "fenshen.futures",
            """
            def stack_of_main():
                frame = sys._current_frames()[threading.main_thread().ident]
                while frame is not None:
                    yield frame.f_code.co_name
                    frame = frame.f_back
            def stuck():
                while "join" not in stack_of_main():
                    time.sleep(0.01)
                print("stuck", flush=True)
                time.sleep(600)
            with ThreadPoolExecutor(1) as pool:
                future = pool.submit(stuck)
                print("begun", flush=True)
                future.result()
            """,
        )
    )
    assert process.stdout is not None
    for line in ("begun\n", "stuck\n"):
        assert process.stdout.readline() == line
        os.kill(process.pid, signal.SIGINT)
    status, _, err = end(process)
    assert status in (-signal.SIGINT, 1, 130)
    assert err.rstrip().endswith("KeyboardInterrupt")
    assert "Exception ignored" not in err


@twins
@pytest.mark.parametrize("call", ["future.result()", "wait([future])", "future.exception()"])
def test_ctrl_c_ends_a_wait(module, call) -> None:
    process = start(
        command(
            module,
            f"""
            pool = ThreadPoolExecutor(1)
            gate = threading.Event()
            future = pool.submit(gate.wait)
            try:
                print("begun", flush=True)
                {call}
            except KeyboardInterrupt:
                print("ended")
                gate.set()
            """,
        )
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    if module == "concurrent.futures":
        time.sleep(0.5)  # a signal in the moment before it sleeps is lost to the standard library's wait
    os.kill(process.pid, signal.SIGINT)
    assert end(process) == (0, "ended\n", "")


@twins
def test_a_child_that_forks_has_pools_of_its_own(module) -> None:
    outcome = program(
        module,
        """
        pool = ThreadPoolExecutor(2)
        assert pool.submit(pow, 2, 3).result() == 8
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            with ThreadPoolExecutor(2) as own:
                print(list(own.map(abs, (-1, -2))), flush=True)
            pool.shutdown(wait=False)
            os._exit(3)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), pool.submit(pow, 2, 3).result())
        """,
    )
    assert outcome[:2] == (0, "[1, 2]\n3 8\n")


def test_a_daemon_worker_at_the_exit() -> None:
    outcome = program(
        "fenshen.futures",
        """
        import concurrent.futures.thread as thread
        class Daemons(ThreadPoolExecutor):
            def _adjust_thread_count(self):
                import weakref
                worker = threading.Thread(
                    target=self._work_queue._live, args=(weakref.ref(self), None, ()), daemon=True
                )
                worker.start()
                self._threads.add(worker)
        pool = Daemons(3)
        pool.submit(time.sleep, 600)
        pool.submit(print, "idle").result()
        """,
    )
    assert outcome == (0, "idle\n", "")
