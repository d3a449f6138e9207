"""An S3 bucket: Amazon's, or of any store that speaks S3 (SeaweedFS, MinIO, R2, Ceph, …)."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from services.delivery.core.destinations.authorities import CA_CERTIFICATE
from services.delivery.core.destinations.fields import choice, matching, path, url
from services.delivery.core.destinations.kinds import Kind
from services.delivery.core.destinations.s3.locations import bucket_of, is_address, is_virtual
from shared.errors import Detail

ENDPOINT_MAX = 500
BUCKET = r"^(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"
REGION = r"^[a-z0-9-]{1,40}$"
ACCESS_KEY_ID = r"^[!-~]{1,128}$"
SECRET_ACCESS_KEY = r"^[!-~]{1,256}$"
KMS_KEY_ID = r"^[!-~]{1,300}$"
ADDRESSING = ("auto", "path", "virtual")
ENCRYPTION = ("AES256", "aws:kms")
STORAGE_CLASS = r"^[A-Z0-9_]{1,40}$"  # each store has its own
ACLS = ("private", "bucket-owner-full-control", "bucket-owner-read", "authenticated-read", "aws-exec-read")  # none that is public


def _together(config: Mapping[str, Any], secrets: frozenset[str]) -> list[Detail]:
    wrong, endpoint = [], urlsplit(config.get("endpoint") or "")
    if is_virtual(config) and is_address(endpoint.hostname or ""):
        wrong.append(Detail("config.addressing", "must be path where the endpoint is an address: no name can be put in front of it"))
    if config["addressing"] == "virtual" and "." in config["bucket"] and endpoint.scheme != "http":
        wrong.append(
            Detail("config.addressing", "must be path for a bucket with dots: no certificate is good for its name in front of the host's")
        )
    if "kms_key_id" in config and config.get("encryption") != "aws:kms":
        wrong.append(Detail("config.kms_key_id", "is for the encryption aws:kms"))
    if "ca_certificate" in config and endpoint.scheme != "https":
        wrong.append(Detail("config.ca_certificate", "is for an endpoint with https://"))
    return wrong


def _where(config: Mapping[str, Any]) -> str:
    bucket = bucket_of(config)
    return bucket.shown(config["prefix"]) + (f" at {bucket.where}" if config.get("endpoint") else "")


KIND = Kind(
    name="s3",
    title="an S3 bucket",
    fields=(
        matching("bucket", BUCKET, "a bucket's name: 3 to 63 lower-case letters, digits, dots and hyphens", required=True),
        matching("region", REGION, "a region's name, such as eu-central-1", default="us-east-1"),
        url("endpoint", ENDPOINT_MAX, with_query=False),
        choice("addressing", ADDRESSING, default="auto"),
        path("prefix"),
        matching("access_key_id", ACCESS_KEY_ID, "an access key's id", required=True),
        matching("secret_access_key", SECRET_ACCESS_KEY, "an access key's secret: up to 256 printable ASCII characters", required=True, secret=True),
        choice("encryption", ENCRYPTION),
        matching("kms_key_id", KMS_KEY_ID, "a key's id or ARN"),
        matching("storage_class", STORAGE_CLASS, "a storage class, such as STANDARD_IA"),
        choice("acl", ACLS),
        CA_CERTIFICATE,
    ),
    example={
        "bucket": "acme-exports", "region": "eu-central-1", "prefix": "waybill/{dataset}/{year}/{month}", "access_key_id": "your-access-key-id",
        "secret_access_key": "the-secret-that-belongs-to-it",  # pragma: allowlist secret
    },
    where=_where,
    together=_together,
)  # fmt: skip
