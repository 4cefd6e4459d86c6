"""One cell, in a process of its own: `python -m fault_table.cell ROW PEER FOLDER`, FOLDER being its working directory.

Writes to FOLDER/outcome what became of the fault, and "closed" on a second line when the pool could be closed after it.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from . import peers, places
from .table import ROWS, Skipped


def remembering(peer: type[peers.Pool], made: list[peers.Pool]) -> type[peers.Pool]:
    """The peer, whose pools are noted as they are made, to be closed afterwards."""
    first = peer.__init__

    def init(self: peers.Pool, *args: Any, **kwargs: Any) -> None:
        first(self, *args, **kwargs)
        made.append(self)

    peer.__init__ = init  # type: ignore[method-assign]
    return peer


def outcome(row: str, peer: type[peers.Pool]) -> str:
    try:
        return ROWS[row].run(peer)
    except peers.Lacks as lack:
        return f"has not: {lack}"
    except Skipped as reason:
        return f"skipped: {reason}"
    except Exception as error:
        import traceback

        traceback.print_exc()
        return f"{type(error).__name__}: {error}".splitlines()[0][:100]


def main(row: str, peer: str, folder: str) -> None:
    os.chdir(folder)
    private = places.enter(os.path.join(folder, "shm"))
    made: list[peers.Pool] = []
    words = outcome(row, remembering(peers.PEERS[peer], made))
    with open("outcome", "w") as report:
        print("private" if private else "shared", words, sep="\n", file=report, flush=True)
        for pool in made:
            pool.close()
        print("closed", file=report)


if __name__ == "__main__":
    from . import rows  # noqa: F401 - enters them

    main(*sys.argv[1:])
