"""The store: a bucket or a directory that can be written and read."""

import asyncio
import os
import secrets
import shutil
import time
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cli.core.findings import Finding, Verdict, clock_finding
from cli.settings import Settings

PROBE = b"doctor"
FREE_GB_NOTE = 5.0
ADVICE = "Start it (`make up`), or mend WAYBILL_S3_ENDPOINT, _ACCESS_KEY, _SECRET_KEY and _BUCKET."


async def store(settings: Settings) -> list[Finding]:
    where = settings.get("WAYBILL_STORE") or "s3"
    if where.startswith("file:"):
        return [_directory(Path(unquote(urlsplit(where).path)))]
    bucket = settings.get("WAYBILL_S3_BUCKET")
    if bucket is None:
        return [Finding("store", Verdict.wrong, "WAYBILL_S3_BUCKET isn't set", ADVICE)]
    return await asyncio.to_thread(_bucket, settings, bucket)


def _directory(folder: Path) -> Finding:
    """A small file is written and removed: whether it may be, and whether there is room."""
    probe = folder / f".doctor-{secrets.token_hex(6)}"
    try:
        with probe.open("wb") as file:
            file.write(PROBE)
            os.fsync(file.fileno())
        probe.unlink()
        free = shutil.disk_usage(folder).free / 1e9
    except OSError as error:
        probe.unlink(missing_ok=True)
        says = f"directory {folder} can't be written: {error.strerror}"
        return Finding("store", Verdict.wrong, says, "Make it, make room, and let the services write there.")
    if free < FREE_GB_NOTE:
        return Finding("store", Verdict.note, f"directory {folder} has {free:,.1f} GB left", "Make room: files stay until they expire.")
    return Finding("store", Verdict.ok, f"directory {folder} can be written, {free:,.1f} GB free")


def _bucket(settings: Settings, bucket: str) -> list[Finding]:
    """The bucket is there, and a small object can be written, read and removed."""
    from botocore.exceptions import BotoCoreError, ClientError
    from pydantic import ValidationError

    from shared.settings import StoreSettings, explain
    from shared.storage.s3 import s3_client

    endpoint = settings.get("WAYBILL_S3_ENDPOINT")
    key = f"parts/doctor-{secrets.token_hex(6)}/probe"
    doing = "can't be reached"
    try:
        described = StoreSettings(**settings.of_fields(StoreSettings.model_fields))
        client = s3_client(described, connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 1})
        answer = client.head_bucket(Bucket=bucket)
        doing = "can't be written"
        client.put_object(Bucket=bucket, Key=key, Body=PROBE)
        doing = "can't be read"
        client.get_object(Bucket=bucket, Key=key)["Body"].read()
        doing = "lets nothing be removed"
        client.delete_object(Bucket=bucket, Key=key)
    except ValidationError as error:
        return [Finding("store", Verdict.wrong, explain(error), "Mend what it names: docs/security.md.")]
    except (BotoCoreError, ClientError, ValueError) as error:
        return [Finding("store", Verdict.wrong, f"bucket {bucket}{f' at {endpoint}' if endpoint else ''} {doing}: {error}", ADVICE)]
    found = [Finding("store", Verdict.ok, f"bucket {bucket} can be written, read and tidied")]
    if date := answer["ResponseMetadata"]["HTTPHeaders"].get("date"):
        # A date has whole seconds: half a second is in the middle.
        found.append(clock_finding("clock of store", parsedate_to_datetime(date).timestamp() + 0.5 - time.time()))
    return found
