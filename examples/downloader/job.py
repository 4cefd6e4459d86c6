"""What is to be downloaded, and what is the same however it is."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

ATTEMPTS = 6
# Bytes read at once.
BLOCK = 1 << 18


class File(NamedTuple):
    """A file of the server's."""

    path: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        """Its name in our folder, where there are no others."""
        return unquote(self.path).strip("/").replace("/", "--")

    @property
    def line(self) -> str:
        """Its line in the list of what is done."""
        return f"{self.sha256} {self.path}"


class Refused(Exception):
    """The server has answered, and not with the file."""


class Damaged(Exception):
    """What has arrived is not what the server's list says."""


# What another attempt may mend.
PASSING = (Refused, Damaged, ConnectionError, TimeoutError, EOFError)


def list_files(url: str) -> list[File]:
    """All files that a server has."""
    server = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    server.request("GET", "/index.json")
    try:
        return [File(**row) for row in json.load(server.getresponse())]
    finally:
        server.close()


def pauses(attempts: int = ATTEMPTS, first: float = 0.05) -> Iterator[float]:
    """Seconds to wait before each further attempt: twice as long each time, and never the same for all clients."""
    for number in range(attempts - 1):
        yield first * 2**number * random.uniform(0.5, 1.0)


def part_of(file: File, folder: Path) -> Path:
    """Where a file grows until it is whole."""
    return folder / f"{file.name}.part"


def check(part: Path, file: File) -> None:
    """Raises Damaged unless what has arrived is the file."""
    with open(part, "rb") as stream:
        digest = hashlib.file_digest(stream, "sha256") if hasattr(hashlib, "file_digest") else digest_of(stream)
    compare(digest, file)


def compare(digest: hashlib._Hash, file: File) -> None:
    """Raises Damaged unless it is the file's digest."""
    if digest.hexdigest() != file.sha256:
        raise Damaged(f"{file.path} has arrived damaged")


def digest_of(stream) -> hashlib._Hash:
    """`hashlib.file_digest` for Python 3.10."""
    digest = hashlib.sha256()
    while block := stream.read(BLOCK):
        digest.update(block)
    return digest


def keep(file: File, folder: Path) -> None:
    """Give a file that is whole its name, at once, and then note it."""
    from done_list import DoneList

    os.replace(part_of(file, folder), folder / file.name)
    DoneList(folder).add(file)
