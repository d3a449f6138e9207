"""From flags to the body of `POST /v1/exports`."""

import json
from collections.abc import Iterable
from typing import Any

from cli.errors import UsageError

NUMBER_SUFFIXES = ("_min", "_max")


def filter_of(given: Iterable[str]) -> dict[str, Any]:
    """`--filter` values as one object: a JSON object, or `key=value`, where a key given twice
    makes a list and `tags.any=x` an object inside.

    A value is text, but for `…_min` and `…_max` (numbers) and what is written as a JSON list, object or quoted text. Raises UsageError.
    """
    result: dict[str, Any] = {}
    for each in given:
        if each.lstrip().startswith("{"):
            result.update(json_object(each, "--filter"))
            continue
        key, equals, value = each.partition("=")
        if not equals or not key:
            raise UsageError(f"--filter: '{each}' is neither a JSON object nor key=value.")
        _put(result, key.split("."), _value(key, value))
    return result


def _put(target: dict[str, Any], path: list[str], value: Any) -> None:
    for name in path[:-1]:
        target = target.setdefault(name, {})
        if not isinstance(target, dict):
            raise UsageError(f"--filter: '{'.'.join(path)}' and '{name}' don't go together.")
    last = path[-1]
    if last not in target:
        target[last] = [value] if len(path) > 1 and not isinstance(value, list) else value
        return
    held = target[last]
    if isinstance(held, dict):
        raise UsageError(f"--filter: '{last}' is given as a value and as an object.")
    target[last] = (held if isinstance(held, list) else [held]) + (value if isinstance(value, list) else [value])


def _value(key: str, text: str) -> Any:
    if key.endswith(NUMBER_SUFFIXES) or text[:1] in ('"', "[", "{"):
        try:
            return json.loads(text)
        except ValueError:
            raise UsageError(f"--filter: '{text}' is not what {key} takes.") from None
    return text


def config_of(given: Iterable[str]) -> dict[str, Any]:
    """`--set` values, `field=value`, as one object: text, but for what is written as JSON (a number, true, false, null, a list, an object, quoted text). Raises UsageError."""
    result: dict[str, Any] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise UsageError(f"--set: '{each}' is not field=value.")
        try:
            result[name] = json.loads(value)
        except ValueError:
            result[name] = value
    return result


def json_object(text: str, flag: str) -> dict[str, Any]:
    """`text` as a JSON object. Raises UsageError naming `flag`."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{flag}: not JSON ({error}).") from None
    if not isinstance(value, dict):
        raise UsageError(f"{flag}: a JSON object is needed.")
    return value


def labels_of(given: Iterable[str]) -> dict[str, str]:
    labels = {}
    for each in given:
        key, equals, value = each.partition("=")
        if not equals or not key:
            raise UsageError(f"--label: '{each}' is not key=value.")
        labels[key] = value
    return labels


def custom_fields_of(given: Iterable[str]) -> dict[str, Any]:
    """`--field` values as one object: a JSON object, or name=value, whose value is text."""
    fields: dict[str, Any] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if each.lstrip().startswith("{"):
            fields.update(json_object(each, "--field"))
        elif equals and name:
            fields[name] = value
        else:
            raise UsageError(f"--field: '{each}' is neither a JSON object nor name=value.")
    return fields


def destinations_of(given: Iterable[str], addresses: Iterable[str]) -> list[dict[str, Any]]:
    """`--destination` (TYPE:ID) and `--email-to` values as the API names destinations; addresses are one of them."""
    named: list[dict[str, Any]] = []
    for each in given:
        kind, colon, destination_id = each.partition(":")
        if not colon or not kind or not destination_id:
            raise UsageError(f"--destination: '{each}' is not TYPE:ID, such as s3:dst_01….")
        named.append({"type": kind, "id": destination_id})
    return [*named, *([{"type": "email", "to": to}] if (to := split_list(addresses)) else [])]


def split_list(given: Iterable[str]) -> list[str]:
    """Values of a flag that may be repeated or carry commas."""
    return [part.strip() for each in given for part in each.split(",") if part.strip()]


def body_of(base: dict[str, Any], flags: dict[str, Any], formats: list[str]) -> dict[str, Any]:
    """The body: `base` (from --body) with every given flag over it. One format goes as `format`, several as `formats`."""
    body = {**base, **{name: value for name, value in flags.items() if value not in (None, [], {})}}
    if formats:
        body.pop("format", None)
        body.pop("formats", None)
        body.update({"format": formats[0]} if len(formats) == 1 else {"formats": formats})
    if "dataset" not in body:
        raise UsageError("--dataset: what to export is needed (or `dataset` in --body).")
    return body
