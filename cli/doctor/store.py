"""The store: a bucket that answers, or a directory that can be written."""

import asyncio
import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cli.core.findings import Finding, Verdict
from cli.settings import Settings

ADVICE = "Start it (`make up`), or mend WAYBILL_S3_ENDPOINT, _ACCESS_KEY, _SECRET_KEY and _BUCKET."


async def store(settings: Settings) -> list[Finding]:
    where = settings.get("WAYBILL_STORE") or "s3"
    if where.startswith("file:"):
        return [_directory(Path(unquote(urlsplit(where).path)))]
    bucket = settings.get("WAYBILL_S3_BUCKET")
    if bucket is None:
        return [Finding("store", Verdict.wrong, "WAYBILL_S3_BUCKET isn't set", ADVICE)]
    return [await asyncio.to_thread(_bucket, settings, bucket)]


def _directory(folder: Path) -> Finding:
    if folder.is_dir() and os.access(folder, os.W_OK):
        return Finding("store", Verdict.ok, f"directory {folder}")
    return Finding("store", Verdict.wrong, f"directory {folder} can't be written", "Make it, and let the services write there.")


def _bucket(settings: Settings, bucket: str) -> Finding:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    endpoint = settings.get("WAYBILL_S3_ENDPOINT")
    try:
        client = boto3.client(
            "s3", endpoint_url=endpoint, region_name=settings.get("WAYBILL_S3_REGION") or "us-east-1",
            aws_access_key_id=settings.get("WAYBILL_S3_ACCESS_KEY"), aws_secret_access_key=settings.get("WAYBILL_S3_SECRET_KEY"),
            config=Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 1}),
        )  # fmt: skip
        client.head_bucket(Bucket=bucket)
    except (BotoCoreError, ClientError, ValueError) as error:
        return Finding("store", Verdict.wrong, f"bucket {bucket}{f' at {endpoint}' if endpoint else ''}: {error}", ADVICE)
    return Finding("store", Verdict.ok, f"bucket {bucket} answers")
