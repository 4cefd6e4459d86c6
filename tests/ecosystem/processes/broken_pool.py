"""A worker that dies while it works: BrokenProcessPool is caught and the job is done again in a new pool."""

import os
import signal
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool


def fragile(path, how):
    if not os.path.exists(path):
        open(path, "w").close()
        if how == "exit":
            os._exit(1)
        os.kill(os.getpid(), signal.SIGKILL)
    return f"done {path}"


def robust(path, how):
    for attempt in range(3):
        with ProcessPoolExecutor(1) as executor:
            try:
                return executor.submit(fragile, path, how).result(60), attempt
            except BrokenProcessPool:
                print("broken, again")


if __name__ == "__main__":
    print(robust("one", "exit"))
    print(robust("two", "kill"))
    try:
        with ProcessPoolExecutor(1) as executor:
            executor.submit(os._exit, 3).result(60)
    except BrokenProcessPool as e:
        print(isinstance(e, RuntimeError), "terminated" in str(e) or "died" in str(e) or "ended" in str(e))
