"""Named blocks of shared memory: as the standard library's, side by side, but for their end."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
from multiprocessing import shared_memory as standard
from pathlib import Path

import pytest
from fenshen import multiprocessing as ours
from fenshen.multiprocessing import managers, shared_memory

from processes.sides import METHODS, PATIENCE, needs_native, outcome, run, until

pytestmark = needs_native

MODULES = {"stdlib": standard, "fenshen": shared_memory}
each_module = pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)
each_method = pytest.mark.parametrize("method", METHODS)

MAKE = """
import sys
from {package}.shared_memory import SharedMemory
block = SharedMemory(create=True, size=100)
block.buf[:5] = b"hello"
print(block.name, flush=True)
sys.stdin.read()
"""
ATTACH = """
import sys
from {package}.shared_memory import SharedMemory
block = SharedMemory({name!r})
print(bytes(block.buf[:5]).decode(), flush=True)
sys.stdin.read()
"""
OURS, THEIRS = "fenshen.multiprocessing", "multiprocessing"


class Program:
    """A Python program of its own, which says a line and ends when it is let."""

    def __init__(self, code, **values):
        code = code.format(**values)
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said = self.process.stdout.readline().strip()

    def end(self, kill=False):
        """Ends it; what it wrote to standard error."""
        if kill:
            self.process.kill()
        _, errors = self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == (-signal.SIGKILL if kill else 0)
        return errors


def exists(name):
    return os.path.exists(f"/dev/shm/{name}")


each_end = pytest.mark.parametrize("kill", [False, True], ids=["ends", "killed"])


@each_end
def test_a_block_goes_with_the_last_process_that_uses_it(kill):
    maker = Program(MAKE, package=OURS)
    first = Program(ATTACH, package=OURS, name=maker.said)
    second = Program(ATTACH, package=OURS, name=maker.said)
    assert (first.said, second.said) == ("hello", "hello")
    assert first.end(kill) == ""
    assert exists(maker.said)
    assert maker.end(kill) == ""
    third = Program(ATTACH, package=OURS, name=maker.said)
    assert third.said == "hello"
    assert second.end(kill) == ""
    assert exists(maker.said)
    third.end(kill)
    until(lambda: not exists(maker.said))


@each_end
def test_a_block_goes_with_its_maker_if_nobody_else_uses_it(kill):
    maker = Program(MAKE, package=OURS)
    assert exists(maker.said)
    assert "There appear to be 1 leaked shared_memory objects" in maker.end(kill)
    until(lambda: not exists(maker.said))


def test_a_process_that_knows_nothing_of_us_is_waited_for():
    maker = Program(MAKE, package=OURS)
    code = "import mmap, os, sys\nfd = os.open('/dev/shm/{name}', os.O_RDWR)\nm = mmap.mmap(fd, 100)\nos.close(fd)\n"
    other = Program(code + "print(m[:5].decode(), flush=True)\nsys.stdin.read()", name=maker.said)
    assert other.said == "hello"
    maker.end(kill=True)
    again = Program(ATTACH, package=OURS, name=maker.said)
    assert again.end() == ""
    assert exists(maker.said)
    other.end()
    until(lambda: not exists(maker.said))


def test_attaching_to_a_block_of_the_standard_library_s_and_the_other_way():
    maker = Program(MAKE, package=THEIRS)
    block = shared_memory.SharedMemory(maker.said)
    assert bytes(block.buf[:5]) == b"hello"
    block.close()
    maker.end()
    until(lambda: not exists(maker.said))
    maker = Program(MAKE, package=OURS)
    reader = Program(ATTACH, package=THEIRS, name=maker.said)
    assert reader.said == "hello"
    reader.end()  # which destroys the block
    maker.end()
    until(lambda: not exists(maker.said))


def test_what_is_unlinked_is_left_alone_by_the_keeper():
    maker = Program(MAKE, package=OURS)
    block = shared_memory.SharedMemory(maker.said)
    block.unlink()
    again = shared_memory.SharedMemory(maker.said, create=True, size=10, track=False)
    try:
        maker.end(kill=True)
        other = Program(MAKE, package=OURS)
        other.end()
        until(lambda: not exists(other.said))
        assert exists(maker.said)
    finally:
        again.unlink()
        again.close()
        block.close()


def test_untracked():
    code = MAKE.replace("size=100)", "size=100, track=False)")
    maker = Program(code, package=OURS)
    reader = Program(ATTACH, package=OURS, name=maker.said)
    assert (reader.end(), maker.end()) == ("", "")
    block = shared_memory.SharedMemory(maker.said)
    block.unlink()
    block.close()


def fill(name):
    block = ours.shared_memory.SharedMemory(name)
    block.buf[1] = 7
    block.close()


def make_one(connection):
    block = ours.shared_memory.SharedMemory(create=True, size=10)
    block.buf[0] = 9
    connection.send(block.name)
    block.close()


@each_method
def test_in_children(method):
    ctx = ours.get_context(method)
    block = shared_memory.SharedMemory(create=True, size=10)
    try:
        run(ctx, fill, (block.name,), (block.name,))
        assert block.buf[1] == 7
        here, there = multiprocessing.Pipe()
        run(ctx, make_one, (there,))
        name = here.recv()
        # What a child made outlives it: the program goes on.
        made = shared_memory.SharedMemory(name)
        assert made.buf[0] == 9
        made.unlink()
        made.close()
    finally:
        block.unlink()
        block.close()


@each_module
def test_pickling(module):
    block = module.SharedMemory(create=True, size=10)
    try:
        again = pickle.loads(pickle.dumps(block))
        again.buf[3] = 5
        assert block.buf[3] == 5
        assert (again.name, again.size) == (block.name, block.size)
        again.close()
    finally:
        block.unlink()
        block.close()


def test_errors():
    def after_close(module):
        block = module.SharedMemory(create=True, size=10)
        block.unlink()
        block.close()
        block.close()
        return block.buf, block.size

    def unlink_twice(module):
        block = module.SharedMemory("fenshen-test-twice", create=True, size=10)
        block.close()
        try:
            shared_memory.SharedMemory("fenshen-test-twice").unlink()
            block._track = False  # it would tell the standard library's tracker of what that knows nothing of
            block.unlink()
        finally:
            multiprocessing.resource_tracker.unregister(block._name, "shared_memory") if module is standard else None

    def close_exported(module):
        block = module.SharedMemory(create=True, size=10)
        view = memoryview(block._mmap)
        try:
            block.close()
        finally:
            view.release()
            block.close()
            block.unlink()

    def exists_already(module):
        block = module.SharedMemory("fenshen-test-there", create=True, size=10)
        try:
            module.SharedMemory("fenshen-test-there", create=True, size=10)
        finally:
            block.unlink()
            block.close()

    for action in (
        lambda m: m.SharedMemory(),
        lambda m: m.SharedMemory(create=True),
        lambda m: m.SharedMemory(create=True, size=-1),
        lambda m: m.SharedMemory("fenshen-test-missing"),
        lambda m: m.SharedMemory("a/b", create=True, size=1),
        after_close,
        unlink_twice,
        close_exported,
        exists_already,
    ):
        theirs, mine = (outcome(lambda: action(module)) for module in MODULES.values())  # noqa: B023
        assert mine == theirs


def test_lists():
    def use(module):
        items = module.ShareableList([1, -2.5, "text", b"bytes", None, True, "é" * 9])
        try:
            items[0], items[2] = 7, "short"
            other = pickle.loads(pickle.dumps(items))
            got = list(other), len(other), other.count(7), other.index(None), other.format
            other.shm.close()
            return got
        finally:
            items.shm.close()
            items.shm.unlink()

    def too_long(module):
        items = module.ShareableList(["a"])
        try:
            items[0] = "a" * 50
        finally:
            items.shm.close()
            items.shm.unlink()

    for action in (use, too_long):
        theirs, mine = (outcome(lambda: action(module)) for module in MODULES.values())  # noqa: B023
        assert mine == theirs
    items = shared_memory.ShareableList([1])
    assert isinstance(items, standard.ShareableList)
    assert type(items.shm) is shared_memory.SharedMemory
    assert isinstance(items.shm, standard.SharedMemory)
    items.shm.close()
    items.shm.unlink()


@each_method
def test_blocks_of_a_manager(method):
    with managers.SharedMemoryManager(ctx=ours.get_context(method)) as manager:
        block, items = manager.SharedMemory(size=10), manager.ShareableList([1, 2])
        names = [block.name, items.shm.name]
        block.buf[0] = 1
        run(ours.get_context(method), fill, (block.name,))
        assert block.buf[1] == 7
        assert all(map(exists, names))
        block.close()
        items.shm.close()
    assert not any(map(exists, names))


AGAIN = """
import os, signal, time
from multiprocessing import process
pid, fd, _ = process.current_process()._config["fenshen-keeper"]
os.kill(pid, signal.SIGKILL)
while os.path.exists(f"/proc/{{pid}}/fd/{{fd}}"):
    time.sleep(0.01)
other = SharedMemory(create=True, size=10)
print(other.name, flush=True)
sys.stdin.read()
"""


def test_the_keeper_is_started_again():
    maker = Program(MAKE.replace("sys.stdin.read()", "") + AGAIN, package=OURS)
    other = maker.process.stdout.readline().strip()
    assert exists(maker.said)
    assert exists(other)
    maker.end(kill=True)
    until(lambda: not exists(maker.said) and not exists(other))


def test_a_spawned_child_that_has_no_shared_memory_does_not_load_it(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("""if 1:
        import multiprocessing, sys

        def tell(pipe):
            pipe.send([name for name in ("hashlib", "multiprocessing.shared_memory") if name in sys.modules])

        if __name__ == "__main__":
            ours, theirs = multiprocessing.Pipe()
            child = multiprocessing.get_context("spawn").Process(target=tell, args=(theirs,))
            child.start()
            print(ours.recv())
            child.join()
    """)
    command = [sys.executable, "-m", "fenshen", "run", str(program)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert (found.stdout, found.stderr) == ("[]\n", "")
