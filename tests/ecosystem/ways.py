"""A program, run in each of the ways in which it comes to our loop, against itself on asyncio's."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from commands import PYTHON, Outcome, end, start

PROGRAMS = Path(__file__).parent / "programs"

# `fenshen run` without the report of a step that blocks the loop: a loaded machine makes such steps.
RUN = [sys.executable, "-m", "fenshen", "run", "--no-blocked"]
# Each with the loop that the program must find itself on (see programs/loops.py).
WAYS = {
    "asyncio": ([*PYTHON], "asyncio"),
    "fenshen run": (RUN, "fenshen"),
    "loop_factory": ([*PYTHON, str(PROGRAMS / "by_factory.py")], "fenshen"),
}
SECONDS = 60
# Runs of one program that know nothing of each other, at the same time.
AT_ONCE = 2

T = TypeVar("T")


def by_each(ways: Collection[str], run: Callable[[str], T], at_once: int = AT_ONCE) -> dict[str, T]:
    """What `run` returns for each way, of which `at_once` are under way together."""
    with ThreadPoolExecutor(at_once) as pool:
        return dict(zip(ways, pool.map(run, ways), strict=True))


class Exchange:
    """Runs a program of `programs/` by asyncio, by `fenshen run` and by a `loop_factory`, and compares.

    A program is `async def main()` that talks to a real peer and prints what came of it, decorated with
    `loops.checked`, which makes sure of the loop and dumps every stack if the program hangs; and
    `if __name__ == "__main__": asyncio.run(main())`.
    """

    def __init__(self, folder: Path, ways: Collection[str] = tuple(WAYS)):
        self.folder = folder
        self.ways = ways

    def __call__(self, program: str, *words: str, seconds: float = SECONDS, **env: str) -> str:
        """What `program` prints in every way: the same on each loop. `words` are its arguments, a server's address;
        who shares a server's tables takes turns.

        On stderr ours writes the same too, or nothing: asyncio's loop calls some readers of anyio's once too often.

        Each run has an empty folder of its own as the current one. It must end with status 0 within `seconds`.
        """

        def run(way: str) -> Outcome:
            command, loop = WAYS[way]
            folder = self.folder / way.replace(" ", "_")
            folder.mkdir(exist_ok=True)
            return self._run([*command, str(PROGRAMS / program), *words], loop, folder, seconds, env)

        outcomes = by_each(self.ways, run, at_once=1 if words else AT_ONCE)
        plain = outcomes["asyncio"]
        assert plain.status == 0, f"asyncio: {plain.err}\n{plain.out}"
        for way, found in outcomes.items():
            assert found.err in ("", plain.err), f"{way}: {found.err}"
            assert found._replace(err=plain.err) == plain, way
        return plain.out

    @staticmethod
    def _run(command: list[str], loop: str, folder: Path, seconds: float, env: dict[str, str]) -> Outcome:
        env = {"EXPECTED_LOOP": loop, "PYTHONFAULTHANDLER": "1", "HANGS_AFTER": str(seconds), **env}
        outcome = end(start(command, cwd=folder, **env), seconds=seconds + 10)
        first, _, rest = outcome.out.partition(os.linesep)
        assert first == f"on {loop}", f"{command}: {outcome.err}\n{outcome.out}"
        return outcome._replace(out=rest)
