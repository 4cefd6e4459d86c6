"""生产者和消费者: JoinableQueue, task_done 和 join, 守护进程."""

import multiprocessing as mp


def producer(queue, name, count):
    for i in range(count):
        queue.put(f"{name}{i}")


def consumer(queue, done):
    while True:
        item = queue.get()
        with done.get_lock():
            done.value += int(item[1:])
        queue.task_done()


if __name__ == "__main__":
    queue = mp.JoinableQueue(10)
    done = mp.Value("i", 0)
    consumers = [mp.Process(target=consumer, args=(queue, done), daemon=True) for _ in range(2)]
    producers = [mp.Process(target=producer, args=(queue, name, 50)) for name in "abc"]
    for p in consumers + producers:
        p.start()
    for p in producers:
        p.join()
    queue.join()
    print("总数:", done.value)
    print("消费者还在:", all(c.is_alive() for c in consumers))
    try:
        queue.task_done()
    except ValueError as e:
        print("ValueError:", e)
