"""A table in an Array that workers of a pool get by their initializer, and a list that they get as a copy."""

import multiprocessing as mp

table = None
width = 0


def init(its_table, its_width):
    global table, width
    table, width = its_table, its_width


def fill(row):
    for column in range(width):
        table[row * width + column] = row * column


def append(items):
    items.append("lost")
    return items


if __name__ == "__main__":
    rows, columns = 6, 8
    cells = mp.Array("i", rows * columns)
    with mp.Pool(2, initializer=init, initargs=(cells, columns)) as pool:
        pool.map(fill, range(rows))
        mine = ["mine"]
        print(pool.apply(append, (mine,)), mine)
    print([sum(cells[row * columns : (row + 1) * columns]) for row in range(rows)])
