"""CPython's own suites of asyncio and of threads, run from the interpreter at hand with our types put in.

`python -m tests.conformance --help`, `pytest tests/conformance`; docs/conformance.md says what is run and counted.
"""
