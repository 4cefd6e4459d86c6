"""Django in threads: the development server's ThreadedWSGIServer, its connections to SQLite for each thread, caches in
local memory, signals, and asgiref's two-way bridges.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import django
import urllib3
from django.conf import settings
from engine import checked

SECONDS = 30

settings.configure(
    SECRET_KEY="of the test",
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "data.db", "OPTIONS": {"timeout": SECONDS}}},
    CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
    LOGGING_CONFIG=None,
    USE_TZ=True,
)
django.setup()

from asgiref.local import Local  # noqa: E402
from asgiref.sync import async_to_sync, sync_to_async  # noqa: E402
from django.core.cache import cache  # noqa: E402
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse  # noqa: E402
from django.urls import path  # noqa: E402

meeting = threading.Barrier(4)


def count(request: HttpRequest, number: int) -> HttpResponse:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("insert into line (number) values (%s)", [number])
        cache.get_or_set("first", number)
        cache.incr("requests")
    return HttpResponse(str(number))


def meet(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(meeting.wait(SECONDS) >= 0))


async def aview(request: HttpRequest) -> HttpResponse:
    lines = await sync_to_async(lambda: list(range(50)))()
    return StreamingHttpResponse(f"{line}\n" for line in lines)


urlpatterns = [path("count/<int:number>", count), path("meet", meet), path("async", aview)]


class Silent(WSGIRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


def served() -> None:
    with connection.cursor() as cursor:
        cursor.execute("create table line (id integer primary key, number int)")
    cache.set("requests", 0)
    server = ThreadedWSGIServer(("127.0.0.1", 0), Silent, allow_reuse_address=False)
    server.set_app(get_wsgi_application())
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    base = f"http://127.0.0.1:{server.server_port}"
    manager = urllib3.PoolManager(maxsize=8, block=True, timeout=SECONDS, retries=False)
    with manager as http, ThreadPoolExecutor(8) as pool:
        get = lambda path: http.request("GET", base + path).data  # noqa: E731
        print(sum(int(answer) for answer in pool.map(get, [f"/count/{number}" for number in range(60)])))
        print(list(pool.map(get, ["/meet"] * 4)), {len(answer.split()) for answer in pool.map(get, ["/async"] * 10)})
    server.shutdown()
    thread.join(SECONDS)
    server.server_close()
    with connection.cursor() as cursor:
        cursor.execute("select count(*), sum(number) from line")
        print(cursor.fetchone(), cache.get("requests"), cache.get("first") is not None)


def bridged() -> None:
    """Through asgiref: code of one kind within the other, in the threads where each belongs."""
    local = Local()

    def inner(number: int) -> tuple[int, bool]:
        return number * 2 + local.base, threading.current_thread() is main_thread

    async def middle(number: int) -> tuple[int, bool]:
        return await sync_to_async(inner)(number)

    main_thread = threading.current_thread()
    local.base = 1
    print(async_to_sync(middle)(4))

    async def outer() -> list[object]:
        local.base = 3
        one = await sync_to_async(lambda: async_to_sync(middle)(5))()
        free = await asyncio.gather(*(sync_to_async(pow, thread_sensitive=False)(2, n) for n in range(5)))
        return [one[0], free]

    print(asyncio.run(outer()))

    def from_a_thread(number: int) -> int:
        local.base = number
        return async_to_sync(middle)(number)[0]

    with ThreadPoolExecutor(4) as pool:
        print(sum(pool.map(from_a_thread, range(40))), local.base)


@checked
def main() -> None:
    served()
    bridged()
    print(threading.current_thread() is threading.main_thread())


if __name__ == "__main__":
    main()
