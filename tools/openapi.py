"""Makes schemas/openapi.json: what every route of every service says of itself, as one OpenAPI 3.1 document.

`python -m tools.openapi` says whether the file is up to date and keeps to the rules; `--write` writes it.
"""

import argparse
import importlib.metadata
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import iter_route_contexts
from openapi_spec_validator import OpenAPIV31SpecValidator

from services.delivery.api_mail import mail_router
from services.delivery.app import create_http as delivery_http
from services.delivery.destinations.api import deliveries_router, destinations_router
from services.delivery.notifications.api import notifications_router
from services.delivery.reconciling.api import reconciliations_router
from services.delivery.sftp.api import sftp_router
from services.delivery.webhooks.api import webhooks_router
from services.export_request.app import assemble as assemble_export_request
from services.export_request.settings import Settings as ExportRequestSettings
from services.ingest.app import create_http as ingest_http
from shared.http import SCOPES, Authenticator, Operator, Requires
from shared.openapi import TAGS, Component, error_answer

FILE = Path(__file__).resolve().parent.parent / "schemas" / "openapi.json"
METHODS = ("get", "head", "post", "put", "patch", "delete")
ABSENT: Any = None  # in place of what only answering a request needs
DESCRIPTION = """Exports of conversation and CRM data — leads, conversations, messages — as files that people and machines can trust.

Every error has one shape, `{"error": {"code", "message", "details", "doc_url"}}`, and names all wrong fields at once. Unknown fields and query parameters are refused
by name. Lists come in pages: `next_cursor` is the `cursor` of the next one. Another organisation's id answers 404.
"""
SECURITY = {
    "apiKey": {
        "type": "http", "scheme": "bearer", "bearerFormat": "sk_live_<id>_<secret>",
        "description": f"A key of one organisation. Its scopes say what it may do ({', '.join(f'`{s}`' for s in SCOPES)}); `admin` may do everything.",
    },
    "operator": {"type": "http", "scheme": "bearer", "description": "The operator's token (`WAYBILL_OPERATOR_TOKEN`)."},
}  # fmt: skip


class Wrong(Exception):
    """A route whose declaration is missing or doesn't fit."""


def apps() -> dict[str, FastAPI]:
    """Every service's app, its routes wired to nothing."""
    auth = Authenticator(ABSENT)
    settings = ExportRequestSettings(export_request_database_url="postgresql://-", secret_key="-" * 32, operator_token="-")
    return {
        "ingest": ingest_http(ABSENT, ABSENT, ABSENT, auth),
        "export_request": assemble_export_request(settings, ABSENT, ABSENT).http,
        "delivery": delivery_http(ABSENT, ABSENT, ABSENT, _parts(auth), auth, b"", "-"),
    }


def _parts(auth: Authenticator) -> list[APIRouter]:
    """Of delivery."""
    return [
        webhooks_router(ABSENT, ABSENT, auth, b""),
        sftp_router(ABSENT, ABSENT, auth, b"", "-"),
        notifications_router(ABSENT, ABSENT, auth, b"", ABSENT),
        destinations_router(ABSENT, ABSENT, auth, b""),
        mail_router(ABSENT, "-"),
        deliveries_router(ABSENT, ABSENT, auth, b""),
        reconciliations_router(ABSENT, "-"),
    ]


@dataclass(frozen=True)
class Route:
    """One method of one path of a service, and who may ask."""

    service: str
    method: str
    path: str
    name: str
    said: Mapping[str, Any] | None
    guard: Requires | Operator | None

    @property
    def place(self) -> str:
        return f"{self.method.upper()} {self.path} ({self.service})"


def routes() -> Iterator[Route]:
    """All that callers can reach; each service's health and metrics are its own affair."""
    for service, app in apps().items():
        for context in iter_route_contexts(app.routes):
            if not context.include_in_schema:
                continue
            guards = [d.call for d in context.dependant.dependencies if isinstance(d.call, Requires | Operator)]
            for method in sorted(context.methods or ()):
                said = context.openapi_extra
                yield Route(service, method.lower(), str(context.path), str(context.name), said, guards[0] if guards else None)


def document() -> dict[str, Any]:
    """The whole document. Raises Wrong."""
    gathered = _Gathered()
    paths: dict[str, dict[str, Any]] = {}
    for route in sorted(routes(), key=_order):
        paths.setdefault(route.path, {})[route.method] = gathered.operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Waybill", "version": importlib.metadata.version("waybill"), "summary": "Exports that people and machines can trust.",
            "description": DESCRIPTION, "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "Where this document comes from."}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": {**gathered.components(), "securitySchemes": SECURITY},
    }  # fmt: skip


def _order(route: Route) -> tuple[Any, ...]:
    """By subject, then by path: lists before what they hold."""
    tags = list(TAGS)
    tag = (route.said or {}).get("tags", [""])[0]
    return (tags.index(tag) if tag in tags else len(tags), route.path, METHODS.index(route.method))


class _Gathered:
    """Turns components into references, and keeps them."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], Any] = {}
        self._ids: dict[str, str] = {}

    def operation(self, route: Route) -> dict[str, Any]:
        said = route.said
        if said is None:
            raise Wrong(f"{route.place} says nothing of itself: @routes.{route.method}(…, **operation(…))")
        operation_id = route.name if route.method != "head" else f"{route.name}_head"
        if (other := self._ids.setdefault(operation_id, route.place)) != route.place:
            raise Wrong(f"{route.place} and {other} have the same name: {operation_id}")
        if set(said["tags"]) - TAGS.keys():
            raise Wrong(f"{route.place}: there is no tag {said['tags']}")
        in_path = {p["name"] for p in said.get("parameters", ()) if isinstance(p, Mapping) and p["in"] == "path"}
        if in_path != (named := {part[1:-1] for part in route.path.split("/") if part.startswith("{")}):
            raise Wrong(f"{route.place}: the path has the parameters {sorted(named)}, {sorted(in_path)} are described")
        responses, security = dict(said["responses"]), self._security(route)
        for status in ([401] if security else []) + ([403] if _can_be_forbidden(route) else []) + ([404] if named else []):
            responses.setdefault(str(status), error_answer(status))
        made = {"operationId": operation_id, **said, "responses": dict(sorted(responses.items())), "security": security}
        if route.method == "head":
            made["summary"] += " (headers only)"
            made["responses"] = {status: _without_content(_value(response)) for status, response in made["responses"].items()}
        resolved: dict[str, Any] = self._resolve(made)
        return resolved

    def components(self) -> dict[str, dict[str, Any]]:
        sorted_by_kind: dict[str, dict[str, Any]] = {}
        for kind, name in sorted(self._kept):
            sorted_by_kind.setdefault(kind, {})[name] = self._kept[kind, name]
        return sorted_by_kind

    def _security(self, route: Route) -> list[dict[str, list[str]]]:
        assert route.said is not None
        if (route.guard is None) != ("security" in route.said):
            raise Wrong(f"{route.place}: what nothing guards says so (public=True), and nothing else does")
        match route.guard:
            case Requires():
                return [{"apiKey": list(route.guard.scopes)}]
            case Operator():
                return [{"operator": []}]
            case None:
                return []

    def _resolve(self, value: Any) -> Any:
        if isinstance(value, Component):
            place = (value.kind, value.name)
            if place not in self._kept:
                self._kept[place] = None  # for those that name themselves
                self._kept[place] = self._resolve(value.value)
            elif self._kept[place] is not None and self._kept[place] != self._resolve(value.value):
                raise Wrong(f"two different components are called {value.name}")
            return {"$ref": f"#/components/{value.kind}/{value.name}"}
        if isinstance(value, Mapping):
            return {str(name): self._resolve(each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [self._resolve(each) for each in value]
        return value


def _can_be_forbidden(route: Route) -> bool:
    return isinstance(route.guard, Requires) and bool(route.guard.scopes)


def _value(response: Any) -> Mapping[str, Any]:
    value: Mapping[str, Any] = response.value if isinstance(response, Component) else response
    return value


def _without_content(response: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in response.items() if name not in ("content", "links")}


def render(made: Mapping[str, Any]) -> str:
    return json.dumps(made, indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write schemas/openapi.json")
    try:
        made = document()
    except Wrong as problem:
        print(problem, file=sys.stderr)
        return 1
    wrong = [f"{'/'.join(map(str, e.absolute_path))}: {e.message[:300]}" for e in OpenAPIV31SpecValidator(made).iter_errors()]
    if parser.parse_args().write:
        FILE.write_text(render(made), "utf-8")
    if not FILE.exists() or FILE.read_text("utf-8") != render(made):
        wrong.append("schemas/openapi.json is out of date: python -m tools.openapi --write")
    for text in wrong:
        print(text, file=sys.stderr)
    print(f"{sum(len(p) for p in made['paths'].values())} operations: {'ok' if not wrong else f'{len(wrong)} problems'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
