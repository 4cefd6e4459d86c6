"""蒙特卡罗: 每个进程有自己的种子, 结果写进共享数组."""

import multiprocessing as mp
import random


def estimate(index, seed, samples, hits):
    chance = random.Random(seed)
    inside = sum(chance.random() ** 2 + chance.random() ** 2 <= 1 for _ in range(samples))
    hits[index] = inside


def integrate(bounds):
    low, high, steps = bounds
    width = (high - low) / steps
    return sum(4 / (1 + (low + (i + 0.5) * width) ** 2) * width for i in range(steps))


if __name__ == "__main__":
    samples, count = 20_000, 4
    hits = mp.Array("i", count)
    workers = [mp.Process(target=estimate, args=(i, 1000 + i, samples, hits)) for i in range(count)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    print(list(hits), f"pi is about {4 * sum(hits) / samples / count:.3f}")
    with mp.Pool() as pool:
        print(f"{sum(pool.map(integrate, [(i / 8, (i + 1) / 8, 5000) for i in range(8)])):.9f}")
