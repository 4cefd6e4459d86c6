"""Requests that each wait, as for a server's answer, and then parse what it said."""

from typing import Any

from .. import Target, Workload

REQUESTS = 10_000


def requests(served: Any, operations: int) -> None:
    served.serve(operations)


WORKLOADS = [
    Workload(
        "together_requests",
        f"{REQUESTS:,} requests: 5 ms waited, 0.2 ms parsed",
        REQUESTS,
        Target(1.5, "stdlib asyncio"),
        requests,
        also=(Target(1, "aiomultiprocess"), Target(1, "stdlib executor")),
        kind="served",
        unit="requests",
        everywhere=True,
    ),
]
