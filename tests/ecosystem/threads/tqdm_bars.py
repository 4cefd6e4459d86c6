"""tqdm among threads: thread_map, bars that share its lock, writes between bars, the monitor's thread."""

from __future__ import annotations

import io
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed

from engine import checked
from tqdm import tqdm
from tqdm.contrib.concurrent import thread_map


def plain(text: str) -> str:
    """A bar without its times and rates, nor the width that these leave it."""
    return re.sub(r"#+", "#", re.sub(r"\[.*?\]", "[]", text))


def last(out: io.StringIO) -> str:
    return plain(re.split(r"[\r\n]+", out.getvalue().strip())[-1])


def mapped() -> None:
    out = io.StringIO()
    print(sum(thread_map(lambda number: number * 2, range(500), max_workers=6, file=out, ncols=60)))
    print(last(out))
    out = io.StringIO()
    print(
        thread_map(pow, [2, 3, 4], [1, 2, 3], max_workers=2, chunksize=2, file=out, ncols=60, desc="powers"), last(out)
    )


def completed() -> None:
    out = io.StringIO()
    with ThreadPoolExecutor(5) as pool:
        jobs = [pool.submit(time.sleep, 0.001) for _ in range(50)]
        done = [job for job in tqdm(as_completed(jobs), total=50, file=out, ncols=60, mininterval=0)]
    print(len(done), last(out), len(out.getvalue().split("\r")) >= 50)


def together() -> None:
    """Four bars at four positions, each with its thread, and words written between them."""
    out = io.StringIO()
    bars = [tqdm(total=100, position=n, file=out, desc=f"bar {n}", ncols=60, mininterval=0) for n in range(4)]
    shared = tqdm(total=400, position=4, file=out, ncols=60, miniters=1)

    def work(bar: tqdm) -> None:
        for number in range(100):
            bar.update()
            with tqdm.get_lock():
                shared.update()
            if number == 50:
                tqdm.write(f"half of {bar.desc}", file=out)

    threads = [threading.Thread(target=work, args=(bar,)) for bar in bars]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print([bar.n for bar in bars], shared.n)
    text = plain(out.getvalue())
    print([text.count(f"half of bar {number}") for number in range(4)])
    for bar in (*bars, shared):
        bar.close()
    print(plain(str(bars[0])))


def locked() -> None:
    own = threading.RLock()
    tqdm.set_lock(own)
    out = io.StringIO()
    with ThreadPoolExecutor(4, initializer=tqdm.set_lock, initargs=(own,)) as pool:
        list(tqdm(pool.map(len, ["x"] * 100), total=100, file=out, ncols=60))
    print(tqdm.get_lock() is own, last(out))


def monitored() -> None:
    """A bar that has asked for too few updates is drawn by the monitor."""
    out = io.StringIO()
    with tqdm(total=10, file=out, ncols=60, miniters=1000, mininterval=0.02, maxinterval=0.03) as bar:
        print(bar.monitor is not None and bar.monitor.is_alive())
        deadline = time.monotonic() + 30
        while bar.miniters > 1 and time.monotonic() < deadline:
            time.sleep(0.01)
            bar.update(0)
        print(bar.miniters)
    tqdm.monitor.exit()
    print(tqdm.monitor.is_alive())


@checked
def main() -> None:
    tqdm.monitor_interval = 0.01  # as the first bar finds it
    for part in (mapped, completed, together, locked, monitored):
        part()


if __name__ == "__main__":
    main()
