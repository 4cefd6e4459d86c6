"""A service that ends in order: at SIGTERM it takes no new work, finishes what it has begun, and then goes.

    fenshen run examples/shutdown.py            # end it with Ctrl-C, or `kill PID`
    python examples/shutdown.py --show          # starts it, asks it for something, and ends it meanwhile

It answers each line with its length, after some work. What it prints tells the order of things.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import subprocess
import sys
import time

import fenshen


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    """One line from each client; what was begun is finished, whatever signal comes."""
    line = (await reader.readline()).strip()
    say(f"begun: {line.decode()}")
    try:
        await asyncio.sleep(seconds)
        writer.write(b"%d\n" % len(line))
        await writer.drain()
        say(f"finished: {line.decode()}")
    except asyncio.CancelledError:
        say(f"cancelled: {line.decode()}")
        raise
    finally:
        writer.close()


def say(text: str) -> None:
    print(text, flush=True)


async def main(seconds: float) -> None:
    """Serve until a signal comes."""
    server = await asyncio.start_server(lambda r, w: answer(r, w, seconds), "127.0.0.1", 0)
    say(f"process {os.getpid()} serves on port {server.sockets[0].getsockname()[1]}")
    number = await fenshen.until_shutdown()
    server.close()  # `run` would do so, a moment later
    say(f"{signal.Signals(number).name}: no new connections, and what runs may end")


def show() -> None:
    """Start it, send it a line, and end it while it works on that."""
    with subprocess.Popen([sys.executable, __file__, "--work", "0.5"], stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout
        first = service.stdout.readline()
        print(first, end="")
        port = int(first.split()[-1])
        with socket.create_connection(("127.0.0.1", port), timeout=30) as client, client.makefile("rw") as lines:
            lines.write("a line of mine\n")
            lines.flush()
            print(service.stdout.readline(), end="")
            service.send_signal(signal.SIGTERM)
            print(service.stdout.readline(), end="")
            refused = any(refuses(port) for _ in range(100))  # the port closes a moment after the signal
            print(f"the client got: {lines.readline().strip()}; another one {'was refused' if refused else 'got in'}")
        print(service.stdout.read(), end="")
        print(f"ended with status {service.wait(timeout=30)}")


def refuses(port: int) -> bool:
    """Whether nobody listens there."""
    time.sleep(0.02)
    with socket.socket() as another:
        return another.connect_ex(("127.0.0.1", port)) != 0


if __name__ == "__main__":
    options = argparse.ArgumentParser(description="A service that ends in order.")
    options.add_argument("--show", action="store_true", help="start it, and end it while it works")
    options.add_argument("--work", type=float, default=2.0, help="seconds for each line (default: 2)")
    options.add_argument("--grace", type=float, default=10.0, help="seconds for what runs at the end (default: 10)")
    chosen = options.parse_args()
    if chosen.show:
        show()
    else:
        fenshen.run(main(chosen.work), shutdown_signals=(signal.SIGTERM, signal.SIGINT), grace=chosen.grace)
