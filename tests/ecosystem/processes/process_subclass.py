"""Classes that derive from Process, with a state of their own, and what a process says of itself."""

import multiprocessing
import os


class Summer(multiprocessing.Process):
    def __init__(self, numbers, answers):
        super().__init__(name="summer")
        self.numbers = numbers
        self.answers = answers
        self.total = 0

    def run(self):
        self.total = sum(self.numbers)
        self.answers.put((self.name, self.total, os.getpid() == self.pid, os.getppid() == self._parent_pid))


class Actor(multiprocessing.Process):
    def __init__(self):
        super().__init__()
        self.here, self.there = multiprocessing.Pipe()
        self.daemon = True

    def run(self):
        memory = []
        for message in iter(self.there.recv, "stop"):
            memory.append(message)
            self.there.send(len(memory))
        self.there.send(memory)

    def ask(self, message):
        self.here.send(message)
        return self.here.recv()


if __name__ == "__main__":
    answers = multiprocessing.Queue()
    summer = Summer(range(101), answers)
    print(summer.pid, summer.is_alive(), summer.exitcode, summer.daemon)
    summer.start()
    print(answers.get(timeout=20))
    summer.join()
    print(summer.total, summer.exitcode, summer.is_alive(), summer.sentinel > 0)
    try:
        summer.start()
    except AssertionError as e:
        print(e)
    summer.close()
    try:
        summer.is_alive()
    except ValueError as e:
        print(e)
    actor = Actor()
    actor.start()
    print([actor.ask(word) for word in "abc"], actor.ask("stop"))
    actor.join(20)
    print(actor.exitcode, multiprocessing.active_children())
    me = multiprocessing.current_process()
    print(me.name, me.daemon, multiprocessing.parent_process(), repr(me).startswith("<_MainProcess name='MainProcess'"))
