"""`fenshen._launch`: processes that are the program's own children, under every start method, and end with it."""

from __future__ import annotations

import ast
import contextlib
import gc
import itertools
import multiprocessing
import os
import select
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from collections.abc import Iterator
from multiprocessing import connection, forkserver
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import commands
import pytest
from fenshen import _launch
from fenshen._launch import launcher

sys.path.insert(0, str(Path(__file__).parent))
import launching

PATIENCE = 60


@pytest.fixture(params=["fork", "spawn", "forkserver"])
def method(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def start(method: str) -> Iterator[Any]:
    forkserver._forkserver._stop()  # its processes write to where it was started
    launch = launcher(multiprocessing.get_context(method))
    yield launch
    launch.close()
    for process in multiprocessing.active_children():
        process.kill()
        process.join()


@pytest.fixture
def forks() -> Iterator[Any]:
    launch = launcher(multiprocessing.get_context("fork"))
    yield launch
    launch.close()
    assert not multiprocessing.active_children()


def ended(process: Any) -> int:
    """The exit code of a process that ends by itself."""
    process.join(PATIENCE)
    assert not process.is_alive()
    return process.exitcode


class Said:
    """A pipe whose write end processes get."""

    def __init__(self) -> None:
        self.read, self.write = os.pipe()

    def text(self) -> str:
        """All that they write until they have ended."""
        os.close(self.write)
        with open(self.read, encoding="utf-8") as file:
            return file.read()


def test_a_worker_is_a_process_of_the_program(start: Any, method: str) -> None:
    said = Said()
    process = start.start(launching.tell, ("a", 1), [said.write])
    assert process.is_alive() or process.exitcode == 0
    seen = ast.literal_eval(said.text())
    assert ended(process) == 0
    assert seen["args"] == ("a", 1)
    assert seen["pid"] == process.pid
    if method != "forkserver":
        assert seen["ppid"] == os.getpid()
    me = multiprocessing.current_process()
    assert seen["parent"] == (os.getpid(), me.name, True)
    assert (seen["name"], seen["identity"]) == (process.name, process._identity)
    assert seen["daemon"] is False
    assert seen["authkey"] == bytes(me.authkey)
    assert seen["mask"] == sorted(signal.pthread_sigmask(signal.SIG_BLOCK, []))
    assert seen["sigint"] is True
    assert seen["children"] == []


def test_it_is_of_the_class_of_the_context(start: Any, method: str) -> None:
    context = multiprocessing.get_context(method)
    process = start.start(launching.sleep)
    assert type(process) is context.Process
    assert process in multiprocessing.active_children()
    assert process.exitcode is None
    assert not select.select([process.sentinel], [], [], 0)[0]
    process.kill()
    assert connection.wait([process.sentinel], PATIENCE) == [process.sentinel]
    assert ended(process) == -signal.SIGKILL
    assert process not in multiprocessing.active_children()
    process.close()


def test_exit_codes(capfd: pytest.CaptureFixture[str], start: Any) -> None:
    assert ended(start.start(launching.exit_with, (7,))) == 7
    assert ended(start.start(launching.exit_with, (None,))) == 0
    assert ended(start.start(launching.leave, (9,))) == 9
    assert ended(start.start(launching.fail)) == 1
    assert "LookupError: nothing there" in capfd.readouterr().err
    process = start.start(launching.sleep)
    process.terminate()
    assert ended(process) == -signal.SIGTERM


def test_what_was_printed_is_seen(capfd: pytest.CaptureFixture[str], start: Any) -> None:
    assert ended(start.start(launching.print_late, ("at the end",))) == 0
    assert capfd.readouterr().out == "at the end"


def test_finalizers_run(start: Any) -> None:
    said = Said()
    process = start.start(launching.end_late, (), [said.write])
    assert said.text() == "finalized"
    assert ended(process) == 0


def test_names_count_as_the_standard_library_counts(start: Any, method: str) -> None:
    context = multiprocessing.get_context(method)
    (before,) = context.Process()._identity
    said = Said()
    processes = start.start_many(2, launching.say, ("x",), [[said.write], [said.write]])
    processes.append(start.start(launching.say, ("x",), [said.write], name="mine"))
    kind = context.Process.__name__
    assert [process.name for process in processes] == [f"{kind}-{before + 1}", f"{kind}-{before + 2}", "mine"]
    assert context.Process()._identity == (before + 4,)
    assert said.text() == "xxx"
    assert [ended(process) for process in processes] == [0, 0, 0]


def test_a_daemon(start: Any) -> None:
    said = Said()
    process = start.start(launching.tell, (), [said.write], daemon=True)
    assert process.daemon is True
    assert ast.literal_eval(said.text())["daemon"] is True
    assert ended(process) == 0


def test_each_has_its_own_descriptors(start: Any) -> None:
    pipes = [Said() for _ in range(12)]
    processes = start.start_many(12, launching.say, ("text",), [[pipe.write] for pipe in pipes])
    assert [pipe.text() for pipe in pipes] == ["text"] * 12
    assert [ended(process) for process in processes] == [0] * 12


def test_as_many_descriptors_as_processes(start: Any) -> None:
    with pytest.raises(ValueError, match="as many"):
        start.start_many(2, launching.sleep, (), [[0]])


def open_files() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def test_no_descriptor_leaks(start: Any) -> None:
    def once(n: int) -> None:
        for process in start.start_many(n, launching.leave, (0,)):
            assert ended(process) == 0
            process.close()

    once(1)
    before = open_files()
    once(10)
    for _ in range(10):
        once(1)
    assert open_files() <= before  # those of others may be closed meanwhile
    start.close()


PROGRAM = """
import multiprocessing, os, sys, time
sys.path.insert(0, {path!r})
import launching
from fenshen import _launch
from fenshen._launch import launcher

if __name__ == "__main__":
    launch = launcher(multiprocessing.get_context({method!r}))
    processes = launch.start_many(3, launching.hold_the_interpreter, (), [[1]] * 3)
    sys.stderr.write(" ".join(str(process.pid) for process in processes) + "\\n")
    sys.stderr.flush()
    time.sleep(600)
"""


def is_alive(pid: int) -> bool:
    """Whether it runs: a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def session(of: int) -> list[int]:
    """The processes of a session that run."""
    numbers = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    found = []
    for number in numbers:
        try:
            if os.getsid(number) == of and is_alive(number):
                found.append(number)
        except ProcessLookupError:
            pass
    return found


def test_nobody_outlives_a_program_that_is_killed(method: str, tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    file.write_text(PROGRAM.format(path=str(Path(__file__).parent), method=method))
    program = subprocess.Popen(
        [sys.executable, str(file)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        assert program.stdout is not None
        assert program.stderr is not None
        workers = [int(pid) for pid in program.stderr.readline().split()]
        assert len(workers) == 3
        said = b""
        while len(said) < 3:
            said += os.read(program.stdout.fileno(), 3)
        assert all(map(is_alive, workers))
        program.kill()
        program.wait(PATIENCE)
        until = time.monotonic() + PATIENCE
        while (left := session(program.pid)) and time.monotonic() < until:
            time.sleep(0.01)
        assert left == []
    finally:
        for pid in session(program.pid):
            os.kill(pid, signal.SIGKILL)
        program.stdout.close()
        program.stderr.close()


def test_the_state_is_that_of_the_first_start(forks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    states = []
    for state in ("first", "second"):
        monkeypatch.setattr(launching, "STATE", state)
        said = Said()
        process = forks.start(launching.tell_state, (), [said.write])
        states.append(said.text())
        assert ended(process) == 0
    assert states == ["first", "first"]


def template_of(launch: Any) -> int:
    return launch._template.pid


def test_a_template_that_was_killed_is_replaced(forks: Any) -> None:
    assert ended(forks.start(launching.leave, (3,))) == 3
    old = template_of(forks)
    os.kill(old, signal.SIGKILL)
    processes = forks.start_many(9, launching.leave, (3,))
    assert [ended(process) for process in processes] == [3] * 9
    assert template_of(forks) != old
    with pytest.raises(ChildProcessError):
        os.waitpid(old, os.WNOHANG)


def children() -> list[int]:
    """The processes whose parent this one is, zombies among them."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        found += map(int, (task / "children").read_text().split())
    return found


def test_a_template_is_killed_again_and_again_while_it_works(forks: Any) -> None:
    stop = threading.Event()

    def kill() -> None:
        # At every age, and old enough in each round that it gets something done, however slow the machine.
        for age in itertools.cycle(0.003 * 2**n for n in range(7)):
            if stop.wait(age):
                return
            template = forks._template
            if template is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(template.pid, signal.SIGKILL)

    before = children()
    forks.start(launching.leave, (4,)).join()
    killer = threading.Thread(target=kill)
    killer.start()
    try:
        for _ in range(10):
            processes = forks.start_many(4, launching.leave, (4,))
            assert [ended(process) for process in processes] == [4] * 4
    finally:
        stop.set()
        killer.join()
    forks.close()
    assert children() == before  # nobody is left whom nobody knows


def test_the_template_is_nobody_s_business(forks: Any) -> None:
    process = forks.start(launching.sleep)
    assert multiprocessing.active_children() == [process]
    os.kill(template_of(forks), signal.SIGINT)
    os.kill(template_of(forks), signal.SIGTERM)
    another = forks.start(launching.sleep)
    for each in (process, another):
        each.kill()
        assert ended(each) == -signal.SIGKILL
    template = template_of(forks)
    forks.close()
    assert not is_alive(template)
    with pytest.raises(ChildProcessError):
        os.waitpid(template, os.WNOHANG)


def test_closed_and_started_again(forks: Any) -> None:
    assert ended(forks.start(launching.leave, (1,))) == 1
    forks.close()
    assert ended(forks.start(launching.leave, (2,))) == 2


def test_numbers_and_texts_may_differ(forks: Any) -> None:
    assert ended(forks.start(launching.leave, (1,))) == 1
    template = template_of(forks)
    assert ended(forks.start(launching.leave, (5,))) == 5
    assert template_of(forks) == template


def test_anything_else_may_differ_too(forks: Any) -> None:
    assert ended(forks.start(lambda: os._exit(6))) == 6
    marker = object()
    assert ended(forks.start(lambda it: os._exit(7 if it is marker else 1), (marker,))) == 7


def test_a_worker_is_forked_once(tmp_path: Path) -> None:
    """What is registered for forks is called as if the program itself had forked the worker."""
    program = tmp_path / "program.py"
    program.write_text(
        """
import multiprocessing
import os
from fenshen._launch import launcher

told = []
os.register_at_fork(
    before=lambda: told.append("before"),
    after_in_parent=lambda: told.append("parent"),
    after_in_child=lambda: told.append("child"),
)
launch = launcher(multiprocessing.get_context("fork"))
come, go = multiprocessing.Pipe(False)
launch.start(lambda: go.send(told)).join()
print(told, come.recv())
launch.close()
"""
    )
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=PATIENCE)
    assert (done.stdout, done.stderr) == ("['before', 'parent'] ['before', 'child']\n", "")


@pytest.mark.skipif(sys.version_info < (3, 12), reason="forks don't warn")
def test_a_warning_of_threads_in_a_program_that_has_some(forks: Any) -> None:
    done = threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()
    try:
        with pytest.warns(DeprecationWarning, match=f"pid={os.getpid()}.* is multi-threaded, use of fork"):
            assert ended(forks.start(int)) == 0
        forks.close()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert ended(forks.start(int)) == 0
    finally:
        done.set()
        other.join()


def test_no_warning_of_threads_in_a_program_that_has_none(forks: Any) -> None:
    if threading.active_count() > 1:
        pytest.skip("this process has other threads")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ended(forks.start(launching.leave, (0,))) == 0
        os.kill(template_of(forks), signal.SIGKILL)
        assert ended(forks.start(launching.leave, (0,))) == 0


def test_a_daemon_has_no_workers(forks: Any) -> None:
    def attempt() -> None:
        try:
            launcher(multiprocessing.get_context("fork")).start(launching.sleep)
        except AssertionError as exc:
            os._exit(11 if "daemonic processes are not allowed to have children" in str(exc) else 1)

    process = multiprocessing.get_context("fork").Process(target=attempt, daemon=True)
    process.start()
    assert ended(process) == 11


def test_a_worker_has_workers(forks: Any) -> None:
    def parent() -> None:
        launch = launcher(multiprocessing.get_context("fork"))
        child = launch.start(launching.leave, (8,))
        child.join()
        launch.close()
        os._exit(child.exitcode)

    assert ended(forks.start(parent)) == 8


def test_a_launcher_in_a_forked_child(forks: Any) -> None:
    assert ended(forks.start(launching.leave, (1,))) == 1
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            process = forks.start(launching.leave, (13,))
            process.join()
            code = process.exitcode
            forks.close()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 13
    assert ended(forks.start(launching.leave, (2,))) == 2


def test_started_from_many_threads(forks: Any) -> None:
    forks.start(launching.leave, (0,)).join()
    codes = []

    def some() -> None:
        codes.extend(ended(process) for process in forks.start_many(3, launching.leave, (0,)))

    threads = [threading.Thread(target=some) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [0] * 12


def test_a_fork_server_that_was_killed_is_replaced() -> None:
    launch = launcher(multiprocessing.get_context("forkserver"))
    assert ended(launch.start(launching.leave, (3,))) == 3
    os.kill(forkserver._forkserver._forkserver_pid, signal.SIGKILL)
    assert ended(launch.start(launching.leave, (4,))) == 4
    launch.close()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_whoever_asks_at_the_same_time_is_told_the_same(start: Any) -> None:
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            multiprocessing.active_children()

    askers = [threading.Thread(target=ask, daemon=True) for _ in range(2)]
    for asker in askers:
        asker.start()
    try:
        codes = []
        for _ in range(40):
            process = start.start(launching.sleep)
            process.kill()
            codes.append(ended(process))
    finally:
        over.set()
        for asker in askers:
            asker.join()
    assert codes == [-signal.SIGKILL] * 40


def test_who_asks_in_a_forked_child_waits_for_no_thread_of_its_parent() -> None:
    code = """
        import multiprocessing, os, threading
        from fenshen import _launch
        process = _launch.launcher(multiprocessing.get_context("fork")).start(os.getpid)
        holds, over = threading.Event(), threading.Event()
        def hold():
            with _launch._asking:
                holds.set()
                over.wait()
        threading.Thread(target=hold).start()
        holds.wait()
        pid = os.fork()
        if pid == 0:
            multiprocessing.active_children()
            os._exit(7)
        over.set()
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    """
    said = commands.run([sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)])
    assert said == (0, "7\n", "")


def test_a_template_waits_for_modules_that_other_threads_import(
    forks: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "imported_late.py").write_text("import launching\nlaunching.BEGUN.set()\nlaunching.GO.wait()\n")
    monkeypatch.syspath_prepend(tmp_path)
    launching.BEGUN, launching.GO = threading.Event(), threading.Event()
    waited: list[bool] = []

    def no_longer_now(_: float) -> None:
        waited.append(_launch._imports_elsewhere())
        launching.GO.set()
        importer.join(PATIENCE)

    importer = threading.Thread(target=__import__, args=("imported_late",), daemon=True)
    importer.start()
    assert launching.BEGUN.wait(PATIENCE)
    monkeypatch.setattr(_launch, "time", SimpleNamespace(monotonic=time.monotonic, sleep=no_longer_now))
    assert ended(forks.start(__import__, ("imported_late",))) == 0
    assert waited == [True]
