"""The contract's answers that a client has to cope with: pages, Retry-After, server-sent events, ranges, lies about checksums."""

import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse, StreamingResponse

from shared.signing import KEYS_PATH, PublicKey, sign, to_jwks
from tests.unit.cli.fake_destinations import add_destinations
from tests.unit.cli.fake_leads import add_leads
from tests.unit.cli.fake_schedules import add_schedules
from tests.unit.cli.fake_webhooks import add_webhooks

CONTENT = bytes(range(256)) * 4000
ETAG = '"v1"'


SIGNER = bytes(range(32))


def key_of(private: bytes, **times: str) -> PublicKey:
    """The public half."""
    return PublicKey(Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw(), **times)


@dataclass
class Fake:
    """What the server does next, and what it was asked."""

    url: str = ""
    waits: list[float] = field(default_factory=list)
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    refusals: list[tuple[int, dict[str, str]]] = field(default_factory=list)  # answered first, one a request
    exports: dict[str, dict[str, Any]] = field(default_factory=dict)
    stages: list[dict[str, Any]] = field(default_factory=list)  # what a running export turns into, one a look
    events: list[str] | None = None  # lines of the event stream; None: there is none
    cuts: list[int] = field(default_factory=list)  # bytes of the body after which a download's connection breaks
    etag: str = ETAG
    content: bytes = CONTENT
    redirect: bool = False
    diff: bytes = b""  # lines of what differs between two exports
    keys: list[PublicKey] = field(default_factory=lambda: [key_of(SIGNER)])
    trail: list[dict[str, Any]] = field(default_factory=list)  # entries of the audit trail, oldest first
    checkpoints: list[dict[str, Any]] = field(default_factory=list)  # newest first
    repairs: bool = False  # of a reconciliation

    def add_export(self, export_id: str, status: str, **more: Any) -> dict[str, Any]:
        progress = {"rows_planned": 100, "rows_written": 0, "percent": 0, "eta_seconds": None, "queue_position": None}
        self.exports[export_id] = {
            "id": export_id, "request_id": None, "dataset": "messages", "formats": ["csv"], "format": "csv", "status": status,
            "progress": progress, "files": [], "error": None, "created_at": "2026-03-01T00:00:00Z", **more,
        }  # fmt: skip
        return self.exports[export_id]

    def file(self, name: str = "messages.csv", **more: Any) -> dict[str, Any]:
        digest = hashlib.sha256(CONTENT).hexdigest()
        return {
            "name": name,
            "format": "csv",
            "media_type": "text/csv",
            "rows": 3,
            "bytes": len(CONTENT),
            "sha256": digest,
            "url": "",
            **more,
        }

    def bodies(self, path: str) -> list[bytes]:
        return [body for _, asked, _, body in self.asked if asked == path]


def error(
    status: int, code: str, message: str, details: list[dict[str, str]] | None = None, headers: dict[str, str] | None = None
) -> Response:
    return JSONResponse({"error": {"code": code, "message": message, "details": details or [], "doc_url": "https://x"}}, status, headers)


def api_of(fake: Fake) -> FastAPI:
    api = FastAPI()

    @api.middleware("http")
    async def note(request: Request, call_next: Any) -> Any:
        body = await request.body()
        query = f"?{request.url.query}" if request.url.query else ""
        fake.asked.append((request.method, request.url.path + query, dict(request.headers), body))
        if fake.refusals:
            status, headers = fake.refusals.pop(0)
            return error(status, "rate_limited" if status == 429 else "unavailable", "Later.", headers=headers)
        return await call_next(request)

    _organisations(api)
    _records(api)
    _asking(api, fake)
    _deciding(api, fake)
    _following(api, fake)
    _reconciliations(api, fake)
    _files(api, fake)
    _diffs(api, fake)
    _audit(api, fake)
    add_leads(api)
    add_schedules(api)
    add_destinations(api)
    add_webhooks(api)

    @api.post("/v1/operator/mail/bounces")
    async def bounce(request: Request) -> Any:
        return {"delivery_id": "dlv_1" if b"came back" in await request.body() else None}

    @api.get("/v1/notifications")
    async def notifications(cursor: str | None = None) -> Any:
        told = {
            "id": "ntf_1",
            "kind": "delivery_failed",
            "message": "Nobody listens. \x1b[31m",
            "created_at": "2026-04-01",
            "alerts": [{"type": "slack", "status": "sent"}],
        }
        return {"data": [told], "next_cursor": None if cursor else "more", "has_more": cursor is None}

    return api


def _diffs(api: FastAPI, fake: Fake) -> None:
    @api.get("/v1/exports/{a}/diff/{b}")
    async def diff(a: str, b: str) -> Response:
        if b == "exp_gone":
            return error(410, "gone", "It is gone.")
        cut = fake.cuts.pop(0) if fake.cuts else None

        async def lines() -> AsyncIterator[bytes]:
            yield fake.diff[:cut]
            if cut is not None:
                raise ConnectionResetError

        return StreamingResponse(lines(), media_type="application/x-ndjson")


def _organisations(api: FastAPI) -> None:
    @api.post("/v1/organisations")
    async def create(request: Request) -> Response:
        if request.headers["authorization"] != "Bearer operator":
            return error(401, "unauthorized", "Invalid or missing API key.")
        body = await request.json()
        if body["org_id"] == "taken":
            return error(409, "conflict", "The organisation 'taken' exists.")
        return JSONResponse({**body, "api_key": "sk_live_1_secret"}, 201)

    @api.get("/v1/organisations")
    async def organisations() -> Any:
        return {"data": [{"org_id": "org_demo", "name": "Demo \x1b[31m"}], "next_cursor": None, "has_more": False}

    @api.post("/v1/api-keys")
    async def key(request: Request) -> Response:
        body = await request.json()
        if "nonsense" in body["scopes"]:
            return error(400, "invalid_request", "scopes.0: unknown", [{"field": "scopes.0", "message": "Unknown scope 'nonsense'."}])
        return JSONResponse({"id": "key_1", **body, "key": "sk_live_1_x"}, 201)

    @api.get("/v1/api-keys")
    async def keys() -> Any:
        return {"data": [{"id": "key_1", "name": "n", "scopes": ["admin"], "created_at": "2026-01-01T00:00:00Z"}]}

    @api.delete("/v1/api-keys/{key_id}")
    async def revoke(key_id: str) -> Response:
        return Response(status_code=204) if key_id == "key_1" else error(404, "not_found", "The key does not exist.")


def _records(api: FastAPI) -> None:
    @api.post("/v1/records")
    async def records(request: Request) -> Response:
        accepted, stale, refused = 0, 0, []
        for number, line in enumerate((await request.body()).split(b"\n"), start=1):
            if not line.strip():
                continue
            try:
                stale += (record := json.loads(line)).get("version") == 0
                accepted += record.get("version") != 0
            except ValueError:
                refused.append({"line": number, "code": "invalid_json", "field": "", "message": "Not JSON."})
        if refused and request.query_params.get("atomic") == "true":
            return error(422, "unprocessable", "bad", [{"field": f"lines.{r['line']}.data.name", "message": "Wrong."} for r in refused])
        return JSONResponse({"accepted": accepted, "stale": stale, "refused": refused[:100], "refused_count": len(refused)})


def _asking(api: FastAPI, fake: Fake) -> None:
    @api.post("/v1/exports")
    async def create(request: Request) -> Response:
        body = await request.json()
        if body["dataset"] == "unknown":
            return error(400, "invalid_request", "x", [{"field": "dataset", "message": "Unknown dataset 'unknown'."}])
        export = fake.add_export("exp_1", "accepted", request=body, request_id=request.headers.get("idempotency-key"))
        return JSONResponse(export, 202, {"Location": "/v1/exports/exp_1"})

    @api.post("/v1/exports/preview")
    async def preview(request: Request) -> Any:
        return {
            "dataset": "leads", "format": "csv", "columns": ["id", "email"], "headers": ["id", "email"], "rows": [["lead_1", "a@b.example"], ["lead_2", "x" * 90]],
            "sheets": None, "estimated_rows": 2, "estimated_bytes": 99, "estimated_bytes_by_format": {"csv": 99}, "estimated_seconds": 0.3, "estimate": "counted",
            "personal_columns": ["email"], "problems": [{"row": 2, "column": "email", "message": "too long"}],
        }  # fmt: skip

    @api.post("/v1/exports/{export_id}/rerun")
    async def rerun(request: Request, export_id: str) -> Response:
        if export_id == "exp_gone":
            return error(410, "gone", "The export can't be reproduced any more.")
        key = request.headers.get("idempotency-key")
        return JSONResponse(fake.add_export("exp_2", "accepted", rerun_of=export_id, request_id=key), 202)


def _deciding(api: FastAPI, fake: Fake) -> None:
    @api.post("/v1/exports/{export_id}/approve")
    async def approve(export_id: str) -> Response:
        if export_id == "exp_mine":
            return error(403, "forbidden", "Who has asked for an export can't decide on it.")
        return JSONResponse(fake.add_export(export_id, "planning"))

    @api.post("/v1/exports/{export_id}/reject")
    async def reject(export_id: str) -> Response:
        return JSONResponse(fake.add_export(export_id, "failed", error={"code": "rejected", "message": "no"}))

    @api.put("/v1/exports/{export_id}/hold")
    async def hold(request: Request, export_id: str) -> Response:
        reason = (await request.json())["reason"]
        return JSONResponse(
            fake.add_export(export_id, "completed", hold={"reason": reason, "held_by": "key:1", "held_at": "2026-04-01T06:00:00Z"})
        )

    @api.delete("/v1/exports/{export_id}/hold")
    async def release(export_id: str) -> Response:
        return JSONResponse(fake.add_export(export_id, "completed", hold=None))


def _following(api: FastAPI, fake: Fake) -> None:
    @api.get("/v1/exports")
    async def exports(cursor: str = "0") -> Any:
        page = int(cursor)
        rows = [fake.add_export(f"exp_{page}{n}", "completed") for n in range(2)]
        return {"data": rows, "next_cursor": str(page + 1) if page < 2 else None, "has_more": page < 2}

    @api.get("/v1/exports/{export_id}")
    async def one(export_id: str) -> Response:
        if export_id not in fake.exports:
            return error(404, "not_found", f"The export '{export_id}' does not exist.")
        export = fake.exports[export_id]
        if fake.stages:
            export.update(fake.stages.pop(0))
        running = export["status"] not in ("completed", "failed", "cancelled", "expired")
        return JSONResponse(export, headers={"Retry-After": "2"} if running else {})

    @api.get("/v1/exports/{export_id}/events")
    async def events(export_id: str) -> Response:
        if fake.events is None:
            return error(404, "not_found", "No events.")

        async def stream() -> AsyncIterator[str]:
            for line in fake.events or []:
                yield line

        return StreamingResponse(stream(), media_type="text/event-stream")

    @api.delete("/v1/exports/{export_id}")
    async def delete(export_id: str) -> Response:
        ended = fake.exports[export_id]["status"] in ("completed", "failed", "cancelled", "expired")
        return Response(status_code=204) if ended else JSONResponse(fake.exports[export_id], 202)


def _reconciliations(api: FastAPI, fake: Fake) -> None:
    @api.post("/v1/operator/reconciliations")
    async def ask_reconciliation(request: Request) -> Response:
        fake.repairs = (await request.json())["repair"]
        return JSONResponse({"id": "rec_1", "ended_at": None}, 202)

    @api.get("/v1/operator/reconciliations/rec_1")
    async def reconciliation() -> Any:
        some, none = {"objects": 2, "bytes": 903}, {"objects": 0, "bytes": 0}
        kinds = dict.fromkeys(("matched", "under_way", "missing", "wrong_size", "orphan_files", "foreign", "removed"), none)
        report = kinds | {
            "store": some,
            "tables": none,
            "orphan_parts": some,
            "abandoned_uploads": 0,
            "agree": False,
            "examples": {"orphan_parts": ["parts/exp_1/1"]},
        }
        if fake.repairs:
            report |= {"removed": some, "agree": True}
        return {"id": "rec_1", "ended_at": "2026-04-01T06:00:00Z", "error": None, "report": report}


def _files(api: FastAPI, fake: Fake) -> None:
    @api.get("/v1/exports/{export_id}/manifest")
    async def manifest(export_id: str) -> Response:
        return Response(manifest_of(fake.exports[export_id], fake.content), media_type="application/json")

    @api.get(KEYS_PATH)
    async def keys() -> Any:
        return to_jwks(fake.keys)

    @api.get("/v1/exports/{export_id}/files/{name}")
    async def file(request: Request, export_id: str, name: str) -> Response:
        return RedirectResponse(f"/signed/{name}", 307) if fake.redirect else _bytes(request, fake)

    @api.get("/signed/{name}")
    async def signed(request: Request, name: str) -> Response:
        return _bytes(request, fake)


def _audit(api: FastAPI, fake: Fake) -> None:
    for root in ("/v1/audit", "/v1/operator/audit"):

        @api.get(root)
        async def listed(request: Request, cursor: str = "0") -> Any:
            page = fake.trail[::-1][int(cursor) : int(cursor) + 2]
            more = int(cursor) + 2 < len(fake.trail)
            return {"data": page, "next_cursor": str(int(cursor) + 2) if more else None, "has_more": more}

        @api.get(f"{root}/export")
        async def export(after: int = 0) -> Response:
            lines = "".join(json.dumps(entry) + "\n" for entry in fake.trail if entry["seq"] > after)
            return Response(lines, media_type="application/x-ndjson")

        @api.get(f"{root}/checkpoints")
        async def checkpoints() -> Any:
            return {"data": fake.checkpoints, "next_cursor": None, "has_more": False}


def manifest_of(export: dict[str, Any], content: bytes) -> bytes:
    """Each file as one part, signed."""
    entries = []
    for file in export["files"]:
        digest = hashlib.sha256(content).hexdigest()
        nothing = {"bytes": 0, "sha256": hashlib.sha256().hexdigest()}
        part = {"number": 1, "offset": 0, "bytes": len(content), "rows": 3, "sha256": digest, "first_key": "a", "last_key": "b"}
        entries.append({
            "name": file["name"], "format": "csv", "media_type": "text/csv", "rows": 3, "bytes": len(content), "sha256": digest,
            "frame": {"head": nothing, "separator": nothing, "tail": nothing}, "parts": [part],
        })  # fmt: skip
    document = {
        "export_id": export["id"], "request": {}, "snapshot": "1:1:", "versions": {"manifest": "2"}, "rows_planned": 3 * len(entries), "excluded": [],
        "files": entries,
    }  # fmt: skip
    return rfc8785.dumps(sign(document, SIGNER))


def _bytes(request: Request, fake: Fake) -> Response:
    start = 0
    given = request.headers.get("range", "")
    if given.startswith("bytes=") and request.headers.get("if-range") == fake.etag:
        start = int(given[6:].split("-")[0])
    body = fake.content[start:]
    headers = {"ETag": fake.etag, "Content-Length": str(len(body)), "Accept-Ranges": "bytes"}
    if start:
        headers["Content-Range"] = f"bytes {start}-{len(fake.content) - 1}/{len(fake.content)}"
    cut = fake.cuts.pop(0) if fake.cuts else None

    async def stream() -> AsyncIterator[bytes]:
        yield body if cut is None else body[:cut]

    return StreamingResponse(stream(), 206 if start else 200, headers, "text/csv")
