"""The object store: SeaweedFS with its S3 interface, everything in one process."""

import json
from pathlib import Path

from deploy.local.ports import HOST, Ports
from deploy.local.program import Program, answers
from deploy.local.state import State, write_private

BUCKET = "waybill"
REGION = "us-east-1"


def identities(access_key: str, secret_key: str) -> str:
    """SeaweedFS's list of who may do what: us, everything; nobody else anything."""
    credentials = [{"accessKey": access_key, "secretKey": secret_key}]
    return json.dumps(
        {"identities": [{"name": "waybill", "credentials": credentials, "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}
    )


def options(home: Path, ports: Ports) -> list[str]:
    """All flags of `weed server`: each of its listeners named and on loopback, the two that nobody uses off."""
    flags = {
        "dir": home / "data",
        "ip": HOST,
        "ip.bind": HOST,
        "master.port": ports["s3_master"],
        "master.port.grpc": ports["s3_master_grpc"],
        "master.volumeSizeLimitMB": 1024,
        "master.telemetry": "false",
        "master.electionTimeout": "1s",  # one master has nobody to wait for
        "volume.port": ports["s3_volume"],
        "volume.port.grpc": ports["s3_volume_grpc"],
        "volume.max": 0,  # as many as the disk holds
        "volume.preStopSeconds": 0,
        "filer.port": ports["s3_filer"],
        "filer.port.grpc": ports["s3_filer_grpc"],
        "s3": "true",
        "s3.port": ports["s3"],
        "s3.port.grpc": ports["s3_grpc"],
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "s3.config": home / "identities.json",
        "s3.autoCreateBucket": "false",
    }
    return [f"-{name}={value}" for name, value in flags.items()]


def sockets(ports: Ports) -> tuple[Path, ...]:
    """Unix sockets that SeaweedFS opens beside its ports, under names of its own choosing."""
    names = [f"s3-{ports['s3']}", f"s3-grpc-{ports['s3_grpc']}", f"filer-{ports['s3_filer']}"]
    names += [f"{part}-grpc-{ports[f's3_{part}_grpc']}" for part in ("master", "volume", "filer")]
    return tuple(Path(f"/tmp/seaweedfs-{name}.sock") for name in names)


def program(state: State, ports: Ports, binary: Path, access_key: str, secret_key: str) -> Program:
    """SeaweedFS as a process."""
    home = state.directory / "s3"
    (home / "data").mkdir(parents=True, exist_ok=True)
    text = identities(access_key, secret_key)
    write_private(home / "identities.json", text)
    return Program(
        name="s3",
        command=[str(binary), "-logtostderr=true", "-v=0", "server", *options(home, ports)],
        environment={"HOME": str(home), "PATH": "/usr/bin:/bin"},
        ports=("s3", "s3_grpc", "s3_master", "s3_master_grpc", "s3_volume", "s3_volume_grpc", "s3_filer", "s3_filer_grpc"),
        ready=lambda: answers(f"http://{ports.address('s3')}/healthz"),
        directory=home,
        fingerprint=text,
        leftovers=sockets(ports),
        stop_seconds=2,  # its filer waits 15 s for subscribers in its own process; what was acknowledged survives SIGKILL
    )


def create_bucket(state: State, ports: Ports, access_key: str, secret_key: str) -> None:
    """Make the bucket where it is missing; that it is there is noted beside the data."""
    done = state.directory / "s3" / "data" / "bucket-made"
    if done.exists():
        return
    import boto3  # takes half a second: for the first start only
    from botocore.config import Config

    client = boto3.client(
        "s3", endpoint_url=f"http://{ports.address('s3')}", aws_access_key_id=access_key, aws_secret_access_key=secret_key,
        region_name=REGION, config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 10, "mode": "standard"}),
    )  # fmt: skip
    if BUCKET not in [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]:
        client.create_bucket(Bucket=BUCKET)
    done.touch()
