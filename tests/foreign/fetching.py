"""What is downloaded: a suite's source distribution, and an environment of its own for what it needs.

Both stay in `target/foreign`, which git ignores and `make clean` takes away, and are fetched when a version changes.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

from .suites import RUNNER, Suite

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "target" / "foreign"


def _pip(python: Path | str, *arguments: str) -> None:
    command = [str(python), "-m", "pip", "--disable-pip-version-check", *arguments]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=900)


def environment(suite: Suite) -> Path:
    """An interpreter that has the project, what its tests need, and pytest; of this one's version.

    Raises:
        subprocess.CalledProcessError: it could not be made; pip has said why.
    """
    folder = FOLDER / f"{suite.project or suite.name}-{sys.version_info[0]}.{sys.version_info[1]}"
    python, stamp = folder / "bin" / "python", folder / ".installed"
    wanted = [suite.requirement, *suite.needs, *RUNNER]
    if python.exists() and stamp.exists() and stamp.read_text().splitlines() == wanted:
        return python
    subprocess.run([sys._base_executable, "-m", "venv", "--clear", str(folder)], check=True, timeout=300)
    _pip(python, "install", "--quiet", "--prefer-binary", *wanted)
    stamp.write_text("\n".join(wanted) + "\n")
    return python


def source(suite: Suite) -> Path:
    """The source distribution, a file.

    Raises:
        subprocess.CalledProcessError: it could not be downloaded; pip has said why.
    """
    file = FOLDER / f"{suite.project or suite.name}-{suite.version}.tar.gz"
    if not file.exists():
        options = ("--quiet", "--no-deps", "--no-binary", ":all:", "--dest", str(FOLDER))
        _pip(environment(suite), "download", *options, suite.requirement)
    return file


def unpack(suite: Suite, where: Path) -> Path:
    """The suite's folder, unpacked within `where`, less the package itself: the installed one is to be found."""
    with tarfile.open(source(suite)) as archive:
        inside = archive.getnames()[0].split("/")[0]
        members = [member for member in archive if not member.name.startswith(f"{inside}/{suite.own}/")]
        archive.extractall(where, members, filter="data")
    return where / inside
