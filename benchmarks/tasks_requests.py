"""Requests that wait and then parse, for this process or a worker."""

import asyncio
import functools
import json

RECORD = {"id": 1, "name": "a request", "tags": ["one", "two", "three"], "at": [1.5, 2.5], "done": False}


@functools.cache
def text() -> str:
    """What a server might say: some 20 KB of JSON, which take about 0.2 ms."""
    return json.dumps([RECORD] * 200)


def parse(_: int) -> int:
    """The work."""
    return len(json.loads(text()))


async def request(number: int) -> int:
    """The wait, and the work."""
    await asyncio.sleep(0.005)
    return parse(number)


async def share_of_requests(requests: int) -> int:
    """So many at once; how many of them went well."""
    return sum(map(bool, await asyncio.gather(*map(request, range(requests)))))
