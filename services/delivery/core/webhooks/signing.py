"""Standard Webhooks' secrets and signatures (version `v1`: HMAC-SHA256)."""

import base64
import hmac
from collections.abc import Sequence
from datetime import datetime

SECRET_BYTES = 32
PREFIX = "whsec_"


def secret_text(secret: bytes) -> str:
    """The secret as its owner is shown it."""
    return PREFIX + base64.b64encode(secret).decode()


def headers(secrets: Sequence[bytes], webhook_id: str, at: datetime, payload: bytes) -> dict[str, str]:
    """The headers of one attempt: signed by every secret that is valid at this instant, the newest first."""
    timestamp = str(int(at.timestamp()))
    signed = f"{webhook_id}.{timestamp}.".encode() + payload
    signatures = (f"v1,{base64.b64encode(hmac.digest(secret, signed, 'sha256')).decode()}" for secret in secrets)
    return {"webhook-id": webhook_id, "webhook-timestamp": timestamp, "webhook-signature": " ".join(signatures)}
