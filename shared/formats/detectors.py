"""What is looked for in texts: patterns in RE2 syntax, and for some a check of what was found (redaction.sql). docs/redaction.md says what each takes for one.

RE2 knows no look-around, so a pattern finds a candidate that begins and ends at the edge of a word; it never takes for ever, whatever the text.
"""

from dataclasses import dataclass

from shared.datasets.plan import Detector

# ISO 13616: how long an IBAN is behind its country and check digits.
IBAN_LENGTHS = {
    11: "NO", 12: "BE", 14: "DK FO FI FK GL NL SD", 15: "MK SI", 16: "AT BA EE KZ LT LU XK", 17: "CH CR HR LI LV", 18: "BG BH DE GB GE IE ME RS VA",
    19: "AE GI IL IQ OM SO TL", 20: "AD CZ ES MD PK RO SA SE SK TN VG", 21: "PT ST", 22: "IS TR", 23: "BI DJ FR GR IT MC MR SM",
    24: "AL AZ BY CY DO GT HU LB NI PL SV", 25: "BR EG PS QA UA", 26: "JO KW MU", 27: "MT SC", 28: "LC", 29: "RU",
}  # fmt: skip
_IBAN = "|".join(f"(?:{'|'.join(codes.split())})[0-9]{{2}}(?:[ -]?[A-Z0-9]){{{length}}}" for length, codes in IBAN_LENGTHS.items())
_BYTE = "(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])"
_IPV4 = rf"(?:{_BYTE}\.){{3}}{_BYTE}"
_INTERNATIONAL = r"(?:\+|\b00) ?\(?[1-9](?:[ .\-/()\x{a0}]{0,2}[0-9]){6,14}\b"
_NATIONAL = r"\(?\b0\)? ?[1-9][0-9]{0,4}[)/]?(?:[ .\-\x{a0}]{0,2}[0-9]){6,12}\b"
_AMERICAN = r"(?:\b1[ .\-]?)?(?:\([2-9][0-9]{2}\) ?|\b[2-9][0-9]{2}[ .\-])[0-9]{3}[ .\-][0-9]{4}\b"


@dataclass(frozen=True)
class Pattern:
    """`check` is the macro that a candidate has to pass; `quick` a condition on x that is cheap and true wherever the pattern finds anything."""

    regex: str
    check: str = ""
    quick: str = "true"


DETECTORS: dict[Detector, Pattern] = {
    "url": Pattern(r"(?i)(?:\b(?:https?|ftp)://|\bwww\.)[^\s<>\x22]*[^\s<>\x22.,;:!?)\]]"),
    "email": Pattern(
        r"[\pL\pN.!#$%&'*+/=?^_`{|}~-]+(?:@|%40)[\pL\pN](?:[\pL\pN-]*[\pL\pN])?(?:\.[\pL\pN](?:[\pL\pN-]*[\pL\pN])?)+",
        quick="(contains(x, '@') or contains(x, '%40'))",
    ),
    "iban": Pattern(rf"(?i)\b(?:{_IBAN})\b", check="is_iban"),
    # A run of digits, in groups or not: numbers may stand right before and behind a card's.
    "card_number": Pattern(r"\b[0-9](?:[ .\-\x{a0}\x{2009}\x{202f}\x{2010}-\x{2015}]?[0-9]){12,200}\b", check="holds_card"),
    "ip_address": Pattern(
        rf"(?i)\b{_IPV4}\b|(?:\b[0-9a-f]{{1,4}}|:):(?:[0-9a-f]{{0,4}}:){{0,6}}(?:\b{_IPV4}|[0-9a-f]{{1,4}})?", check="is_ip_address"
    ),
    "phone": Pattern(f"{_INTERNATIONAL}|{_NATIONAL}|{_AMERICAN}", check="is_phone"),
}
