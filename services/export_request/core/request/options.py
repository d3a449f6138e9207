"""What a request may say beside what it is of: how files are written, protected, kept and called. Each is right for its dataset and formats."""

import re
from typing import Any

from services.export_request.core import delta, destinations, redaction
from services.export_request.core.destinations import Named
from services.export_request.core.request.reading import Reading
from shared.audit import PURPOSE_MAX
from shared.checks import is_seen, line
from shared.datasets.base import Dataset
from shared.datasets.plan import Redaction
from shared.errors import Detail
from shared.formats import registry as formats

GRANULARITIES = ("day", "week", "month")
COMPRESSIONS = ("none", "gzip", "zstd")
LABELS_MAX, LABEL_NAME_MAX, LABEL_VALUE_MAX = 20, 63, 255
PASSWORD = re.compile(r"[A-Za-z0-9]{8,64}")  # 7-Zip takes 99 characters at most
WHOLE_MAX = 2**53 - 1


class Options(Reading):
    """`asked`: the formats; `dataset` is None where the request names none that there is."""

    def spreadsheet_safe(self, asked: list[str]) -> bool:
        value: Any = self.body.get("spreadsheet_safe", self.then.spreadsheet_safe if self.then else True)
        if not isinstance(value, bool):
            self.refuse("spreadsheet_safe", "must be true or false")
            return True
        if value and "spreadsheet_safe" in self.body and asked and "csv" not in asked:
            self.together.append(Detail("spreadsheet_safe", "guards csv files only"))
        return bool(value)

    def compression(self, asked: list[str]) -> Any:
        value = self.choice("compression", COMPRESSIONS, self.then.compression if self.then else "none")
        if value != "none" and asked and all(formats.get(name).binary for name in asked):
            if "compression" not in self.body:
                return "none"
            self.together.append(Detail("compression", f"{' and '.join(asked)} files are compressed already"))
        return value

    def granularity(self, dataset: Dataset | None) -> Any:
        if dataset is None or dataset.granularities:
            known = dataset.granularities if dataset else GRANULARITIES
            return self.choice("granularity", known, known[0])
        if "granularity" in self.body:
            self.choice("granularity", GRANULARITIES, GRANULARITIES[0])
            self.together.append(Detail("granularity", f"'{dataset.name}' has no periods"))
        return None

    def redaction(self) -> Redaction | None:
        asked, profiles = self.body.get("redaction"), self.organisation.redaction_profiles
        if "redaction" in self.body and not isinstance(asked, str):
            self.refuse("redaction", "must be text: the name of a redaction profile")
        elif asked is not None and self.base is None and asked not in (known := [each["name"] for each in profiles]):
            there = f"there are {', '.join(known)}" if known else "your organisation has none"
            self.refuse("redaction", f"'{asked[:80]}' is not a redaction profile; {there}")
        elif self.base is not None:
            self.together += delta.check_redaction(asked, "redaction" in self.body, profiles, self.base)
        else:
            return redaction.resolved(asked, profiles)
        return None

    def password(self, dataset: Dataset | None) -> str | None:
        """Letters and digits only. It is in no message of ours, whatever is wrong with it."""
        required = self.organisation.require_password or (dataset is not None and dataset.protected)
        if "password" not in self.body:
            if required:
                why = f"'{dataset.name}'" if dataset is not None and dataset.protected else "your organisation"
                lacking = self.lacks if self.preview else self.together
                lacking.append(Detail("password", f"is required: {why} wants its files encrypted (over HTTP alone)"))
            return None
        password = self.body["password"]
        if not isinstance(password, str) or not PASSWORD.fullmatch(password):
            self.refuse("password", "must be text of 8 to 64 letters (A–Z, a–z) and digits")
            return None
        if dataset is not None and not required:
            self.together.append(
                Detail("password", f"'{dataset.name}' takes none: neither it nor your organisation's settings require one")
            )
        return password

    def purpose(self, dataset: Dataset | None) -> str | None:
        if "purpose" in self.body:
            self.wrong += line("purpose", self.body["purpose"], PURPOSE_MAX)
        elif dataset is not None and dataset.protected:
            self.together.append(Detail("purpose", f"is required: '{dataset.name}' is exported for a reason, which the audit trail keeps"))
        elif self.organisation.require_purpose:
            self.together.append(Detail("purpose", "is required: your organisation wants to know why"))
        return self.body.get("purpose")

    def destinations(self) -> tuple[Named, ...]:
        """As they are named; whether they are there is for who can look."""
        asked = self.body.get("destinations", [])
        self.wrong += (wrong := destinations.check(asked))
        return () if wrong else tuple(asked)

    def labels(self) -> dict[str, str]:
        labels = self.body.get("labels", {})
        if not isinstance(labels, dict):
            self.refuse("labels", "must be an object of texts")
            return {}
        if len(labels) > LABELS_MAX:
            self.refuse("labels", f"may hold {LABELS_MAX} labels at most")
            return {}
        for name, value in labels.items():
            field = f"labels.{name[:80]}"
            if not 1 <= len(name) <= LABEL_NAME_MAX or not is_seen(name):
                self.refuse(field, f"a label's name must have 1 to {LABEL_NAME_MAX} printable characters")
            if not isinstance(value, str) or len(value) > LABEL_VALUE_MAX or not is_seen(value):
                self.refuse(field, f"must be text of at most {LABEL_VALUE_MAX} printable characters")
        return labels

    def rows_max_per_file(self, dataset: Dataset | None, asked: list[str]) -> int | None:
        """As asked, and as many as the dataset and every format take."""
        if "max_rows_per_file" in self.body and (documents := [name for name in asked if formats.get(name).document]):
            self.together.append(Detail("max_rows_per_file", f"a {documents[0]} is one file, whatever its length"))
        before = self.then.max_rows_per_file if self.then else None
        limits = [self.whole("max_rows_per_file", 1, WHOLE_MAX) or before, dataset.rows_max_per_file if dataset else None]
        limits += [formats.get(name).rows_max_per_file for name in asked]
        if "password" in self.body:
            limits += [formats.get(name).protected_rows_max for name in asked]
        return min((limit for limit in limits if limit is not None), default=None)
