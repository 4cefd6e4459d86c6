"""redis-py URL: commands, pipelines, transactions, scripts, large values, many tasks on a pool, killed connections."""

from __future__ import annotations

import asyncio
import hashlib
import sys

import redis.asyncio as redis
from loops import checked
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

MEGABYTE = 1 << 20


async def commands(client: redis.Redis) -> None:
    print(await client.ping(), await client.set("name", "分身"), await client.get("name"), await client.get("none"))
    await client.hset("hash", mapping={"a": 1, "b": b"\x00\r\n"})
    print(await client.hgetall("hash"), await client.incrby("counter", 42), await client.ttl("counter"))
    try:
        await client.lpush("name", "no list")
    except redis.ResponseError as e:
        print(e)
    blob = hashlib.sha256(b"seed").digest() * (16 * MEGABYTE // 32)
    await client.set("blob", blob)
    print("16 MiB came back:", await client.get("blob") == blob)
    print(sorted([key async for key in client.scan_iter(count=1)]))
    script = client.register_script("return {KEYS[1], ARGV[1], redis.call('GET', KEYS[1])}")
    print(await script(keys=["name"], args=["x"]))


async def pipelines(client: redis.Redis) -> None:
    async with client.pipeline(transaction=False) as pipe:
        for number in range(20_000):
            pipe.rpush("list", number)
        answers = await pipe.execute()
    print(answers == list(range(1, 20_001)), len(await client.lrange("list", 0, -1)))
    async with client.pipeline(transaction=True) as pipe:
        print(await pipe.set("a", 1).incr("a").incr("name").get("a").execute(raise_on_error=False))
    async with client.pipeline() as pipe:
        await pipe.watch("a")
        await client.set("a", 100)
        pipe.multi()
        pipe.set("a", 3)
        try:
            await pipe.execute()
        except redis.WatchError as e:
            print(e, await client.get("a"))


async def many(client: redis.Redis) -> None:
    async def work(number: int) -> int:
        for _ in range(50):
            await client.incr("total")
        async with client.lock("lock", timeout=30, blocking_timeout=30, sleep=0.001):
            before = int(await client.get("plain") or 0)
            await client.set("plain", before + 1)
        return int(await client.incrby(f"own {number}", number))

    answers = await asyncio.gather(*(work(number) for number in range(100)))
    print(answers == list(range(100)), await client.get("total"), await client.get("plain"))


async def killed(client: redis.Redis) -> None:
    """A connection that the server ends: a waiting command says so, the next one has a new connection."""
    waiting = asyncio.ensure_future(client.blpop("never"))
    while not (blocked := [c for c in await client.client_list() if "b" in c["flags"]]):
        await asyncio.sleep(0.01)
    await client.client_kill_filter(_id=blocked[0]["id"])
    (error,) = await asyncio.gather(waiting, return_exceptions=True)
    print(type(error).__name__, error)
    print(await asyncio.gather(*(client.get("name") for _ in range(20))) == [await client.get("name")] * 20)


@checked
async def main() -> None:
    settings = {"retry": Retry(NoBackoff(), 0), "max_connections": 20}
    pool = redis.BlockingConnectionPool.from_url(sys.argv[1], **settings)
    async with redis.Redis.from_pool(pool) as client:
        await client.flushall()
        for part in (commands, pipelines, many, killed):
            await part(client)
    # Where no one listens.
    try:
        await redis.Redis(host="127.0.0.1", port=1, retry=Retry(NoBackoff(), 0)).ping()
    except redis.ConnectionError as e:
        print(type(e).__name__, e)


if __name__ == "__main__":
    asyncio.run(main())
