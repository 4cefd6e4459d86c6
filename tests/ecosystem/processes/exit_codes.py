"""How processes end, and what is seen of it: returns, exceptions, sys.exit, os._exit, signals."""

import os
import signal
import sys
import time
from multiprocessing import Process


def returns():
    return "ignored"


def raises():
    raise ValueError("as asked")


def waits():
    time.sleep(60)


def ends_itself():
    os.kill(os.getpid(), signal.SIGALRM)
    time.sleep(60)


if __name__ == "__main__":
    cases = {
        "returns": (returns, ()),
        "raises": (raises, ()),
        "exit 3": (sys.exit, (3,)),
        "exit None": (sys.exit, ()),
        "exit text": (sys.exit, ("some text",)),
        "os._exit": (os._exit, (7,)),
        "SIGALRM": (ends_itself, ()),
    }
    for name, (target, arguments) in cases.items():
        p = Process(target=target, args=arguments, name=f"P {name}")
        p.start()
        p.join()
        print(name, p.exitcode)
    for end in (Process.terminate, Process.kill):
        p = Process(target=waits)
        p.start()
        p.join(timeout=0.05)
        print(p.exitcode, p.is_alive())
        end(p)
        p.join()
        print(end.__name__, p.exitcode, -p.exitcode in (signal.SIGTERM, signal.SIGKILL))
