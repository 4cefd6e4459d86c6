"""Value and Array, with a lock and without, raw ones, and structures of ctypes."""

import ctypes
import multiprocessing as mp
from multiprocessing.sharedctypes import RawArray, RawValue, copy


class Point(ctypes.Structure):
    _fields_ = (("x", ctypes.c_double), ("y", ctypes.c_double))


def change(number, ratio, cells, points, text, raw, flag):
    for _ in range(100):
        with number.get_lock():
            number.value += 1
    ratio.value *= 2
    with cells.get_lock():
        for i in range(len(cells)):
            cells[i] = -cells[i]
    for point in points:
        point.x, point.y = point.y, point.x
    text.value = text.value.upper()
    raw[1] = 4.5
    flag.value = True


if __name__ == "__main__":
    number, ratio = mp.Value("i", 7), mp.Value(ctypes.c_double, 1.5, lock=False)
    cells = mp.Array("l", range(6), lock=mp.RLock())
    points = mp.Array(Point, [(1.0, 2.0), (3.0, 4.0)], lock=False)
    text = mp.Array("c", b"hello world")
    raw, flag = RawArray("d", 3), RawValue(ctypes.c_bool, False)
    p = mp.Process(target=change, args=(number, ratio, cells, points, text, raw, flag))
    p.start()
    p.join()
    print(number.value, ratio.value, cells[:], cells[1:3], len(cells))
    print([(point.x, point.y) for point in points])
    print(text.value, text.raw, list(raw), flag.value)
    cells[2:4] = [20, 30]
    print(list(cells), type(number.get_lock()).__name__, type(cells.get_obj()).__name__)
    twin = copy(points[0])
    twin.x = 100
    print(points[0].x, twin.x)
    same = mp.Value("d", 0.25, lock=True)
    with same:
        print(same.value)
    try:
        mp.Array("i", [1])[5]
    except IndexError as e:
        print("IndexError", e)
