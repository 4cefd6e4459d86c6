"""Where a cell lives: with a `/dev/shm` of its own where we may mount, so that what it leaves behind is seen."""

from __future__ import annotations

import contextlib
import ctypes
import os
from pathlib import Path

CLONE_NEWNS = 0x20000
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
SHM = "/dev/shm"

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(status: int) -> None:
    if status:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def mount(source: str, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    """mount(2)."""
    words = [word.encode() if word is not None else None for word in (source, target, kind)]
    _checked(_libc.mount(*words, ctypes.c_ulong(flags), options.encode() if options else None))


def enter(folder: str) -> bool:
    """Put `folder` where this process and its children see /dev/shm; False if mounting is not ours to do."""
    try:
        _checked(_libc.unshare(CLONE_NEWNS))
        mount("none", "/", None, MS_REC | MS_PRIVATE)
        mount(folder, SHM, None, MS_BIND)
    except OSError:
        return False
    return True


def listed(folder: str) -> set[str]:
    """What lies in a folder, and is ours."""
    found = set()
    for each in Path(folder).iterdir():
        with contextlib.suppress(FileNotFoundError):  # others come and go
            if each.lstat().st_uid == os.getuid():
                found.add(each.name)
    return found


def full(folder: str) -> None:
    """Mount a disk of 1 MB there, and fill it. OSError where mounting is not ours to do."""
    mount("tmpfs", folder, "tmpfs", 0, "size=1m")
    with open(os.path.join(folder, "filler"), "wb", buffering=0) as filler:
        try:
            while True:
                filler.write(bytes(4096))
        except OSError:
            pass
