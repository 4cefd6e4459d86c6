"""What locks, semaphores, queues and pipes raise when they are used wrongly."""

import multiprocessing
import queue


def attempt(what, *args, **kwargs):
    try:
        print(what.__name__, what(*args, **kwargs))
    except (AssertionError, EOFError, OSError, ValueError, queue.Empty, queue.Full) as e:
        print(what.__name__, type(e).__name__, "" if "<" in str(e) else e)


if __name__ == "__main__":
    for lock in (multiprocessing.Lock(), multiprocessing.RLock(), multiprocessing.BoundedSemaphore(1)):
        print(lock)
        attempt(lock.release)
        attempt(lock.acquire)
        attempt(lock.acquire, False)
        attempt(lock.acquire, timeout=0.01)
        print(lock)
    jobs = multiprocessing.JoinableQueue(1)
    attempt(jobs.task_done)
    attempt(jobs.get_nowait)
    attempt(jobs.put, 1)
    attempt(jobs.put_nowait, 2)
    attempt(jobs.put, 2, timeout=0.01)
    attempt(jobs.get)
    attempt(jobs.get, timeout=0.01)
    jobs.close()
    attempt(jobs.put, 3)
    reader, writer = multiprocessing.Pipe(duplex=False)
    attempt(reader.send, 1)
    attempt(writer.recv)
    attempt(writer.send_bytes, b"0123456789", 2, 20)
    attempt(writer.send_bytes, b"0123456789", 2, 4)
    attempt(reader.recv_bytes)
    writer.send_bytes(b"0123456789")
    attempt(reader.recv_bytes_into, bytearray(20), 5)
    writer.close()
    attempt(reader.recv)
    reader.close()
    attempt(reader.poll)
    attempt(multiprocessing.Pool, 0)
    with multiprocessing.Pool(1) as pool:
        attempt(pool.join)
        pool.close()
        attempt(pool.apply, print)
        pool.join()
    print([worker.exitcode for worker in pool._pool])
