"""Children of multiprocessing are installed as their parent is, before the main module is imported again; other
children are not.

Two ways are needed. The start-up option reaches a fork server, which may import the main module before it hears from
us; the preparation data reach a child whose interpreter has no start-up hook, or whose fork server is older than
`install`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from fenshen import _hook
from fenshen._options import Options, current


def _text() -> str:
    options = Options()
    options.set(current)
    options.child = True
    return options.to_text()


def add_option(original: Callable[[], list[str]]) -> Callable[[], list[str]]:
    """multiprocessing's list of interpreter options for a child, with `-X fenshen=...`."""

    def _args_from_interpreter_flags() -> list[str]:
        return [*original(), "-X", f"fenshen={_text()}"]

    return _args_from_interpreter_flags


class _State:
    """Unpickling it installs. It pickles as built-in names only: the child's sys.path may not have us on it yet."""

    def __init__(self, text: str):
        self.text = text

    def __reduce__(self) -> tuple[Any, ...]:
        place = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        return exec, (_INSTALL.format(place=place, text=self.text), {})


_INSTALL = """
import sys
sys.path.append({place!r})
try:
    import fenshen.installing as installing
    installing.begin({text!r})
except Exception:
    pass
finally:
    sys.path.remove({place!r})
"""


def add_state(original: Callable[[str], dict[str, Any]]) -> Callable[[str], dict[str, Any]]:
    """multiprocessing's `get_preparation_data`, with what installs the child in it; left alone where the start-up
    option does that.

    Left alone because it raises, for a program without a main guard, and our frame would stand in that traceback.
    """
    server = getattr(sys.modules.get("multiprocessing.forkserver"), "_forkserver", None)
    older = getattr(server, "_forkserver_pid", None) is not None
    if _hook.present() and not older:
        return original

    def get_preparation_data(name: str) -> dict[str, Any]:
        data = {"fenshen": _State(_text())}
        data.update(original(name))
        return data

    return get_preparation_data
