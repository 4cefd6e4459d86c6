"""Connections rather than messages: how fast they come and go, and what thousands of idle ones cost."""

from .. import Limit, Load, Target, Workload
from .echo import protocol, streams

IDLE, BUSY = 10_000, 100
MEMORY, SLOWER = "bytes a connection", "p99 among the idle, times p99 alone"
LIMITS = (Limit(MEMORY, 1, "uvloop"), Limit(SLOWER, 2))

WORKLOADS = [
    Workload(
        "accept",
        "accept, echo one byte, close",
        1,
        Target(1, "asyncio"),
        kind="accept",
        unit="connections",
        serve=protocol,
        load=Load("accept", "tcp", 10),
    ),
    *[
        Workload(
            f"crowd_{name}",
            f"100 busy among 10,000 idle connections, {title}",
            1,
            None,
            kind="crowd",
            unit="messages",
            serve=serve,
            load=Load("crowd", "tcp", BUSY, 1024, IDLE),
            limits=LIMITS,
            rounds=2,
        )
        for name, title, serve in (("protocol", "Protocol", protocol), ("streams", "streams", streams))
    ],
]
