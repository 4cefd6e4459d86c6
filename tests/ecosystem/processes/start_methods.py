"""What can be asked of start methods, and set: once, and only by the main program."""

import multiprocessing


def hello(queue, name):
    queue.put(f"hello {name}")


if __name__ == "__main__":
    print(multiprocessing.get_all_start_methods()[0] in ("fork", "forkserver"))
    print(sorted(multiprocessing.get_all_start_methods()))
    print(multiprocessing.get_start_method(allow_none=True))
    multiprocessing.set_start_method("spawn")
    print(multiprocessing.get_start_method())
    queue = multiprocessing.Queue()
    p = multiprocessing.Process(target=hello, args=(queue, "bob"))
    p.start()
    print(queue.get())
    p.join()
    try:
        multiprocessing.set_start_method("fork")
    except RuntimeError as e:
        print("RuntimeError:", e)
    multiprocessing.set_start_method("fork", force=True)
    print(multiprocessing.get_start_method(), type(multiprocessing.get_context()).__name__)
    try:
        multiprocessing.get_context("teleport")
    except ValueError as e:
        print("ValueError:", e)
