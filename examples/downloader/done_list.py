"""Which files are there, kept in a file that survives `kill -9` at any moment."""

from __future__ import annotations

import os
from pathlib import Path

from job import File


class DoneList:
    """A line for each file that is whole and has its name.

    A line is written by one `write` to a file open for appending, so that processes may share the list and a line is
    there as a whole or not at all: one without its end, from a disk that was full, say, does not count. It is written
    after the file has its name. Whoever is killed in between downloads that file again, and nothing worse.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / ".done"

    def read(self) -> set[str]:
        """The digests and paths of all lines that are whole."""
        if not self.path.exists():
            return set()
        return {line.rstrip("\n") for line in self.path.read_text().splitlines(keepends=True) if line.endswith("\n")}

    def add(self, file: File) -> None:
        """Note a file. Raises OSError if the disk is full."""
        line = f"{file.line}\n".encode()
        fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            # What a writer before us may have left unfinished must not become the beginning of our line.
            if self._is_torn():
                line = b"\n" + line
            if os.write(fd, line) != len(line):
                raise OSError(f"{self.path} could not be written to its end")
        finally:
            os.close(fd)

    def _is_torn(self) -> bool:
        with open(self.path, "rb") as file:
            if file.seek(0, os.SEEK_END) == 0:
                return False
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"


def left(files: list[File], folder: Path) -> list[File]:
    """What is still to be downloaded: not on the list, or gone from the folder since."""
    done = DoneList(folder).read()
    return [file for file in files if file.line not in done or not is_there(file, folder)]


def is_there(file: File, folder: Path) -> bool:
    """Whether a file of that name and size is in the folder."""
    try:
        return (folder / file.name).stat().st_size == file.size
    except FileNotFoundError:
        return False
