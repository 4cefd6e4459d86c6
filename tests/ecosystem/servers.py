"""PostgreSQL, MariaDB and Redis for the tests: each started by itself on a free port, with its files in a temporary
folder, and ended with the tests, however they end.
"""

from __future__ import annotations

import contextlib
import ctypes
import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .needs import lacking, libraries

SECONDS = 90
PR_SET_PDEATHSIG = 1
# Where Debian keeps what it does not put into everyone's PATH.
FOLDERS = ["/usr/sbin", "/usr/local/sbin", *sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)]

_prctl = ctypes.CDLL(None, use_errno=True).prctl


@dataclass(frozen=True)
class Server:
    """A running server, and how it is reached: in the clear, by TLS (the URL names the authority to trust) and by its
    Unix socket.
    """

    name: str
    log: Path
    url: str
    tls: str
    unix: str


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL with the superuser `fenshen`, who logs in by SCRAM."""
    initdb, server = _programs("PostgreSQL", "postgresql", "initdb", "postgres")
    libraries("trustme")
    with _folder() as folder:
        data, word = folder / "data", _owned(folder / "word", b"secret")
        trust = ["--auth=scram-sha-256", f"--pwfile={word}"]
        _prepare([initdb, "-D", data, "-U", "fenshen", *trust, "--no-sync", "--encoding=UTF8", "--locale=C"], folder)
        certificate, key, authority = _certificates(folder)
        options = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": folder,
            "fsync": "off",
            "max_connections": "60",
            "ssl": "on",
            "ssl_cert_file": certificate,
            "ssl_key_file": key,
        }
        settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]

        def command(port: int) -> list[Any]:
            return [server, "-D", data, "-p", port, *settings]

        # Killed, it would leave its shared memory behind; at SIGQUIT it drops everything at once, but not that.
        with _running(command, folder, "ready to accept connections", signal.SIGQUIT) as port:
            place = f"127.0.0.1:{port}/postgres"
            yield Server(
                "PostgreSQL",
                folder / "log",
                url=f"postgresql://fenshen:secret@{place}?sslmode=disable",
                tls=f"postgresql://fenshen:secret@{place}?sslmode=verify-full&sslrootcert={authority}",
                unix=f"postgresql://fenshen:secret@/postgres?host={folder}&port={port}",
            )


@pytest.fixture(scope="session")
def mariadb() -> Iterator[Server]:
    """A MariaDB with the user `fenshen` and a database of that name."""
    install, server = _programs("MariaDB", "mariadb-server", "mariadb-install-db", "mariadbd")
    libraries("trustme")
    with _folder() as folder:
        data, unix = folder / "data", folder / "socket"
        small = [f"--datadir={data}", "--innodb-log-file-size=4M"]
        login = "--auth-root-authentication-method=normal"
        _prepare([install, "--no-defaults", *small, login, "--skip-test-db"], folder)
        certificate, key, authority = _certificates(folder)
        first = _owned(
            folder / "first.sql",
            b"create database fenshen;\n"
            b"create user 'fenshen'@'%' identified by 'secret';\n"
            b"create user 'fenshen'@'localhost' identified by 'secret';\n"
            b"grant all on *.* to 'fenshen'@'%';\n"
            b"grant all on *.* to 'fenshen'@'localhost';\n",
        )
        settings = [
            *small,
            f"--init-file={first}",
            f"--socket={unix}",
            f"--pid-file={folder / 'pid'}",
            "--bind-address=127.0.0.1",
            "--max-allowed-packet=64M",
            f"--ssl-cert={certificate}",
            f"--ssl-key={key}",
        ]

        def command(port: int) -> list[Any]:
            return [server, "--no-defaults", *settings, f"--port={port}"]

        with _running(command, folder, "ready for connections", signal.SIGKILL) as port:
            url = f"mysql://fenshen:secret@127.0.0.1:{port}/fenshen"
            yield Server(
                "MariaDB",
                folder / "log",
                url=url,
                tls=f"{url}?ssl_ca={authority}",
                unix=f"mysql://fenshen:secret@localhost/fenshen?unix_socket={unix}",
            )


@pytest.fixture(scope="session")
def redis() -> Iterator[Server]:
    """A Redis that writes nothing to the disk."""
    (server,) = _programs("Redis", "redis-server", "redis-server")
    libraries("trustme")
    with _folder() as folder:
        certificate, key, authority = _certificates(folder)
        settings = {
            "bind": "127.0.0.1",
            "unixsocket": folder / "socket",
            "save": "",
            "tls-cert-file": certificate,
            "tls-key-file": key,
            "tls-ca-cert-file": authority,
            "tls-auth-clients": "no",
        }
        words = [word for name, value in settings.items() for word in (f"--{name}", value)]
        tls_port = _free_port()

        def command(port: int) -> list[Any]:
            return [server, *words, "--port", port, "--tls-port", tls_port]

        with _running(command, folder, "Ready to accept connections", signal.SIGKILL) as port:
            yield Server(
                "Redis",
                folder / "log",
                url=f"redis://127.0.0.1:{port}/0",
                tls=f"rediss://127.0.0.1:{tls_port}/0?ssl_ca_certs={authority}",
                unix=f"unix://{folder / 'socket'}?db=0",
            )


def logs(item: pytest.Item) -> Iterator[tuple[str, str]]:
    """A heading and the end of the log of each server that a test uses."""
    for value in getattr(item, "funcargs", {}).values():
        if isinstance(value, Server):
            yield f"log of {value.name}", _end_of(value.log)


def _programs(name: str, package: str, *commands: str) -> list[str]:
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *FOLDERS])
    found = {command: shutil.which(command, path=path) for command in commands}
    missing = [command for command, where in found.items() if where is None]
    if missing:
        lacking(f"no {name} on this machine: {', '.join(missing)} not found (Debian's package {package} has it)")
    return [where for where in found.values() if where is not None]


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """A folder that the servers' user can reach, and whose name is short enough for a Unix socket in it."""
    with tempfile.TemporaryDirectory(prefix="fenshen-", ignore_cleanup_errors=True) as name:
        yield _given(Path(name))


def _owned(file: Path, content: bytes) -> Path:
    file.touch(mode=0o600)
    file.write_bytes(content)
    return _given(file)


def _given(path: Path) -> Path:
    if user := _user():
        os.chown(path, user["user"], user["group"])
    return path


def _user() -> dict[str, Any]:
    """Whom the servers run as: PostgreSQL and MariaDB refuse to be root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _certificates(folder: Path) -> tuple[Path, Path, Path]:
    """The server's certificate, its key, and the authority that a client trusts."""
    import trustme

    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    return (
        _owned(folder / "certificate.pem", chain),
        _owned(folder / "key.pem", issued.private_key_pem.bytes()),
        _owned(folder / "authority.pem", authority.cert_pem.bytes()),
    )


def _environment() -> dict[str, str]:
    return {"PATH": os.pathsep.join([os.environ.get("PATH", os.defpath), *FOLDERS]), "LC_ALL": "C", "TZ": "UTC"}


def _prepare(command: list[Any], folder: Path) -> None:
    words = [str(word) for word in command]
    done = subprocess.run(
        words, cwd=folder, env=_environment(), text=True, capture_output=True, timeout=SECONDS, check=False, **_user()
    )
    if done.returncode != 0:
        pytest.fail(f"{words[0]} ended with {done.returncode}: {done.stdout}{done.stderr}", pytrace=False)


@contextlib.contextmanager
def _running(command: Callable[[int], list[Any]], folder: Path, ready: str, end: signal.Signals) -> Iterator[int]:
    """Run a server until the block ends, and yield its port: a free one, or another if somebody was faster.

    It is up when its log has the words `ready`; the signal `end` ends it.
    """
    log = folder / "log"
    for _ in range(3):
        port = _free_port()
        process = _start([str(word) for word in command(port)], log, end)
        try:
            if _is_up(process, log, ready):
                yield port
                return
        finally:
            _stop(process, end)
    pytest.fail(f"{process.args[0]} does not start:\n{_end_of(log)}", pytrace=False)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def _start(words: list[str], log: Path, end: signal.Signals) -> subprocess.Popen[bytes]:
    parent = os.getpid()

    def end_with_us() -> None:
        _prctl(PR_SET_PDEATHSIG, end)
        if os.getppid() != parent:
            os._exit(1)

    with log.open("wb") as output:
        return subprocess.Popen(
            words,
            cwd=log.parent,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=end_with_us,  # runs after the change of user, which would undo it
            **_user(),
        )


def _is_up(process: subprocess.Popen[bytes], log: Path, ready: str) -> bool:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        ended = process.poll() is not None
        if ready in log.read_text(errors="replace"):
            return not ended
        if ended:
            return False
        time.sleep(0.05)
    return False


def _stop(process: subprocess.Popen[bytes], end: signal.Signals) -> None:
    if process.poll() is None:
        process.send_signal(end)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _end_of(log: Path) -> str:
    with contextlib.suppress(OSError):
        return log.read_text(errors="replace")[-4000:]
    return ""
