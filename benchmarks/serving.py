"""Measures a server under the load of another process: echo, accepting, a crowd of idle connections."""

import asyncio
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from typing import NamedTuple

from .loops import LOOPS
from .measured import Measured, own_memory
from .workloads import Workload
from .workloads.loops.connections import MEMORY, SLOWER

FLOOR = "floor"


class Generator(NamedTuple):
    """The load generator: its program, the core it runs on, how long it measures."""

    program: str
    core: int
    seconds: float

    def start(self, workload: Workload, address: str, server: int) -> "subprocess.Popen[str]":
        """Loads the process `server`, which listens at `address`."""
        load = workload.load
        assert load
        words = {
            "load": [load.wire, address, server, load.connections, load.size],
            "accept": [address, server, load.connections],
            "crowd": [address, server, load.idle, load.connections, load.size],
        }[load.command]
        process = subprocess.Popen(
            [self.program, load.command, *map(str, words), str(self.seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        os.sched_setaffinity(process.pid, {self.core})
        return process


def line(generator: "subprocess.Popen[str]") -> list[float]:
    """The numbers of the generator's next line."""
    assert generator.stdout
    assert generator.stderr
    text = generator.stdout.readline()
    if not text:
        sys.exit(f"the load generator gave up: {generator.stderr.read().strip()}")
    return [float(word) for word in text.split() if word != "idle"]


def go_on(generator: "subprocess.Popen[str]") -> None:
    assert generator.stdin
    generator.stdin.write("\n")
    generator.stdin.flush()


def crowd(generator: "subprocess.Popen[str]", workload: Workload) -> Measured:
    """The busy connections alone, then among the idle ones, whose memory is what the process grew by."""
    assert workload.load
    alone = line(generator)[-1]
    before = own_memory()
    go_on(generator)
    line(generator)
    memory = (own_memory() - before) / workload.load.idle
    go_on(generator)
    operations, seconds, cpu, _, among = line(generator)
    more = {MEMORY: memory, "p99 alone, µs": alone, "p99 among the idle, µs": among, SLOWER: among / alone}
    return Measured(operations, seconds, cpu, more)


def conversation(generator: "subprocess.Popen[str]", workload: Workload) -> Measured:
    """Whatever the generator has to say; in a thread, while the loop serves."""
    with generator:
        if workload.kind == "crowd":
            return crowd(generator, workload)
        operations, seconds, cpu = line(generator)
        return Measured(operations, seconds, cpu)


async def serve_on_loop(workload: Workload, generator: Generator, folder: pathlib.Path) -> Measured:
    """The loop that runs this serves the load."""
    assert workload.serve
    loop = asyncio.get_running_loop()
    async with workload.serve(folder) as address:
        process = generator.start(workload, address, os.getpid())
        measured = await loop.run_in_executor(None, conversation, process, workload)
        await asyncio.sleep(0.05)  # the connections end
    return measured


def serve_floor(workload: Workload, generator: Generator, folder: pathlib.Path) -> Measured:
    """The server that is nothing but epoll, in a process of its own on this process's core."""
    assert workload.load
    wire = workload.load.wire
    words = {"tls": [folder / "certificate.pem", folder / "key.pem"], "unix": [folder / "echo.sock"]}.get(wire, [])
    command = [generator.program, "serve", wire, *map(str, words)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin
        assert server.stdout
        address = server.stdout.readline().strip()
        measured = conversation(generator.start(workload, address, server.pid), workload)
        server.stdin.close()
    return measured


def make_certificate(folder: pathlib.Path) -> None:
    """A certificate for TLS, signed by itself."""
    if shutil.which("openssl") is None:
        sys.exit("the program openssl was not found, which makes the certificate for TLS")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(folder / "key.pem")]
    certificate = ["-x509", "-days", "30", "-subj", "/CN=localhost", "-out", str(folder / "certificate.pem")]
    subprocess.run(["openssl", "req", *key, *certificate], check=True, capture_output=True)


def serve(workload: Workload, name: str, generator: Generator) -> Measured:
    """One measurement of the loop of that name, or of the floor."""
    assert workload.load
    with tempfile.TemporaryDirectory(prefix="fenshen-bench-") as name_of_folder:
        folder = pathlib.Path(name_of_folder)
        if workload.load.wire == "tls":
            make_certificate(folder)
        if name == FLOOR:
            return serve_floor(workload, generator, folder)
        loop = LOOPS[name].factory()()
        return loop.run_until_complete(serve_on_loop(workload, generator, folder))
