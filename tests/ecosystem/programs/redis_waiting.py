"""redis-py URL: publish and subscribe, blocking commands and their cancels, streams, a server that says nothing."""

from __future__ import annotations

import asyncio
import socket
import sys

import redis.asyncio as redis
from loops import checked
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

OUT_OF_TIME = (asyncio.TimeoutError, TimeoutError)  # one type from Python 3.11 on


async def subscriptions(client: redis.Redis) -> None:
    heard: dict[int, list[bytes]] = {}
    ready = asyncio.Semaphore(0)

    async def hear(number: int) -> None:
        async with client.pubsub() as channel:
            await channel.subscribe("news", f"own {number}")
            await channel.psubscribe("extra.*")
            heard[number] = []
            async for message in channel.listen():
                if message["type"] == "psubscribe":
                    ready.release()
                elif message["data"] == b"last":
                    break
                elif message["type"] in ("message", "pmessage"):
                    heard[number].append(message["data"])

    listeners = [asyncio.ensure_future(hear(number)) for number in range(10)]
    for _ in listeners:
        await ready.acquire()
    for step in range(500):
        await client.publish("news", step)
    await client.publish("extra.large", b"x" * 3_000_000)
    print([await client.publish(f"own {number}", f"for {number}") for number in range(10)])
    print(await client.publish("news", "last"))
    await asyncio.gather(*listeners)
    news = [str(step).encode() for step in range(500)] + [b"x" * 3_000_000]
    print(all(heard[number] == [*news, f"for {number}".encode()] for number in range(10)))
    async with client.pubsub() as channel:
        await channel.subscribe("quiet")
        print((await channel.get_message(timeout=5))["type"], await channel.get_message(timeout=0.05))


async def blocked(client: redis.Redis) -> int:
    """How many clients wait in a blocking command."""
    return sum("b" in info["flags"] for info in await client.client_list())


async def blocking(client: redis.Redis) -> None:
    print(await client.blpop("jobs", timeout=0.05))

    async def work() -> list[int]:
        done = []
        while (job := int((await client.blpop("jobs"))[1])) >= 0:
            done.append(job)
        return done

    workers = [asyncio.ensure_future(work()) for _ in range(8)]
    for number in range(400):
        await client.rpush("jobs", number)
    await client.rpush("jobs", *[-1] * 8)
    done = [job for jobs in await asyncio.gather(*workers) for job in jobs]
    print(sorted(done) == list(range(400)))
    # Cancelled, it takes nothing that comes later.
    for _ in range(20):
        waiting = asyncio.ensure_future(client.blpop("later"))
        while not await blocked(client):
            await asyncio.sleep(0.005)
        waiting.cancel()
        (error,) = await asyncio.gather(waiting, return_exceptions=True)
        assert type(error) is asyncio.CancelledError, error
        while await blocked(client):
            await asyncio.sleep(0.005)
    await client.rpush("later", "kept")
    print(await client.lrange("later", 0, -1))
    try:
        await asyncio.wait_for(client.blpop("never"), 0.05)
    except OUT_OF_TIME:
        print("out of time;", await client.ping())


async def streams(client: redis.Redis) -> None:
    await client.xgroup_create("stream", "group", mkstream=True)

    async def consume() -> int:
        seen = 0
        while True:
            answer = await client.xreadgroup("group", "consumer", {"stream": ">"}, count=7, block=60_000)
            for entry, fields in answer[0][1]:
                await client.xack("stream", "group", entry)
                if fields == {b"end": b"1"}:
                    return seen
                seen += 1

    consumer = asyncio.ensure_future(consume())
    for number in range(300):
        await client.xadd("stream", {"number": number})
    await client.xadd("stream", {"end": 1})
    print(await consumer, (await client.xpending("stream", "group"))["pending"])


async def silent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        client = redis.Redis(port=port, socket_timeout=0.05, retry=Retry(NoBackoff(), 0))
        try:
            await client.ping()
        except redis.TimeoutError as e:
            print(type(e).__name__, str(e).replace(str(port), "PORT"))
        finally:
            await client.aclose()


@checked
async def main() -> None:
    async with redis.Redis.from_url(sys.argv[1], retry=Retry(NoBackoff(), 0)) as client:
        await client.flushall()
        for part in (subscriptions, blocking, streams):
            await part(client)
    await silent()


if __name__ == "__main__":
    asyncio.run(main())
