"""Names of processes and workers, parents, arguments of the program, what a child finds in sys."""

import multiprocessing
import os
import re
import sys
import threading


def about(_=None):
    me, parent = multiprocessing.current_process(), multiprocessing.parent_process()
    thread = threading.current_thread()
    return me.name, me.daemon, parent.name, parent.pid == os.getppid(), thread.name, thread is threading.main_thread()


def tell(answers):
    answers.put((*about(), multiprocessing.parent_process().is_alive(), os.path.basename(sys.argv[0]), sys.argv[1:]))


def plain(name):
    return re.sub(r"\d+(:\d+)*$", "N", name)


if __name__ == "__main__":
    answers = multiprocessing.Queue()
    for keywords in ({}, {"name": "mine"}, {"daemon": True}):
        p = multiprocessing.Process(target=tell, args=(answers,), **keywords)
        p.start()
        print(p.name, answers.get(timeout=20))
        p.join()
    with multiprocessing.Pool(1) as pool:
        name, *rest = pool.apply(about)
        print(plain(name), rest)
    context = multiprocessing.get_context("spawn")
    p = context.Process(target=tell, args=(context.SimpleQueue(),))
    print(p.name, type(p).__name__)
    print(plain(repr(p)[:18]), multiprocessing.current_process().name, len(multiprocessing.active_children()))
