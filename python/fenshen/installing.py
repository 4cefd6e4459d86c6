"""`install` and `uninstall`: put our objects under the standard library's names, and take them away again."""

from __future__ import annotations

import _thread
import sys

from fenshen import _engine, parts
from fenshen._importing import Finder
from fenshen._options import DEADLOCK, GROUPS, Options, current

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any


class _Change:
    """One replaced name: where it lives, and what stood there."""

    __slots__ = ("name", "original", "ours", "owner", "part")

    def __init__(self, part: parts.Part, owner: object, name: str, original: object, ours: object):
        self.part = part
        self.owner = owner
        self.name = name
        self.original = original
        self.ours = ours

    def undo(self) -> None:
        # What somebody put over ours since then is theirs to take away.
        if vars(self.owner).get(self.name) is self.ours:
            setattr(self.owner, self.name, self.original)


_changes: list[_Change] = []
_warned: set[str] = set()
_lock = _thread.RLock()


def standard(owner: object, name: str) -> Any:
    """What stood under a name before any of ours did."""
    for change in _changes:
        if change.owner is owner and change.name == name:
            return change.original
    return vars(owner)[name]


def _wanted(part: parts.Part, options: Options) -> bool:
    if part.group == "any":
        return options.any()
    if part.group == "deadlock":
        return options.watches_locks()
    return bool(getattr(options, part.group))


def _put_in(part: parts.Part) -> _Change | None:
    place = part.owner()
    if place is None:
        return None
    owner, name = place
    original = vars(owner)[name]
    there = [change for change in _changes if change.owner is owner and change.name == name]
    if any(change.part is part for change in there) and any(change.ours is original for change in there):
        return None  # it is in, or beneath one that was put over it
    ours = part.ours(original)
    if ours is parts.MISSING or ours is original:
        return None
    change = _Change(part, owner, name, original, ours)
    setattr(owner, name, ours)
    _changes.append(change)
    return change


def _put_in_all(triggers: set[str]) -> list[_Change]:
    with _lock:
        wanted = [part for part in parts.all_parts() if part.trigger in triggers and _wanted(part, current)]
        if not wanted or _engine.engine() != "native":
            if wanted:
                _engine.say_stdlib()
            return []
        before = len(_changes)
        try:
            changes = [change for part in wanted if (change := _put_in(part)) is not None]
            if any(change.part.group == "deadlock" for change in changes):
                _look_for_deadlocks()
            _tell_when_asked()
            return changes
        except BaseException:
            for change in reversed(_changes[before:]):
                change.undo()
            del _changes[before:]
            raise


def _tell_when_asked() -> None:
    """Under `fenshen run`, now that there may be threads or tasks to tell of."""
    if "fenshen._request" in sys.modules:
        from fenshen import _request

        _request.tell_all()


def _look_for_deadlocks() -> None:
    from fenshen import _thread_ends

    _thread_ends.start()
    if current.lock_order or current.deadlock_origins:
        from fenshen import _order

        _order.start(pairs=current.lock_order, origins=current.deadlock_origins)


# Ours that import standard modules of the table: while one of them is half way, nothing can be taken from it.
_OWN = tuple(
    f"fenshen.{name}"
    for name in (
        "_fenshen",
        "_threads",
        "loop",
        "queue",
        "_waiting",
        "_thread_executor",
        "_thread_pool",
        "_thread_ends",
        "_process_executor",
        "multiprocessing.connection",
        "multiprocessing.managers",
        "multiprocessing.pool",
        "multiprocessing.queues",
        "multiprocessing.shared_memory",
        "multiprocessing.sharedctypes",
        "multiprocessing.synchronize",
    )
)
_later: set[str] = set()
"""Modules of the table for which ours could not be made yet: they stand on another one that was half way."""


def _half_way(name: str) -> bool:
    spec = getattr(sys.modules.get(name), "__spec__", None)
    return getattr(spec, "_initializing", False)


def _imported(name: str) -> None:
    """A module of the table, or one of ours, has just been imported. An import never fails because of us."""
    if any(_half_way(own) for own in _OWN if own != name):
        return  # that one will be whole in a moment, and then it is all caught up
    due = {name}
    while due:
        due |= _later
        _later.clear()
        try:
            _catch_up() if name in _OWN else _put_in_all(due)
        except Exception as e:
            if any(map(_half_way, parts.triggers())):
                _later.update(due)
            else:
                _engine.say(f"the standard library's own types serve {name}: {type(e).__name__}: {e}")
            return
        due = set(_later)  # what was imported meanwhile, and had to wait for this one


_finder = Finder(set(_OWN), _imported)


def _watch_imports() -> None:
    _finder.names.update(parts.triggers())
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


def _loaded() -> set[str]:
    """The modules of the table that are imported and whole."""
    return {name for name in parts.triggers() if name in sys.modules and not _half_way(name)}


def _catch_up() -> list[_Change]:
    """Put in everything that is imported, and what ours import when they are put in."""
    changes: list[_Change] = []
    before: set[str] = set()
    while (now := _loaded()) != before:
        before = now
        changes += _put_in_all(now)
    return changes


def begin(text: str) -> None:
    """Set up what `fenshen run` sets up, from the text form of its options. Imports nothing that the program may
    never need.

    Raises ValueError if the text cannot be read.
    """
    options = Options.from_text(text)
    if options is None:
        return
    current.set(options)
    if _engine.expected() != "native":
        if not options.child:
            _engine.say_stdlib()
        return
    if options.any():
        from fenshen import _request

        _request.listen()
        _watch_imports()
        _catch_up()
    if options.advise:
        from fenshen import advise

        advise.start()


def install(
    *,
    loop: bool = True,
    threads: bool = True,
    processes: bool = True,
    deadlock: str | None = None,
    blocked: bool | None = None,
    lock_order: bool | None = None,
    deadlock_origins: bool | None = None,
) -> None:
    """Put fenshen's engine under the standard library's names, for the whole process, until `uninstall()`.

    What was imported already is replaced now; what is imported later, as it is imported. Calling it again with the
    same arguments does nothing.

    - `loop`: asyncio's default event loop, its tasks, futures, queues, locks and streams.
    - `threads`: the locks, conditions, events and barriers of `threading`, the queues of `queue`, and thread pools with
      their futures. `threading.Lock` and `RLock` stay the interpreter's own while deadlocks are not looked for.
    - `processes`: `ProcessPoolExecutor`, and of `multiprocessing` the pool, queues, pipes, locks and their kin, values,
      arrays, managers and shared memory.
    - `deadlock`: what happens when nothing can ever go on: `"off"`, `"report"` (on stderr) or `"raise"`
      (`DeadlockError`). None, the default, leaves it as it is, which is `"off"` unless the program runs under
      `fenshen run`.
    - `blocked`: whether a step that holds the event loop for too long is named on stderr while it does. None, the
      default, leaves it as it is, which is False unless the program runs under `fenshen run`.
    - `lock_order`: whether locks that are taken in both orders, which may deadlock some day, are reported, each pair
      once. None, the default, leaves it as it is, which is False.
    - `deadlock_origins`: whether reports and errors tell where a lock was acquired, which costs more than the lock.
      None, the default, leaves it as it is, which is False.

    A group passed as False is left as it is. Names that a module took with `from asyncio import ...` before this call
    stay what they were; a RuntimeWarning lists such modules, each once. With the engine `"stdlib"`, nothing is
    replaced, and one line says so.

    Raises ValueError if `deadlock` is none of the above.
    """
    if deadlock is not None and deadlock not in DEADLOCK:
        raise ValueError(f"deadlock must be one of {', '.join(map(repr, DEADLOCK))}, not {deadlock!r}")
    with _lock:
        before = Options()
        before.set(current)
        for name, wanted in zip(GROUPS, (loop, threads, processes), strict=True):
            if wanted:
                setattr(current, name, True)
        if deadlock is not None:
            current.deadlock = deadlock
        for name, value in (("blocked", blocked), ("lock_order", lock_order), ("deadlock_origins", deadlock_origins)):
            if value is not None:
                setattr(current, name, value)
        if not current.any():
            return
        if _engine.engine() != "native":
            _engine.say_stdlib()
            return
        try:
            _take_out_unwanted()
            changes = _catch_up()
        except BaseException:
            current.set(before)
            raise
        _watch_imports()
    _warn_of_taken(changes)


def _take_out_unwanted() -> None:
    for change in reversed(_changes):
        if not _wanted(change.part, current):
            change.undo()
    _changes[:] = [change for change in _changes if _wanted(change.part, current)]


def uninstall(*, loop: bool = True, threads: bool = True, processes: bool = True) -> None:
    """Undo what `install` or `fenshen run` put in: every name that still holds our object gets the standard one back.

    Objects that live on keep working, and so do names that a module took meanwhile with `from asyncio import ...`. A
    group passed as False is left as it is; when none is left, deadlocks are no longer looked for either.
    """
    with _lock:
        for name, wanted in zip(GROUPS, (loop, threads, processes), strict=True):
            if wanted:
                setattr(current, name, False)
        _take_out_unwanted()
        if not current.any():
            current.set(Options())
            if _finder in sys.meta_path:
                sys.meta_path.remove(_finder)


def installed() -> list[tuple[parts.Part, bool]]:
    """Every shown row of the table that this Python has, and whether its name holds our object now."""
    found = []
    for part in parts.all_parts():
        place = part.owner() if part.shown else None
        if place is not None:
            owner, name = place
            now = vars(owner)[name]
            found.append((part, any(c.owner is owner and c.name == name and c.ours is now for c in _changes)))
    return found


def _taken(originals: dict[int, str]) -> dict[str, set[str]]:
    """Which modules hold which of the standard objects under names of their own."""
    found: dict[str, set[str]] = {}
    for name, module in list(sys.modules.items()):
        root = name.partition(".")[0]
        if root == "fenshen" or (root != "__main__" and root in sys.stdlib_module_names):
            continue
        try:
            space = object.__getattribute__(module, "__dict__")  # a lazy module must not be woken up by this look
        except AttributeError:
            continue
        held = (
            {originals[id(value)] for value in list(space.values()) if id(value) in originals}
            if type(space) is dict
            else set()
        )
        if held and name not in _warned:
            found[name] = held
    return found


def _warn_of_taken(changes: list[_Change]) -> None:
    # Plain values would be found everywhere; classes and functions are what modules take.
    originals = {id(c.original): c.name for c in changes if c.part.shown and callable(c.original)}
    found = _taken(originals) if originals else {}
    if not found or _engine.quiet():
        return
    _warned.update(found)
    import warnings

    listed = ", ".join(f"{name} ({', '.join(sorted(held))})" for name, held in sorted(found.items()))
    warnings.warn(
        f"fenshen: these modules took names from the standard library before install() and keep them: {listed}; "
        "install first, or use `fenshen run`",
        RuntimeWarning,
        stacklevel=3,
    )
