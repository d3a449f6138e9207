"""Where objects are, how files become parts, and what a store's answers mean."""

from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from botocore.config import Config
from botocore.session import get_session
from hypothesis import given, settings
from hypothesis import strategies as st

from services.delivery.core.addresses import AddressRule
from services.delivery.core.destinations.answers import Answer
from services.delivery.core.destinations.kinds import Rules
from services.delivery.core.destinations.problems import Code
from services.delivery.core.destinations.s3 import answers
from services.delivery.core.destinations.s3.locations import Bucket, bucket_of, probe_key
from services.delivery.core.destinations.s3.parts import PARTS_MAX, SIZE_MAX, Note, note_of, part_bytes_of, parts_of
from services.delivery.core.destinations.types.s3 import KIND
from services.delivery.destinations.s3.client import Signer

CONFIG = {"bucket": "acme", "region": "eu-central-1", "addressing": "auto", "prefix": "", "access_key_id": "id"}
AT = Bucket("https://s3.example/acme", "acme", "eu-central-1", "s3.example")


@pytest.mark.parametrize(
    ("changed", "base"),
    [
        ({}, "https://acme.s3.eu-central-1.amazonaws.com"),
        ({"region": "cn-north-1"}, "https://acme.s3.cn-north-1.amazonaws.com.cn"),
        ({"bucket": "acme.eu"}, "https://s3.eu-central-1.amazonaws.com/acme.eu"),
        ({"addressing": "path"}, "https://s3.eu-central-1.amazonaws.com/acme"),
        ({"endpoint": "http://127.0.0.1:8333/"}, "http://127.0.0.1:8333/acme"),
        ({"endpoint": "https://r2.example", "addressing": "virtual"}, "https://acme.r2.example"),
        ({"endpoint": "https://x.example/storage/v1/s3", "addressing": "virtual"}, "https://acme.x.example/storage/v1/s3"),
    ],
    ids=["amazon", "china", "dots", "path", "own", "own-virtual", "own-below-a-path"],
)
def test_a_bucket_has_one_url(changed: dict[str, Any], base: str) -> None:
    assert bucket_of(CONFIG | changed).base == base


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=40))
def test_a_key_comes_back_out_of_its_url(key: str) -> None:
    parts = urlsplit(AT.url(key, {"uploadId": key, "partNumber": "1"}))
    assert unquote(parts.path) == f"/acme/{key}"
    assert parts.query.isascii() and parts.query.count("&") == 1 and not parts.fragment


class Kept(Exception):
    """Nothing is sent."""


@pytest.fixture(scope="module")
def botocores() -> tuple[Any, dict[str, Any]]:
    """botocore's whole client, and the request that it would send."""
    session = get_session()
    session.set_credentials("id", "secret")
    client = session.create_client(
        "s3", region_name="eu-central-1", endpoint_url="https://s3.example",
        config=Config(s3={"addressing_style": "path", "payload_signing_enabled": True}, request_checksum_calculation="when_required"),
    )  # fmt: skip
    seen: dict[str, Any] = {}

    def keep(request: Any, **_: Any) -> None:
        seen["request"] = request
        raise Kept

    client.meta.events.register("before-send.s3", keep)
    return client, seen


@settings(max_examples=50)
@given(key=st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=20))
def test_signatures_are_those_of_botocore(botocores: tuple[Any, dict[str, Any]], key: str) -> None:
    """Of the same request with its body at hand."""
    client, seen = botocores
    with pytest.raises(Kept):
        client.put_object(Bucket="acme", Key=f"k{key}", Body=b"hello", ContentType="text/csv")
    theirs = {name.lower(): value if isinstance(value, str) else value.decode() for name, value in seen["request"].headers.items()}
    named = theirs["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    headers = {name: theirs[name] for name in named if name not in ("host", "x-amz-date", "x-amz-content-sha256")}
    url = AT.url(f"k{key}")
    ours = Signer("id", "secret", "eu-central-1").signed("PUT", url, headers, theirs["x-amz-content-sha256"])
    assert seen["request"].url == url
    assert ours["X-Amz-Date"][:8] == theirs["x-amz-date"][:8]
    if ours["X-Amz-Date"] == theirs["x-amz-date"]:  # not over the end of a second
        assert ours["Authorization"] == theirs["authorization"]


@given(st.integers(1, SIZE_MAX))
def test_few_parts_of_one_size(size: int) -> None:
    each = part_bytes_of(size)
    assert 8 << 20 <= each <= 64 << 20 and -(-size // each) <= PARTS_MAX
    if size < 1 << 40:
        parts = parts_of(size)
        assert [part.number for part in parts] == list(range(1, len(parts) + 1))
        assert all(part.size == each for part in parts[:-1]) and 0 < parts[-1].size <= each
        assert parts[-1].start + parts[-1].size == size


def test_notes_come_back() -> None:
    for note in (Note("a/b.csv"), Note("ü", "id")):
        assert note_of(note.text) == note
    assert note_of(None) is None and note_of("") is None


@pytest.mark.parametrize(
    ("prefix", "key"),
    [
        ("", "waybill-test-dst_1.txt"),
        ("in/{dataset}/x", "in/waybill-test-dst_1.txt"),
        ("in/x_{file}", "in/waybill-test-dst_1.txt"),
        ("{org_id}/y/", "org_acme/y/waybill-test-dst_1.txt"),
        ("{year}", "waybill-test-dst_1.txt"),
    ],
)
def test_a_probe_is_beside_the_files(prefix: str, key: str) -> None:
    assert probe_key(prefix, "org_acme", "dst_1") == key


# ---- answers


def error(code: str, more: str = "") -> bytes:
    return f'<?xml version="1.0"?><Error xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Code>{code}</Code><Message>Why not.</Message>{more}</Error>'.encode()


@pytest.mark.parametrize(
    ("status", "body", "headers", "code", "words"),
    [
        (403, error("InvalidAccessKeyId"), {}, Code.login_failed, "access key"),
        (403, error("SignatureDoesNotMatch"), {}, Code.login_failed, "secret"),
        (403, error("AccessDenied"), {}, Code.permission_denied, "s3:PutObject"),
        (403, b"", {}, Code.permission_denied, "s3:PutObject"),
        (404, error("NoSuchBucket"), {}, Code.not_found, "no bucket 'acme'"),
        (404, b"<html>", {}, Code.not_found, "no S3 store"),
        (301, error("PermanentRedirect"), {"x-amz-bucket-region": "us-west-2"}, Code.rejected, "'us-west-2'"),
        (400, error("AuthorizationHeaderMalformed", "<Region>us-west-2</Region>"), {}, Code.rejected, "config.region"),
        (302, b"", {"Location": "http://127.0.0.1/"}, Code.rejected, "redirects are not followed"),
        (400, error("EntityTooLarge"), {}, Code.quota, "as large"),
        (413, b"", {}, Code.quota, "as large"),
        (403, error("QuotaExceeded"), {}, Code.quota, "no room"),
        (507, error("XMinioStorageFull"), {}, Code.quota, "no room"),
        (503, error("SlowDown"), {}, Code.unavailable, "later"),
        (500, b"<html>", {}, Code.unavailable, "later (500)"),
        (200, error("InternalError"), {}, Code.unavailable, "InternalError"),
        (400, error("RequestTimeout"), {}, Code.timeout, "waiting"),
        (403, error("RequestTimeTooSkewed"), {}, Code.rejected, "clocks"),
        (400, error("XAmzContentSHA256Mismatch"), {}, Code.rejected, "other bytes"),
        (400, error("InvalidStorageClass"), {}, Code.rejected, "“Why not”"),
        (404, error("NoSuchUpload"), {}, Code.unavailable, "anew"),
        (400, error("InvalidRequest"), {"x-amz-bucket-region": "eu-central-1"}, Code.rejected, "InvalidRequest"),
    ],
)  # fmt: skip
def test_what_a_refusal_means(status: int, body: bytes, headers: dict[str, str], code: Code, words: str) -> None:
    answer = Answer(status, headers, body, retry_after=7.0)
    found = answers.error_of(answer)
    assert found is not None
    problem = answers.problem_of(answer, found, "s3:PutObject", AT)
    assert problem.code is code
    assert words in problem.message
    assert problem.retry_after == (7.0 if code is Code.unavailable and found.code != "NoSuchUpload" else None)


def test_what_succeeded_is_no_refusal() -> None:
    assert answers.error_of(Answer(200, {}, b"")) is None
    assert answers.error_of(Answer(204, {}, b"")) is None
    assert answers.error_of(Answer(200, {}, b"<CompleteMultipartUploadResult><Key>Error</Key></CompleteMultipartUploadResult>")) is None


HOSTILE = [
    b'<!DOCTYPE x [<!ENTITY a "b">]><InitiateMultipartUploadResult><UploadId>&a;</UploadId></InitiateMultipartUploadResult>',
    b"<InitiateMultipartUploadResult><UploadId></UploadId></InitiateMultipartUploadResult>",
    b"<InitiateMultipartUploadResult><UploadId>" + b"x" * 5000 + b"</UploadId></InitiateMultipartUploadResult>",
    b"<InitiateMultipartUploadResult><UploadId>a\nb</UploadId></InitiateMultipartUploadResult>",
    b"not xml", b"", b"\xff\xfe<", b"<a><b></a>",
]  # fmt: skip


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
def test_what_no_store_answers_is_not_taken(body: bytes) -> None:
    with pytest.raises(answers.Unreadable):
        answers.upload_id(body)


@given(st.binary(max_size=200))
def test_whatever_it_says_ends_in_words(body: bytes) -> None:
    answer = Answer(400, {}, b"<Error><Code>" + body)
    found = answers.error_of(answer)
    assert found is not None
    assert answers.problem_of(answer, found, "s3:PutObject", AT).message.isprintable()


def test_a_page_of_parts_and_of_uploads() -> None:
    ns = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
    part = "<Part><PartNumber>{}</PartNumber><ETag>&quot;e{}&quot;</ETag><Size>{}</Size></Part>"
    page = f"<ListPartsResult {ns}><IsTruncated>true</IsTruncated><NextPartNumberMarker>2</NextPartNumberMarker>{part.format(1, 1, 5)}{part.format(2, 2, 6)}</ListPartsResult>"
    assert answers.parts_there(page.encode()) == ({1: (5, '"e1"'), 2: (6, '"e2"')}, "2")
    last = f"<ListPartsResult {ns}><IsTruncated>false</IsTruncated><NextPartNumberMarker>2</NextPartNumberMarker></ListPartsResult>"
    assert answers.parts_there(last.encode()) == ({}, None)
    uploads = "<ListMultipartUploadsResult><Upload><Key>a</Key><UploadId>1</UploadId></Upload><Upload><Key>a/b</Key><UploadId>2</UploadId></Upload></ListMultipartUploadsResult>"
    assert answers.uploads_of(uploads.encode(), "a") == ["1"]
    with pytest.raises(answers.Unreadable):
        answers.parts_there(b"<ListPartsResult><Part><PartNumber>x</PartNumber></Part></ListPartsResult>")


# ---- what may be asked for

RULES = Rules("org_acme", addresses=AddressRule(loopback=True))
FIELDS = {field.name: field for field in KIND.fields}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("bucket", "ab"), ("bucket", "UPPER"), ("bucket", "a..b"), ("bucket", "a/b"), ("bucket", "a?b"), ("bucket", "-ab"), ("bucket", 7), ("bucket", "abc\n"),
        ("region", "eu central"), ("region", "x.evil.example/"), ("region", "a@b"), ("region", ""), ("endpoint", "s3.example"), ("endpoint", "http://s3.example"),
        ("endpoint", "https://10.0.0.1"), ("endpoint", "https://169.254.169.254"), ("endpoint", "https://u:p@s3.example"), ("endpoint", "https://s3.example/?x=y"),
        ("endpoint", "https://s3.example/#x"), ("addressing", "host"), ("prefix", "../x"), ("prefix", "/x"), ("access_key_id", "a b"), ("access_key_id", "a\r\nb"),
        ("secret_access_key", ""), ("secret_access_key", "x" * 257), ("encryption", "rot13"), ("storage_class", "a\nb"), ("acl", "public-read"),
        ("ca_certificate", "not PEM"), ("ca_certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"),
    ],
    ids=lambda value: ascii(value)[:30],
)  # fmt: skip
def test_what_is_refused_is_refused_by_field(field: str, value: Any) -> None:
    wrong = FIELDS[field].check(f"config.{field}", value, RULES)
    assert [detail.field for detail in wrong] == [f"config.{field}"]


def test_the_example_will_do() -> None:
    assert [detail for name, value in KIND.example.items() for detail in FIELDS[name].check(name, value, RULES)] == []
    assert {field.name for field in KIND.fields if field.secret} == {"secret_access_key"}


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"addressing": "virtual", "endpoint": "https://127.0.0.1:9"}, "config.addressing"),
        ({"addressing": "virtual", "bucket": "acme.eu"}, "config.addressing"),
        ({"kms_key_id": "k"}, "config.kms_key_id"),
        ({"kms_key_id": "k", "encryption": "AES256"}, "config.kms_key_id"),
        ({"ca_certificate": "x"}, "config.ca_certificate"),
    ],
    ids=["address", "dots", "no-encryption", "other-encryption", "no-endpoint"],
)
def test_what_does_not_go_together(changed: dict[str, Any], field: str) -> None:
    assert [detail.field for detail in KIND.together(CONFIG | changed, frozenset({"secret_access_key"}))] == [field]
    assert KIND.together(CONFIG, frozenset({"secret_access_key"})) == []


def test_where_it_leads_is_said_without_secrets() -> None:
    assert KIND.where(CONFIG | {"prefix": "in"}) == "s3://acme/in"
    assert KIND.where(CONFIG | {"endpoint": "https://s3.example:8333/x"}) == "s3://acme/ at s3.example:8333"
