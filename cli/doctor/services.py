"""The services' own health, the gateway in front of them, and whether the key works."""

import asyncio
import re

import httpx

from cli.core.findings import Finding, Verdict
from cli.settings import Settings

EXPECTED = ("INGEST", "EXPORT_REQUEST", "FORMATTER", "DELIVERY")
LOG = "Its log says why (.local/log/ on the local stack)."
TIMEOUT = httpx.Timeout(5.0, connect=3.0)


async def services(settings: Settings) -> list[Finding]:
    """/health/ready of each service that WAYBILL_<SERVICE>_HTTP names, and of those that should be there."""
    named = {m[1]: value for name, value in settings.values.items() if value and (m := re.fullmatch(r"WAYBILL_(\w+)_HTTP", name))}
    async with httpx.AsyncClient(timeout=TIMEOUT, trust_env=False) as client:
        return list(await asyncio.gather(*(_one(client, name, named.get(name)) for name in sorted({*EXPECTED, *named}))))


async def _one(client: httpx.AsyncClient, name: str, address: str | None) -> Finding:
    label = name.lower()
    if address is None:
        return Finding(label, Verdict.wrong, f"WAYBILL_{name}_HTTP isn't set", "Start the stack (`make up`), or say where the service is.")
    base = address if "://" in address else f"http://{address}"
    try:
        answer = await client.get(f"{base.rstrip('/')}/health/ready")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        # A scheduled service that this version doesn't have yet isn't expected, only named.
        verdict = Verdict.wrong if name in EXPECTED or name.startswith("FORMATTER_") else Verdict.note
        return Finding(label, verdict, f"no answer at {address} ({error or type(error).__name__})", f"Start it. {LOG}")
    if answer.status_code == 200:
        return Finding(label, Verdict.ok, f"ready at {address}")
    says, halted = _why(answer)
    advice = "Too many dead letters: docs/runbook/WaybillConsumerHalted.md says how to go on." if halted else f"Mend what it names. {LOG}"
    return Finding(label, Verdict.wrong, f"not ready ({answer.status_code}): {says}", advice)


def _why(answer: httpx.Response) -> tuple[str, bool]:
    """What is down and why, and whether a consumer has halted."""
    try:
        down = {str(name): str(why) for name, why in answer.json()["down"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return " ".join(answer.text.split())[:200] or "it doesn't say why", False
    return "; ".join(f"{name}: {why}" for name, why in down.items())[:400], any("halted" in why for why in down.values())


async def gateway(settings: Settings) -> list[Finding]:
    """Whether WAYBILL_URL answers, and then whether the key does."""
    url, key = settings.get("WAYBILL_URL"), settings.get("WAYBILL_API_KEY")
    if url is None:
        return [Finding("gateway", Verdict.wrong, "WAYBILL_URL isn't set", "Start the stack (`make up`), or set it.")]
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        async with httpx.AsyncClient(timeout=TIMEOUT) as client:
            answer = await client.get(f"{url.rstrip('/')}/v1/exports", params={"limit": 1}, headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        return [
            Finding("gateway", Verdict.wrong, f"no answer from {url} ({error or type(error).__name__})", "Start it, or mend WAYBILL_URL.")
        ]
    if answer.status_code >= 500:
        return [Finding("gateway", Verdict.wrong, f"{url} answers {answer.status_code}", "The service behind it is down: see above.")]
    return [Finding("gateway", Verdict.ok, f"answers at {url}"), _key(key, answer.status_code)]


def _key(key: str | None, status: int) -> Finding:
    if key is None:
        return Finding("api key", Verdict.wrong, "WAYBILL_API_KEY isn't set", "`waybill keys create` or `waybill orgs create` makes one.")
    if status == 401:
        return Finding("api key", Verdict.wrong, "refused", "It is revoked or mistyped: make another with `waybill keys create`.")
    if status == 403:
        return Finding(
            "api key", Verdict.note, "works, without exports:read", "`waybill keys create --scope exports:read` makes one that may."
        )
    return Finding("api key", Verdict.ok if status == 200 else Verdict.wrong, "works" if status == 200 else f"unexpected answer {status}")
