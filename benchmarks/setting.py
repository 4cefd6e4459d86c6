"""What a measurement was taken on: the machine, the interpreter, the tree, the day, and what else was going on."""

import datetime
import os
import pathlib
import platform
import subprocess
import time
from typing import Any, NamedTuple

ROOT = pathlib.Path(__file__).resolve().parent.parent
MEASURED = ("crates", "python", "Cargo.toml", "Cargo.lock", "pyproject.toml", "examples", "benchmarks/*.py")


class Setting(NamedTuple):
    """As it is kept; `date` is an ISO one, `cpus` and `busy` are numbers of CPUs: ours, and those others kept busy."""

    machine: str
    python: str
    date: str
    commit: str = ""
    cpus: int = 1
    busy: float = 0.0

    def disturbed(self) -> bool:
        """Whether the numbers are not to be quoted."""
        return self.busy > self.cpus / 2

    def warning(self) -> str:
        """What a page begins with whose numbers are not to be quoted."""
        return (
            f"Measured on a machine that had other things to do ({self.busy:.1f} of {self.cpus} CPUs were busy): "
            "not to be quoted."
        )

    def day(self) -> str:
        """The date in words."""
        return f"{datetime.date.fromisoformat(self.date):%d %B %Y}"

    def where(self, packages: str = "") -> str:
        """All of it in a sentence or two."""
        tree = f" Commit {self.commit}." if self.commit else ""
        return f"{self.machine}. CPython {self.python}{packages}. {self.day()}.{tree}"


def of_json(found: dict[str, Any]) -> Setting:
    return Setting(**{name: found[name] for name in Setting._fields if name in found})


def here() -> Setting:
    """What is measured on now; takes a second."""
    today = datetime.date.today().isoformat()
    cpus = len(os.sched_getaffinity(0))
    return Setting(machine(), platform.python_version(), today, commit(), cpus, round(busy(), 2))


def machine() -> str:
    """What it runs on, without its name."""
    model = platform.processor() or platform.machine()
    info = pathlib.Path("/proc/cpuinfo")
    if info.exists():
        lines = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = lines[0].partition(":")[2].strip() if lines else model
    kernel = ".".join(platform.release().split(".")[:2])
    return f"{model}, {len(os.sched_getaffinity(0))} cores, {platform.system()} {kernel}"


def git(*words: str) -> str:
    """What it prints; an empty string where there is no git, or this is not its tree."""
    try:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if not done.returncode else ""


def commit() -> str:
    """The tree's, and whether what is measured has changed since."""
    name = git("rev-parse", "--short", "HEAD")
    changed = name and git("status", "--porcelain", "--untracked-files=no", "--", *MEASURED)
    return f"{name} and changes" if changed else name


def busy(seconds: float = 1.0) -> float:
    """How many CPUs were busy for so long, while this program waited."""

    def ticks() -> int:
        fields = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
        user, nice, system, _, _, interrupt, soft, *_ = map(int, fields)
        return user + nice + system + interrupt + soft

    if not pathlib.Path("/proc/stat").exists():
        return 0.0
    before, began = ticks(), time.monotonic()
    time.sleep(seconds)
    return (ticks() - before) / os.sysconf("SC_CLK_TCK") / (time.monotonic() - began)
