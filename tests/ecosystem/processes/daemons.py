"""Daemon processes end with the program, and have no children; others are waited for."""

import multiprocessing
import time


def forever():
    while True:
        time.sleep(60)


def late():
    time.sleep(0.3)
    print("late, but waited for", flush=True)


def tries(answers):
    try:
        multiprocessing.Process(target=late).start()
    except AssertionError as e:
        answers.put(str(e))


if __name__ == "__main__":
    daemon = multiprocessing.Process(target=forever, daemon=True)
    daemon.start()
    answers = multiprocessing.SimpleQueue()
    second = multiprocessing.Process(target=tries, args=(answers,))
    second.daemon = True
    second.start()
    print(answers.get())
    second.join()
    try:
        second.daemon = False
    except AssertionError as e:
        print("AssertionError", e)
    multiprocessing.Process(target=late).start()
    print(len(multiprocessing.active_children()), daemon.is_alive())
    print("the end of main", flush=True)
