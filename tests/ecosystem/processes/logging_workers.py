"""Log records of the workers go through a queue to the main process's handlers."""

import logging
import logging.handlers
import multiprocessing
import threading


def configure(queue):
    root = logging.getLogger()
    root.handlers[:] = [logging.handlers.QueueHandler(queue)]
    root.setLevel(logging.DEBUG)


def worker(queue, number):
    configure(queue)
    logger = logging.getLogger(f"job.{number}")
    logger.info("begins %d", number)
    try:
        1 / (number - 1)
    except ZeroDivisionError:
        logger.exception("cannot")
    logger.debug("ends", extra={"number": number})


def in_pool(number):
    logging.getLogger("pool").warning("square of %s", number)
    return number**2


class Collect(logging.Handler):
    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        shown = record.getMessage().splitlines()[0]
        self.lines.append((record.name, record.levelname, shown, record.processName.split("-")[0]))


def listen(queue, handler):
    while (record := queue.get()) is not None:
        handler.handle(record)


if __name__ == "__main__":
    queue, collect = multiprocessing.Queue(-1), Collect()
    listener = threading.Thread(target=listen, args=(queue, collect))
    listener.start()
    workers = [multiprocessing.Process(target=worker, args=(queue, i)) for i in range(3)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    queue.put_nowait(None)
    listener.join()
    print(len(collect.lines), *sorted(collect.lines), sep="\n")
    collect.lines.clear()
    listener = logging.handlers.QueueListener(queue, collect)
    listener.start()
    with multiprocessing.Pool(2, configure, (queue,)) as pool:
        print(pool.map(in_pool, range(4)))
        pool.close()
        pool.join()
    listener.stop()
    print(*sorted(collect.lines), sep="\n")
    logger = multiprocessing.get_logger()
    print(logger.name, logger.level, multiprocessing.log_to_stderr(logging.WARNING) is logger)
    logger.warning("said by the module's own logger")
