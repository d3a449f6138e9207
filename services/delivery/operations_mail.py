"""What the HTTP operations on mail say of themselves (see shared/openapi.py)."""

from services.delivery.core.bounces import MESSAGE_BYTES_MAX
from shared.openapi import Component, answer, nullable, operation, shown, text

MESSAGE = "message/rfc822"
POST_BOUNCE = operation(
    "Hand in a mail that came back", "Operator",
    {200: answer("What it came to.", Component("MailBounce", shown(
        {"delivery_id": nullable(text("The delivery that has failed by it; null where it isn't a mail of ours that came back for good."))},
        examples=[{"delivery_id": "dlv_01KBV4Z8T5W2Q9X7R3N6M1P0HJ"}, {"delivery_id": None}],
    )))},
    description="A whole message as it arrived at an address of `WAYBILL_SMTP_BOUNCE_ADDRESS`; what isn't a delivery status notification (RFC 3464) of one of our mails has no effect.",
    body={
        "required": False, "description": f"At most {MESSAGE_BYTES_MAX >> 20} MiB.",
        "content": {MESSAGE: {"schema": {"type": "string", "contentMediaType": MESSAGE}, "example": "To: bounces+…@waybill.example\r\n\r\n"}},
    },
)  # fmt: skip
