"""The list of expected failures, `expected.txt`, and its comparison with what happened: strict both ways."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from .runner import Run

FILE = Path(__file__).with_name("expected.txt")
LINE = re.compile(r"(?P<id>\S+?)(?: \[(?P<versions>[^\]]+)\])?: (?P<reason>\S.*)")

SAID = {
    "": ("this program picks its own event loop",),
    "test_threading": ("the standard library's own types serve this program",),
    "test_threadsignals": ("this thread waits for itself",),
}
"""What is rightly printed while a module's tests run, or any ("") module's: they pick loops of their own, start another
interpreter in the process, and wait for a lock that they hold themselves.
"""


RACE = "a race: "
"""The reason of a test that passes or fails by who comes first begins so."""


def applies(versions: str | None, version: tuple[int, int]) -> bool:
    """Whether a version is within `3.11`, `3.12+` or `3.10-3.12`, or a comma-separated list of such; `None`: always.

    Raises:
        ValueError: not of that form.
    """
    if versions is None:
        return True
    for part in versions.split(","):
        found = re.fullmatch(r"3\.(\d+)(\+|-3\.(\d+))?", part.strip())
        if found is None:
            raise ValueError(f"not a range of versions: {part!r}")
        low, upto, high = found.groups()
        top = 99 if upto == "+" else int(high or low)
        if version[0] == 3 and int(low) <= version[1] <= top:
            return True
    return False


def read(text: str | None = None, version: tuple[int, int] = sys.version_info[:2]) -> dict[str, str]:
    """Test id to reason, for one Python version.

    Raises:
        ValueError: a line without a reason, or a test named twice for this version.
    """
    listed: dict[str, str] = {}
    for number, line in enumerate((FILE.read_text() if text is None else text).splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        found = LINE.fullmatch(line)
        if found is None:
            raise ValueError(f"{FILE.name}:{number}: not `test_id [versions]: reason`: {line}")
        if applies(found["versions"], version):
            if found["id"] in listed:
                raise ValueError(f"{FILE.name}:{number}: {found['id']} is listed twice")
            listed[found["id"]] = found["reason"]
    return listed


def of_module(module: str, listed: dict[str, str]) -> dict[str, str]:
    """The lines about one module."""
    return {name: reason for name, reason in listed.items() if name.split(".")[0] == module}


def unasked(run: Run) -> list[str]:
    """The lines that were printed and should not have been: false alarms."""
    rightly = (*SAID[""], *SAID.get(run.module, ()))
    return [line for line in run.said if not line.removeprefix("fenshen: ").startswith(rightly)]


def differences(run: Run, listed: dict[str, str]) -> list[str]:
    """What is wrong with a whole module's run, a line each: it holds if there are none."""
    wrong = [f"{run.module} printed: {line}" for line in unasked(run)]
    for outcome in run.ended("failed"):
        if outcome.id not in listed and not outcome.environment:
            wrong.append(f"{outcome.id} failed and is not listed: {outcome.last_line}")
    for name in of_module(run.module, listed):
        if name not in run.outcomes:
            wrong.append(f"{name} is listed, and there is no such test here: give the versions that have it")
        elif run.outcomes[name].outcome == "passed" and not listed[name].startswith(RACE):
            wrong.append(f"{name} is listed as failing, and passes: take it off the list")
    return wrong
