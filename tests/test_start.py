"""How we come in: the start-up hook, the environment variable, the options; and when we stay out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from commands import PYTHON, RUN, RUN_HERE, needs_native, run
from fenshen._options import Options

WAYS = pytest.mark.parametrize("way", [RUN, RUN_HERE], ids=["own-process", "here"])
LOOP = "import asyncio; loop = asyncio.new_event_loop(); loop.close(); print(type(loop).__module__)"


@needs_native
@pytest.mark.parametrize("text", ["1", "yes", "deadlock=off", "no-threads,no-blocked", " 1 , NO-THREADS "])
def test_the_environment_variable_installs(text: str) -> None:
    assert run([*PYTHON, "-c", LOOP], FENSHEN=text) == (0, "fenshen.loop\n", "")


@pytest.mark.parametrize("env", [{}, {"FENSHEN": ""}, {"FENSHEN": "0"}, {"FENSHEN": "off"}], ids=str)
def test_the_environment_variable_is_off(env: dict[str, Any]) -> None:
    assert run([*PYTHON, "-c", LOOP], **env) == (0, "asyncio.unix_events\n", "")


def test_without_the_variable_nothing_of_ours_is_loaded() -> None:
    code = "import sys; print([name for name in sys.modules if 'fenshen' in name])"
    assert run([*PYTHON, "-c", code]).out == "[]\n"


def test_a_text_that_cannot_be_read_is_named_and_does_no_harm() -> None:
    ours = run([*PYTHON, "-c", "print(1)"], FENSHEN="deadlok=off")
    assert (ours.status, ours.out) == (0, "1\n")
    assert ours.err.startswith("fenshen: not installed: 'deadlok=off' is not understood")
    assert len(ours.err.splitlines()) == 1


@needs_native
def test_the_interpreter_option_installs_too() -> None:
    assert run([*PYTHON, "-X", "fenshen", "-c", LOOP]) == (0, "fenshen.loop\n", "")
    assert run([*PYTHON, "-X", "fenshen=0", "-c", LOOP], FENSHEN="1") == (0, "asyncio.unix_events\n", "")
    assert run([*RUN, "-c", LOOP], FENSHEN="0") == (0, "fenshen.loop\n", "")


@needs_native
def test_a_program_without_asyncio_does_not_load_it() -> None:
    heavy = ("asyncio", "argparse", "fenshen._fenshen", "typing", "re", "enum", "collections")
    code = f"import sys; print([name for name in {heavy} if name in sys.modules])"
    assert run([*RUN, "-c", code]).out == run([*PYTHON, "-c", code]).out


@needs_native
@WAYS
def test_options_reach_the_program(way: list[str]) -> None:
    code = "from fenshen._options import current as c; print(c.loop, c.threads, c.processes, c.blocked, c.deadlock)"
    assert run([*way, "-c", code]).out == "True True True True raise\n"
    words = ["--deadlock=report", "--no-loop", "--no-processes", "--no-blocked"]
    assert run([*way, *words, "-c", code]).out == "False True False False report\n"
    assert run([*way, "--deadlock", "off", "-c", code]).out == "True True True True off\n"
    assert run([*way, "--deadlock", "off", "-c"]).status == 2
    assert run([*way, "--deadlok=off", "-c", code]).status == 2


@needs_native
def test_no_loop_leaves_asyncio_alone() -> None:
    assert run([*RUN, "--no-loop", "-c", LOOP]) == (0, "asyncio.unix_events\n", "")


@WAYS
def test_where_the_engine_cannot_be_the_standard_types_serve(way: list[str], tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("""if 1:
        import asyncio, fenshen
        from fenshen import asyncio as ours
        async def main(): return type(asyncio.get_running_loop()).__module__, isinstance(ours.Queue(), asyncio.Queue)
        print(fenshen.engine, asyncio.run(main()), fenshen.run(main()), ours.run(main()))
        print(fenshen.EventLoop.__module__, type(fenshen.Runner()).__name__, fenshen.DeadlockError)
        fenshen.install()
        fenshen.uninstall()""")
    ours = run([*way, "program.py"], cwd=tmp_path, FENSHEN_ENGINE="stdlib")
    assert ours.err == "fenshen: the standard library's own types serve this program (FENSHEN_ENGINE=stdlib)\n"
    assert ours.status == 0
    assert ours.out.startswith("stdlib " + "('asyncio.unix_events', True) " * 2)
    assert run([*way, "program.py"], cwd=tmp_path, FENSHEN_ENGINE="stdlib", FENSHEN_QUIET="1").err == ""


OWN_LOOP = """if 1:
    import asyncio
    async def main(): return type(asyncio.get_running_loop()).__module__
    class Mine(asyncio.SelectorEventLoop): pass
    for _ in range(2):
        loop = Mine()
        print(loop.run_until_complete(main()))
        loop.close()
    print(asyncio.run(main()))"""


@needs_native
def test_a_program_that_picks_its_own_loop_keeps_it_and_hears_once(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(OWN_LOOP)
    ours = run([*RUN, "program.py"], cwd=tmp_path)
    assert (ours.status, ours.out) == (0, "__main__\n__main__\nfenshen.loop\n")
    line = "fenshen: this program picks its own event loop, __main__.Mine, and keeps it; fenshen's loop is not in use\n"
    assert ours.err == line
    assert run([*RUN, "program.py"], cwd=tmp_path, FENSHEN_QUIET="1").err == ""


@needs_native
def test_uvloop_is_kept(tmp_path: Path) -> None:
    pytest.importorskip("uvloop")
    (tmp_path / "program.py").write_text("""if 1:
        import asyncio, uvloop
        async def main():
            queue = asyncio.Queue()
            task = asyncio.create_task(queue.get())
            await asyncio.sleep(0)
            await queue.put(7)
            print(await task, type(asyncio.get_running_loop()).__module__)
        uvloop.run(main())
        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
        asyncio.run(main())""")
    ours = run([*RUN, "program.py"], cwd=tmp_path)
    assert (ours.status, ours.out) == (0, "7 uvloop\n7 uvloop\n")
    assert ours.err.startswith("fenshen: this program picks its own event loop, uvloop")
    assert ours.err.count("fenshen:") == 1


def test_options_as_text() -> None:
    assert Options.of_a_run().to_text() == "1"
    for text in ("1", "no-loop", "no-threads,no-processes,no-blocked,deadlock=off", "deadlock=report,child"):
        options = Options.from_text(text)
        assert options is not None
        assert options.to_text() == text
    assert Options.from_text(" ") is None
    with pytest.raises(ValueError, match="'nonsense' is not understood"):
        Options.from_text("1,nonsense")
