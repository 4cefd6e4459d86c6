"""A Listener and its Clients, over TCP and a Unix socket, with and without the right key."""

import os
import tempfile
from multiprocessing import AuthenticationError, Process
from multiprocessing.connection import Client, Listener


def ask(address, key, text):
    with Client(address, authkey=key) as connection:
        connection.send(text)
        answer = connection.recv()
        connection.send_bytes(answer.encode())


def intrude(address):
    try:
        Client(address, authkey=b"wrong")
    except AuthenticationError as e:
        print("client:", type(e).__name__, flush=True)


def serve(address, family):
    with Listener(address, family=family, authkey=b"secret") as listener:
        intruder = Process(target=intrude, args=(listener.address,))
        intruder.start()
        try:
            listener.accept()
        except AuthenticationError as e:
            intruder.join()
            print("listener:", e)
        clients = [Process(target=ask, args=(listener.address, b"secret", f"text {i}")) for i in range(3)]
        for c in clients:
            c.start()
        heard = []
        for _ in clients:
            with listener.accept() as connection:
                connection.send(connection.recv().upper())
                heard.append(connection.recv_bytes())
        for c in clients:
            c.join()
        print(sorted(heard), listener.last_accepted is None)


if __name__ == "__main__":
    serve(("localhost", 0), "AF_INET")
    with tempfile.TemporaryDirectory() as folder:
        serve(os.path.join(folder, "socket"), "AF_UNIX")
        print(os.listdir(folder))
    try:
        Client(("localhost", 1), authkey=b"x")
    except OSError as e:
        print(type(e).__name__)
