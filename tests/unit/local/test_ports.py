"""Ports: defaults, one variable for one, one variable for all, and clear refusals."""

import socket

import pytest

from deploy.local.errors import StackError
from deploy.local.ports import BLOCK, HOST, Door, Ports, free_base, is_free, require_free, resolve


def test_defaults() -> None:
    ports = resolve({})
    assert ports.address("gateway") == "127.0.0.1:8080"
    assert ports.address("kafka") == "127.0.0.1:9092"
    assert ports.address("sftp") == "127.0.0.1:2022"


def test_a_base_moves_every_port_into_one_block() -> None:
    ports = resolve({"WAYBILL_PORT_BASE": "20000"})
    assert ports["gateway"] == 20000
    assert set(ports.by_name.values()) <= set(range(20000, 20000 + BLOCK))
    assert len(set(ports.by_name.values())) == len(ports.by_name)


def test_a_ports_own_variable_wins_over_the_base() -> None:
    ports = resolve({"WAYBILL_PORT_BASE": "20000", "WAYBILL_KAFKA_PORT": "9999"})
    assert (ports["kafka"], ports["postgres"]) == (9999, 20010)


@pytest.mark.parametrize("text", ["80", "65536", "-1", "a", "8080.0", "٨٠٨٠", "1e4"])
def test_what_is_no_port_is_refused_by_name(text: str) -> None:
    with pytest.raises(StackError, match="WAYBILL_PORT="):
        resolve({"WAYBILL_PORT": text})


def test_a_base_without_room_is_refused() -> None:
    with pytest.raises(StackError, match="WAYBILL_PORT_BASE"):
        resolve({"WAYBILL_PORT_BASE": "65530"})


def test_one_port_for_two_is_refused_naming_both() -> None:
    with pytest.raises(StackError, match="WAYBILL_INGEST_PORT and WAYBILL_POSTGRES_PORT"):
        resolve({"WAYBILL_POSTGRES_PORT": "8081"})


def test_a_taken_port_is_named_with_the_variable_that_moves_it() -> None:
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen(1)
        port = other.getsockname()[1]
        assert not is_free(port)
        with pytest.raises(StackError, match=rf"port {port} \(s3\) is taken.*WAYBILL_S3_PORT"):
            require_free(resolve({"WAYBILL_S3_PORT": str(port)}), ["s3"])
    assert is_free(port)


def test_the_next_free_block_is_found() -> None:
    base = free_base()
    with socket.socket() as other:
        other.bind((HOST, base + 3))
        other.listen(1)
        assert free_base(start=base) > base


def test_a_service_is_told_of_its_doors_and_nobody_elses() -> None:
    ports = Ports(resolve({}).by_name, {"ingest": {"kafka": Door(31000, 31001), "postgres": Door(31002, 15432)}})
    assert (ports.seen_by("ingest")["kafka"], ports.seen_by("ingest")["postgres"]) == (31000, 31002)
    assert ports.seen_by("delivery").by_name == ports.by_name
    assert ports["kafka"] == 9092
