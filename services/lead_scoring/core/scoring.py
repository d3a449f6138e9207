"""One message in, one out: the same whenever it is done, and however often."""

from dataclasses import fields
from decimal import Decimal, InvalidOperation

from shared.errors import PermanentError
from shared.messages import LeadChanged, LeadScored, Reason
from shared.scoring.facts import Facts, Plain
from shared.scoring.rules import Model, RuleError, model_of_text
from shared.scoring.score import number, score

_AS_THEY_ARE = [f.name for f in fields(Plain)]


def scored(changed: LeadChanged) -> LeadScored:
    """Raises PermanentError for rules that are none, which ingest doesn't send."""
    found = score(_model(changed.rules), _facts(changed))
    reasons = [Reason(rule, number(points)) for rule, points in found.reasons]
    return LeadScored(changed.org_id, changed.lead_id, changed.facts_version, changed.model_version, found.score, reasons)


def _model(rules: str | None) -> Model:
    try:
        return model_of_text(rules or "")
    except (RuleError, ValueError, KeyError, TypeError):
        raise PermanentError("bad_rules", "The rules can't be read.", "rules") from None


def _facts(changed: LeadChanged) -> Facts:
    known = vars(changed)
    return Facts(**{name: known[name] for name in _AS_THEY_ARE}, qualification_score=_number(changed.qualification_score))


def _number(text: str | None) -> Decimal | None:
    try:
        value = None if text is None else Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if value is not None and not value.is_finite():
        raise PermanentError("invalid_value", "is not a number", "qualification_score")
    return value
