"""The requests of a webhook: which headers carry what, what is signed, and what an answer means."""

import base64
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from services.delivery.core.destinations.answers import Answer, said
from services.delivery.core.destinations.problems import Code, Undelivered
from services.delivery.core.webhooks import signing

TEST_EVENT, FILE_EVENT = "webhook.test", "export.file"


def event_headers(secret: bytes, webhook_id: str, at: datetime, payload: bytes) -> dict[str, str]:
    """Of a request whose body is the event: Standard Webhooks', as of any of ours."""
    return {"Content-Type": "application/json", **signing.headers([secret], webhook_id, at, payload)}


def file_payload(
    export_id: str | None, name: str, number: int, count: int, size: int, sha256: str, media_type: str, test: bool = False
) -> str:
    """What is signed of a request whose body is a file: small, and ASCII, since it travels in a header. It holds the file's checksum, so that a receiver
    can check the signature first and the body while it comes."""
    told: dict[str, Any] = {
        "export_id": export_id, "name": name, "number": number, "count": count, "bytes": size, "sha256": sha256, "media_type": media_type,
    }  # fmt: skip
    return json.dumps({"type": TEST_EVENT if test else FILE_EVENT, "data": told}, separators=(",", ":"))


def file_headers(
    secret: bytes, webhook_id: str, at: datetime, payload: str, media_type: str, sha256: str, disposition: str
) -> dict[str, str]:
    """Of a request whose body is the file that `payload` tells of. The digest is RFC 9530's."""
    digest = base64.b64encode(bytes.fromhex(sha256)).decode()
    signed = signing.headers([secret], webhook_id, at, payload.encode())
    return {
        "Content-Type": media_type,
        "Content-Disposition": disposition,
        "Content-Digest": f"sha-256=:{digest}:",
        "waybill-file": payload,
        **signed,
    }


def problem_of(answer: Answer, where: str) -> Undelivered | None:
    """What an answer other than 2xx means."""
    status = answer.status
    if 200 <= status < 300:
        return None
    text = said(answer.body.decode("utf-8", "replace"))
    it = f"{where} answered {status}" + (f": “{text}”." if text else ".")
    if 300 <= status < 400:
        return Undelivered(Code.rejected, f"{where} answered {status}: redirects are not followed. Change config.url.")
    if (status >= 500 and status != 507) or status in (408, 409, 421, 423, 425, 429):
        return Undelivered(Code.unavailable, it, retry_after=answer.retry_after)
    codes: Mapping[int, Code] = {
        401: Code.login_failed, 403: Code.permission_denied, 404: Code.not_found, 410: Code.not_found, 413: Code.quota, 507: Code.quota,
    }  # fmt: skip
    return Undelivered(codes.get(status, Code.rejected), it, again=status not in (410, 413), retry_after=answer.retry_after)
