"""SQLAlchemy's QueuePool on SQLite under threads: overflow, its time limit, invalid connections, events, scoped
sessions; its queue has conditions of its own.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import sqlalchemy
from engine import checked
from sqlalchemy import event, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, scoped_session, sessionmaker
from sqlalchemy.pool import QueuePool

SECONDS = 30


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    count: Mapped[int] = mapped_column(default=0)


def engine(**settings: object) -> sqlalchemy.Engine:
    made = sqlalchemy.create_engine(
        "sqlite:///data.db",
        poolclass=QueuePool,
        connect_args={"timeout": SECONDS, "check_same_thread": False},
        **settings,
    )

    @event.listens_for(made, "connect")
    def fast(connection: object, _: object) -> None:
        connection.execute("pragma synchronous = off")  # type: ignore[attr-defined]

    return made


def crowded() -> None:
    db = engine(pool_size=3, max_overflow=2, pool_timeout=SECONDS)
    lock, out, most = threading.Lock(), 0, 0

    @event.listens_for(db, "checkout")
    def taken(*_: object) -> None:
        nonlocal out, most
        with lock:
            out += 1
            most = max(most, out)

    @event.listens_for(db, "checkin")
    def given(*_: object) -> None:
        nonlocal out
        with lock:
            out -= 1

    Base.metadata.create_all(db)

    def ask(number: int) -> int:
        with db.connect() as connection:
            time.sleep(0.0005)
            return connection.execute(text("select :n + 1"), {"n": number}).scalar_one()

    with ThreadPoolExecutor(16) as pool:
        print(list(pool.map(ask, range(300))) == list(range(1, 301)))
    print(most <= 5, out, db.pool.checkedout(), db.pool.checkedin() <= 3, db.pool.size())
    db.dispose()


def late() -> None:
    db = engine(pool_size=1, max_overflow=0, pool_timeout=0.05)
    held = db.connect()
    try:
        db.connect()
    except sqlalchemy.exc.TimeoutError as e:
        print(str(e).partition(" (")[0])
    thread = threading.Timer(0.01, held.close)
    patient = engine(pool_size=1, max_overflow=0, pool_timeout=SECONDS)
    first = patient.connect()
    second = threading.Timer(0.02, first.close)
    thread.start()
    second.start()
    with patient.connect() as connection:
        print(connection.execute(text("select 'waited'")).scalar_one())
    thread.join()
    second.join()
    with db.connect() as connection:
        connection.invalidate()
        print(connection.invalidated, connection.closed)
    with db.connect() as connection:
        print(connection.execute(text("select 'new'")).scalar_one())
    db.dispose()
    patient.dispose()


def sessions() -> None:
    db = engine(pool_size=5)

    @event.listens_for(db, "begin")
    def immediately(connection: sqlalchemy.Connection) -> None:
        connection.exec_driver_sql("begin immediate")

    local = scoped_session(sessionmaker(db))

    def work(number: int) -> int:
        try:
            local.add(Item(id=number, name=f"item {number}"))
            if number % 10 == 9:
                local.flush()
                local.rollback()
            else:
                local.commit()
            return id(local())
        finally:
            local.remove()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(120)))
    with Session(db) as session:
        print(session.scalar(select(sqlalchemy.func.count(Item.id))))
        session.execute(sqlalchemy.update(Item).where(Item.id == 0).values(count=1))
        session.commit()

    def increase(_: int) -> None:
        with Session(db) as session, session.begin():
            item = session.get(Item, 0)
            item.count += 1

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(increase, range(60)))
    with Session(db) as session:
        print(session.get(Item, 0).count)
    db.dispose()


@checked
def main() -> None:
    crowded()
    late()
    sessions()


if __name__ == "__main__":
    main()
