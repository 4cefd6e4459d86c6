"""What is measured of threads, one file a group: the same program text whoever the locks, queues and pools come from.

A program is `def program(things, operations)`; it makes what it needs by the standard library's names (`things.Lock()`)
and does that many operations. A program that only wakes other threads runs on one core, since a wake-up on another one
costs thirty times as much and hides what is compared; one that passes data runs on all cores, as programs do.
"""

GROUPS = ("locks", "signals", "queues", "meeting", "pools", "contended", "objects", "timeouts")
