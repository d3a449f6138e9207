"""The endpoints of delivery, as docs and the HTTP contract have them."""

import asyncio
import hashlib
import json
from datetime import timedelta
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.delivery.core import links
from tests.contract.delivery.conftest import SECRET, Site, error_code
from tests.integration.delivery.room import Export, message

BODIES = [bytes(range(256)) * 9_000, b"second\n"]


async def export_of(site: Site) -> Export:
    if not hasattr(site, "export"):
        site.export = await site.published(BODIES)  # type: ignore[attr-defined]
    return site.export  # type: ignore[attr-defined,no-any-return]


def path_of(export: Export) -> str:
    return f"/v1/exports/{export.id}/files/{export.name()}"


async def test_a_file_comes_whole_with_all_that_a_caller_needs(site: Site) -> None:
    export = await export_of(site)
    expected = export.expected(BODIES)
    answer = await site.get(path_of(export), "downloader")
    assert answer.status_code == 200
    assert answer.content == expected
    digest = hashlib.sha256(expected).hexdigest()
    for name, value in {
        "etag": f'"{digest}"', "content-length": str(len(expected)), "content-type": "text/csv; charset=utf-8", "accept-ranges": "bytes",
        "content-disposition": "attachment; filename=\"leads_1.csv\"; filename*=UTF-8''leads_1.csv", "x-content-type-options": "nosniff",
    }.items():  # fmt: skip
        assert answer.headers[name] == value
    assert "content-encoding" not in answer.headers
    assert "no-transform" in answer.headers["cache-control"]
    head = await site.get(path_of(export), method="HEAD")
    assert (head.status_code, head.content) == (200, b"")
    assert {k: v for k, v in head.headers.items() if k != "date"} == {k: v for k, v in answer.headers.items() if k != "date"}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.integers(0, 2_400_000), length=st.integers(1, 1_500_000), form=st.sampled_from(["closed", "open", "suffix"]))
async def test_a_range_is_a_slice(site: Site, start: int, length: int, form: str) -> None:
    export = await export_of(site)
    expected = export.expected(BODIES)
    asked = {"closed": f"bytes={start}-{start + length - 1}", "open": f"bytes={start}-", "suffix": f"bytes=-{length}"}[form]
    part = {"closed": expected[start : start + length], "open": expected[start:], "suffix": expected[-length:]}[form]
    answer = await site.get(path_of(export), Range=asked)
    if part:
        first = len(expected) - len(part) if form == "suffix" else start
        assert (answer.status_code, answer.content) == (206, part)
        assert answer.headers["content-range"] == f"bytes {first}-{first + len(part) - 1}/{len(expected)}"
        assert answer.headers["content-length"] == str(len(part))
    else:
        assert answer.status_code == 416
        assert answer.headers["content-range"] == f"bytes */{len(expected)}"


async def test_conditions(site: Site) -> None:
    export = await export_of(site)
    etag = (await site.get(path_of(export), method="HEAD")).headers["etag"]
    unchanged = await site.get(path_of(export), **{"If-None-Match": etag})
    assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", etag)
    assert (await site.get(path_of(export), **{"If-Range": etag, "Range": "bytes=0-3"})).content == b"head"
    assert (await site.get(path_of(export), **{"If-Range": '"old"', "Range": "bytes=0-3"})).status_code == 200
    assert (await site.get(path_of(export), Range="bytes=0-3,5-6")).status_code == 200
    refused = await site.get(path_of(export), **{"If-Match": '"old"'})
    assert (refused.status_code, error_code(refused)) == (412, "precondition_failed")
    refused = await site.get(path_of(export), Range="bytes=99999999-")
    assert (refused.status_code, error_code(refused)) == (416, "range_not_satisfiable")


async def test_keys_scopes_and_organisations(site: Site) -> None:
    export = await export_of(site)
    assert (await site.client.get(path_of(export))).status_code == 401
    for path, key, scope in (
        (path_of(export), "reader", "exports:download"),
        (f"/v1/exports/{export.id}/manifest", "downloader", "exports:read"),
    ):
        refused = await site.get(path, key)
        assert (refused.status_code, error_code(refused)) == (403, "forbidden")
        assert scope in refused.json()["error"]["message"]
        assert (await site.get(path, "stranger")).status_code == 404
        assert (await site.get(path.replace(export.id, "exp_unknown"), "stranger")).status_code == 404
        assert (await site.get(f"{path}?x=1", "all")).status_code == 400


async def test_the_manifest_is_what_the_store_keeps(site: Site) -> None:
    export = await export_of(site)
    answer = await site.get(f"/v1/exports/{export.id}/manifest", "reader")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.content == site.room.content(export.manifest_key)
    assert f'filename="{export.manifest_key.rpartition("/")[2]}"' in answer.headers["content-disposition"]
    assert json.loads(answer.content)["files"][0]["sha256"] == hashlib.sha256(export.expected(BODIES)).hexdigest()


@pytest.mark.parametrize(
    "name",
    [
        "..",
        ".",
        "%2e%2e",
        "..%2f..%2fetc%2fpasswd",
        "a%2fb",
        "%00",
        "leads_1.csv%00",
        "%ff",
        "x" * 3000,
        "leads_1.csv/",
        "",
        "%0d%0aX:1",
        "\\",
    ],
)
async def test_hostile_names_are_not_found(site: Site, name: str) -> None:
    export = await export_of(site)
    for path in (
        f"/v1/exports/{export.id}/files/{name}",
        f"/v1/exports/{name or '%00'}/files/leads_1.csv",
        f"/v1/exports/{name or '%00'}/manifest",
    ):
        raw = site.client.build_request("GET", "http://delivery.test/", headers={"Authorization": f"Bearer {site.keys['all']}"})
        raw.url = httpx.URL("http://delivery.test", raw_path=path.encode())
        assert (await site.client.send(raw)).status_code == 404


async def test_a_redirect_leads_to_a_link_that_needs_no_key(site: Site) -> None:
    export = await export_of(site)
    expected = export.expected(BODIES)
    answer = await site.get(f"{path_of(export)}?redirect=true")
    assert answer.status_code == 307
    location = answer.headers["location"]
    if location.startswith("http://public.test/v1/downloads/"):
        for method, headers, body in (("GET", {}, expected), ("GET", {"Range": "bytes=0-3"}, b"head"), ("HEAD", {}, b"")):
            served = await site.client.request(method, httpx.URL(location).path, headers=headers)
            assert served.status_code in (200, 206)
            assert served.content == body
            assert "leads_1.csv" in served.headers["content-disposition"]
    else:
        async with httpx.AsyncClient() as client:
            served = await client.get(location)
        assert served.content == expected
        assert served.headers["content-disposition"] == "attachment; filename=\"leads_1.csv\"; filename*=UTF-8''leads_1.csv"
        assert "X-Amz-Expires=300" in location
    assert (await site.get(f"{path_of(export)}?redirect=false")).status_code == 200
    refused = await site.get(f"{path_of(export)}?redirect=1")
    assert (refused.status_code, refused.json()["error"]["details"][0]["field"]) == (400, "redirect")


async def test_links_end_and_cannot_be_made_up(site: Site) -> None:
    export = await export_of(site)
    old = links.sign(SECRET, links.Claim("org_a", export.id, export.name(), 1_700_000_000))
    ended = await site.client.get(f"/v1/downloads/{old}")
    assert (ended.status_code, error_code(ended)) == (410, "gone")
    forged = links.sign("x" * 32, links.Claim("org_a", export.id, export.name(), 4_000_000_000))
    for token in (forged, "x", "%00", quote("ä"), old[:-4]):
        refused = await site.client.get(f"/v1/downloads/{token}")
        assert (refused.status_code, error_code(refused)) == (403, "forbidden")


async def test_only_what_is_published_and_not_over_is_served(site: Site) -> None:
    export = await site.published([b"a"])
    manifest = f"/v1/exports/{export.id}/manifest"
    await export.keep("publishing")
    assert {(await site.get(p)).status_code for p in (path_of(export), manifest)} == {404}
    await export.keep(expires_in=timedelta(seconds=-1))
    for path in (path_of(export), manifest):
        answer = await site.get(path)
        assert (answer.status_code, error_code(answer)) == (410, "gone")
    await export.keep(deleted=True)
    assert {(await site.get(p)).status_code for p in (path_of(export), manifest)} == {404}
    async with site.room.process() as process:
        await process.handler.handle(message(export.discard(files=True)))
    await export.keep("expired")
    assert {(await site.get(p)).status_code for p in (path_of(export), manifest)} == {410}
    unknown = await site.published([b"a"])
    assert (await site.get(path_of(unknown) + "x")).status_code == 404


async def test_callers_that_go_away_in_the_middle_take_nothing_with_them(site: Site) -> None:
    """More of them than there are threads: the next caller is still served."""
    export = await export_of(site)

    async def leave() -> None:
        async with site.client.stream("GET", path_of(export), headers={"Authorization": f"Bearer {site.keys['all']}"}) as answer:
            async for _ in answer.aiter_raw():
                return

    await asyncio.gather(*(leave() for _ in range(12)))
    assert (await site.get(path_of(export))).content == export.expected(BODIES)
