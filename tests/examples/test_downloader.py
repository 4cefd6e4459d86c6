"""The bulk downloader: every model has the same files, and a kill costs no more than the files at work."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest
from commands import end, needs_native, start

pytestmark = needs_native
MODELS = ("threads", "processes", "tasks", "mixed")


def command(examples, model, url, folder, connections=3):
    return [sys.executable, str(examples / "downloader"), model, url, str(folder), "--connections", str(connections)]


def contents(source, folder):
    """What should be in the folder, and what is."""
    files = [path for path in source.rglob("*") if path.is_file()]
    expected = {str(path.relative_to(source)).replace("/", "--"): path.read_bytes() for path in files}
    found = {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}
    return expected, found


@pytest.mark.parametrize("model", MODELS)
def test_downloads(model, examples, folder, tmp_path):
    """All files arrive, though every fourth request is refused."""
    from serving import web_server

    with web_server(folder, "--fail-every", "4") as url:
        first = end(start(command(examples, model, url, tmp_path / "got")))
    assert (first.status, first.err) == (0, ""), first
    assert first.out.startswith("12 files, 0 were there, ")
    assert " 0 attempts" not in first.out
    expected, found = contents(folder, tmp_path / "got")
    assert found == expected


@pytest.mark.parametrize("model", MODELS)
def test_killed(model, examples, tmp_path):
    """SIGKILL amid the work: what is on the list stays done, and in the end all is there."""
    from serving import web_server

    source, got = tmp_path / "source", tmp_path / "got"
    source.mkdir()
    for number in range(24):
        (source / f"{number}.bin").write_bytes(bytes([number]) * 50_000)
    with web_server(source, "--delay", "0.1") as url:
        process = start(command(examples, model, url, got))
        try:
            wait_for_lines(got / ".done", 6, process)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        lines = [line for line in (got / ".done").read_text().splitlines(keepends=True) if line.endswith("\n")]
        for line in lines:
            name = line.split("/")[1].strip()
            assert (got / name).read_bytes() == (source / name).read_bytes()
        last = end(start(command(examples, model, url, got, connections=8)))
    assert last.out == f"{24 - len(lines)} files, {len(lines)} were there, 0 attempts more\n"
    expected, found = contents(source, got)
    assert {name: body for name, body in found.items() if not name.endswith(".part")} == expected


def wait_for_lines(path, number, process):
    until = time.monotonic() + 60
    while not path.exists() or path.read_bytes().count(b"\n") < number:
        assert time.monotonic() < until, "nothing was downloaded"
        assert process.poll() is None, "it ended before it was to be killed"
        time.sleep(0.005)


def test_bar(examples, folder, tmp_path):
    """On a terminal there is a bar, and it ends full."""
    from serving import web_server

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 100, 0, 0))
    with web_server(folder) as url, open(ours, "rb", buffering=0) as terminal:
        words = command(examples, "threads", url, tmp_path / "got")
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=theirs, stdin=subprocess.DEVNULL)
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # how the kernel says that nobody has the other end any more
            while block := terminal.read(4096):
                shown += block
        assert process.wait(60) == 0
    assert re.search(rb"threads: 100%.* 12/12 ", shown), shown


def test_a_server_that_never_answers_well(examples, folder, tmp_path):
    from serving import web_server

    with web_server(folder, "--fail-every", "1") as url:
        done = end(start(command(examples, "tasks", url, tmp_path / "got")))
    assert done.status == 1
    assert "503 Service Unavailable" in done.err
    assert contents(folder, tmp_path / "got")[1] == {}


def test_done_list(examples, tmp_path):
    """A line without its end does not count, and does not spoil the next one."""
    from done_list import DoneList, left
    from job import File

    one, two = File("/one", 3, "aa"), File("/two", 3, "bb")
    DoneList(tmp_path).add(one)
    with open(tmp_path / ".done", "a") as file:
        file.write("bb /tw")
    (tmp_path / "one").write_text("one")
    (tmp_path / "two").write_text("two")
    assert left([one, two], tmp_path) == [two]
    DoneList(tmp_path).add(two)
    assert left([one, two], tmp_path) == []
    (tmp_path / "one").unlink()
    assert left([one, two], tmp_path) == [one]


def test_what_arrives_damaged(examples, tmp_path):
    from job import Damaged, File, check

    (tmp_path / "x.part").write_bytes(b"what")
    with pytest.raises(Damaged):
        check(tmp_path / "x.part", File("/x", 4, "00"))


def test_comparison(examples, folder):
    """The table has a row for each model."""
    words = ["--source", str(folder), "--count", "5", "--rounds", "1", "--delay", "0", "--connections", "2"]
    done = end(start([sys.executable, str(examples / "downloader"), *words]))
    assert done.status == 0, done.err
    rows = [line.split() for line in done.out.splitlines()[4:]]
    assert [row[0] for row in rows[:4]] == list(MODELS)
    assert all(float(row[1]) > 0 and float(row[2]) > 1 for row in rows[:4])
