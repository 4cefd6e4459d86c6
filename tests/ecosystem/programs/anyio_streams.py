"""anyio on its asyncio back end: task groups, cancel scopes, TCP, TLS, Unix and UDP sockets, processes, threads, files.

With the word `options`, the loop is the one that `backend_options` asks for; otherwise the default one.
"""

from __future__ import annotations

import random
import signal
import sys

import anyio
import fenshen
from anyio.abc import SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.tls import TLSListener, TLSStream
from certificates import Authority
from loops import checked

LARGE = random.Random(5).randbytes(4 << 20)


async def echo(stream: SocketStream) -> None:
    async with stream:
        async for data in stream:
            await stream.send(data)


async def round_trip(stream: SocketStream, data: bytes) -> bool:
    """Send while receiving; the other side echoes."""
    async with anyio.create_task_group() as group:
        group.start_soon(stream.send, data)
        received = await BufferedByteReceiveStream(stream).receive_exactly(len(data))
    return received == data


async def sockets() -> None:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, echo)
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            print("TCP:", await round_trip(stream, LARGE))
            await stream.send(b"the last words")
            await stream.send_eof()
            print("after the end:", b"".join([part async for part in stream]))
        results = []

        async def one(number: int) -> None:
            async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                results.append(await round_trip(stream, LARGE[: 1 + number * 1000]))

        async with anyio.create_task_group() as clients:
            for number in range(100):
                clients.start_soon(one, number)
        print("100 at once:", len(results), all(results))
        group.cancel_scope.cancel()


async def unix_and_udp() -> None:
    async with await anyio.create_unix_listener("socket") as listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, echo)
        async with await anyio.connect_unix("socket") as stream:
            print("Unix:", await round_trip(stream, LARGE))
        group.cancel_scope.cancel()
    async with await anyio.create_udp_socket(local_host="127.0.0.1") as here:
        port = here.extra(anyio.abc.SocketAttribute.local_port)
        async with await anyio.create_connected_udp_socket("127.0.0.1", port) as there:
            for size in (1, 1000, 60_000):
                await there.send(LARGE[:size])
                data, (host, back) = await here.receive()
                await here.sendto(data[::-1], host, back)
                assert await there.receive() == LARGE[:size][::-1]
            print("UDP: as sent")


async def tls() -> None:
    authority = Authority()
    plain = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = plain.extra(anyio.abc.SocketAttribute.local_port)
    listener = TLSListener(plain, authority.server(), standard_compatible=False)
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, echo)
        stream = await anyio.connect_tcp(
            "localhost", port, ssl_context=authority.client(), tls_standard_compatible=False
        )
        async with stream:
            assert isinstance(stream, TLSStream)
            print("TLS:", await round_trip(stream, LARGE), stream.extra(anyio.streams.tls.TLSAttribute.tls_version))
        group.cancel_scope.cancel()


async def processes_and_threads() -> None:
    done = await anyio.run_process([sys.executable, "-c", "print(input()[::-1])"], input=b"abc\n")
    print("process:", done.returncode, done.stdout)
    async with await anyio.open_process([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        process.send_signal(signal.SIGTERM)
        print("ended by:", await process.wait())
    print("thread:", await anyio.to_thread.run_sync(lambda: anyio.from_thread.run(double, 21)))
    async with await anyio.open_file("file", "wb") as file:
        await file.write(LARGE)
    print("file:", await anyio.Path("file").read_bytes() == LARGE)


async def double(number: int) -> int:
    await anyio.sleep(0)
    return 2 * number


async def scopes() -> None:
    with anyio.move_on_after(0.05) as scope:
        await anyio.sleep_forever()
    print("moved on:", scope.cancelled_caught)
    try:
        with anyio.fail_after(0.05):
            await anyio.Event().wait()
    except TimeoutError:
        print("timed out")
    with anyio.CancelScope() as outer:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep_forever)
            with anyio.CancelScope(shield=True):
                outer.cancel()
                await anyio.sleep(0.01)
                print("shielded")
    send, receive = anyio.create_memory_object_stream[int](2)
    async with anyio.create_task_group() as group:
        group.start_soon(feed, send)
        async with receive:
            print("stream of objects:", [number async for number in receive])
    lock, limiter = anyio.Lock(), anyio.CapacityLimiter(2)
    async with lock, limiter:
        print("limiter:", limiter.borrowed_tokens, lock.locked())


async def feed(send: anyio.abc.ObjectSendStream[int]) -> None:
    async with send:
        for number in range(10):
            await send.send(number)


async def signals() -> None:
    with anyio.open_signal_receiver(signal.SIGUSR1) as received:
        signal.raise_signal(signal.SIGUSR1)
        async for number in received:
            print("signal:", signal.Signals(number).name)
            break


@checked
async def main() -> None:
    for part in (scopes, sockets, unix_and_udp, tls, processes_and_threads, signals):
        with anyio.fail_after(40):
            await part()


if __name__ == "__main__":
    options = {"loop_factory": fenshen.new_event_loop} if "options" in sys.argv else {}
    anyio.run(main, backend="asyncio", backend_options=options)
