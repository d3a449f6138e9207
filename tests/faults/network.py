"""The network between services and what they depend on: toxiproxy, one proxy a link, each to be cut, hung or slowed by itself."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase

import httpx

from deploy.local.errors import StackError
from deploy.local.ports import HOST
from deploy.local.toxiproxy import binary

START_SECONDS = 10


@dataclass(frozen=True)
class Proxy:
    """Listens on `port` and passes on to `upstream`, both on loopback."""

    name: str
    port: int
    upstream: int


class Network:
    """A toxiproxy process and its links. Its API listens on `api_port`."""

    def __init__(self, api_port: int, proxies: list[Proxy]) -> None:
        self._port, self._proxies = api_port, proxies
        self._process: subprocess.Popen[bytes] | None = None
        self._api = httpx.Client(base_url=f"http://{HOST}:{api_port}", timeout=10, trust_env=False)

    def start(self) -> None:
        command = [str(binary()), "-host", HOST, "-port", str(self._port)]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._wait()
        rows = [{"name": p.name, "listen": f"{HOST}:{p.port}", "upstream": f"{HOST}:{p.upstream}", "enabled": True} for p in self._proxies]
        self._api.post("/populate", json=rows).raise_for_status()

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self._api.get("/version").raise_for_status()
                return
            except httpx.HTTPError as error:
                if time.monotonic() > deadline or self._process is None or self._process.poll() is not None:
                    raise StackError(f"toxiproxy does not start on port {self._port} ({error})") from error
                time.sleep(0.05)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
        self._api.close()

    def links(self, target: str) -> list[str]:
        """The links that "service>dependency" or "*>dependency" names."""
        return [proxy.name for proxy in self._proxies if fnmatchcase(proxy.name, target)]

    def heal(self) -> None:
        """All links up, and nothing wrong with any."""
        self._api.post("/reset").raise_for_status()

    @contextmanager
    def cut(self, target: str) -> Iterator[None]:
        """Connections break, and new ones are refused."""
        for link in self.links(target):
            self._api.post(f"/proxies/{link}", json={"enabled": False}).raise_for_status()
        try:
            yield
        finally:
            for link in self.links(target):
                self._api.post(f"/proxies/{link}", json={"enabled": True}).raise_for_status()

    @contextmanager
    def by_way_of(self, target: str, port: int) -> Iterator[None]:
        """The links go to this port instead. What was open breaks, at the beginning and at the end."""
        upstreams = {proxy.name: proxy.upstream for proxy in self._proxies}
        for link in self.links(target):
            self._api.post(f"/proxies/{link}", json={"upstream": f"{HOST}:{port}"}).raise_for_status()
        try:
            yield
        finally:
            for link in self.links(target):
                self._api.post(f"/proxies/{link}", json={"upstream": f"{HOST}:{upstreams[link]}"}).raise_for_status()

    @contextmanager
    def hang(self, target: str, seconds: float) -> Iterator[None]:
        """Nothing comes through, nobody is told; what was open breaks after `seconds`."""
        with self._toxic(target, "timeout", {"timeout": round(seconds * 1000)}):
            yield

    @contextmanager
    def slow(self, target: str) -> Iterator[None]:
        with self._toxic(target, "latency", {"latency": 120, "jitter": 80}):
            yield

    @contextmanager
    def _toxic(self, target: str, kind: str, attributes: dict[str, int]) -> Iterator[None]:
        added: list[str] = []
        for link in self.links(target):
            for stream in ("upstream", "downstream"):
                name = f"{kind}-{stream}-{time.monotonic_ns()}"
                body = {"name": name, "type": kind, "stream": stream, "attributes": attributes}
                self._api.post(f"/proxies/{link}/toxics", json=body).raise_for_status()
                added.append(f"/proxies/{link}/toxics/{name}")
        try:
            yield
        finally:
            for path in added:
                self._api.delete(path)
