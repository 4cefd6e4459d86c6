"""What is measured of process pools, one file a group: the same program text whoever's pool it is.

A program is `def program(pool, operations)`, with a `pools.Pool` of two workers that have run tasks before; a program
of kind `first` is `def program()` and gives a function and its argument, which a new pool is to run. What workers do is
in `benchmarks/tasks.py`, since workers that are spawned import it. It runs on all cores unless its row says one.
"""

GROUPS = ("submit", "maps", "arrays", "cpu", "first")
