"""The command line's own words: `fenshen doctor`, `--help`, `--version`, and what it refuses."""

from __future__ import annotations

import fenshen
import pytest
from commands import PYTHON, needs_native, run
from fenshen.command import split

FENSHEN = [*PYTHON, "-m", "fenshen"]


@needs_native
def test_doctor() -> None:
    ours = run([*FENSHEN, "doctor"])
    assert ours.err == ""
    assert ours.status == (0 if ours.out.endswith("\nmissing\n  nothing\n") else 1)
    lines = [line.split("  ") for line in ours.out.splitlines()]
    rows = {line[0]: [cell.strip() for cell in line[1:] if cell.strip()] for line in lines}
    assert rows["engine"] == ["native"]
    assert rows["asyncio.Task"] == ["fenshen._fenshen.Task", "standard library"]
    assert rows["asyncio.new_event_loop"] == ["fenshen.loop.EventLoop", "standard library"]
    assert "\x1b" not in ours.out
    assert not any(line != line.rstrip() for line in ours.out.splitlines())


@needs_native
def test_doctor_says_what_is_in_the_process() -> None:
    installed = run([*FENSHEN, "doctor"], FENSHEN="1")
    row = next(line for line in installed.out.splitlines() if line.startswith("asyncio.Task"))
    assert row.split() == ["asyncio.Task", "fenshen._fenshen.Task", "fenshen"]


def test_doctor_without_the_engine() -> None:
    ours = run([*FENSHEN, "doctor"], FENSHEN_ENGINE="stdlib")
    assert (ours.status, ours.err) == (1, "")
    assert "engine   stdlib (FENSHEN_ENGINE=stdlib)" in ours.out
    assert ours.out.endswith("missing\n  the native engine: FENSHEN_ENGINE=stdlib\n")


def test_version() -> None:
    python = ".".join(map(str, __import__("sys").version_info[:3]))
    expected = f"fenshen {fenshen.__version__} (engine: {fenshen.engine}, Python {python})\n"
    assert run([*FENSHEN, "--version"]) == (0, expected, "")


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["run", "--help"], ["run", "-h"], ["doctor", "--help"]])
def test_help(words: list[str]) -> None:
    ours = run([*FENSHEN, *words], COLUMNS="110")
    assert (ours.status, ours.err) == (0, "")
    assert ours.out.startswith("usage: fenshen")
    assert max(map(len, ours.out.splitlines())) <= 110
    assert "\\" not in ours.out


def test_help_after_the_program_is_the_programs() -> None:
    assert run([*FENSHEN, "run", "-c", "import sys; print(sys.argv)", "--help"]).out == "['-c', '--help']\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--nope"], "fenshen: error: unrecognized arguments: --nope"),
        (["rum"], "fenshen: error: there is no command 'rum'"),
        (["app.py"], "fenshen: error: there is no command 'app.py'; did you mean: fenshen run app.py"),
        (["run", "--nope", "x.py"], "fenshen run: error: unrecognized arguments: --nope"),
        (["run", "--deadlock=loud", "x.py"], "fenshen run: error: argument --deadlock: invalid choice: 'loud'"),
        (["run", "-m"], "fenshen run: error: argument expected for the -m option"),
        (["run", "-c"], "fenshen run: error: argument expected for the -c option"),
        (["doctor", "x"], "fenshen doctor: error: unrecognized arguments: x"),
    ],
)
def test_refusals(words: list[str], said: str) -> None:
    ours = run([*FENSHEN, *words])
    assert (ours.status, ours.out) == (2, "")
    assert ours.err.splitlines()[-1].startswith(said)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("x.py", ([], [], "x.py")),
        ("x.py --no-loop -u", ([], [], "x.py --no-loop -u")),
        ("--no-loop x.py", (["--no-loop"], [], "x.py")),
        ("--deadlock raise x.py", (["--deadlock", "raise"], [], "x.py")),
        ("--deadlock=raise x.py", (["--deadlock=raise"], [], "x.py")),
        ("-u -W error --no-loop x.py", (["--no-loop"], ["-u", "-W", "error"], "x.py")),
        ("-uWerror -Xdev -X dev x.py", ([], ["-uWerror", "-Xdev", "-X", "dev"], "x.py")),
        ("-OO -m mod -u", ([], ["-OO"], "-m mod -u")),
        ("-mmod arg", ([], [], "-m mod arg")),
        ("-um mod -u", ([], ["-u"], "-m mod -u")),
        ("-OucX arg", ([], ["-Ou"], "-c X arg")),
        ("-c code -m", ([], [], "-c code -m")),
        ("-- -x.py a", ([], [], "-x.py a")),
        ("- a", ([], [], "- a")),
        ("--no-loop", (["--no-loop"], [], "")),
    ],
)
def test_split(words: str, expected: tuple[list[str], list[str], str]) -> None:
    assert split(words.split()) == (*expected[:2], expected[2].split())
