"""A checkpoint as it is signed and shown."""

import json
from datetime import datetime

from shared.audit_chain import OPERATOR
from shared.clock import instant
from shared.signing import sign


def document(org_id: str, seq: int, hash_: str, at: datetime, private: bytes) -> str:
    """JSON: at the instant `at` the newest entry of the organisation's chain was `seq`, with this hash. Signed as manifests are."""
    said = {"org_id": None if org_id == OPERATOR else org_id, "seq": seq, "hash": hash_, "at": instant(at)}
    return json.dumps(sign(said, private), ensure_ascii=False, separators=(",", ":"))
