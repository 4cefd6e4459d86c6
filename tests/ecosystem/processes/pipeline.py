"""Three stages, each of several processes, with a queue between any two and one sentinel a worker."""

import multiprocessing as mp

STOP = "STOP"


def read(out, workers):
    for i in range(100):
        out.put({"id": i, "text": f"line {i}"})
    for _ in range(workers):
        out.put(STOP)


def parse(inbox, out):
    for record in iter(inbox.get, STOP):
        record["length"] = len(record["text"])
        out.put(record)
    out.put(STOP)


def store(inbox, workers, result):
    ended, kept = 0, []
    while ended < workers:
        record = inbox.get()
        if record == STOP:
            ended += 1
        else:
            kept.append(record)
    kept.sort(key=lambda record: record["id"])
    result.send((len(kept), sum(r["length"] for r in kept), kept[42]))
    result.close()


if __name__ == "__main__":
    raw, parsed = mp.Queue(maxsize=10), mp.Queue(maxsize=5)
    receive, send = mp.Pipe(False)
    stages = [
        mp.Process(target=read, args=(raw, 3)),
        *(mp.Process(target=parse, args=(raw, parsed)) for _ in range(3)),
        mp.Process(target=store, args=(parsed, 3, send)),
    ]
    for stage in stages:
        stage.start()
    print(receive.recv())
    for stage in stages:
        stage.join()
    print([stage.exitcode for stage in stages])
