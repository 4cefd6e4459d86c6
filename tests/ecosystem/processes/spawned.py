"""Everything under the spawn context: processes, queues, locks, a pool, values."""

import multiprocessing

state = "as imported"


def work(number, queue, lock, value):
    with lock:
        value.value += number
    queue.put((number, state, __name__))


def cube(x):
    return x**3


def main():
    global state
    state = "changed"
    context = multiprocessing.get_context("spawn")
    queue, lock, value = context.Queue(), context.Lock(), context.Value("i", 0)
    workers = [context.Process(target=work, args=(i, queue, lock, value)) for i in range(2)]
    for w in workers:
        w.start()
    print(sorted(queue.get(timeout=30) for _ in workers))
    for w in workers:
        w.join()
    print(value.value, [w.exitcode for w in workers], context.get_start_method())
    with context.Pool(2) as pool:
        print(pool.map(cube, range(5)))
    event, (here, there) = context.Event(), context.Pipe()
    p = context.Process(target=there.send, args=("sent by a bound method",))
    p.start()
    print(here.recv(), event.is_set())
    p.join()


if __name__ == "__main__":
    main()
