"""Requests and answers through a pipe; the other end's going away is an EOFError."""

from multiprocessing import Pipe, Process


def serve(connection):
    functions = {"add": lambda *a: sum(a), "upper": str.upper, "fail": lambda: 1 / 0}
    while True:
        name, *arguments = connection.recv()
        if name == "stop":
            connection.send("stopped")
            connection.close()
            return
        try:
            connection.send((True, functions[name](*arguments)))
        except Exception as e:
            connection.send((False, e))


def reader(connection, other):
    other.close()
    received = []
    while True:
        try:
            received.append(connection.recv())
        except EOFError:
            print("reader saw the end after", received, flush=True)
            break


if __name__ == "__main__":
    here, there = Pipe()
    server = Process(target=serve, args=(there,))
    server.start()
    there.close()
    for request in [("add", 1, 2, 3), ("upper", "abc"), ("fail",), ("nothing", 1)]:
        here.send(request)
        ok, answer = here.recv()
        print(ok, repr(answer))
    print(here.poll(), here.poll(0.01))
    here.send(["stop"])
    print(here.poll(20), here.recv())
    server.join()
    try:
        here.recv()
    except EOFError:
        print("EOFError")
    try:
        here.send("x")
    except (BrokenPipeError, ConnectionResetError):
        print("nobody listens")
    here.close()
    print(here.closed)
    try:
        here.poll()
    except OSError as e:
        print("OSError", e)
    receives, sends = Pipe(duplex=False)
    p = Process(target=reader, args=(receives, sends))
    p.start()
    receives.close()
    print(sends.writable, sends.readable)
    for i in range(3):
        sends.send({"n": i})
    try:
        sends.recv()
    except OSError as e:
        print("OSError", e)
    sends.close()
    p.join()
    a, b = Pipe()
    a.send_bytes(b"0123456789", 2, 5)
    room = bytearray(8)
    print(b.recv_bytes_into(room, 1), bytes(room))
    with a, b:
        a.send_bytes(b"x" * 10)
        print(b.recv_bytes(maxlength=20), isinstance(a.fileno(), int))
