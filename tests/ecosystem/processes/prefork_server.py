"""A socket that all workers accept from, and connections that are handed to a worker through a pipe."""

import multiprocessing
import os
import socket
from multiprocessing import reduction


def accepts(listener, stop):
    while True:
        connection, _ = listener.accept()
        with connection:
            data = connection.recv(100)
            if data == b"stop":
                break
            connection.sendall(data.upper() + str(os.getpid()).encode())
    stop.set()


def takes(pipe):
    while True:
        connection = pipe.recv()
        if connection is None:
            break
        with connection:
            connection.sendall(b"got " + connection.recv(100))


def by_handle(pipe, parent):
    with socket.socket(fileno=reduction.recv_handle(pipe)) as connection:
        connection.sendall(b"by handle")


def ask(address, text):
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(text)
        return connection.recv(100)


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", 0), backlog=50)
    address = listener.getsockname()
    stop = multiprocessing.Event()
    workers = [multiprocessing.Process(target=accepts, args=(listener, stop)) for _ in range(3)]
    for w in workers:
        w.start()
    answers = [ask(address, b"abc") for _ in range(20)]
    print({a[:3] for a in answers}, {int(a[3:]) for a in answers} <= {w.pid for w in workers})
    for _ in workers:
        ask(address, b"stop")
    for w in workers:
        w.join()
    print(stop.is_set(), [w.exitcode for w in workers])
    here, there = multiprocessing.Pipe()
    taker = multiprocessing.Process(target=takes, args=(there,))
    taker.start()
    for text in (b"1", b"2"):
        with socket.create_connection(address) as client:
            connection, _ = listener.accept()
            here.send(connection)
            client.sendall(text)
            print(client.recv(100))
            connection.close()
    here.send(None)
    taker.join()
    other = multiprocessing.Process(target=by_handle, args=(there, os.getpid()))
    other.start()
    with socket.create_connection(address) as client:
        connection, _ = listener.accept()
        reduction.send_handle(here, connection.fileno(), other.pid)
        connection.close()
        print(client.recv(100), client.recv(100))
    other.join()
