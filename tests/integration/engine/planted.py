"""Records with a person's data planted in every text of every type, ids too: what a redaction has to find wherever it is."""

import io
import json
import typing
from typing import Any

import msgspec
import msoffcrypto
import pyarrow.parquet as pq
import pyzipper

from services.ingest.core.rows import RECORD_TYPES
from tests.documents import printed, words
from tests.oracle.generate import generate

EMAIL, PHONE, CARD, IBAN, URL, ADDRESS, OWN = (
    "jane.canary@plant.example", "+32 470 99 88 77", "4111 1111 1111 1111", "BE68 5390 0754 7034", "https://plant.example/canary", "203.0.113.77", "CANARY-20451",
)  # fmt: skip
NUMBER = 4111111111111111
TEXT = f"{EMAIL}, {PHONE}; {CARD} / {IBAN} <{URL}> {ADDRESS} “{OWN}”"
# What may be in no file: also what would be left where only a part was found.
TRACES = ("canary", "plant.example", "470 99", "99 88 77", "4111", "1111 1111", "5390", "0754", "203.0.113", "CANARY-2", "20451")
LONG_TRACES = tuple(t for t in TRACES if not t.isdigit())  # a pseudonym may hold the others by chance


def planted(seed: int, conversations: int) -> list[dict[str, Any]]:
    """Records as the generator makes them, but that no text is without the plants."""
    records = [r for r in generate(seed, conversations) if r.get("op", "upsert") == "upsert"]
    ids = {r["id"] for r in records}
    return [{**r, "id": _id(r["id"]), "data": _data(r["type"], r["data"], ids)} for r in records]


def _id(value: str) -> str:
    return f"{EMAIL}:{value[:90]}"


def _data(kind: str, data: dict[str, Any], ids: set[str]) -> dict[str, Any]:
    free = RECORD_TYPES[kind].free
    return _struct(RECORD_TYPES[kind].data, data, ids, free)


def _struct(struct: Any, data: dict[str, Any], ids: set[str], free: typing.Collection[str] = ()) -> dict[str, Any]:
    made = dict(data)
    info = msgspec.inspect.type_info(struct)
    assert isinstance(info, msgspec.inspect.StructType)
    for each in info.fields:
        name, options = each.encode_name, each.type.types if isinstance(each.type, msgspec.inspect.UnionType) else (each.type,)
        value = made.get(name)
        if name in free:
            if name != "attributes":
                made[name] = _free(value or {}, ids, name == "custom_properties", kind=data.get("kind", ""))
            else:
                made[name] = [{"id": EMAIL, "name": TEXT, "value": TEXT, "type": "Freeform"}]
        elif isinstance(value, str) and value in ids:
            made[name] = _id(value)
        elif nested := next((o for o in options if isinstance(o, msgspec.inspect.StructType)), None):
            made[name] = _struct(nested.cls, value, ids) if value is not None else None
        elif isinstance(value, list):
            made[name] = [_id(v) if v in ids else TEXT for v in value]
        elif any(isinstance(o, msgspec.inspect.StrType) for o in options) and name != "kind" and not _is_time(name):
            made[name] = TEXT if not name.endswith("_id") else value and _id(value)
    return {name: value for name, value in made.items() if value is not None}


def _is_time(name: str) -> bool:
    return name.endswith("_at") or name in ("at", "from", "to")


_WORDS = ("to", "started_by", "trigger", "handover_reason", "reason")


def _free(value: Any, ids: set[str], flat: bool, kind: str) -> dict[str, Any]:
    made = {}
    for key, each in value.items():
        text = isinstance(each, str) and not (kind and key in _WORDS)
        made[key] = _id(each) if isinstance(each, str) and each in ids else TEXT if text else each
    made |= {"note": TEXT, "number": NUMBER, "quoted": f'"{EMAIL}"\n\\{PHONE}\t'}
    return made if flat else made | {"deep": [{"er": [TEXT, NUMBER]}], "comment": TEXT}


OFFICE = b"\xd0\xcf\x11\xe0"  # an encrypted Office file begins so


def readable(data: bytes, password: str = "") -> str:
    """All text in a file, whatever its format."""
    if data.startswith(b"PK"):
        with pyzipper.AESZipFile(io.BytesIO(data)) as archive:
            archive.setpassword(password.encode() or None)
            return "\n".join(archive.read(member).decode() for member in archive.namelist())
    if data.startswith(OFFICE):
        plain = io.BytesIO()
        file = msoffcrypto.OfficeFile(io.BytesIO(data))
        file.load_key(password=password)
        file.decrypt(plain)
        return readable(plain.getvalue())
    if data.startswith(b"PAR1"):
        return json.dumps(pq.read_table(io.BytesIO(data)).to_pylist(), default=str, ensure_ascii=False)
    if data.startswith(b"%PDF"):
        return f"{words(data)}\n{printed(data)}"
    return data.decode()
