"""The fault table: what goes wrong with worker processes, done for real to every pool, and what each makes of it.

A row is a fault, a column is a peer, and a cell is a program of its own that runs under a hard limit, is cleaned up,
and says its outcome in a few words. `python -m fault_table` prints the table; `test_fault_table.py` holds our column to
what each row promises.
"""
