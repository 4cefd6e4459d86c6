"""How what goes to another process is pickled: as `multiprocessing` does, with `cloudpickle` where that refuses."""

from __future__ import annotations

import copyreg
import sys
from collections import ChainMap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def make_pickler(pickler_class: Any, sink: Any, protocol: int, buffer: Any) -> Any:
    """A pickler of CPython's that knows the reducers that were registered with `multiprocessing`."""
    from multiprocessing.reduction import ForkingPickler

    pickler = pickler_class(sink, protocol, buffer_callback=buffer)
    pickler.dispatch_table = ChainMap(ForkingPickler._extra_reducers, copyreg.dispatch_table)  # type: ignore[attr-defined]
    return pickler


def by_value(what: object) -> bytes:
    """The pickle of what `pickle` refuses: functions and classes of the main program, lambdas and closures go by value.

    Raises what cloudpickle raises where it refuses it too.
    """
    import io
    from multiprocessing.reduction import ForkingPickler

    import cloudpickle

    from fenshen import _segments

    sink = io.BytesIO()
    pickler = cloudpickle.Pickler(sink, 5)
    pickler.dispatch_table = ChainMap(ForkingPickler._extra_reducers, pickler.dispatch_table)  # type: ignore[attr-defined]
    with _segments.carrying():
        pickler.dump(what)
    return sink.getvalue()


def by_value_or_none(what: object) -> bytes | None:
    """The same; None where that cannot be."""
    try:
        return by_value(what)
    except Exception:
        return None


def traceback_of(exc: BaseException) -> str:
    """The text of an exception's traceback, as it is shown where the task's result is asked for."""
    import traceback

    return "".join(traceback.format_exception(type(exc), exc, exc.__traceback__))


def explain(exc: BaseException, what: object, where: str = "") -> BaseException:
    """Add a note to a pickling error that names what could not be pickled, by its path."""
    path = culprit(what, where)
    if path and sys.version_info >= (3, 11):
        exc.add_note(f"fenshen: {path} cannot be pickled")
    return exc


def pickles(what: object) -> bool:
    """Whether it can be pickled."""
    import io
    import pickle

    try:
        make_pickler(pickle.Pickler, io.BytesIO(), 5, lambda _: True).dump(what)
    except Exception:
        return False
    return True


def _parts(what: object) -> list[tuple[str, object]]:
    if isinstance(what, dict):
        return [(f"[{key!r}]", value) for key, value in what.items()]
    if isinstance(what, (list, tuple)):
        return [(f"[{i}]", value) for i, value in enumerate(what)]
    if hasattr(what, "__dict__") and not isinstance(what, type) and not callable(what):
        return [(f".{name}", value) for name, value in vars(what).items()]
    return []


def culprit(what: object, where: str, depth: int = 8) -> str:
    """The path of the innermost thing that cannot be pickled, with its type: `args[0].conn: socket`."""
    if depth:
        for step, value in _parts(what):
            if not pickles(value):
                return culprit(value, where + step, depth - 1)
    return f"{where or 'it'}: {type(what).__name__}"


def plain(what: object) -> bytes:
    """The pickle of what is known to be simple."""
    import pickle

    return pickle.dumps(what, protocol=5)


def round_trip(what: object) -> object:
    """What another process would get.

    Raises what pickling or loading raises.
    """
    import pickle

    return pickle.loads(plain(what))
