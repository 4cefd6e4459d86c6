"""A process that removes named blocks of shared memory once nobody uses them. Run as a script, it imports nothing of
ours.

Its arguments are the descriptor it listens on, the one for its process id, and the process that must have ended too (0
for none). What it is told are lines: `+` or `-`, the inode, and the name in hexadecimal. When nobody can tell it more,
it removes each block that nobody has locked (as our processes do as long as they are attached) or mapped, and ends
with the last one.
"""

import errno
import fcntl
import os
import signal
import struct
import sys
import time
import warnings

SHM = "/dev/shm/"
# Far beyond every block's end, so that it meets no lock of the program's own.
LOCK_AT = 1 << 62


def lock(fd, kind, command):
    """Lock the place that says "in use", for the open file and not for the process."""
    fcntl.fcntl(fd, command, struct.pack("@hhqqi4x", kind, os.SEEK_SET, LOCK_AT, 1, 0))


def inode_of(name):
    """The inode of the block that has the name now; None if there is none."""
    try:
        return os.stat(SHM + name).st_ino
    except OSError:
        return None


class Keeper:
    """What is to be removed, by name: the inode."""

    def __init__(self, root):
        self.blocks = {}
        self.root = root
        self.many = 64

    def hear(self, line):
        """One line of what it is told."""
        sign, inode, name = line.split()
        name = os.fsdecode(bytes.fromhex(name.decode()))
        if sign == b"+":
            self.blocks[name] = int(inode)
        elif self.blocks.get(name) == int(inode):
            del self.blocks[name]
        if len(self.blocks) > self.many:
            self.forget_removed()
            self.many = 2 * max(len(self.blocks), 64)

    def listen(self, fd):
        """Until nobody has the other end."""
        rest = b""
        while True:
            got = os.read(fd, 1 << 16)
            if not got:
                return
            *lines, rest = (rest + got).split(b"\n")
            for line in lines:
                self.hear(line)

    def forget_removed(self):
        """Drop those that are gone, or have another's name now."""
        self.blocks = {name: inode for name, inode in self.blocks.items() if inode_of(name) == inode}

    def root_lives(self):
        """Whether the program goes on without whoever told of the blocks."""
        if not self.root:
            return False
        try:
            with open(f"/proc/{self.root[0]}/stat", "rb") as stat:
                return stat.read().rpartition(b")")[2].split()[19] == self.root[1]
        except OSError:
            return False

    def sweep(self):
        """Remove what nobody uses; the names."""
        self.forget_removed()
        if self.root_lives():
            return set()
        removed = {name for name, inode in self.blocks.items() if remove(name, inode)}
        self.blocks = {name: inode for name, inode in self.blocks.items() if name not in removed}
        return removed


def remove(name, inode):
    """Remove a block, unless somebody has it; False then."""
    try:
        fd = os.open(SHM + name, os.O_RDWR | os.O_CLOEXEC)
    except OSError as e:
        return e.errno == errno.ENOENT
    try:
        lock(fd, fcntl.F_WRLCK, fcntl.F_OFD_SETLK)
        if not is_mapped(SHM + name, inode):
            os.unlink(SHM + name)
            return True
    except OSError:
        pass
    finally:
        os.close(fd)
    return False


def is_mapped(path, inode):
    """Whether a process that knows nothing of our locks has it mapped."""
    path, inode = os.fsencode(path), b" %d " % inode
    for pid in os.listdir("/proc"):
        if pid.isdigit():
            try:
                with open(f"/proc/{pid}/maps", "rb") as maps:
                    if any(path in line and inode in line for line in maps):
                        return True
            except OSError:
                pass
    return False


def start_of(pid):
    """A process and when it began, which no later one with its number has; None if it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return pid, stat.read().rpartition(b")")[2].split()[19]
    except OSError:
        return None


def runs(process):
    """Whether what `start_of` told of has not ended altogether."""
    try:
        with open(f"/proc/{process[0]}/stat", "rb") as stat:
            state = stat.read().rpartition(b")")[2].split()
    except OSError:
        return False
    return state[19] == process[1] and state[0] not in (b"Z", b"X")


def wait_for(process, most=1.0):
    """Wait for a process that is ending: it loses what it had one by one, and the pipe may be the first of it."""
    until = time.monotonic() + most
    while process is not None and runs(process) and time.monotonic() < until:
        time.sleep(0.001)


def tell(removed):
    """Say what the program has left, as the standard library's resource tracker does."""
    if not removed:
        return
    names = {"/" + name for name in removed} if sys.version_info >= (3, 13) else None
    warnings.warn(
        f"resource_tracker: There appear to be {len(removed)} leaked shared_memory objects to clean up at shutdown"
        + (f": {names}" if names else ""),
        stacklevel=2,
    )


def main(fd, answer, root):
    """Listen, then wait."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    teller = start_of(os.getppid())
    if os.fork():
        os._exit(0)  # so that it is nobody's child
    os.setsid()
    os.chdir("/")
    os.write(answer, b"%d" % os.getpid())
    os.close(answer)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1):
        os.dup2(nowhere, standard)
    keeper = Keeper(start_of(root) if root else None)
    keeper.listen(fd)
    wait_for(teller)
    tell(keeper.sweep())
    os.dup2(nowhere, 2)  # whoever reads what the program printed is not kept waiting
    pause = 0.02
    while True:
        keeper.sweep()
        if not keeper.blocks:
            return
        time.sleep(pause)
        pause = min(2 * pause, 0.5)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
