"""A child's standard input is empty, its output is the program's, and may be sent elsewhere."""

import contextlib
import io
import multiprocessing
import sys


def reads(answers):
    answers.put(sys.stdin.read())
    try:
        input("? ")
    except EOFError as e:
        answers.put(type(e).__name__)


def writes(name):
    print("printed by", name, flush=True)
    sys.stdout.write(f"written by {name}\n")
    print("to stderr by", name, file=sys.stderr)


def captured(text):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        print(text)
    return out.getvalue()


if __name__ == "__main__":
    answers = multiprocessing.SimpleQueue()
    p = multiprocessing.Process(target=reads, args=(answers,))
    p.start()
    print(repr(answers.get()), answers.get(), flush=True)
    p.join()
    for context in map(multiprocessing.get_context, ("fork", "spawn")):
        p = context.Process(target=writes, args=(context.get_start_method(),))
        p.start()
        p.join()
    with multiprocessing.Pool(1) as pool:
        print(repr(pool.apply(captured, ("kept",))))
