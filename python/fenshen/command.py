"""The command line's options and help."""

from __future__ import annotations

import argparse
import os
import sys

from fenshen._options import DEADLOCK, EXTRAS, GROUPS, Options

_FLAGS_ALONE = frozenset("bBdEiIOPqsuv")
_FLAGS_WITH_VALUE = frozenset("WX")
_LONG_WITH_VALUE = frozenset(("--deadlock",))

_ABOUT = """\
One engine, written in Rust, under Python's threads, processes and asyncio.

commands:
  run       run a program, unmodified, on fenshen's engine
  doctor    show which engine serves each standard name, and what is missing

`fenshen run --help` tells the options of a run.
"""

_RUN_ABOUT = """\
Run a Python program as `python` would, with fenshen's engine under the standard library's names.

Options stand before the program; everything after it belongs to the program. Python's own options
may stand there too: -u, -O, -W error, -X dev, -I and the like.
"""

_RUN_END = """\
examples:
  fenshen run app.py --port 8000
  fenshen run --deadlock=report -m package.tool
  fenshen run -X dev -c 'import asyncio; print(asyncio.Queue)'

environment:
  FENSHEN=1              do the same for a `python` that cannot be renamed (gunicorn, Celery, systemd);
                         options are words: FENSHEN=no-threads,deadlock=report
  FENSHEN_QUIET=1        print nothing about what fenshen notices
  FENSHEN_ENGINE=stdlib  run on the standard library's own types
"""


def _run_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fenshen run",
        description=_RUN_ABOUT,
        epilog=_RUN_END,
        allow_abbrev=False,
        usage="fenshen run [options] (script.py | folder | file.zip | -m module | -c code | -) [args]",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--deadlock",
        choices=DEADLOCK[::-1],
        default="raise",
        help="when nothing can ever go on: raise DeadlockError, report on stderr, or stay silent (default: raise)",
    )
    parser.add_argument(
        "--lock-order",
        action="store_true",
        help="report locks that are taken in different orders, though nothing hung this time",
    )
    parser.add_argument(
        "--deadlock-origins", action="store_true", help="have deadlocks tell where each lock was acquired (slow)"
    )
    parser.add_argument("--no-loop", dest="loop", action="store_false", help="leave asyncio as it is")
    parser.add_argument(
        "--no-threads", dest="threads", action="store_false", help="leave threading, queue and thread pools as they are"
    )
    parser.add_argument(
        "--no-processes",
        dest="processes",
        action="store_false",
        help="leave multiprocessing and process pools as they are",
    )
    parser.add_argument(
        "--no-blocked", dest="blocked", action="store_false", help="do not name the step that blocks the event loop"
    )
    parser.add_argument(
        "--advise",
        action="store_true",
        help="measure the functions that are handed to threads, pools and tasks, and tell at the end which model fits",
    )
    return parser


def _flag(word: str, following: list[str]) -> int:
    """How many words of the command line belong to the interpreter option `word`; 0 if it is none."""
    if len(word) < 2 or word[0] != "-" or word[1] == "-":
        return 0
    for at, letter in enumerate(word[1:], 1):
        if letter in _FLAGS_WITH_VALUE:
            return 1 if at + 1 < len(word) else min(2, 1 + len(following))
        if letter not in _FLAGS_ALONE:
            return 0
    return 1


def _before_target(word: str) -> int:
    """Where -m or -c starts in a word of one-letter options that ends in one of them; 0 if there is none."""
    for at, letter in enumerate(word[1:], 1):
        if letter in "mc":
            return at
        if letter not in _FLAGS_ALONE:
            break
    return 0


def split(words: list[str]) -> tuple[list[str], list[str], list[str]]:
    """Our options, the interpreter's flags, and the program with its arguments, from the words after `run`."""
    ours: list[str] = []
    flags: list[str] = []
    rest = list(words)
    while rest:
        word = rest[0]
        if word == "--":
            return ours, flags, rest[1:]
        if word == "-" or word[:1] != "-":
            break
        if word[:2] in ("-m", "-c"):
            return ours, flags, [word[:2], *([word[2:]] if word[2:] else []), *rest[1:]]
        if (at := _before_target(word)) > 1:  # -um module, -Oc code
            flags.append(word[:at])
            rest[0] = "-" + word[at:]
            continue
        count = _flag(word, rest[1:])
        taken = count or (2 if word in _LONG_WITH_VALUE else 1)
        (flags if count else ours).extend(rest[:taken])
        del rest[:taken]
    return ours, flags, rest


def _run(words: list[str], own_process: bool) -> int:
    ours, flags, target = split(words)
    parser = _run_parser()
    found = parser.parse_args(ours)
    if target in (["-m"], ["-c"]):
        parser.error(f"argument expected for the {target[0]} option")
    options = Options.of_a_run()
    for name in (*GROUPS, *EXTRAS, "blocked", "deadlock"):
        setattr(options, name, getattr(found, name))
    from fenshen.running import run

    run(options.to_text(), flags, target, own_process=own_process)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fenshen",
        description=_ABOUT,
        usage="fenshen [-h] [--version] command ...",
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version", action="store_true", help="print fenshen's version and engine, and Python's version"
    )
    parser.add_argument("command", nargs="?", help=argparse.SUPPRESS)
    return parser


def _version() -> int:
    import fenshen

    print(f"fenshen {fenshen.__version__} (engine: {fenshen.engine}, Python {sys.version.split()[0]})")
    return 0


def command(words: list[str], *, own_process: bool) -> int:
    """Do what the words say and return the exit status."""
    parser = _parser()
    if not words:
        parser.print_help()
        return 0
    if words[0] == "run":
        return _run(words[1:], own_process)
    if words[0] == "doctor":
        about = "Show which engine serves each standard name, and what this machine lacks (exit status 1 if anything)."
        argparse.ArgumentParser(prog="fenshen doctor", description=about).parse_args(words[1:])
        from fenshen.doctor import doctor

        return doctor()
    found = parser.parse_args(words[:1])
    if found.version:
        return _version()
    likely = os.path.exists(words[0]) or words[0].endswith(".py")
    parser.error(f"there is no command {words[0]!r}" + (f"; did you mean: fenshen run {words[0]}" if likely else ""))
