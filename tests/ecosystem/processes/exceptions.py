"""Exceptions of workers: arguments of their own, causes, the remote traceback, those that do not pickle."""

import multiprocessing
import traceback
from concurrent.futures import ProcessPoolExecutor


class Wrong(Exception):
    def __init__(self, code, detail=None):
        super().__init__(code)
        self.code = code
        self.detail = detail

    def __reduce__(self):
        return Wrong, (self.code, self.detail)


class Quiet(Exception):
    def __str__(self):
        return f"quietly {self.args}"


def fails(number):
    if number == 1:
        raise Wrong(404, {"page": "x"})
    if number == 2:
        try:
            [][1]
        except IndexError as e:
            raise Quiet("two", 2) from e
    if number == 3:
        raise SystemExit("three")
    if number == 4:
        return (each for each in ())
    if number == 5:
        error = ValueError("noted")
        error.extra = "kept"
        raise error
    return number


def show(e):
    text = "".join(traceback.format_exception(type(e), e, e.__traceback__))
    print(type(e).__name__, e.args, getattr(e, "extra", None), getattr(e, "detail", None))
    print(type(e.__cause__).__name__, "in fails" in text, text.count("IndexError"), text.count(str(e)) >= 2)


if __name__ == "__main__":
    with multiprocessing.Pool(1) as pool:
        for number in (1, 2, 5):
            try:
                pool.apply(fails, (number,))
            except Exception as e:
                show(e)
        try:
            pool.apply(fails, (4,))
        except multiprocessing.pool.MaybeEncodingError as e:
            print(type(e).__name__, "Error sending result" in str(e))
        print(pool.apply(fails, (6,)))
    with ProcessPoolExecutor(1) as executor:
        for number in (1, 2, 5):
            try:
                executor.submit(fails, number).result()
            except Exception as e:
                show(e)
        try:
            executor.submit(fails, 3).result()
        except SystemExit as e:
            print("SystemExit", e)
        print(executor.submit(fails, 6).result())
    p = multiprocessing.Process(target=fails, args=(1,), name="the one that fails")
    p.start()
    p.join()
    print(p.exitcode)
