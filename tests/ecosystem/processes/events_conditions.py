"""An event that starts everybody, a condition between a producer and a consumer, wait_for with a limit."""

import multiprocessing as mp


def runner(gate, number, results):
    gate.wait()
    results.put(number)


def consumer(condition, stock, eaten):
    for _ in range(10):
        with condition:
            condition.wait_for(lambda: stock.value > 0)
            stock.value -= 1
            eaten.value += 1
            condition.notify_all()


def producer(condition, stock):
    for _ in range(20):
        with condition:
            while stock.value >= 3:
                condition.wait()
            stock.value += 1
            condition.notify_all()


def main():
    gate, results = mp.Event(), mp.Queue()
    runners = [mp.Process(target=runner, args=(gate, i, results)) for i in range(4)]
    for r in runners:
        r.start()
    print(gate.is_set(), gate.wait(0.05), results.empty())
    gate.set()
    print(sorted(results.get(timeout=20) for _ in runners), gate.wait())
    for r in runners:
        r.join()
    gate.clear()
    print(gate.is_set())
    condition = mp.Condition()
    stock, eaten = mp.Value("i", 0, lock=False), mp.Value("i", 0, lock=False)
    cast = [mp.Process(target=consumer, args=(condition, stock, eaten)) for _ in range(2)]
    cast.append(mp.Process(target=producer, args=(condition, stock)))
    for p in cast:
        p.start()
    for p in cast:
        p.join()
    print(stock.value, eaten.value)
    with condition:
        print(condition.wait(timeout=0.05), condition.wait_for(lambda: False, timeout=0.05))
    try:
        condition.notify()
    except (AssertionError, RuntimeError) as e:
        print(type(e).__name__, e)


if __name__ == "__main__":
    main()
