"""Thrift's compact protocol, as much as a parquet footer needs: any struct is read as it is and written again. Source: Thrift, compact protocol specification."""

import struct
from dataclasses import dataclass, field
from typing import Any

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)


@dataclass
class Struct:
    """Field number → (type, value). A boolean's type is TRUE; a list's value is `Items`."""

    fields: dict[int, tuple[int, Any]] = field(default_factory=dict)

    def get(self, number: int) -> Any:
        found = self.fields.get(number)
        return None if found is None else found[1]

    def put(self, number: int, kind: int, value: Any) -> "Struct":
        self.fields[number] = (kind, value)
        return self


@dataclass
class Items:
    """A list: the type of its elements, and these."""

    kind: int
    values: list[Any]


def dumps(value: Struct) -> bytes:
    out = bytearray()
    _write_struct(out, value)
    return bytes(out)


def loads(data: bytes) -> Struct:
    """Raises IndexError or ValueError where `data` is no struct."""
    return _Reader(data).struct()


def _varint(out: bytearray, value: int) -> None:
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def _zigzag(out: bytearray, value: int) -> None:
    _varint(out, (value << 1) ^ (value >> 63))


def _write_struct(out: bytearray, value: Struct) -> None:
    before = 0
    for number, (kind, inner) in sorted(value.fields.items()):
        shown = FALSE if kind == TRUE and not inner else kind
        if 0 < number - before <= 15:
            out.append((number - before) << 4 | shown)
        else:
            out.append(shown)
            _zigzag(out, number)
        before = number
        if kind != TRUE:
            _write(out, kind, inner)
    out.append(0)


def _write(out: bytearray, kind: int, value: Any) -> None:
    if kind == TRUE:  # an element of a list
        out.append(1 if value else 2)
    elif kind == BYTE:
        out.append(value & 0xFF)
    elif kind in (I16, I32, I64):
        _zigzag(out, value)
    elif kind == DOUBLE:
        out += struct.pack("<d", value)
    elif kind == BINARY:
        _varint(out, len(value))
        out += value
    elif kind in (LIST, SET):
        size = len(value.values)
        out.append(min(size, 15) << 4 | value.kind)
        if size >= 15:
            _varint(out, size)
        for each in value.values:
            _write(out, value.kind, each)
    elif kind == STRUCT:
        _write_struct(out, value)
    else:
        raise ValueError(f"thrift type {kind}")


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def struct(self) -> Struct:
        found, number = Struct(), 0
        while (head := self._byte()) != 0:
            kind = head & 15
            number = number + (head >> 4) if head >> 4 else self._zigzag()
            found.fields[number] = (TRUE, kind == TRUE) if kind in (TRUE, FALSE) else (kind, self._value(kind))
        return found

    def _value(self, kind: int) -> Any:
        if kind in (TRUE, FALSE):  # an element of a list
            return self._byte() == 1
        if kind == BYTE:
            return self._byte()
        if kind in (I16, I32, I64):
            return self._zigzag()
        if kind == DOUBLE:
            return struct.unpack("<d", self._take(8))[0]
        if kind == BINARY:
            return self._take(self._varint())
        if kind in (LIST, SET):
            head = self._byte()
            size = self._varint() if head >> 4 == 15 else head >> 4
            return Items(TRUE if head & 15 == FALSE else head & 15, [self._value(head & 15) for _ in range(size)])
        if kind == STRUCT:
            return self.struct()
        raise ValueError(f"thrift type {kind}")

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _take(self, size: int) -> bytes:
        self._at += size
        return self._data[self._at - size : self._at]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
