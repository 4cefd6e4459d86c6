"""分布式进程: 用 BaseManager 在 TCP 上给出任务队列和结果队列."""

import queue
from multiprocessing import Pipe, Process
from multiprocessing.managers import BaseManager

KEY = b"abc"
tasks, results = queue.Queue(), queue.Queue()


def get_tasks():
    return tasks


def get_results():
    return results


class QueueManager(BaseManager):
    pass


def worker(address):
    QueueManager.register("get_tasks")
    QueueManager.register("get_results")
    manager = QueueManager(address=address, authkey=KEY)
    manager.connect()
    jobs, answers = manager.get_tasks(), manager.get_results()
    while True:
        try:
            n = jobs.get(timeout=0.2)
        except queue.Empty:
            break
        answers.put(f"{n} * {n} = {n * n}")


def server(tell):
    QueueManager.register("get_tasks", callable=get_tasks)
    QueueManager.register("get_results", callable=get_results)
    manager = QueueManager(address=("127.0.0.1", 0), authkey=KEY)
    serving = manager.get_server()
    tell.send(serving.address)
    serving.serve_forever()


if __name__ == "__main__":
    QueueManager.register("get_tasks", callable=get_tasks)
    QueueManager.register("get_results", callable=get_results)
    manager = QueueManager(address=("127.0.0.1", 0), authkey=KEY)
    manager.start()
    jobs, answers = manager.get_tasks(), manager.get_results()
    for n in range(10):
        jobs.put(n)
    workers = [Process(target=worker, args=(manager.address,)) for _ in range(2)]
    for w in workers:
        w.start()
    for line in sorted(answers.get(timeout=20) for _ in range(10)):
        print(line)
    for w in workers:
        w.join()
    manager.shutdown()
    here, there = Pipe()
    alone = Process(target=server, args=(there,))
    alone.start()
    client = QueueManager(address=here.recv(), authkey=KEY)
    client.connect()
    client.get_tasks().put("x")
    print(client.get_tasks().get(timeout=5), client.get_results().qsize())
    alone.terminate()
    alone.join()
    print("master exit.", alone.exitcode)
