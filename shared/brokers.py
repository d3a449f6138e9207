"""Where Kafka is, and as whom it is spoken to: what every client of it is made with."""

import ssl
from dataclasses import dataclass, field
from typing import Any, Literal

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"]


def servers(text: str) -> list[tuple[str, int]]:
    """(host, port) of each in a list with commas. Raises ValueError for what isn't one."""
    found = []
    for each in text.split(","):
        host, colon, port = each.strip().rpartition(":")
        if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ValueError(f"'{each.strip()}' is not host:port")
        found.append((host.strip("[]"), int(port)))
    return found


@dataclass(frozen=True)
class Brokers:
    """`addresses`: host:port, with commas. `tls` where the protocol has it, `user` and `password` where it has SASL."""

    addresses: str
    protocol: Protocol = "PLAINTEXT"
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    mechanism: Mechanism = "SCRAM-SHA-512"
    user: str = ""
    password: str = field(default="", repr=False)

    def __str__(self) -> str:
        return self.addresses

    @property
    def has_sasl(self) -> bool:
        return self.protocol.startswith("SASL_")

    @property
    def security(self) -> dict[str, Any]:
        """aiokafka's arguments, the same for each of its clients."""
        sasl = {"sasl_mechanism": self.mechanism, "sasl_plain_username": self.user, "sasl_plain_password": self.password}
        return {"security_protocol": self.protocol, "ssl_context": self.tls} | (sasl if self.has_sasl else {})

    @property
    def client(self) -> dict[str, Any]:
        """aiokafka's arguments with the addresses."""
        return {"bootstrap_servers": self.addresses, **self.security}
