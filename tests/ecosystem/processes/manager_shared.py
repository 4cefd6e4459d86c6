"""多个进程通过 Manager 共享 dict, list 和 Namespace."""

from multiprocessing import Manager, Process


def work(number, shared, names, space, lock):
    shared[number] = number * 2
    names.append(f"p{number}")
    with lock:
        space.total += number
        shared["count"] = shared.get("count", 0) + 1
        inner = shared["inner"]
        inner.append(number)
        shared["inner"] = inner
    shared["proxy"].append(number)


if __name__ == "__main__":
    with Manager() as manager:
        shared = manager.dict({"inner": []})
        shared["proxy"] = manager.list()
        names = manager.list(["main"])
        space = manager.Namespace(total=0, title="总和")
        lock = manager.Lock()
        workers = [Process(target=work, args=(i, shared, names, space, lock)) for i in range(5)]
        for w in workers:
            w.start()
        for w in workers:
            w.join()
        print(sorted(names), len(names), "p3" in names)
        print(space.title, space.total, shared["count"])
        print(sorted(shared["inner"]), sorted(shared["proxy"]))
        print({k: v for k, v in shared.items() if isinstance(k, int)} == {i: i * 2 for i in range(5)})
        print(shared.pop(4), 4 in shared, shared.setdefault("new", 1), sorted(map(str, shared.keys())))
        shared.update(a=1, b=2)
        del shared["b"]
        print(shared["a"], "b" in shared, len(shared.copy()) == len(shared))
        try:
            shared["nothing"]
        except KeyError as e:
            print("KeyError", e)
        names.sort(reverse=True)
        print(names[0], names[:2], names.index("main"), names.count("p1"))
        names[:] = [3, 1, 2]
        names.extend([5])
        names.insert(0, 9)
        names.reverse()
        print(list(names), names.pop(), str(names), [n + 1 for n in names], names * 2)
        try:
            space.nothing  # noqa: B018
        except AttributeError as e:
            print("AttributeError", "nothing" in str(e))
