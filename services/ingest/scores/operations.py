"""What the HTTP operations on scores say of themselves (see shared/openapi.py)."""

from shared.openapi import BOOLEAN, COUNT, INSTANT, Component, answer, listed, nullable, operation, path, shown, text, whole

_EXAMPLE = {
    "leadId": "lead_1", "score": 45, "reasons": [{"rule": "qualification", "points": 36.5}, {"rule": "business_email", "points": 8}], "modelVersion": 1,
    "factsVersion": 4211, "scoredAt": "2026-03-15T09:22:41.123Z",
}  # fmt: skip
_VERSION = whole(0)
SCORE = Component("LeadScore", shown(
    {
        "leadId": text(), "score": whole(0, 100, description="0 until there is one."),
        "reasons": listed(shown({"rule": text(), "points": {"type": "number"}}), description="The rules that gave points, in the model's order."),
        "modelVersion": nullable({**_VERSION, "description": "Which rules: 1 is the default model, every change is another."}),
        "factsVersion": nullable({**_VERSION, "description": "How new the facts are that it follows from; it only grows."}), "scoredAt": nullable(INSTANT),
    },
    examples=[_EXAMPLE],
))  # fmt: skip
SCORING = Component("ScoringProgress", shown(
    {
        "model_version": whole(1, description="Which rules: 1 is the default model, every change is another."), "leads": COUNT,
        "rescored": {**COUNT, "description": "Leads that have a score by these rules."}, "complete": BOOLEAN,
    },
    examples=[{"model_version": 2, "leads": 100000, "rescored": 41500, "complete": False}],
))  # fmt: skip
GET_SCORING = operation(
    "See how far scoring is", "Leads", {200: answer("How many leads have a score by the rules of now.", SCORING)},
    description="After a change of the rules (`scoring` in `PATCH /v1/settings`) all leads are scored again, in the background.",
)  # fmt: skip
GET_SCORE = operation(
    "Look at a lead's score, and why", "Leads", {200: answer("The score; everything else is null or empty until there is one.", SCORE)},
    parameters=[path("lead_id", "The lead's id, percent-encoded.", "lead_1")],
)  # fmt: skip
