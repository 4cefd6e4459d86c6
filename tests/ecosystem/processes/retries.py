"""Jobs that fail are put back into the queue until they have failed three times."""

import multiprocessing as mp
import queue


def attempt(job, tries):
    if job % 5 == 0 and tries < 2:
        raise ConnectionError("try again")
    if job % 7 == 6:
        raise ValueError("never")
    return job * 100


def worker(jobs, answers, left):
    while left.value:
        try:
            job, tries = jobs.get(timeout=0.05)
        except queue.Empty:
            continue
        try:
            answers.put((job, attempt(job, tries), tries))
        except Exception as e:
            if tries < 2:
                jobs.put((job, tries + 1))
                continue
            answers.put((job, repr(e), tries))
        with left.get_lock():
            left.value -= 1


if __name__ == "__main__":
    jobs, answers, left = mp.Queue(), mp.Queue(), mp.Value("i", 15)
    for job in range(15):
        jobs.put((job, 0))
    workers = [mp.Process(target=worker, args=(jobs, answers, left)) for _ in range(2)]
    for w in workers:
        w.start()
    for answer in sorted(answers.get(timeout=30) for _ in range(15)):
        print(*answer)
    for w in workers:
        w.join()
    print(left.value, jobs.empty())
