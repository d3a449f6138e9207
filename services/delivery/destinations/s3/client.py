"""Requests to S3, signed (SigV4) with the sha256 of what they carry, so that the store checks each byte."""

import hashlib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from services.delivery.core.destinations.answers import Answer
from services.delivery.core.destinations.s3.answers import error_of, problem_of
from services.delivery.core.destinations.s3.locations import Bucket, bucket_of
from services.delivery.destinations.carrier import Place
from services.delivery.destinations.web import Content, Web, trusting

ANSWER_BYTES_MAX = 1 << 20  # a page of an upload's thousand parts is a third of that


@dataclass(frozen=True)
class Account:
    """A bucket, and who we are there."""

    bucket: Bucket
    signer: "Signer" = field(repr=False)
    tls: ssl.SSLContext


class Signer(S3SigV4Auth):  # type: ignore[misc]
    """botocore's, told the body's checksum: it need not have the body."""

    def __init__(self, access_key: str, secret_key: str, region: str) -> None:
        super().__init__(Credentials(access_key, secret_key), "s3", region)

    def payload(self, request: Any) -> str:
        return str(request.context["sha256"])

    def signed(self, method: str, url: str, headers: Mapping[str, str], sha256: str) -> dict[str, str]:
        request = AWSRequest(method=method, url=url, headers=dict(headers))
        request.context["sha256"] = sha256
        self.add_auth(request)
        return dict(request.headers.items())


def account_of(place: Place) -> Account:
    config = place.config
    bucket = bucket_of(config)
    signer = Signer(config["access_key_id"], place.secrets["secret_access_key"], bucket.region)
    return Account(bucket, signer, trusting(config.get("ca_certificate")))


class S3Client:
    """Every call raises Undelivered for what the other side does, and what the body's reader raises."""

    def __init__(self, web: Web) -> None:
        self._web = web

    async def ask(
        self, action: str, account: Account, method: str, key: str, query: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None,
        content: Content | bytes = b"", silence_seconds: float = 0,
    ) -> Answer:  # fmt: skip
        """One request, and its answer, also one that says no; Undelivered where it says later. `action` is the permission that the request needs
        (`s3:PutObject`). `silence_seconds`: where it is known to take longer."""
        url = account.bucket.url(key, query)
        sha256 = content.sha256 if isinstance(content, Content) else hashlib.sha256(content).hexdigest()
        signed = account.signer.signed(method, url, headers or {}, sha256)
        answer = await self._web.send(method, url, signed, content, ANSWER_BYTES_MAX, account.tls, silence_seconds)
        if answer.status >= 500 or answer.status == 429:
            expect(answer, action, account)
        return answer

    async def do(self, action: str, account: Account, *request: Any, **options: Any) -> Answer:
        """The same for a request that is to succeed: Undelivered where it doesn't."""
        answer = await self.ask(action, account, *request, **options)
        expect(answer, action, account)
        return answer


def expect(answer: Answer, action: str, account: Account) -> None:
    """Raises Undelivered where it didn't succeed."""
    if (error := error_of(answer)) is not None:
        raise problem_of(answer, error, action, account.bucket)
