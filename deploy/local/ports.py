"""Which port is whose. Every port has a default and a variable that moves it; WAYBILL_PORT_BASE moves all of them at once."""

import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from deploy.local.errors import StackError

HOST = "127.0.0.1"

# name -> (variable, default, offset from WAYBILL_PORT_BASE)
_TABLE: dict[str, tuple[str, int, int]] = {
    "gateway": ("WAYBILL_PORT", 8080, 0),
    "ingest": ("WAYBILL_INGEST_PORT", 8081, 1),
    "lead_scoring": ("WAYBILL_LEAD_SCORING_PORT", 8082, 2),
    "export_request": ("WAYBILL_EXPORT_REQUEST_PORT", 8083, 3),
    "formatter-1": ("WAYBILL_FORMATTER_1_PORT", 8084, 4),
    "formatter-2": ("WAYBILL_FORMATTER_2_PORT", 8085, 5),
    "delivery": ("WAYBILL_DELIVERY_PORT", 8086, 6),
    "sftp": ("WAYBILL_SFTP_PORT", 2022, 7),
    "kafka": ("WAYBILL_KAFKA_PORT", 9092, 8),
    "kafka_controller": ("WAYBILL_KAFKA_CONTROLLER_PORT", 9093, 9),
    "postgres": ("WAYBILL_POSTGRES_PORT", 15432, 10),
    "s3": ("WAYBILL_S3_PORT", 8333, 11),
    "s3_grpc": ("WAYBILL_S3_GRPC_PORT", 18333, 12),
    "s3_master": ("WAYBILL_S3_MASTER_PORT", 9333, 13),
    "s3_master_grpc": ("WAYBILL_S3_MASTER_GRPC_PORT", 19333, 14),
    "s3_volume": ("WAYBILL_S3_VOLUME_PORT", 8334, 15),
    "s3_volume_grpc": ("WAYBILL_S3_VOLUME_GRPC_PORT", 18334, 16),
    "s3_filer": ("WAYBILL_S3_FILER_PORT", 8335, 17),
    "s3_filer_grpc": ("WAYBILL_S3_FILER_GRPC_PORT", 18335, 18),
    "ingest-2": ("WAYBILL_INGEST_2_PORT", 8087, 19),
    "export_request-2": ("WAYBILL_EXPORT_REQUEST_2_PORT", 8088, 20),
    "delivery-2": ("WAYBILL_DELIVERY_2_PORT", 8089, 21),
    "lead_scoring-2": ("WAYBILL_LEAD_SCORING_2_PORT", 8100, 22),
    "sftp-2": ("WAYBILL_SFTP_2_PORT", 2023, 23),
}
BLOCK = 24  # ports that one WAYBILL_PORT_BASE takes


@dataclass(frozen=True)
class Door:
    """Where one service knocks for a dependency that something (a proxy) stands in front of. `behind` is where the dependency listens for it:
    its own port, but for Kafka, which tells its clients where to find it and so needs a listener for each door."""

    port: int
    behind: int


@dataclass(frozen=True)
class Ports:
    """A port for each name of the table. `doors`: service instance → dependency → its door, where it has one."""

    by_name: Mapping[str, int]
    doors: Mapping[str, Mapping[str, Door]] = field(default_factory=dict)

    def __getitem__(self, name: str) -> int:
        return self.by_name[name]

    def seen_by(self, instance: str) -> "Ports":
        """The ports as one service instance is told them."""
        return Ports({**self.by_name, **{name: door.port for name, door in self.doors.get(instance, {}).items()}})

    def address(self, name: str) -> str:
        """`127.0.0.1:<port>`, the only interface that anything here listens on."""
        return f"{HOST}:{self[name]}"


def variable_of(name: str) -> str:
    return _TABLE[name][0]


def _number(variable: str, text: str, highest: int) -> int:
    if not text.isascii() or not text.isdigit() or not 1024 <= int(text) <= highest:
        raise StackError(f"{variable}={text!r} is no port: a number from 1024 to {highest} is needed")
    return int(text)


def resolve(environment: Mapping[str, str]) -> Ports:
    """Read the ports from environment variables.

    A port's own variable wins over WAYBILL_PORT_BASE, which wins over the default.
    Raises StackError for what is no port and for two names on one port.
    """
    base_text = environment.get("WAYBILL_PORT_BASE", "")
    base = _number("WAYBILL_PORT_BASE", base_text, 65535 - BLOCK) if base_text else None
    ports: dict[str, int] = {}
    for name, (variable, default, offset) in _TABLE.items():
        own = environment.get(variable, "")
        ports[name] = _number(variable, own, 65535) if own else default if base is None else base + offset
    owners: dict[int, str] = {}
    for name, port in ports.items():
        if port in owners:
            raise StackError(f"port {port} is asked for twice: {variable_of(owners[port])} and {variable_of(name)}")
        owners[port] = name
    return Ports(ports)


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def require_free(ports: Ports, names: Iterable[str]) -> None:
    """Raise StackError naming the first port that another program holds and the variable that moves it."""
    for name in names:
        if not is_free(ports[name]):
            raise StackError(
                f"port {ports[name]} ({name}) is taken by another program; set {variable_of(name)} to a free port, "
                f"or move all ports with WAYBILL_PORT_BASE, for example WAYBILL_PORT_BASE=20000"
            )


def free_base(start: int = 28000, step: int = 100, tries: int = 40) -> int:
    """The first WAYBILL_PORT_BASE from `start` whose whole block is free; raises StackError if there is none among so many."""
    last = start + tries * step
    for base in range(start, last, step):
        if all(is_free(base + offset) for offset in range(BLOCK)):
            return base
    raise StackError(f"no {BLOCK} free ports in a row between {start} and {last}; set WAYBILL_TEST_PORT_BASE")
