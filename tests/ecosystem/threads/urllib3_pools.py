"""urllib3: connection pools that make threads wait (`block=True`), that give up, that are emptied in mid-use; its pools
are LifoQueues.
"""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import urllib3
from engine import checked
from local_server import serving

SECONDS = 30
LARGE = random.Random(5).randbytes(1 << 18)


def blocking(host: str, port: int, server: object) -> None:
    with urllib3.HTTPConnectionPool(host, port, maxsize=3, block=True, timeout=SECONDS, retries=False) as pool:
        with ThreadPoolExecutor(12) as threads:
            bodies = [LARGE[: number * 1000] for number in range(150)]
            found = list(threads.map(lambda body: pool.request("POST", "/", body=body).data, bodies))
        print(found == bodies, pool.num_connections, pool.num_requests, pool.pool.qsize(), server.connections)
        pool.pool.queue  # noqa: B018
        print(type(pool.pool).__name__, pool.pool.maxsize)


def exhausted(host: str, port: int) -> None:
    pool = urllib3.HTTPConnectionPool(host, port, maxsize=1, block=True, retries=False)
    held = pool.request("GET", "/held", preload_content=False)
    try:
        pool.request("GET", "/no", pool_timeout=0.02)
    except urllib3.exceptions.EmptyPoolError as e:
        print(str(e).partition(":")[2].rpartition(":")[2].strip())
    waiting = []
    thread = threading.Thread(target=lambda: waiting.append(pool.request("GET", "/waited", pool_timeout=SECONDS).data))
    thread.start()
    print(held.read())
    held.release_conn()
    thread.join()
    print(waiting, pool.num_connections)
    pool.close()
    try:
        pool.request("GET", "/closed")
    except urllib3.exceptions.ClosedPoolError as e:
        print(type(e).__name__)


def many_hosts(url: str) -> None:
    with urllib3.PoolManager(num_pools=2, maxsize=4, block=True, retries=urllib3.Retry(1)) as manager:
        hosts = [url, url.replace("127.0.0.1", "127.0.0.2"), url.replace("127.0.0.1", "127.0.0.3")]

        def get(number: int) -> str:
            return manager.request("GET", f"{hosts[0]}/slow/{number}").data.decode()

        with ThreadPoolExecutor(8) as threads:
            print(sorted(threads.map(get, range(16)), key=len)[-1], len(manager.pools))
        print(manager.connection_from_url(hosts[0]) is manager.connection_from_url(hosts[0] + "/other"))
        try:
            manager.request("GET", f"{url}/close")
        except urllib3.exceptions.MaxRetryError as e:
            print(type(e.reason).__name__)


@checked
def main() -> None:
    with serving() as server:
        host, port = server.server_address[:2]
        blocking(host, port, server)
        exhausted(host, port)
        many_hosts(server.url)


if __name__ == "__main__":
    main()
