"""Children of multiprocessing are installed as their parent is, by every start method; other children are not."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import PYTHON, RUN, RUN_HERE, end, needs_native, run, start

pytestmark = needs_native

METHODS = pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
POOL = """
import asyncio, multiprocessing, os, sys

def loop():
    loop = asyncio.new_event_loop()
    loop.close()
    return type(loop).__module__

# What this process had when its main module was imported.
LOOP = loop()

def work(n):
    return n * n, LOOP, loop()

def put(queue):
    queue.put((os.getppid(), LOOP))

if __name__ == '__main__':
    context = multiprocessing.get_context(sys.argv[1])
    with context.Pool(1) as pool:
        print(sorted(set(pool.map(work, range(3)))))
    queue = context.Queue()
    process = context.Process(target=put, args=(queue,))
    process.start()
    parent, loop = queue.get()
    process.join()
    print(loop, process.exitcode, sys.argv[1] == 'forkserver' or parent == os.getpid())
"""


@METHODS
def test_under_fenshen_run(method: str, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(POOL)
    started = [start([*way, "program.py", method], cwd=tmp_path) for way in (PYTHON, RUN, RUN_HERE)]
    plain, *ours = [end(process) for process in started]
    assert plain.status == 0
    expected = (0, plain.out.replace("asyncio.unix_events", "fenshen.loop"), "")
    assert ours == [expected, expected]


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_of_a_module_run_with_m(method: str, tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").touch()
    (tmp_path / "package" / "job.py").write_text(POOL)
    started = [start([*way, "-m", "package.job", method], cwd=tmp_path) for way in (PYTHON, RUN)]
    plain, ours = [end(process) for process in started]
    assert ours == (0, plain.out.replace("asyncio.unix_events", "fenshen.loop"), "")


@METHODS
def test_with_install_instead(method: str, tmp_path: Path) -> None:
    guard = "if __name__ == '__main__':"
    (tmp_path / "program.py").write_text(POOL.replace(guard, f"{guard}\n    import fenshen; fenshen.install()"))
    ours = run([*PYTHON, "program.py", method], cwd=tmp_path)
    assert (ours.status, ours.err) == (0, "")
    assert ours.out.count("fenshen.loop") == (3 if method == "fork" else 7)


def test_of_a_fork_server_that_is_older_than_install(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("""if 1:
        import asyncio, multiprocessing
        loop = asyncio.new_event_loop()
        loop.close()
        def show(): print(type(loop).__module__, flush=True)
        if __name__ == '__main__':
            context = multiprocessing.get_context('forkserver')
            for install in (False, True):
                if install:
                    import fenshen
                    fenshen.install()
                process = context.Process(target=show)
                process.start()
                process.join()""")
    assert run([*PYTHON, "program.py"], cwd=tmp_path) == (0, "asyncio.unix_events\nfenshen.loop\n", "")


def test_options_travel(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("""if 1:
        import multiprocessing
        def show():
            from fenshen._options import current
            print(current.to_text(), flush=True)
        if __name__ == '__main__':
            for method in ('fork', 'spawn', 'forkserver'):
                process = multiprocessing.get_context(method).Process(target=show)
                process.start()
                process.join()""")
    ours = run([*RUN, "--deadlock=off", "--no-threads", "program.py"], cwd=tmp_path)
    text = "no-threads,deadlock=off"
    assert ours == (0, f"{text}\n{text},child\n{text},child\n", "")


def test_after_uninstall_children_are_plain(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        POOL.replace("import asyncio,", "import fenshen; fenshen.uninstall()\nimport asyncio,")
    )
    plain = run([*PYTHON, "program.py", "spawn"], cwd=tmp_path)
    assert run([*RUN, "program.py", "spawn"], cwd=tmp_path) == plain


def test_without_a_main_guard_it_fails_as_it_does_without_us(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("""if 1:
        import multiprocessing
        process = multiprocessing.get_context('spawn').Process(target=print)
        process.start()
        process.join()
        print(process.exitcode)""")
    assert run([*RUN, "program.py"], cwd=tmp_path) == run([*PYTHON, "program.py"], cwd=tmp_path)


def test_of_subprocess_are_not_installed(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("""if 1:
        import subprocess, sys, os
        code = "import asyncio; l = asyncio.new_event_loop(); l.close(); print(type(l).__module__)"
        for env in (None, dict(os.environ, FENSHEN="1"), dict(os.environ, FENSHEN="0")):
            print(subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True).stdout, end="")
        print([name for name in os.environ if name.startswith("FENSHEN")])""")
    expected = "asyncio.unix_events\nfenshen.loop\nasyncio.unix_events\n[]\n"
    assert run([*RUN, "program.py"], cwd=tmp_path) == (0, expected, "")
