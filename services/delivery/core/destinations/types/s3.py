"""An S3 bucket: Amazon's, or of any store that speaks S3 (SeaweedFS, MinIO, R2, Ceph, …)."""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from services.delivery.core import urls
from services.delivery.core.destinations import templates
from services.delivery.core.destinations.authorities import CA_CERTIFICATE
from services.delivery.core.destinations.kinds import Field, FieldCheck, Kind, Rules
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


def _like(pattern: str, what: str) -> FieldCheck:
    known = re.compile(pattern)

    def check(field: str, value: Any, rules: Rules) -> list[Detail]:
        return [] if isinstance(value, str) and known.fullmatch(value) else [Detail(field, f"must be {what}")]

    return check


def _one_of(values: Sequence[str]) -> FieldCheck:
    def check(field: str, value: Any, rules: Rules) -> list[Detail]:
        return [] if isinstance(value, str) and value in values else [Detail(field, f"must be one of: {', '.join(values)}")]

    return check


def _endpoint(field: str, value: Any, rules: Rules) -> list[Detail]:
    problem = urls.problem_with(value, urls.UrlRules(rules.allow_http, rules.addresses))
    if problem is None and (len(value) > ENDPOINT_MAX or "?" in value):
        problem = f"must be a URL of at most {ENDPOINT_MAX} characters, without '?'"
    return [Detail(field, problem)] if problem else []


def _prefix(field: str, value: Any, rules: Rules) -> list[Detail]:
    problem = templates.problem_with(value, rules.org_id)
    return [Detail(field, problem)] if problem else []


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
        Field("bucket", _like(BUCKET, "a bucket's name: 3 to 63 lower-case letters, digits, dots and hyphens"), {"type": "string", "pattern": BUCKET}, required=True),
        Field("region", _like(REGION, "a region's name, such as eu-central-1"), {"type": "string", "pattern": REGION}, default="us-east-1"),
        Field("endpoint", _endpoint, {"type": "string", "format": "uri", "maxLength": ENDPOINT_MAX, "pattern": "^https?://[!-~]+$"}, leads=True),
        Field("addressing", _one_of(ADDRESSING), {"type": "string", "enum": list(ADDRESSING)}, default="auto"),
        Field("prefix", _prefix, {"type": "string", "maxLength": templates.TEMPLATE_CHARACTERS_MAX}, default=""),
        Field("access_key_id", _like(ACCESS_KEY_ID, "an access key's id"), {"type": "string", "pattern": ACCESS_KEY_ID}, required=True),
        Field(
            "secret_access_key", _like(SECRET_ACCESS_KEY, "an access key's secret: up to 256 printable ASCII characters"),
            {"type": "string", "pattern": SECRET_ACCESS_KEY}, required=True, secret=True,
        ),
        Field("encryption", _one_of(ENCRYPTION), {"type": "string", "enum": list(ENCRYPTION)}),
        Field("kms_key_id", _like(KMS_KEY_ID, "a key's id or ARN"), {"type": "string", "pattern": KMS_KEY_ID}),
        Field("storage_class", _like(STORAGE_CLASS, "a storage class, such as STANDARD_IA"), {"type": "string", "pattern": STORAGE_CLASS}),
        Field("acl", _one_of(ACLS), {"type": "string", "enum": list(ACLS)}),
        CA_CERTIFICATE,
    ),
    example={
        "bucket": "acme-exports", "region": "eu-central-1", "prefix": "waybill/{dataset}/{year}/{month}", "access_key_id": "your-access-key-id",
        "secret_access_key": "the-secret-that-belongs-to-it",  # pragma: allowlist secret
    },
    where=_where,
    together=_together,
)  # fmt: skip
