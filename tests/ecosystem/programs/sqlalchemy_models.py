"""SQLAlchemy's asyncio extension, URL: the engine and its pool, a session's objects, streams, errors, cancels. The
drivers are called in greenlets, which await on the loop.
"""

from __future__ import annotations

import asyncio
import sys

from loops import checked
from sqlalchemy import ForeignKey, exc, func, select, text
from sqlalchemy.ext.asyncio import AsyncAttrs, AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, selectinload
from sqlalchemy.types import String


class Base(AsyncAttrs, DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50), unique=True)
    books: Mapped[list[Book]] = relationship(back_populates="author", order_by="Book.id")


class Book(Base):
    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(50))
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))
    author: Mapped[Author] = relationship(back_populates="books")


async def objects(make: async_sessionmaker[AsyncSession]) -> None:
    async with make.begin() as session:
        session.add_all(
            Author(name=f"author {a}", books=[Book(title=f"book {a}.{b}") for b in range(5)]) for a in range(100)
        )
    async with make() as session:
        author = await session.scalar(select(Author).where(Author.name == "author 42"))
        print([book.title for book in await author.awaitable_attrs.books])
        query = select(Author).options(selectinload(Author.books)).order_by(Author.id)
        print(sum(len(author.books) for author in await session.scalars(query)))
        print(await session.run_sync(lambda sync: sync.get(Book, author.books[0].id).author is author))
    async with make() as session:
        session.add(Author(name="author 42"))
        try:
            await session.commit()
        except exc.IntegrityError as e:
            await session.rollback()
            print(type(e).__name__, await session.scalar(select(func.count(Author.id))))
        async with session.begin_nested():
            session.add(Author(name="kept"))
        nested = await session.begin_nested()
        session.add(Author(name="dropped"))
        await session.flush()
        await nested.rollback()
        await session.commit()
        print((await session.scalars(select(Author.name).where(Author.name.not_like("author %")))).all())


async def streams(engine: AsyncEngine, make: async_sessionmaker[AsyncSession]) -> None:
    async with engine.connect() as connection:
        rows = await connection.stream(select(Book.title).order_by(Book.id))
        print(sum([1 async for _ in rows]))
    async with make() as session:
        found = await session.stream_scalars(select(Book).order_by(Book.id).execution_options(yield_per=50))
        print([len(part) async for part in found.partitions()])


async def together(engine: AsyncEngine, make: async_sessionmaker[AsyncSession]) -> None:
    async def work(number: int) -> int:
        async with make() as session:
            author = await session.scalar(select(Author).where(Author.name == f"author {number}"))
            return len(await author.awaitable_attrs.books)

    print(sum(await asyncio.gather(*(work(number) for number in range(100)))), engine.pool.checkedout())


async def cancelled(engine: AsyncEngine, sleep: str) -> None:
    """A cancelled statement costs its connection, not the pool."""

    async def wait() -> None:
        async with engine.connect() as connection:
            await connection.execute(text(sleep))

    tasks = [asyncio.ensure_future(wait()) for _ in range(5)]
    await asyncio.sleep(0.2)
    for task in tasks:
        task.cancel()
    print(await asyncio.gather(*tasks, return_exceptions=True), engine.pool.checkedout())
    async with engine.connect() as connection:
        print(await connection.scalar(text("select 'goes on'")))


@checked
async def main() -> None:
    url, sleep = sys.argv[1:]
    engine = create_async_engine(url, **({} if "sqlite" in url else {"pool_size": 5, "max_overflow": 5}))
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    make = async_sessionmaker(engine)
    await objects(make)
    await streams(engine, make)
    await together(engine, make)
    if sleep:
        await cancelled(engine, sleep)
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(main())
