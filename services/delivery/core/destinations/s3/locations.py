"""Where a bucket's objects are: one URL for each key, in the two ways in which stores take them."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import takewhile
from typing import Any
from urllib.parse import quote, urlsplit

_UNRESERVED = "-_.~"  # what SigV4 leaves as it is, beside letters and digits


@dataclass(frozen=True)
class Bucket:
    """A bucket at a store. `base` is the URL of the bucket itself, without a slash at its end; `where` names the store for people."""

    base: str
    name: str
    region: str
    where: str

    def url(self, key: str, query: Mapping[str, str] | None = None) -> str:
        """Of an object, encoded as it is signed. Without a key: of the bucket."""
        asked = "&".join(f"{quote(n, safe=_UNRESERVED)}={quote(v, safe=_UNRESERVED)}" for n, v in sorted((query or {}).items()))
        return f"{self.base}/{quote(key, safe=_UNRESERVED + '/')}{'?' + asked if asked else ''}"

    def shown(self, key: str) -> str:
        return f"s3://{self.name}/{key}"


def bucket_of(config: Mapping[str, Any]) -> Bucket:
    """The bucket of a destination's checked config."""
    name, region = config["bucket"], config["region"]
    endpoint = (config.get("endpoint") or amazon(region)).rstrip("/")
    parts = urlsplit(endpoint)
    base = f"{parts.scheme}://{name}.{parts.netloc}{parts.path}" if is_virtual(config) else f"{endpoint}/{name}"
    return Bucket(base, name, region, parts.netloc)


def amazon(region: str) -> str:
    return f"https://s3.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"


def is_virtual(config: Mapping[str, Any]) -> bool:
    """Whether the bucket is a part of the host's name. By itself: at Amazon, where the name has no dots (no certificate would be good for it)."""
    if config["addressing"] != "auto":
        return bool(config["addressing"] == "virtual")
    return not config.get("endpoint") and "." not in config["bucket"]


def is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def probe_key(prefix: str, org_id: str, destination_id: str) -> str:
    """Where a test writes: in the deepest folder that all files are in. One name a destination, so that there is one at most where none can be removed."""
    fixed = list(takewhile(lambda segment: "{" not in segment, prefix.replace("{org_id}", org_id).split("/")))
    return "/".join([*filter(None, fixed), f"waybill-test-{destination_id}.txt"])
