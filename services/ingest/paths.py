"""Ids in paths. They are percent-encoded, and may hold a slash: so paths are matched as they were sent, and an id is decoded after that."""

from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send

from services.ingest.core.types import ID_CODE_POINTS_MAX


class EncodedPaths:
    """Middleware: routes see the path as it was sent."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw = scope.get("raw_path")
        if scope["type"] == "http" and raw and b"%" in raw:
            scope = {**scope, "path": raw.partition(b"?")[0].decode("latin-1")}
        await self._app(scope, receive, send)


def id_in(part: str) -> str:
    """The id that a part of the path stands for; what no id can be finds nothing."""
    try:
        text = unquote(part, errors="strict")
    except UnicodeDecodeError:
        return ""
    return text if len(text) <= ID_CODE_POINTS_MAX and "\x00" not in text else ""
