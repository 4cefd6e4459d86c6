"""What is measured of what processes share, one file a group: the same program text whoever it comes from.

A program is `def program(things)`, a context manager that makes what it needs by the standard library's names
(`things.Lock()`), starts its processes, and gives `body(operations)`, which does that many. What only stays in one
process or wakes another one runs on one core, as with threads; what passes data runs on all cores.
"""

GROUPS = ("queues", "pipes", "locks", "signals", "values", "managers", "blocks")
