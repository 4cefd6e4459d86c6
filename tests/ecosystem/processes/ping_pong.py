"""Two processes take turns, by events, by queues and by a pipe."""

import multiprocessing


def by_events(mine, other, name, words, count):
    for _ in range(count):
        mine.wait()
        mine.clear()
        words.put(name)
        other.set()


def by_queues(inbox, outbox):
    while (number := inbox.get()) < 200:
        outbox.put(number + 1)
    outbox.put(number + 1)


def by_pipe(connection):
    try:
        while True:
            connection.send(connection.recv() + 1)
    except EOFError:
        pass


if __name__ == "__main__":
    ping, pong = multiprocessing.Event(), multiprocessing.Event()
    words = multiprocessing.SimpleQueue()
    players = [
        multiprocessing.Process(target=by_events, args=(ping, pong, "ping", words, 5)),
        multiprocessing.Process(target=by_events, args=(pong, ping, "pong", words, 5)),
    ]
    for p in players:
        p.start()
    ping.set()
    for p in players:
        p.join()
    print(*[words.get() for _ in range(10)])
    a, b = multiprocessing.Queue(), multiprocessing.Queue()
    p = multiprocessing.Process(target=by_queues, args=(a, b))
    p.start()
    number = 0
    while number <= 200:
        a.put(number)
        number = b.get(timeout=20) + 1
    p.join()
    print(number)
    here, there = multiprocessing.Pipe()
    p = multiprocessing.Process(target=by_pipe, args=(there,))
    p.start()
    there.close()
    number = 0
    for _ in range(300):
        here.send(number)
        number = here.recv()
    print(number)
    here.close()
    p.terminate()
    p.join()
