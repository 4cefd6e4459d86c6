"""What is installed, as one small object that also travels as text: `-X fenshen=...`, `FENSHEN=...`, and to child
processes.

The text is a comma-separated list of words: `no-loop`, `no-threads`, `no-processes`, `no-blocked`,
`deadlock=off|report|raise`, `lock-order`, `deadlock-origins`, `advise`.
`1` (or any of `on`, `yes`, `true`) changes nothing of the defaults; an empty text, `0`,
`off`, `no` or `false` asks for nothing at all.
"""

from __future__ import annotations

GROUPS = ("loop", "threads", "processes")
DEADLOCK = ("off", "report", "raise")
# What is off unless it is asked for.
EXTRAS = ("lock_order", "deadlock_origins", "advise")
_OFF = frozenset(("", "0", "off", "no", "false"))
_ON = frozenset(("1", "on", "yes", "true"))


class Options:
    """Which parts are installed, what happens at a deadlock or when one step blocks the loop, and what else is on."""

    __slots__ = (
        "advise",
        "blocked",
        "child",
        "deadlock",
        "deadlock_origins",
        "lock_order",
        "loop",
        "processes",
        "threads",
    )

    def __init__(self) -> None:
        self.loop = False
        self.threads = False
        self.processes = False
        self.deadlock = "off"
        self.blocked = False
        # Locks that are taken in both orders are reported; where a lock was acquired is kept for reports.
        self.lock_order = False
        self.deadlock_origins = False
        # The program is measured, to tell which model fits it.
        self.advise = False
        # A child of multiprocessing: what its parent has said is not said again.
        self.child = False

    @classmethod
    def of_a_run(cls) -> Options:
        """What `fenshen run` sets up when it is given no options."""
        options = cls()
        options.loop = options.threads = options.processes = options.blocked = True
        options.deadlock = "raise"
        return options

    @classmethod
    def from_text(cls, text: str) -> Options | None:
        """None if `text` asks for nothing. Raises ValueError, naming the word, if it cannot be read."""
        words = [word.strip().lower() for word in text.split(",")]
        if words[0] in _OFF:
            return None
        options = cls.of_a_run()
        for word in words:
            options._take(word)
        return options

    def _take(self, word: str) -> None:
        name, _, value = word.partition("=")
        if name == "deadlock" and value in DEADLOCK:
            self.deadlock = value
        elif word == "child":
            self.child = True
        elif word.replace("-", "_") in EXTRAS:
            setattr(self, word.replace("-", "_"), True)
        elif word.startswith("no-") and word[3:] in (*GROUPS, "blocked"):
            setattr(self, word[3:], False)
        elif word and word not in _ON:
            raise ValueError(
                f"{word!r} is not understood; words are 1, no-loop, no-threads, no-processes, no-blocked, "
                "lock-order, deadlock-origins, advise, deadlock=off, deadlock=report, deadlock=raise"
            )

    def to_text(self) -> str:
        """The text that `from_text` turns into an equal object."""
        words = [f"no-{name}" for name in (*GROUPS, "blocked") if not getattr(self, name)]
        if self.deadlock != "raise":
            words.append(f"deadlock={self.deadlock}")
        words += [name.replace("_", "-") for name in EXTRAS if getattr(self, name)]
        if self.child:
            words.append("child")
        return ",".join(words) or "1"

    def any(self) -> bool:
        """Whether any group is on, or the program is measured."""
        return self.loop or self.threads or self.processes or self.advise

    def watches_locks(self) -> bool:
        """Whether the locks of threads must be ours: for an eye on deadlocks, or on their order."""
        return self.threads and (self.deadlock != "off" or self.lock_order)

    def set(self, other: Options) -> None:
        """Become equal to `other`, for those that hold this object."""
        for name in self.__slots__:
            setattr(self, name, getattr(other, name))


# The state of this process; changed in place by `install`, `uninstall` and `fenshen run`, read by whoever needs it.
current = Options()
