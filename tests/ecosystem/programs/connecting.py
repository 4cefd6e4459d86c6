"""What aiomysql takes, from the URL by which the tests name a MariaDB."""

from __future__ import annotations

import ssl
from typing import Any
from urllib.parse import parse_qs, urlsplit


def mysql(url: str) -> dict[str, Any]:
    """The arguments of `aiomysql.connect`."""
    parts = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    found = {"user": parts.username, "password": parts.password, "db": parts.path[1:]}
    if path := query.get("unix_socket"):
        return {**found, "unix_socket": path}
    found.update(host=parts.hostname, port=parts.port)
    if authority := query.get("ssl_ca"):
        found["ssl"] = ssl.create_default_context(cafile=authority)
    return found
