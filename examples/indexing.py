"""What the two programs of `make demo` that use all three models have in common: the work, but not who does it.

An index of a tree of Python files: each is fetched from a slow disk (which waits), parsed (which computes) and written
to a database (which blocks).
"""

from __future__ import annotations

import ast
import collections
import sqlite3
import threading
import warnings

Names = list[tuple[str, str]]


def parse(text: bytes) -> Names:
    """What a file defines: the kind and the name of each function and class."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(text)
    kinds = {ast.FunctionDef: "function", ast.AsyncFunctionDef: "coroutine", ast.ClassDef: "class"}
    return [(kinds[type(node)], node.name) for node in ast.walk(tree) if type(node) in kinds]


class Index:
    """A database of names; its methods block, and may be called by any thread."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.database = sqlite3.connect(":memory:", check_same_thread=False)
        self.database.execute("CREATE TABLE names (file TEXT, kind TEXT, name TEXT)")

    def add(self, file: str, names: Names) -> None:
        """Write down what a file defines."""
        with self.lock, self.database:
            self.database.executemany("INSERT INTO names VALUES (?, ?, ?)", [(file, *each) for each in names])

    def __str__(self) -> str:
        rows = self.database.execute("SELECT kind, name FROM names").fetchall()
        kinds = collections.Counter(kind for kind, _ in rows)
        lines = [", ".join(f"{kinds[kind]:,} {kind}{'e' * (kind == 'class')}s" for kind in sorted(kinds))]
        common = collections.Counter(name for _, name in rows)
        top = sorted(common.items(), key=lambda item: (-item[1], item[0]))[:5]
        return "\n".join([*lines, *(f"{times:8,}  {name}" for name, times in top)])
