"""CPython's own `test.test_asyncio`, run from the interpreter at hand with our types put in.

`python -m tests.conformance --help`, `pytest tests/conformance`; docs/conformance.md tells what is run and how it is counted.
"""
