"""CPU time of children, limits, niceness and environment of workers."""

import multiprocessing
import os
import resource
import time


def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        sum(range(10_000))
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime >= seconds / 2


def limited(files):
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    opened = []
    try:
        while True:
            opened.append(open(os.devnull))  # noqa: SIM115
    except OSError as e:
        return e.errno, len(opened) < files
    finally:
        for file in opened:
            file.close()


def surroundings(_):
    return os.environ["MODE"], os.path.basename(os.getcwd()), os.getppid(), os.getpriority(os.PRIO_PROCESS, 0)


if __name__ == "__main__":
    os.environ["MODE"] = "test"
    os.makedirs("work", exist_ok=True)
    os.chdir("work")
    with multiprocessing.Pool(2, initializer=os.nice, initargs=(3,)) as pool:
        nice = os.getpriority(os.PRIO_PROCESS, 0)
        for mode, folder, parent, its in pool.map(surroundings, range(3)):
            print(mode, folder, parent == os.getpid(), its - nice in (3, 19 - nice))
        print(pool.apply(limited, (64,)), pool.map(burn, [0.1, 0.1]))
        pool.close()
        pool.join()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    times = os.times()
    print(used.ru_utime + used.ru_stime > 0.1, times.children_user + times.children_system > 0.1)
    print(multiprocessing.cpu_count() == os.cpu_count())
