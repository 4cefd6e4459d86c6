"""TLS contexts of an authority made for the run."""

from __future__ import annotations

import ssl

import trustme


class Authority:
    """Makes contexts for a server named localhost and for the clients that trust it."""

    def __init__(self) -> None:
        self._authority = trustme.CA()

    def server(self, *, client_certificates: bool = False) -> ssl.SSLContext:
        """A server's context; it may insist on a certificate of this authority from its clients."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
        if client_certificates:
            self._authority.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def client(self, name: str | None = None) -> ssl.SSLContext:
        """A client's context that trusts this authority; with a name, it has a certificate for it."""
        context = ssl.create_default_context()
        self._authority.configure_trust(context)
        if name is not None:
            self._authority.issue_cert(name).configure_cert(context)
        return context
