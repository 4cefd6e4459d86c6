"""Where the time of one measurement goes: `python -m benchmarks.profiled WHO WORKLOAD`, by Linux's `perf`.

All its processes are sampled; a line is a share of the samples, a process, a library and a function.

python -m benchmarks.profiled fenshen processes_submit --seconds 5
python -m benchmarks.profiled stdlib ipc_queue_1_1 --stacks
"""

import argparse
import shutil
import subprocess
import sys
import tempfile

from . import family
from .measure import ROOT, command
from .workloads import every


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profiled", description="Profile one measurement.")
    parser.add_argument("who")
    parser.add_argument("workload", choices=every(), metavar="workload")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long it is measured (default: 3)")
    parser.add_argument("--least", type=float, default=0.5, help="the least share shown, in per cent (default: 0.5)")
    parser.add_argument("--stacks", action="store_true", help="who called it, too")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    perf = shutil.which("perf")
    if perf is None:
        sys.exit("benchmarks: perf was not found; Debian has it in linux-perf")
    family.adopt()
    with tempfile.NamedTemporaryFile(suffix=".perf") as taken:
        stacks = ["--call-graph", "dwarf,16384", "-F", "199"] if options.stacks else ["-F", "1999"]
        record = [perf, "record", "--quiet", *stacks, "-o", taken.name, "--"]
        measured = command(options.who, every()[options.workload], options.seconds)
        done = subprocess.run([*record, *measured], cwd=ROOT, check=False)
        family.end_all()
        limit = ["--percent-limit", str(options.least)]
        shown = ["--sort", "pid,dso,symbol", *limit] if not options.stacks else ["--no-children", "-G", *limit]
        subprocess.run([perf, "report", "--stdio", "--quiet", "-i", taken.name, *shown], cwd=ROOT, check=False)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
