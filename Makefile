# `make demo` and `make test` are enough by themselves: they make a virtual environment, build and install.
# PY=/path/to/python3.13 does the same for that interpreter, in an environment of its own.
SHELL := /bin/bash
PY ?=
ARGS ?=
export PY

# The environment, made and built; used inside recipes so that nothing runs before a target is chosen.
ENV = $$(scripts/prepare $(PY))
.PHONY: help demo test build lint stubtest conformance ecosystem foreign faults soak loom tsan bench bench-words bench-publish bench-page clean
.NOTPARALLEL:
.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "make %-14s %s\n", $$1, $$2 }'
	@echo
	@echo 'PY=/path/to/python3.13 chooses the interpreter (3.10 to 3.14); ARGS="..." goes to the demo, the benchmarks or the foreign suites.'

demo: ## programs by python and by fenshen, side by side: one that waits, one of tasks, threads and processes
	@venv=$(ENV) && $$venv/bin/python examples/demo.py $(ARGS)

test: ## every check of the first tier: lints, Rust and Python suites, conformance, ecosystem
	@scripts/check

build: ## the environment with the package built into it
	@venv=$(ENV) && $$venv/bin/fenshen --version

lint: ## formatting, clippy, ruff, stubs
	@scripts/check fmt clippy ruff stubtest

stubtest: ## the stubs against the module
	@scripts/check stubtest

conformance: ## CPython's own asyncio, thread and process suites on us
	@scripts/check conformance

ecosystem: ## the libraries and servers that people run on a loop or in threads, on ours
	@scripts/check ecosystem

foreign: ## uvloop's, aiohttp's and anyio's own suites on our loop and on asyncio's; ARGS="uvloop" chooses
	@venv=$(ENV) && $$venv/bin/python -m tests.foreign $(ARGS)

faults: ## what goes wrong with worker processes, done to every pool; ARGS="--peer fenshen --row killed_in_task" chooses
	@venv=$$(scripts/prepare --faults $(PY)) && PYTHONPATH=tests/faults $$venv/bin/python -m fault_table $(ARGS)

soak: ## the long runs at their full length
	@FENSHEN_SOAK=1 cargo test --release -p fenshen-sync --test stress --test shared
	@FENSHEN_SOAK=1 cargo test --release -p fenshen-shm --test corruption
	@FENSHEN_SOAK=1 cargo test --release -p fenshen-pool --test kill_at_every_step
	@FENSHEN_SOAK=1 scripts/check unit

loom: ## every interleaving of the cross-thread inbox and of the locks; random ones of the queues
	@scripts/check loom shuttle

tsan: ## the tests of the reactor and of waiting under ThreadSanitizer (needs a nightly toolchain)
	@scripts/check tsan

bench: ## everybody measured in turn, one family after the other; ends with one page of all, benchmarks/results/summary.md
	@venv=$$(scripts/prepare --peers $(PY)) && $$venv/bin/python -m benchmarks $(ARGS)

bench-words: ## words of a gigabyte of text: map_reduce, a process pool, Ray and Dask; ARGS="--mebibytes 100" for less
	@venv=$$(scripts/prepare --peers $(PY)) && $$venv/bin/python -m benchmarks.word_count $(ARGS)

bench-publish: ## the same, kept in benchmarks/published/ and shown in docs/benchmarks*.md and the readmes
	@venv=$$(scripts/prepare --peers $(PY)) && $$venv/bin/python -m benchmarks --publish $(ARGS)

bench-page: ## the pages of docs/ and the readmes' part, made again of benchmarks/published/; nothing is measured
	@venv=$$(scripts/prepare --unbuilt $(PY)) && $$venv/bin/python -m benchmarks.page $(ARGS)

clean: ## removes what was built, and the environments
	rm -rf target .venv .venv-3.* benchmarks/results python/fenshen/*.so
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
