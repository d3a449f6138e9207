"""What lead_scoring counts."""

from prometheus_client import Counter

SCORED = Counter("waybill_lead_scoring_scored_total", "Leads scored")
