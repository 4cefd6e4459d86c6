"""A bank: customers are threads, accounts have a lock each, and money moves between two of them.

    fenshen run examples/bank.py                # the locks in whatever order: the report of a deadlock
    fenshen run examples/bank.py --in-order     # the same with `ordered`: it ends

Without fenshen, the first one hangs for ever, and says nothing.
"""

from __future__ import annotations

import argparse
import random
import threading
import time
from contextlib import AbstractContextManager, contextmanager

from fenshen.threading import ordered

MONEY = 1000


class Account:
    """Some money, and the lock of whoever is about to change it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.balance = MONEY


def in_order(one: Account, other: Account, pause: float) -> AbstractContextManager[object]:
    """Both locks, in an order that is the same for everybody."""
    return ordered(one.lock, other.lock)


@contextmanager
def as_they_come(one: Account, other: Account, pause: float):
    """First the payer's lock, and after a look into the books the receiver's."""
    with one.lock:
        time.sleep(pause)
        with other.lock:
            yield


def customer(number: int, accounts: list[Account], transfers: int, pause: float, locks) -> None:
    """Move money to and fro."""
    choose = random.Random(number)
    for _ in range(transfers):
        payer, receiver = choose.sample(accounts, 2)
        with locks(payer, receiver, pause):
            amount = choose.randrange(payer.balance + 1)
            payer.balance -= amount
            receiver.balance += amount


def main() -> None:
    """The command line."""
    options = argparse.ArgumentParser(description="Threads that move money between accounts.")
    options.add_argument("--in-order", action="store_true", help="take the two locks of a transfer in order")
    options.add_argument("--customers", type=int, default=2, help="threads (default: 2)")
    options.add_argument("--transfers", type=int, default=500, help="of each customer (default: 500)")
    options.add_argument("--pause", type=float, default=0.001, help="seconds between two locks (default: 0.001)")
    chosen = options.parse_args()
    accounts = [Account() for _ in range(3)]
    locks = in_order if chosen.in_order else as_they_come
    customers = [
        threading.Thread(
            target=customer, name=f"customer {n}", args=(n, accounts, chosen.transfers, chosen.pause, locks)
        )
        for n in range(chosen.customers)
    ]
    for thread in customers:
        thread.start()
    for thread in customers:
        thread.join()
    print(f"{len(accounts) * MONEY} at the beginning, {sum(account.balance for account in accounts)} at the end")


if __name__ == "__main__":
    main()
