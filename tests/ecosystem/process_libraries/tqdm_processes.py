"""tqdm's process_map, and a bar over imap_unordered and as_completed."""

import concurrent.futures
import io
import multiprocessing

from tqdm import tqdm
from tqdm.contrib.concurrent import process_map


def square(number):
    return number * number


def main():
    print(process_map(square, range(20), max_workers=2, chunksize=4, disable=True))
    out = io.StringIO()
    with multiprocessing.Pool(2, initializer=tqdm.set_lock, initargs=(tqdm.get_lock(),)) as pool:
        print(sum(tqdm(pool.imap_unordered(square, range(50)), total=50, file=out)), "50/50" in out.getvalue())
    out = io.StringIO()
    with concurrent.futures.ProcessPoolExecutor(2) as executor:
        futures = [executor.submit(square, n) for n in range(30)]
        found = [f.result() for f in tqdm(concurrent.futures.as_completed(futures), total=30, file=out)]
        print(sum(found), "30/30" in out.getvalue())


if __name__ == "__main__":
    main()
