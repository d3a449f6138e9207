"""The document and its page, as export_request serves them to anybody."""

import json
import re

from tests.contract.export_request.conftest import World
from tools.openapi import FILE


async def test_the_document_is_the_file_and_needs_no_key(world: World) -> None:
    answer = await world.http.get("/openapi.json")
    assert answer.status_code == 200 and answer.json() == json.loads(FILE.read_text("utf-8"))
    again = await world.http.get("/openapi.json", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    plain = await world.http.get("/openapi.json", headers={"Accept-Encoding": "identity"})
    assert plain.content == FILE.read_bytes() and "content-encoding" not in plain.headers


async def test_the_page_asks_nobody_else_for_anything(world: World) -> None:
    page = await world.http.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    policy = dict(each.strip().split(" ", 1) for each in page.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'" and policy["script-src"] == "'self'" and policy["connect-src"] == "'self'"
    asked = re.findall(r'(?:src|href|spec-url)="([^"]+)"', page.text)
    assert set(asked) == {"data:,", "openapi.json", "docs/redoc.js"}
    script = await world.http.get("/docs/redoc.js")
    assert script.status_code == 200 and b"redoc" in script.content[:200]


async def test_unknown_parameters_are_refused_here_too(world: World) -> None:
    for path in ("/docs", "/openapi.json"):
        assert (await world.http.get(path, params={"x": "1"})).status_code == 400
