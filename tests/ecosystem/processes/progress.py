"""A progress bar: a counter that workers raise, a thread that looks at it, results as they come."""

import multiprocessing
import threading

counter = None


def init(its_counter):
    global counter
    counter = its_counter


def work(number):
    with counter.get_lock():
        counter.value += 1
    return number % 7


def watch(counter, total, stop, seen):
    while not stop.wait(0.005):
        seen.append(counter.value)
        if counter.value == total:
            break
    seen.append(counter.value)


if __name__ == "__main__":
    total = 500
    counter = multiprocessing.Value("i", 0)
    stop, seen = threading.Event(), []
    watcher = threading.Thread(target=watch, args=(counter, total, stop, seen))
    with multiprocessing.Pool(2, init, (counter,)) as pool:
        watcher.start()
        results = []
        for done, result in enumerate(pool.imap_unordered(work, range(total)), 1):
            results.append(result)
            if done % 100 == 0:
                print(f"{done * 100 // total}% done")
    stop.set()
    watcher.join()
    print(sum(results), counter.value, seen == sorted(seen), seen[-1] == total)
