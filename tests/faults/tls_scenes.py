"""Certificates for the tests of TLS, made by openssl once a run, and contexts that use them."""

from __future__ import annotations

import functools
import os
import shutil
import ssl
import subprocess
import tempfile
from pathlib import Path

import pytest

NAMES = ("localhost", "elsewhere", "expired")
"""Each certificate's; `expired` is localhost's, of long ago."""

CONFIGURATION = """[ca]
default_ca = here
[here]
database = index
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
x509_extensions = names
[any]
commonName = supplied
[names]
basicConstraints = critical,CA:TRUE
subjectAltName = DNS:HOST
"""


@functools.cache
def folder() -> Path:
    """Where `NAME.crt` and `NAME.pem` are, a self-signed certificate alone and with its key, for each of `NAMES`.

    Skips the test where there is no `openssl` command, but fails it with CI=true.
    """
    if shutil.which("openssl") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("the openssl command is missing")
        pytest.skip("needs the openssl command")
    made = Path(tempfile.mkdtemp(prefix="fenshen-faults-"))
    for name in NAMES:
        host = "localhost" if name == "expired" else name
        (made / "index").write_text("")
        (made / "serial").write_text("01")
        (made / "conf").write_text(CONFIGURATION.replace("HOST", host))
        key = f"-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -keyout {name}.key -out {name}.csr"
        _openssl(made, f"req -new -nodes {key} -subj /CN={host}")
        dates = "-startdate 20200101000000Z -enddate " + ("20200201000000Z" if name == "expired" else "20450101000000Z")
        sign = f"-config conf -batch -notext -selfsign -keyfile {name}.key -in {name}.csr -out {name}.crt"
        _openssl(made, f"ca {sign} {dates}")
        (made / f"{name}.pem").write_text((made / f"{name}.key").read_text() + (made / f"{name}.crt").read_text())
    return made


def _openssl(where: Path, line: str) -> None:
    done = subprocess.run(
        ["openssl", *line.split()], cwd=where, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def server_context(name: str = "localhost") -> ssl.SSLContext:
    """A server's, with that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder() / f"{name}.pem")
    return context


def client_context(trusted: str | None = "localhost") -> ssl.SSLContext:
    """A client's, that trusts that certificate; those of the machine if None."""
    context = ssl.create_default_context(cafile=str(folder() / f"{trusted}.crt") if trusted else None)
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)  # by default from 3.13 on, and not what is tested
    return context
