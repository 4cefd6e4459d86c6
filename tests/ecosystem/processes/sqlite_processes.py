"""Several processes write to one SQLite database, one connection each, and a lock of ours around what must be whole."""

import multiprocessing
import sqlite3


def insert(path, name, count):
    with sqlite3.connect(path, timeout=30) as db:
        for i in range(count):
            db.execute("insert into line values (?, ?)", (name, i))
    db.close()
    return name


def add(path, lock):
    for _ in range(10):
        with lock:
            db = sqlite3.connect(path, timeout=30)
            (number,) = db.execute("select n from total").fetchone()
            db.execute("update total set n = ?", (number + 1,))
            db.commit()
            db.close()


if __name__ == "__main__":
    db = sqlite3.connect("lines.db")
    db.executescript("create table line (name text, number int); create table total (n int)")
    db.execute("insert into total values (0)")
    db.commit()
    with multiprocessing.Pool(3) as pool:
        print(sorted(pool.starmap(insert, [("lines.db", name, 40) for name in "abcd"])))
    print(db.execute("select name, count(*), sum(number) from line group by name order by name").fetchall())
    lock = multiprocessing.Lock()
    adders = [multiprocessing.Process(target=add, args=("lines.db", lock)) for _ in range(3)]
    for a in adders:
        a.start()
    for a in adders:
        a.join()
    print(db.execute("select n from total").fetchone())
    db.close()
