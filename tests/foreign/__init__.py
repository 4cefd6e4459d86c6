"""The suites of uvloop, aiohttp and anyio, from their own source distributions, run with our loop put in.

`python -m tests.foreign --help`, `make foreign`; docs/conformance.md says what is run and counted.
"""
