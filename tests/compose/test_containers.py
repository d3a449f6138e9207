"""The containers as they run: who they are, what they may, and what becomes of work when they stop."""

import json
import subprocess
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from deploy.compose.lifecycle import Project, name_of, project
from deploy.local.demo import receiver_of
from deploy.local.demo_webhook import subscriber
from deploy.local.state import SERVICES, State
from tests.compose.state import STATE_DIRECTORY
from tests.conftest import Stack
from tests.e2e.conftest import Organisation, new_organisation

ONCE = ("migrate", "topics", "bucket")
WAIT_SECONDS = 90
STOP_SECONDS = 10


@pytest.fixture(scope="module")
def ours() -> Project:
    return project(State(STATE_DIRECTORY))


@pytest.fixture(scope="module")
def containers(ours: Project) -> dict[str, dict[str, Any]]:
    return {name_of(container): container for container in ours.containers()}


def until(what: str, true: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout


def status_of(container: dict[str, Any]) -> dict[str, str]:
    """/proc/1/status of a running container, as it sees itself."""
    text = docker("exec", container["Id"], "cat", "/proc/1/status")
    return {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}


def running(containers: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: container for name, container in containers.items() if name not in ONCE}


def test_the_whole_system_is_there(containers: dict[str, dict[str, Any]]) -> None:
    wanted = {
        "kafka",
        "postgres",
        "s3",
        "gateway",
        "ingest",
        "lead_scoring",
        "export_request",
        "formatter-1",
        "formatter-2",
        "delivery",
        *ONCE,
    }
    assert wanted <= containers.keys()
    assert all(container["State"]["Running"] for container in running(containers).values())


def test_what_is_done_once_is_done(containers: dict[str, dict[str, Any]]) -> None:
    for name in ONCE:
        assert (containers[name]["State"]["Status"], containers[name]["State"]["ExitCode"]) == ("exited", 0)


def test_every_container_says_that_it_is_healthy(ours: Project) -> None:
    def ill() -> list[str]:
        return [name_of(c) for c in ours.containers() if c["State"]["Running"] and c["State"]["Health"]["Status"] != "healthy"]

    until("all containers are healthy", lambda: not ill())
    assert {name_of(c) for c in ours.containers() if c["State"]["Running"]}.isdisjoint(ONCE)


def test_nobody_is_root_and_nobody_has_a_capability(containers: dict[str, dict[str, Any]]) -> None:
    for name, container in running(containers).items():
        status = status_of(container)
        assert "0" not in status["Uid"].split(), f"{name} runs as root"
        assert "0" not in status["Gid"].split(), f"{name} runs in root's group"
        for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            assert int(status[kind], 16) == 0, f"{name} has capabilities: {kind} {status[kind]}"
        # Caddy's binary can't be run where its capability is out of reach; in force it is nowhere.
        assert int(status["CapBnd"], 16) == (1 << 10 if name == "gateway" else 0), f"{name}: {status['CapBnd']}"
        assert status["NoNewPrivs"] == "1", name
        assert not container["HostConfig"]["Privileged"]


def test_no_root_file_system_can_be_written(containers: dict[str, dict[str, Any]]) -> None:
    for name, container in running(containers).items():
        assert container["HostConfig"]["ReadonlyRootfs"] is True, name
        root = next(line for line in docker("exec", container["Id"], "cat", "/proc/mounts").splitlines() if line.split()[1] == "/")
        assert "ro" in root.split()[3].split(","), f"{name}: {root}"


def test_memory_is_limited(containers: dict[str, dict[str, Any]]) -> None:
    for name, container in containers.items():
        assert 0 < container["HostConfig"]["Memory"] <= 3 << 30, name
    assert sum(container["HostConfig"]["Memory"] for container in running(containers).values()) <= 12 << 30


def test_ports_are_published_on_loopback_alone(containers: dict[str, dict[str, Any]]) -> None:
    addresses = {
        binding["HostIp"]
        for container in containers.values()
        for bindings in container["NetworkSettings"]["Ports"].values()
        for binding in bindings or []
    }
    assert addresses == {"127.0.0.1"}


def test_services_are_one_image_that_holds_no_secret(containers: dict[str, dict[str, Any]]) -> None:
    images = {containers[name]["Image"] for name in containers if name.split("-")[0] in SERVICES or name in ONCE}
    assert len(images) == 1
    (image,) = json.loads(docker("image", "inspect", images.pop()))
    assert image["Config"]["User"] == "10001:10001"
    assert not [variable for variable in image["Config"]["Env"] if variable.startswith("WAYBILL_")]


def test_a_link_to_the_store_can_be_followed_from_outside(stack: Stack, organisation: Organisation) -> None:
    """The services know the store by another address than callers do."""
    export = organisation.completed({"dataset": "leads", "format": "csv"})
    answer = organisation.http.get(export["files"][0]["url"], params={"redirect": "true"})
    assert answer.status_code in (302, 303, 307), answer.text
    assert answer.headers["location"].startswith(stack.env["WAYBILL_S3_ENDPOINT"])
    assert httpx.get(answer.headers["location"]).content == organisation.download(export)


def test_the_demo_hears_of_an_exports_end(organisation: Organisation) -> None:
    """`make demo` in containers: its receiver is in the network of delivery's container, which may send to its own loopback."""
    with subscriber(receiver_of(State(STATE_DIRECTORY))) as listener:
        endpoint = organisation.http.post("/v1/webhook-endpoints", json={"url": listener.url}).raise_for_status().json()
        export = organisation.completed({"dataset": "leads", "format": "csv"})
        webhook_id, payload = listener.verified(endpoint["secret"], export["id"], WAIT_SECONDS)
    assert (payload["type"], payload["data"]["status"]) == ("export.completed", "completed")
    assert webhook_id.startswith("evt_")
    assert organisation.http.delete(f"/v1/webhook-endpoints/{endpoint['id']}").status_code == 204


def test_a_restart_in_the_middle_of_work_harms_no_export(ours: Project, sample: Organisation) -> None:
    def asked() -> list[str]:
        return [sample.ask({"dataset": "messages", "format": "jsonl", "from": "2025-01-01", "to": "2027-01-01"})["id"] for _ in range(5)]

    before = asked()
    ours.run("restart", "--timeout", str(STOP_SECONDS), "formatter", "delivery", "export_request")
    until("export_request answers again", lambda: sample.http.get("/v1/exports").status_code == 200)
    ended = [sample.ended(export_id) for export_id in [*before, *asked()]]
    assert {export["status"] for export in ended} == {"completed"}
    until("files can be fetched", lambda: sample.http.get(ended[0]["files"][0]["url"]).status_code == 200)
    assert len({sample.download(export) for export in ended}) == 1


def test_a_stop_is_orderly_and_quick(ours: Project) -> None:
    for service in SERVICES:
        ids = [c["Id"] for c in ours.containers() if c["Config"]["Labels"]["com.docker.compose.service"] == service]
        started = time.monotonic()
        ours.run("stop", service)
        took = time.monotonic() - started
        states = [c["State"] for c in ours.containers() if c["Id"] in ids]
        ours.run("start", service)
        assert {state["ExitCode"] for state in states} == {0}, f"{service} was killed or failed"
        assert took < STOP_SECONDS + 5, f"stopping {service} took {took:.1f} s"


def test_a_killed_service_comes_back_by_itself(ours: Project) -> None:
    def ingest() -> dict[str, Any]:
        return next(c for c in ours.containers() if name_of(c) == "ingest")

    before = ingest()
    # From the engine's own process namespace: inside of the container's nothing can kill its first process, and `docker kill` is no accident.
    kill = f"import os; os.kill({before['State']['Pid']}, 9)"
    docker("run", "--rm", "--pid=host", "--user=10001:10001", before["Image"], "python", "-c", kill)
    until("ingest runs again", lambda: ingest()["RestartCount"] > before["RestartCount"] and ingest()["State"]["Running"])
    assert ingest()["Id"] == before["Id"] and ingest()["State"]["Pid"] != before["State"]["Pid"]


def test_data_outlives_its_containers(ours: Project, stack: Stack) -> None:
    organisation, before = new_organisation(stack, "Kept"), {container["Id"] for container in ours.containers()}
    ours.run("down")
    ours.run("up", "--detach", "--no-build")
    # Each is another service's, and none may have to be waited for by the tests behind this one.
    for path in ("/v1/settings", "/v1/leads", "/v1/webhook-endpoints"):
        until("the organisation's key still works", lambda path=path: _status(organisation, path) == 200)  # type: ignore[misc]
    assert before.isdisjoint(container["Id"] for container in ours.containers())


def _status(organisation: Organisation, path: str) -> int:
    try:
        return organisation.http.get(path).status_code
    except httpx.TransportError:
        return 0
