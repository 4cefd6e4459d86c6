"""`fenshen run` against `python`: the same bytes, the same status."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from commands import PYTHON, RUN, RUN_HERE, Outcome, end, run, start
from programs import PROGRAMS, PROGRAMS_BELOW

BOTH = (RUN, RUN_HERE)
WAYS = pytest.mark.parametrize("way", BOTH, ids=["own-process", "here"])


def same(
    words: list[str], *, cwd: Path, ways: Sequence[list[str]] = BOTH, stdin: str | None = None, **env: str
) -> Outcome:
    """The outcome under `python`, which must be that of each of the other commands too."""
    started = [start([*way, *words], cwd=cwd, **env) for way in (PYTHON, *ways)]
    plain, *ours = [end(process, stdin) for process in started]
    for outcome in ours:
        assert outcome == plain
    return plain


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_come_out_the_same(name: str, tmp_path: Path) -> None:
    encoding = "latin-1" if name == "encoding" else "utf-8"
    (tmp_path / "program.py").write_text(textwrap.dedent(PROGRAMS[name]), encoding=encoding)
    same(["program.py", "a", "--deadlock=off", "-m"], cwd=tmp_path)


@pytest.mark.parametrize("name", PROGRAMS_BELOW)
def test_nothing_of_ours_is_below_the_program(name: str, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(textwrap.dedent(PROGRAMS_BELOW[name]))
    same(["program.py"], cwd=tmp_path, ways=[RUN], stdin="n\nc\n")


def test_missing_file(tmp_path: Path) -> None:
    assert same(["nothing.py"], cwd=tmp_path).status == 2
    assert same(["./nothing.py"], cwd=tmp_path).status == 2
    assert same([str(tmp_path / "none" / "nothing.py")], cwd=tmp_path).status == 2


def test_script_in_another_folder_and_behind_a_link(tmp_path: Path) -> None:
    folder = tmp_path / "real"
    folder.mkdir()
    (folder / "neighbour.py").write_text("name = 'neighbour'")
    (folder / "program.py").write_text("import sys, neighbour; print(neighbour.name, sys.path[0], __file__)")
    (tmp_path / "link.py").symlink_to(folder / "program.py")
    assert "neighbour" in same(["real/program.py"], cwd=tmp_path).out
    assert "neighbour" in same(["./real/../real/program.py"], cwd=tmp_path).out
    assert "neighbour" in same(["link.py"], cwd=tmp_path).out
    same([str(folder / "program.py")], cwd=Path("/"))


def test_a_module(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("print('init')")
    (package / "__main__.py").write_text(
        "import sys\nprint(__name__, __spec__.name, __package__, sys.argv, sys.path[0])\nfrom . import tool"
    )
    (package / "tool.py").write_text("print(__name__, __package__)\nif __name__ == '__main__': 1/0")
    assert same(["-m", "package", "x"], cwd=tmp_path).status == 0
    assert same(["-m", "package.tool"], cwd=tmp_path).status == 1
    assert same(["-m", "no_such_module"], cwd=tmp_path).status == 1
    assert same(["-m", "package.none"], cwd=tmp_path).status == 1


def test_code(tmp_path: Path) -> None:
    text = "import sys; print(sys.argv, repr(sys.path[0]), __name__, '__file__' in globals())"
    same(["-c", text, "-x", "y"], cwd=tmp_path)
    same(["-c", "raise SystemExit(7)"], cwd=tmp_path)
    same(["-cprint(5)"], cwd=tmp_path)
    same(["-c", "def f(): 1/0\nf()"], cwd=tmp_path, ways=[RUN])


def test_a_folder_and_a_zip(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "__main__.py").write_text("import sys, side; print(__name__, __file__, sys.argv, sys.path[0], side.x)")
    (folder / "side.py").write_text("x = 1")
    with zipfile.ZipFile(tmp_path / "app.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
    (tmp_path / "empty").mkdir()
    assert same(["folder", "x"], cwd=tmp_path).status == 0
    assert same(["app.zip", "x"], cwd=tmp_path).status == 0
    assert same(["empty"], cwd=tmp_path).status == 1


def test_stdin_is_the_program_or_belongs_to_it(tmp_path: Path) -> None:
    same(["-"], cwd=tmp_path, stdin="import sys\nprint(sys.argv, __name__)\n")
    same(["-", "a", "b"], cwd=tmp_path, stdin="import sys\nprint(sys.argv)\n")
    same([], cwd=tmp_path, stdin="import sys\nprint(sys.argv)\n")
    (tmp_path / "reader.py").write_text("import sys; print([line for line in sys.stdin])")
    same(["reader.py"], cwd=tmp_path, stdin="one\ntwo\n")


def test_compiled_program(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("print(__file__, __name__)")
    run([*PYTHON, "-m", "compileall", "-b", "-q", "program.py"], cwd=tmp_path)
    (tmp_path / "program.py").unlink()
    same(["program.pyc"], cwd=tmp_path)


FLAGS = ["-O", "-u", "-W error", "-Werror::DeprecationWarning", "-X dev", "-I", "-E", "-s", "-bb", "-OOu", "-B -q"]
if sys.version_info >= (3, 11):
    FLAGS.append("-P")


@pytest.mark.parametrize("flags", FLAGS)
def test_interpreter_flags(flags: str, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("""if 1:
        import sys, warnings
        print(sys.flags, sys.warnoptions, sys.path[:1], sys.stdout.line_buffering, sys.stdout.write_through)
        warnings.warn('w', DeprecationWarning)""")
    words = flags.split()
    plain = run([*PYTHON, *words, "program.py"], cwd=tmp_path)
    assert run([*PYTHON, *words, "-m", "fenshen", "run", "program.py"], cwd=tmp_path) == plain
    assert run([*RUN, *words, "program.py"], cwd=tmp_path) == plain


@pytest.mark.parametrize("way", ["-mfenshen", "-Bm fenshen", "-Bmfenshen", "-m fenshen.__main__"])
def test_ways_of_being_called(way: str, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("import sys, traceback; print(sys.argv, sys.path[0]); traceback.print_stack()")
    plain = run([*PYTHON, "program.py", "x"], cwd=tmp_path)
    assert run([*PYTHON, *way.split(), "run", "program.py", "x"], cwd=tmp_path) == plain


ENVIRONMENTS = [
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
]


@pytest.mark.parametrize("env", ENVIRONMENTS, ids=lambda env: next(iter(env)))
def test_environment(env: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("""if 1:
        import os, sys, warnings
        print(sys.flags, sys.path[:2], sys.stdout.encoding, sys.stdout.write_through)
        print(hash('x') if sys.flags.hash_randomization == 0 else '')
        if {'PYTHONASYNCIODEBUG', 'PYTHONDEVMODE'} & set(os.environ):
            import asyncio
            loop = asyncio.new_event_loop()
            print(loop.get_debug())
            loop.close()
        warnings.warn('w')""")
    same(["program.py"], cwd=tmp_path, **env)


def stop(commands: list[list[str]], cwd: Path, signum: int) -> list[Outcome]:
    """Start programs, send each a signal once it has printed a line and waits, and see how it ends."""
    processes = [start(command, cwd=cwd) for command in commands]
    lines = [process.stdout.readline() for process in processes if process.stdout is not None]
    time.sleep(0.15)
    for process in processes:
        os.killpg(process.pid, signum)
    ends = [end(process) for process in processes]
    return [Outcome(e.status, line + e.out, e.err) for e, line in zip(ends, lines, strict=True)]


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals(signum: int, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "import time, atexit\natexit.register(print, 'bye')\nprint('up', flush=True)\ntime.sleep(20)"
    )
    plain, *ours = stop([[*way, "program.py"] for way in (PYTHON, *BOTH)], tmp_path, signum)
    assert plain.status == -signum
    assert ours == [plain, plain]


def test_ctrl_c_in_asyncio(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("""if 1:
        import asyncio
        async def main():
            try:
                print('up', flush=True)
                await asyncio.sleep(20)
            finally:
                print('cleaned up')
        asyncio.run(main())""")
    for ours in stop([[*way, "program.py"] for way in (PYTHON, *BOTH)], tmp_path, signal.SIGINT):
        assert (ours.status, ours.out) == (-signal.SIGINT, "up\ncleaned up\n")
        assert ours.err.splitlines()[-1] == "KeyboardInterrupt"
        assert "fenshen/running" not in ours.err


@WAYS
def test_broken_pipe(way: list[str], tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("for i in range(100000): print('some text', i)")
    outcomes = []
    for command in (PYTHON, way):
        command = [*command, "program.py"]
        process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        outcomes.append((process.stderr.read(), process.wait()))
        process.stderr.close()
    assert outcomes[0] == outcomes[1]


def test_a_module_that_fails_to_import_shows_no_frame_of_ours(tmp_path: Path) -> None:
    (tmp_path / "queue.py").write_text("1/0")  # asyncio imports it
    (tmp_path / "program.py").write_text("import asyncio")
    same(["program.py"], cwd=tmp_path)


def test_a_program_that_deletes_our_modules_and_replaces_main(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("""if 1:
        import sys, types
        for name in [name for name in sys.modules if name.startswith('fenshen')]:
            del sys.modules[name]
        sys.modules['__main__'] = types.ModuleType('__main__')
        import asyncio
        print(asyncio.run(asyncio.sleep(0, 3)))""")
    same(["program.py"], cwd=tmp_path)


def test_under_a_profiler_the_program_stays_in_it(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("x = 1\nprint('x is', x)\n")
    ours = run([*PYTHON, "-m", "cProfile", "-m", "fenshen", "run", "program.py"], cwd=tmp_path)
    for text in ("x is 1", "function calls", "program.py"):
        assert text in ours.out
