"""The audit of dependencies against a server that answers as OSV does, and against none."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tools.dependency_audit import LOCK, audit

PINNED = "safe-package==1.0 --hash=sha256:" + "0" * 64 + "\nbroken-package==2.0 --hash=sha256:" + "1" * 64 + "\n"
VULNERABLE: dict[str, Any] = {
    "id": "PYSEC-2026-1", "aliases": ["CVE-2026-0001"], "summary": "Anybody may", "details": "",
    "affected": [{
        "package": {"name": "broken-package", "ecosystem": "PyPI"}, "versions": ["2.0"],
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.1"}]}],
    }],
}  # fmt: skip


@contextmanager
def osv(answers: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    """Its address; it knows of `answers`, by package."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            vulns = answers.get(asked["package"]["name"], [])
            body = json.dumps({"vulns": vulns} if vulns else {}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.lock"
    path.write_text(PINNED)
    return path


def test_a_known_vulnerability_is_named_and_fails(lock: Path) -> None:
    with osv({"broken-package": [VULNERABLE]}) as url:
        found = audit(lock, {"WAYBILL_OSV_URL": url}, {})
        accepted = audit(lock, {"WAYBILL_OSV_URL": url}, {"CVE-2026-0001": "we don't call it"})
    assert found.code == 1
    assert found.lines[0] == "broken-package 2.0: PYSEC-2026-1 (CVE-2026-0001), mended in 2.1"
    assert (accepted.code, accepted.lines) == (0, ("2 packages audited: no known vulnerabilities, 1 accepted",))


def test_what_the_lock_names_can_be_asked_about() -> None:
    with osv({}) as url:
        outcome = audit(LOCK, {"WAYBILL_OSV_URL": url}, {})
    assert (outcome.code, outcome.lines[-1].endswith("packages audited: no known vulnerabilities, 0 accepted")) == (0, True), outcome
    assert int(outcome.lines[-1].split()[0]) > 100


def test_an_audit_that_was_not_done_says_so(lock: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}/v1/query"
    loose, strict = (audit(lock, {"WAYBILL_OSV_URL": nobody} | more, {}) for more in ({}, {"WAYBILL_AUDIT": "required"}))
    assert loose.lines[0] == f"NOT AUDITED: {nobody} can't be reached (ConnectionError), so nothing is known of new vulnerabilities"
    assert (loose.code, strict.code) == (0, 1)


def test_a_lock_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="pip-audit"):
        audit(tmp_path / "none.lock", {}, {})
