"""numpy arrays over shared_memory, written by several processes."""

import multiprocessing
from multiprocessing import shared_memory

import numpy as np


def fill(name, shape, dtype, row):
    block = shared_memory.SharedMemory(name=name)
    array = np.ndarray(shape, dtype=dtype, buffer=block.buf)
    array[row] = np.arange(shape[1]) * (row + 1)
    del array
    block.close()


def normalise(array):
    array -= array.mean()
    return array


if __name__ == "__main__":
    zeros = np.zeros((4, 1000))
    block = shared_memory.SharedMemory(create=True, size=zeros.nbytes)
    array = np.ndarray(zeros.shape, dtype=zeros.dtype, buffer=block.buf)
    array[:] = zeros
    writers = [
        multiprocessing.Process(target=fill, args=(block.name, zeros.shape, zeros.dtype, row)) for row in range(4)
    ]
    for w in writers:
        w.start()
    for w in writers:
        w.join()
    print(array.sum(axis=1).tolist(), block.size >= zeros.nbytes)
    with multiprocessing.Pool(2) as pool:
        mine = np.arange(6.0)
        theirs = pool.apply(normalise, (mine,))
        print(mine.tolist(), theirs.tolist(), theirs.flags.writeable)
        theirs[0] = 100
    del array
    block.close()
    block.unlink()
    try:
        shared_memory.SharedMemory(name=block.name)
    except FileNotFoundError as e:
        print(type(e).__name__)
