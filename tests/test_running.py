"""`fenshen run` against `python`: the same bytes, the same status."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
import zipfile
from pathlib import Path

import pytest
from conftest import PYTHON, RUN, RUN_HERE, Outcome, needs_native, run

WAYS = pytest.mark.parametrize("way", [RUN, RUN_HERE], ids=["own-process", "here"])

PROGRAMS = {
    "hello": "print('hello')",
    "names": """
        print(__name__, __file__, __spec__, __doc__, __package__, __cached__, type(__loader__).__name__, __builtins__)
        """,
    "space": "print(sorted(globals()))",
    "doc": "'about'\nprint(__doc__)",
    "argv": "import sys; print(sys.argv, sys.path[0], sys.flags)",
    "main module": """
        import sys
        m = sys.modules['__main__']
        print(m.__dict__ is globals(), m.__file__, m.__spec__)
        """,
    "exit 3": "raise SystemExit(3)",
    "exit text": "import sys; sys.exit('no good')",
    "exit none": "import sys; sys.exit()",
    "exit in a function": "import sys\ndef f(): sys.exit(4)\nf()",
    "os._exit": "import os; print('x', flush=True); os._exit(5)",
    "abort": "import os; os.abort()",
    "error": "def f(x):\n    return 1 / x\n\nprint('before')\nf(0)",
    "chained": """
        try:
            {}['k']
        except KeyError as e:
            raise ValueError('v') from e
        """,
    "context": """
        try:
            {}['k']
        except KeyError:
            [][1]
        """,
    "group": """
        import sys
        if sys.version_info >= (3, 11):
            raise ExceptionGroup('g', [ValueError(1), TypeError(2)])
        """,
    "notes": """
        e = ValueError('x')
        e.add_note('a note') if hasattr(e, 'add_note') else None
        raise e
        """,
    "syntax": "x = 1\nif x\n    pass",
    "tabs": "if 1:\n\tx = 1\n        y = 2",
    "encoding": "# coding: latin-1\nprint(len('\u00e9'))",
    "keyboard": "raise KeyboardInterrupt",
    "keyboard handled": """
        import atexit
        atexit.register(print, 'atexit')
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            print('caught')
        """,
    "base exception": "class Mine(BaseException): pass\nraise Mine('x')",
    "excepthook": """
        import sys, traceback
        def hook(k, v, t):
            print('hook', k.__name__, v)
            traceback.print_tb(t)
        sys.excepthook = hook
        1/0
        """,
    "excepthook that fails": """
        import sys
        def hook(k, v, t): {}['k']
        sys.excepthook = hook
        1/0
        """,
    "atexit": """
        import atexit
        atexit.register(print, 'last')
        atexit.register(lambda: print('first'))
        print('body')
        """,
    "atexit after error": "import atexit\natexit.register(print, 'at exit')\n1/0",
    "last traceback": """
        import sys, atexit, traceback
        atexit.register(lambda: traceback.print_tb(sys.last_traceback))
        1/0
        """,
    "threads at exit": """
        import threading, time
        threading.Thread(target=lambda: (time.sleep(.1), print('thread done'))).start()
        print('main done')
        """,
    "thread error": """
        import threading
        t = threading.Thread(target=lambda: 1/0, name='worker')
        t.start()
        t.join()
        """,
    "daemon": """
        import threading, time
        threading.Thread(target=time.sleep, args=(9,), daemon=True).start()
        print('over')
        """,
    "closed stdout": "import sys\nprint('x')\nsys.stdout.close()",
    "warning": """
        import warnings
        def f(): warnings.warn('careful', stacklevel=1)
        f()
        f()
        """,
    "deprecated": "import warnings\nwarnings.warn('old', DeprecationWarning)",
    "resource": "import warnings; warnings.simplefilter('always')\nopen(__file__)\n",
    "source": """
        import inspect
        def f():
            return 'its own text'
        print(inspect.getsource(f), inspect.getsourcefile(f))
        """,
    "annotations": "x: int = 1\nprint(__annotations__)",
    "pickle": """
        import pickle
        class C: pass
        def f(): pass
        print(type(pickle.loads(pickle.dumps(C()))) is C, pickle.loads(pickle.dumps(f)) is f, C)
        """,
    "logging": """
        import logging
        logging.basicConfig(format='%(pathname)s %(lineno)d %(message)s')
        logging.warning('w')
        """,
    "import of main": "import __main__\nv = 1\nprint(__main__.v)",
    "globals deleted": """
        import sys
        for k in list(globals()):
            if not k.startswith('__'):
                del globals()[k]
        """,
    "unraisable": "class C:\n    def __del__(self): 1/0\nC()",
    "fork": """
        import os, sys
        pid = os.fork()
        if pid == 0:
            print('child', flush=True)
            sys.exit(3)
        print('parent', os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        """,
    "asyncio": """
        import asyncio
        async def main():
            await asyncio.sleep(0)
            return 5
        print(asyncio.run(main()))
        """,
    "exit in a coroutine": """
        import asyncio
        async def main():
            await asyncio.sleep(0)
            raise SystemExit(9)
        asyncio.run(main())
        """,
}
# Not "here": a program that looks at the frames below its own sees the launcher there, as one under `python -m` sees
# runpy; and only the interpreter's own reader words a few syntax errors as it does.
PROGRAMS_BELOW = {
    "stack": "import traceback\ndef f(): traceback.print_stack()\nf()",
    "stack depth": "import inspect\nprint(len(inspect.stack()))",
    "stack info": "import logging\nlogging.warning('w', stack_info=True)",
    "faulthandler": "import faulthandler\nfaulthandler.dump_traceback()",
    "all stacks": """
        import sys, traceback
        for f in sys._current_frames().values():
            traceback.print_stack(f)
        """,
    "pdb": "import pdb\npdb.Pdb().set_trace()\nx = 1\n",
    "trace": """
        import trace
        t = trace.Trace(count=1, trace=0)
        t.runfunc(lambda: 1)
        print(len(t.results().counts))
        """,
    "recursion": "def f(): f()\nf()",
    "recursion limit": """
        import sys
        def f(n): return n and f(n - 1)
        print(f(sys.getrecursionlimit() - 60))
        """,
    "null byte": "x = 1\0",
    "bad coding": "# coding: nonsense\nx = 1",
    "no excepthook": "import sys\nsys.excepthook = None\n1/0",
}


def same(way: list[str], words: list[str], *, cwd: Path, **more: str) -> Outcome:
    """Both commands, the outcome of each the same; returns it."""
    plain = run([*PYTHON, *words], cwd=cwd, **more)
    ours = run([*way, *words], cwd=cwd, **more)
    assert ours == plain
    return plain


@WAYS
@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_come_out_the_same(way: list[str], name: str, tmp_path: Path) -> None:
    encoding = "latin-1" if name == "encoding" else "utf-8"
    (tmp_path / "program.py").write_text(textwrap.dedent(PROGRAMS[name]), encoding=encoding)
    same(way, ["program.py", "a", "--deadlock=off", "-m"], cwd=tmp_path)


@pytest.mark.parametrize("name", PROGRAMS_BELOW)
def test_nothing_of_ours_is_below_the_program(name: str, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(textwrap.dedent(PROGRAMS_BELOW[name]))
    same(RUN, ["program.py"], cwd=tmp_path, stdin="n\nc\n")


@WAYS
def test_missing_file(way: list[str], tmp_path: Path) -> None:
    assert same(way, ["nothing.py"], cwd=tmp_path).status == 2


@WAYS
def test_script_in_another_folder_and_behind_a_link(way: list[str], tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "neighbour.py").write_text("name = 'neighbour'")
    (tmp_path / "real" / "program.py").write_text("import sys, neighbour; print(neighbour.name, sys.path[0], __file__)")
    (tmp_path / "link.py").symlink_to(tmp_path / "real" / "program.py")
    assert "neighbour" in same(way, ["real/program.py"], cwd=tmp_path).out
    assert "neighbour" in same(way, ["link.py"], cwd=tmp_path).out
    same(way, [str(tmp_path / "real" / "program.py")], cwd=Path("/"))


@WAYS
def test_a_module(way: list[str], tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("print('init')")
    (package / "__main__.py").write_text(
        "import sys\nprint(__name__, __spec__.name, __package__, sys.argv, sys.path[0])\nfrom . import tool"
    )
    (package / "tool.py").write_text("print(__name__, __package__)\nif __name__ == '__main__': 1/0")
    assert same(way, ["-m", "package", "x"], cwd=tmp_path).status == 0
    assert same(way, ["-m", "package.tool"], cwd=tmp_path).status == 1
    for words in (["-m", "no_such_module"], ["-m", "package.none"], ["-m"]):
        if way is RUN and words != ["-m"]:
            assert same(way, words, cwd=tmp_path).status == 1


@WAYS
def test_code(way: list[str], tmp_path: Path) -> None:
    same(
        way,
        ["-c", "import sys; print(sys.argv, repr(sys.path[0]), __name__, '__file__' in globals())", "-x", "y"],
        cwd=tmp_path,
    )
    same(way, ["-c", "raise SystemExit(7)"], cwd=tmp_path)
    assert run([*way, "-cprint(5)"], cwd=tmp_path) == (0, "5\n", "")


def test_code_with_an_error(tmp_path: Path) -> None:
    same(RUN, ["-c", "def f(): 1/0\nf()"], cwd=tmp_path)


@WAYS
def test_a_folder_and_a_zip(way: list[str], tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "__main__.py").write_text(
        "import sys, side; print(__name__, __file__, sys.argv, sys.path[0], side.x)"
    )
    (tmp_path / "folder" / "side.py").write_text("x = 1")
    with zipfile.ZipFile(tmp_path / "app.zip", "w") as archive:
        for file in (tmp_path / "folder").iterdir():
            archive.write(file, file.name)
    (tmp_path / "empty").mkdir()
    assert same(way, ["folder", "x"], cwd=tmp_path).status == 0
    assert same(way, ["app.zip", "x"], cwd=tmp_path).status == 0
    assert same(way, ["empty"], cwd=tmp_path).status == 1


@WAYS
def test_stdin_is_the_program_or_belongs_to_it(way: list[str], tmp_path: Path) -> None:
    same(way, ["-"], cwd=tmp_path, stdin="import sys\nprint(sys.argv, __name__)\n")
    same(way, ["-", "a", "b"], cwd=tmp_path, stdin="import sys\nprint(sys.argv)\n")
    same(way, [], cwd=tmp_path, stdin="import sys\nprint(sys.argv)\n")
    (tmp_path / "reader.py").write_text("import sys; print([line for line in sys.stdin], input('?') if 0 else '')")
    same(way, ["reader.py"], cwd=tmp_path, stdin="one\ntwo\n")


def test_compiled_program(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("print(__file__, __name__)")
    run([*PYTHON, "-m", "compileall", "-b", "-q", "program.py"], cwd=tmp_path)
    (tmp_path / "program.py").unlink()
    for way in (RUN, RUN_HERE):
        same(way, ["program.pyc"], cwd=tmp_path)


FLAGS = [
    ["-O"],
    ["-u"],
    ["-W", "error"],
    ["-Werror::DeprecationWarning"],
    ["-X", "dev"],
    ["-I"],
    ["-E"],
    ["-s"],
    ["-bb"],
    ["-OOu"],
    ["-B", "-q"],
]
if sys.version_info >= (3, 11):
    FLAGS.append(["-P"])


@pytest.mark.parametrize("flags", FLAGS, ids=" ".join)
def test_interpreter_flags(flags: list[str], tmp_path: Path) -> None:
    text = "import sys, warnings; print(sys.flags, sys.warnoptions, sys.path[:1], sys.stdout.line_buffering); warnings.warn('w', DeprecationWarning)"
    (tmp_path / "program.py").write_text(text)
    plain = run([*PYTHON, *flags, "program.py"], cwd=tmp_path)
    assert run([*PYTHON, *flags, "-m", "fenshen", "run", "program.py"], cwd=tmp_path) == plain
    assert run([*RUN, *flags, "program.py"], cwd=tmp_path) == plain


@pytest.mark.parametrize("way", [["-mfenshen"], ["-Bm", "fenshen"], ["-Bmfenshen"]], ids=" ".join)
def test_ways_of_being_called(way: list[str], tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("import sys; print(sys.argv, sys.path[0]); 1/0")
    plain = run([*PYTHON, "program.py", "x"], cwd=tmp_path)
    assert run([*PYTHON, *way, "run", "program.py", "x"], cwd=tmp_path) == plain


@pytest.mark.parametrize(
    "env",
    [
        {"PYTHONOPTIMIZE": "2"},
        {"PYTHONWARNINGS": "error"},
        {"PYTHONUNBUFFERED": "1"},
        {"PYTHONASYNCIODEBUG": "1"},
        {"PYTHONSAFEPATH": "1"},
        {"PYTHONHASHSEED": "5"},
        {"PYTHONDEVMODE": "1"},
        {"PYTHONUTF8": "1", "LC_ALL": "C"},
        {"PYTHONIOENCODING": "latin-1"},
        {"PYTHONPATH": "/nowhere"},
        {"NO_COLOR": "1"},
    ],
    ids=str,
)
def test_environment(env: dict[str, str], tmp_path: Path) -> None:
    text = """if 1:
        import sys, warnings, asyncio
        print(sys.flags, sys.path[:2], hash('x') if sys.flags.hash_randomization == 0 else '', sys.stdout.encoding)
        loop = asyncio.new_event_loop(); print(loop.get_debug()); loop.close()
        warnings.warn('w')"""
    (tmp_path / "program.py").write_text(text)
    for way in (RUN, RUN_HERE):
        if not (way is RUN_HERE and "PYTHONSAFEPATH" in env and sys.version_info < (3, 11)):
            same(way, ["program.py"], cwd=tmp_path, **env)


def stop(command: list[str], cwd: Path, signum: int, presses: int = 1) -> Outcome:
    """Start a program, send it a signal as soon as it has printed a line, and see how it ends."""
    process = subprocess.Popen(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    for _ in range(presses):
        time.sleep(0.15)
        os.killpg(process.pid, signum)
    out, err = process.communicate(timeout=20)
    return Outcome(process.returncode, first + out, err)


@WAYS
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals(way: list[str], signum: int, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "import time, atexit\natexit.register(print, 'bye')\nprint('up', flush=True)\ntime.sleep(20)"
    )
    plain = stop([*PYTHON, "program.py"], tmp_path, signum)
    assert plain.status == -signum
    assert stop([*way, "program.py"], tmp_path, signum) == plain


@WAYS
def test_ctrl_c_in_asyncio(way: list[str], tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("""if 1:
        import asyncio
        async def main():
            try:
                print('up', flush=True)
                await asyncio.sleep(20)
            finally:
                print('cleaned up')
        asyncio.run(main())""")
    plain = stop([*PYTHON, "program.py"], tmp_path, signal.SIGINT)
    ours = stop([*way, "program.py"], tmp_path, signal.SIGINT)
    assert (ours.status, ours.out) == (plain.status, plain.out) == (-signal.SIGINT, "up\ncleaned up\n")
    assert ours.err.splitlines()[-1] == "KeyboardInterrupt"
    assert "fenshen/running" not in ours.err


@WAYS
def test_broken_pipe(way: list[str], tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("for i in range(100000): print('some text', i)")
    outcomes = []
    for command in (PYTHON, way):
        process = subprocess.Popen(
            [*command, "program.py"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        outcomes.append((process.stderr.read(), process.wait()))
        process.stderr.close()
    assert outcomes[0] == outcomes[1]


START_METHODS = pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
POOL = """
import asyncio, multiprocessing, os, sys

LOOP = type(asyncio.new_event_loop()).__module__  # what this process had when its main module was imported

def work(n):
    return n * n, LOOP, type(asyncio.new_event_loop()).__module__

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


@WAYS
@START_METHODS
def test_children_of_multiprocessing_work(way: list[str], method: str, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(POOL)
    plain = run([*PYTHON, "program.py", method], cwd=tmp_path)
    ours = run([*way, "program.py", method], cwd=tmp_path)
    assert plain.status == 0
    standard = "asyncio.unix_events"
    assert ours == (
        0,
        plain.out.replace(standard, "fenshen.loop" if _native() else standard),
        "" if _native() else ours.err,
    )


@START_METHODS
def test_children_of_a_module_run_with_m(method: str, tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").touch()
    (tmp_path / "package" / "job.py").write_text(POOL)
    assert run([*RUN, "-m", "package.job", method], cwd=tmp_path, FENSHEN_QUIET="1").status == 0


@START_METHODS
def test_children_are_installed_with_install_too(method: str, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        POOL.replace("if __name__ == '__main__':", "if __name__ == '__main__':\n    import fenshen; fenshen.install()")
    )
    ours = run([*PYTHON, "program.py", method], cwd=tmp_path, FENSHEN_QUIET="1")
    assert ours.status == 0
    if _native() and method != "fork":
        assert ours.out.count("fenshen.loop") == 7


def _native() -> bool:
    import fenshen

    return bool(fenshen.engine == "native")


@needs_native
def test_a_fork_server_older_than_install(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("""if 1:
        import asyncio, multiprocessing
        LOOP = type(asyncio.new_event_loop()).__module__
        def show(): print(LOOP, flush=True)
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


def test_without_a_main_guard_spawn_fails_as_it_does_without_us(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "import multiprocessing as m\np = m.get_context('spawn').Process(target=print)\np.start(); p.join()\nprint(p.exitcode)"
    )
    same(RUN, ["program.py"], cwd=tmp_path)


@needs_native
def test_other_children_are_not_installed(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("""if 1:
        import subprocess, sys, os
        code = "import asyncio; print(type(asyncio.new_event_loop()).__module__)"
        for env in (None, dict(os.environ, FENSHEN="1"), dict(os.environ, FENSHEN="0")):
            print(subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True).stdout, end="")
        print([name for name in os.environ if name.startswith("FENSHEN")])""")
    assert run([*RUN, "program.py"], cwd=tmp_path).out == "asyncio.unix_events\nfenshen.loop\nasyncio.unix_events\n[]\n"


@needs_native
@pytest.mark.parametrize(
    "env",
    [{"FENSHEN": "1"}, {"FENSHEN": "yes"}, {"FENSHEN": "deadlock=off"}, {"FENSHEN": "no-threads,no-blocked"}],
    ids=str,
)
def test_the_environment_variable_installs(env: dict[str, str], tmp_path: Path) -> None:
    code = "import asyncio; print(type(asyncio.new_event_loop()).__module__)"
    assert run([*PYTHON, "-c", code], cwd=tmp_path, **env) == (0, "fenshen.loop\n", "")


@pytest.mark.parametrize("env", [{}, {"FENSHEN": ""}, {"FENSHEN": "0"}, {"FENSHEN": "off"}], ids=str)
def test_the_environment_variable_is_off(env: dict[str, str], tmp_path: Path) -> None:
    code = "import sys, asyncio; print(type(asyncio.new_event_loop()).__module__, [m for m in sys.modules if m.startswith('fenshen.loop')])"
    assert run([*PYTHON, "-c", code], cwd=tmp_path, **env) == (0, "asyncio.unix_events []\n", "")


def test_an_environment_variable_that_cannot_be_read_is_named_and_harmless(tmp_path: Path) -> None:
    ours = run([*PYTHON, "-c", "print(1)"], cwd=tmp_path, FENSHEN="deadlok=off")
    assert (ours.status, ours.out) == (0, "1\n")
    assert ours.err.startswith("fenshen: not installed: 'deadlok=off' is not understood")
    assert len(ours.err.splitlines()) == 1


@needs_native
def test_a_program_without_asyncio_does_not_load_it(tmp_path: Path) -> None:
    code = "import sys; print([m for m in ('asyncio', 'argparse', 'fenshen._fenshen', 'typing', 're') if m in sys.modules])"
    assert run([*RUN, "-c", code], cwd=tmp_path).out == "[]\n"


@needs_native
@WAYS
def test_options_reach_the_program(way: list[str], tmp_path: Path) -> None:
    code = "from fenshen._options import current as c; print(c.loop, c.threads, c.processes, c.blocked, c.deadlock)"
    assert run([*way, "-c", code], cwd=tmp_path).out == "True True True True raise\n"
    words = ["--deadlock=report", "--no-loop", "--no-processes", "--no-blocked"]
    assert run([*way, *words, "-c", code], cwd=tmp_path).out == "False True False False report\n"
    assert run([*way, "--deadlock", "off", "-c", code], cwd=tmp_path).out == "True True True True off\n"


@needs_native
def test_no_loop_leaves_asyncio_alone(tmp_path: Path) -> None:
    code = "import asyncio; print(type(asyncio.new_event_loop()).__module__)"
    assert run([*RUN, "--no-loop", "-c", code], cwd=tmp_path) == (0, "asyncio.unix_events\n", "")


@WAYS
def test_the_standard_librarys_types_serve_where_the_engine_cannot(way: list[str], tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "import asyncio, fenshen\nprint(type(asyncio.new_event_loop()).__module__, fenshen.engine)\n"
        "async def main(): return 4\nprint(fenshen.run(main()), fenshen.EventLoop.__module__)\nfenshen.install()"
    )
    ours = run([*way, "program.py"], cwd=tmp_path, FENSHEN_ENGINE="stdlib")
    assert ours == (
        0,
        "asyncio.unix_events stdlib\n4 asyncio.unix_events\n",
        "fenshen: the standard library's own types serve this program (FENSHEN_ENGINE=stdlib)\n",
    )
    assert run([*way, "program.py"], cwd=tmp_path, FENSHEN_ENGINE="stdlib", FENSHEN_QUIET="1").err == ""


def test_a_module_that_fails_to_import_shows_no_frame_of_ours(tmp_path: Path) -> None:
    (tmp_path / "queue.py").write_text("1/0")  # asyncio imports it
    (tmp_path / "program.py").write_text("import asyncio")
    same(RUN, ["program.py"], cwd=tmp_path)


@needs_native
def test_a_program_that_picks_its_own_loop_keeps_it_and_hears_once(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("""if 1:
        import asyncio
        async def main(): return type(asyncio.get_running_loop()).__module__
        class Mine(asyncio.SelectorEventLoop): pass
        for _ in range(2):
            loop = Mine()
            print(loop.run_until_complete(main()))
            loop.close()
        print(asyncio.run(main()))""")
    ours = run([*RUN, "program.py"], cwd=tmp_path)
    assert (ours.status, ours.out) == (0, "__main__\n__main__\nfenshen.loop\n")
    assert (
        ours.err
        == (
            "fenshen: this program picks its own event loop, __main__.Mine, and keeps it; "
            "fenshen's loop is not in use\n"
        )
        or "__main__.main.<locals>" in ours.err
    )
    assert run([*RUN, "program.py"], cwd=tmp_path, FENSHEN_QUIET="1").err == ""


@needs_native
def test_uvloop_is_kept(tmp_path: Path) -> None:
    pytest.importorskip("uvloop")
    (tmp_path / "program.py").write_text(
        "import asyncio, uvloop\nasync def main(): print(type(asyncio.get_running_loop()).__module__)\nuvloop.run(main())"
    )
    ours = run([*RUN, "program.py"], cwd=tmp_path)
    assert (ours.status, ours.out) == (0, "uvloop\n")
    assert ours.err.startswith("fenshen: this program picks its own event loop, uvloop")


def test_under_a_debugger_the_program_stays_in_it(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("x = 1\nprint('x is', x)\n")
    ours = run([*PYTHON, "-m", "cProfile", "-m", "fenshen", "run", "program.py"], cwd=tmp_path)
    assert "x is 1" in ours.out and "function calls" in ours.out and "program.py" in ours.out
