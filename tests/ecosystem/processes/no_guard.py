"""A script without a main guard, which works where processes are forked."""

import multiprocessing

multiprocessing.set_start_method("fork")
words = ["apple", "pear", "fig"]


def measure(word):
    return word, len(word), words.index(word)


pool = multiprocessing.Pool(2)
print(pool.map(measure, words))
words.append("late")
pool.close()
pool.join()

results = multiprocessing.Queue()
processes = []
for word in words:
    process = multiprocessing.Process(target=lambda w: results.put(measure(w)), args=(word,))
    process.start()
    processes.append(process)
print(sorted(results.get() for _ in words))
for process in processes:
    process.join()
