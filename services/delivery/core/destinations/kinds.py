"""What a type of destination says of itself: its `KIND`, in a module of `types` that is named after it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.delivery.core.addresses import PUBLIC_ONLY, AddressRule
from shared.errors import Detail


@dataclass(frozen=True)
class Rules:
    """Whose destination it is, and what the operator has allowed beyond encrypted connections to public addresses."""

    org_id: str
    allow_http: bool = False
    addresses: AddressRule = PUBLIC_ONLY
    mail: bool = False  # whether the installation has a mail server


# What is wrong with a value: (the field as it is named to the caller, `config.port`; the value; the rules). Nothing: it will do.
FieldCheck = Callable[[str, Any, Rules], list[Detail]]


@dataclass(frozen=True)
class Field:
    """One field of `config`, as requests give it. Null takes it away again where it isn't required: the default holds then."""

    name: str
    check: FieldCheck
    schema: Mapping[str, Any]  # as the OpenAPI document says what `check` takes
    required: bool = False
    default: Any = None  # None: there is none
    secret: bool = False  # text that is sealed and never shown: only whether it is set
    made: Callable[[], str] | None = None  # makes a secret where none is given (or null): shown in that one answer, and never again
    leads: bool = False  # says where secrets are sent: who changes it must give the secrets again
    kept: Callable[[Any], Any] = lambda value: value  # the form in which a right value is kept, and shown


def _nothing(config: Mapping[str, Any], secrets: frozenset[str]) -> list[Detail]:
    return []


@dataclass(frozen=True)
class Kind:
    """A type of destination. `where` is where it leads, for people and the audit trail, without secrets (`s3://bucket/prefix`, `sftp://host:22/in`).
    `together` says what is wrong with fields that are each right (422), by `config.<name>`: it is given the config with its defaults, and the names of
    the secrets that are set. `example` is a config as a request gives it, for documents."""

    name: str
    title: str  # for people: "an S3 bucket"
    fields: Sequence[Field]
    example: Mapping[str, Any]
    where: Callable[[Mapping[str, Any]], str]
    together: Callable[[Mapping[str, Any], frozenset[str]], list[Detail]] = _nothing
    probed: str = "A small file was written there and removed again."  # what a test that passes has done
