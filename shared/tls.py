"""TLS of our connections: contexts made of certificate files, and what a database URL says of it. Every error names the file and what is wrong with it."""

import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_VERIFYING = ("verify-ca", "verify-full")


def client_context(ca_file: str = "", certificate_file: str = "", key_file: str = "") -> ssl.SSLContext:
    """A context that trusts the authorities of `ca_file`, or this machine's where it is empty, and checks the server's name.

    With a certificate and its key the client shows who it is. Raises ValueError that says which file is of no use.
    """
    context = ssl.create_default_context()
    if ca_file:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # of this file alone
        load_authorities(context, ca_file)
    if certificate_file:
        readable(certificate_file)
        readable(key_file)
        try:
            context.load_cert_chain(certificate_file, key_file, password="")  # no question at a terminal
        except (ssl.SSLError, OSError):
            raise ValueError(f"{certificate_file} and {key_file} are no certificate and its key without a password, in PEM") from None
    return context


def load_authorities(context: ssl.SSLContext, ca_file: str) -> None:
    """Raises ValueError where the file holds no certificate."""
    readable(ca_file)
    try:
        context.load_verify_locations(ca_file)
    except (ssl.SSLError, OSError):
        raise ValueError(f"{ca_file} holds no certificate in PEM") from None


def readable(path: str) -> None:
    """Raises ValueError with the reason where a file can't be read."""
    try:
        with Path(path).open("rb") as file:
            file.read(1)
    except OSError as error:
        raise ValueError(f"{path} can't be read: {error.strerror}") from None


def _kept_private(key_file: str) -> None:
    """libpq takes no key that others may read: only its owner, or root's from a group."""
    if not key_file:
        return
    readable(key_file)
    status = os.stat(key_file)
    if status.st_mode & (0o037 if status.st_uid == 0 else 0o077):
        raise ValueError(f"{key_file} may be read by others: chmod 600 takes that away")


def checked_database_url(url: str, environment: Mapping[str, str] | None = None) -> str:
    """The URL, whose TLS parameters (libpq's names) can be used as they stand. Raises ValueError that quotes nothing of it but those.

    At the start: a driver would say so at each connection, and another one in other words.
    """
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("postgresql", "postgres") and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good:
        raise ValueError("must be postgresql://<role>:<password>@<host>:<port>/<database>")
    given = {name: values[-1] for name, values in parse_qs(parts.query).items() if name.startswith("ssl")}
    mode, root = given.get("sslmode", "prefer"), given.get("sslrootcert", "")
    if mode not in SSL_MODES:
        raise ValueError(f"sslmode must be one of {', '.join(SSL_MODES)}")
    if root == "system":
        raise ValueError(
            "sslrootcert=system is not understood by every driver here: name the file, such as /etc/ssl/certs/ca-certificates.crt"
        )
    if mode in _VERIFYING and not (root or (os.environ if environment is None else environment).get("PGSSLROOTCERT")):
        raise ValueError(f"sslmode={mode} needs sslrootcert, the file of the authorities to trust")
    if ("sslcert" in given) is not ("sslkey" in given):
        raise ValueError("sslcert and sslkey belong together")
    try:
        _kept_private(given.get("sslkey", ""))
        client_context(root, given.get("sslcert", ""), given.get("sslkey", ""))
    except ValueError as error:
        raise ValueError(f"its TLS parameters: {error}") from None
    return url
