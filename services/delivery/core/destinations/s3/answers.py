"""What a store answers: the few things in it that are needed, and what its refusals mean to a destination's owner."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

from services.delivery.core.destinations.answers import Answer, said
from services.delivery.core.destinations.problems import Code, Undelivered
from services.delivery.core.destinations.s3.locations import Bucket

_CODE = re.compile(r"[A-Za-z0-9._-]{1,80}")

_LOGIN = {
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "InvalidToken",
    "ExpiredToken",
    "TokenRefreshRequired",
    "NotSignedUp",
    "InvalidSecurity",
    "Unauthorized",
}
_DENIED = {
    "AccessDenied",
    "AccountProblem",
    "AllAccessDisabled",
    "InvalidPayer",
    "MethodNotAllowed",
    "KMS.DisabledException",
    "AccessForbidden",
}
_FULL = {
    "QuotaExceeded",
    "XMinioStorageFull",
    "XMinioAdminBucketQuotaExceeded",
    "InsufficientStorage",
    "InsufficientCapacity",
    "ServiceQuotaExceeded",
    "StorageFull",
}
_TOO_LARGE = {"EntityTooLarge", "MaxMessageLengthExceeded"}
_ELSEWHERE = {"PermanentRedirect", "TemporaryRedirect", "Redirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
_LATER = {"SlowDown", "InternalError", "ServiceUnavailable", "Throttling", "ThrottlingException", "RequestLimitExceeded", "OperationAborted", "TooManyRequests"}  # fmt: skip
_CHANGED = {"BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "IncompleteBody"}


class Unreadable(ValueError):
    """The body is no XML of the kind that S3 answers with."""


@dataclass(frozen=True)
class Error:
    code: str
    said: str
    region: str | None = None


def error_of(answer: Answer) -> Error | None:
    """What an answer says is wrong; also behind a 200, which some requests begin with before they are through."""
    found = _error(answer.body) if answer.status >= 300 or b"<Error" in answer.body[:1024] else None
    return found or (Error("", "") if not 200 <= answer.status < 300 else None)


def problem_of(answer: Answer, error: Error, action: str, at: Bucket) -> Undelivered:
    """What a refusal means. `action` is the permission that the request needs: `s3:PutObject`."""
    status, code, bucket, where = answer.status, error.code, at.name, at.where
    quoted = f": “{error.said}”" if error.said else ""
    region = _plain(error.region or answer.headers.get("x-amz-bucket-region") or "")
    if region not in ("", at.region) and (status in (301, 307, 400) or code in _ELSEWHERE):
        return Undelivered(Code.rejected, f"The bucket '{bucket}' is in the region '{region}': set it in config.region.")
    if code in _ELSEWHERE or 300 <= status < 400:
        return Undelivered(
            Code.rejected,
            f"{where} has the bucket '{bucket}' in another region or at another endpoint ({code or status}); redirects are not followed.",
        )
    if code in _LOGIN or status == 401:
        return Undelivered(
            Code.login_failed, f"{where} doesn't take the access key ({code or status}): check config.access_key_id and the secret."
        )
    if code == "RequestTimeTooSkewed":
        return Undelivered(Code.rejected, f"{where} has another time than we: one of the two clocks is wrong ({code}).")
    if code == "NoSuchUpload":
        return Undelivered(Code.unavailable, f"{where} has ended the upload of the file meanwhile: it is begun anew.")
    if code == "NoSuchBucket":
        return Undelivered(Code.not_found, f"{where} has no bucket '{bucket}'.")
    if code in _TOO_LARGE or status == 413:
        return Undelivered(Code.quota, f"{where} takes no object as large as this ({code or status}).", again=False)
    if code in _FULL or status == 507:
        return Undelivered(Code.quota, f"{where} has no room left for the bucket '{bucket}' ({code or status}).")
    if code in _LATER or status >= 500 or status == 429:
        return Undelivered(Code.unavailable, f"{where} asks to come back later ({code or status}).", retry_after=answer.retry_after)
    if code == "RequestTimeout" or status == 408:
        return Undelivered(Code.timeout, f"{where} gave up waiting for bytes of ours ({code or status}).")
    if code in _DENIED or status == 403:
        return Undelivered(
            Code.permission_denied, f"{where} doesn't let this access key do {action} in the bucket '{bucket}' ({code or status}){quoted}."
        )
    if code in _CHANGED:
        return Undelivered(Code.rejected, f"{where} received other bytes than were sent ({code}).")
    if status == 404:
        return Undelivered(Code.not_found, f"{where} has no bucket '{bucket}', or is no S3 store ({code or status}).")
    return Undelivered(Code.rejected, f"{where} says no to {action} ({code or status}){quoted}.")


# ---- XML


def upload_id(body: bytes) -> str:
    """Of a begun upload. Raises Unreadable."""
    found = _text(_tree(body), "UploadId")
    if not found or len(found) > 4096 or not found.isprintable():
        raise Unreadable
    return found


def parts_there(body: bytes) -> tuple[dict[int, tuple[int, str]], str | None]:
    """Number → (size, ETag) of a page of an upload's parts, and from where the next page begins."""
    tree, found = _tree(body), {}
    for part in _all(tree, "Part"):
        try:
            found[int(_text(part, "PartNumber"))] = (int(_text(part, "Size")), _text(part, "ETag"))
        except ValueError:
            raise Unreadable from None
    return found, _text(tree, "NextPartNumberMarker") if _text(tree, "IsTruncated") == "true" else None


def uploads_of(body: bytes, key: str) -> list[str]:
    """The ids of the uploads that are under way for this very key."""
    return [_text(each, "UploadId") for each in _all(_tree(body), "Upload") if _text(each, "Key") == key and _text(each, "UploadId")]


def completion(parts: Mapping[int, str]) -> bytes:
    """The body that completes an upload, of number → ETag."""
    root = ElementTree.Element("CompleteMultipartUpload", xmlns="http://s3.amazonaws.com/doc/2006-03-01/")
    for number, etag in sorted(parts.items()):
        part = ElementTree.SubElement(root, "Part")
        ElementTree.SubElement(part, "PartNumber").text = str(number)
        ElementTree.SubElement(part, "ETag").text = etag
    return bytes(ElementTree.tostring(root))


def _error(body: bytes) -> Error | None:
    try:
        tree = _tree(body)
    except Unreadable:
        return None
    if _name(tree) != "Error":
        return None
    return Error(_plain(_text(tree, "Code")), said(_text(tree, "Message")), _text(tree, "Region") or None)


def _tree(body: bytes) -> ElementTree.Element:
    """No document types: entities could stand for anything, and for much."""
    if b"<!" in body:
        raise Unreadable
    try:
        return ElementTree.fromstring(body)
    except (ElementTree.ParseError, ValueError):
        raise Unreadable from None


def _name(element: ElementTree.Element) -> str:
    """Without its namespace: stores have others, or none."""
    return element.tag.rpartition("}")[2]


def _all(tree: ElementTree.Element, name: str) -> Iterator[ElementTree.Element]:
    return (each for each in tree if _name(each) == name)


def _text(tree: ElementTree.Element, name: str) -> str:
    return next(((each.text or "").strip() for each in _all(tree, name)), "")


def _plain(code: str) -> str:
    return code if _CODE.fullmatch(code) else ""
