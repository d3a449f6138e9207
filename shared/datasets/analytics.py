"""analytics: one row a day, week or month, with what the organisation's leads and conversations came to."""

from datetime import date, datetime, timedelta

from shared.datasets import care
from shared.datasets.instants import local_time, resolve_instant, zone
from shared.datasets.plan import Column, ColumnType, PlanSpec
from shared.datasets.reports import Chart, Figure, Reported, start_before
from shared.datasets.sql import instant, literal, there


def _column(key: str, kind: ColumnType, description: str, sql: str = "") -> Column:
    return Column(key, key, kind, description, sql or f"fact.{key}")


COLUMNS = [
    _column("date", ColumnType.date, "The period's first day"),
    _column("total_leads", ColumnType.int64, "Leads created in it"),
    _column("qualified_leads", ColumnType.int64, "Of these, how many have a score at or above the organisation's threshold"),
    _column("conversations", ColumnType.int64, "Conversations created in it"),
    _column("conversion_rate", ColumnType.double, "Percentage of its leads that converted", "fact.conversion_rate::decimal(18, 2)"),
    _column("avg_response_time_ms", ColumnType.int64, "Median time from a contact's message to the AI's answer, in milliseconds"),
    _column("engagement_score", ColumnType.double, "Mean engagement score of its conversations", "fact.engagement_score::decimal(18, 1)"),
    _column("widget_engagement_rate", ColumnType.double, "Conversations by visitor", "fact.widget_engagement_rate::decimal(18, 4)"),
]

FIGURES = {
    "total_leads": Figure("Leads", "count"),
    "qualified_leads": Figure("Qualified leads", "count"),
    "conversations": Figure("Conversations", "count"),
    "conversion_rate": Figure("Conversion rate", "percent"),
    "avg_response_time_ms": Figure("Median response time", "milliseconds", "less"),
    "engagement_score": Figure("Engagement score", "number"),
    "widget_engagement_rate": Figure("Conversations per visitor", "number"),
}
CHARTS = (
    Chart("Leads", ("total_leads", "qualified_leads")), Chart("Conversations", ("conversations",)), Chart("Conversion rate", ("conversion_rate",)),
    Chart("Median response time", ("avg_response_time_ms",)), Chart("Engagement score", ("engagement_score",)),
    Chart("Conversations per visitor", ("widget_engagement_rate",)),
)  # fmt: skip


class Analytics(Reported):
    name = "analytics"
    path = "analytics"
    description = "Leads, conversations and how they went, by day, week or month."
    fixed_columns = COLUMNS
    formats = ("csv", "json", "pdf", "xlsx")
    family = "leads"
    granularities = ("day", "week", "month")
    reads_settings = frozenset({"qualification_threshold"})
    title = "Analytics report"
    figures = FIGURES
    charts = CHARTS

    def groups(self, spec: PlanSpec, snapshot: str) -> str:
        return _figures(spec, snapshot, *_periods(spec))

    def summary(self, spec: PlanSpec, snapshot: str) -> str:
        assert spec.from_ is not None
        tz, starts = zone(spec.timezone), [start_before(spec), spec.from_]
        both = spec.model_copy(update={"from_": starts[0]})
        return f"select * from ({_figures(both, snapshot, [local_time(s, tz).date() for s in starts], starts)}) g order by n"


def _figures(spec: PlanSpec, snapshot: str, first_days: list[date], begins: list[datetime]) -> str:
    """A row for each of the spans that `begins` cuts the spec's range into."""
    days = f"array[{', '.join(literal(d.isoformat()) for d in first_days)}]::date[]"
    starts = f"array[{', '.join(instant(b.isoformat()) for b in begins)}]"  # a timestamptz[] for width_bucket
    return f"""
        select to_char(p.day, 'YYYY-MM-DD') collate "C" as key, n, p.day as date, coalesce(l.total, 0) as total_leads,
               coalesce(l.qualified, 0) as qualified_leads, coalesce(c.total, 0) as conversations,
               coalesce(round(100.0 * l.converted / l.total, 2), 0) as conversion_rate, coalesce(r.median, 0) as avg_response_time_ms,
               coalesce(round(c.engagement, 1), 0) as engagement_score,
               coalesce(round(1.0 * c.total / nullif(v.visitors, 0), 4), 0) as widget_engagement_rate
        from unnest({days}) with ordinality p(day, n)
        left join ({_leads(spec, snapshot, starts)}) l using (n) left join ({_conversations(spec, snapshot, starts)}) c using (n)
        left join ({_responses(spec, snapshot, starts)}) r using (n) left join ({_visitors(spec, snapshot, starts)}) v using (n)"""


def _periods(spec: PlanSpec) -> tuple[list[date], list[datetime]]:
    """The first day of each period that the range touches, and where each begins."""
    assert spec.from_ is not None and spec.to is not None
    tz, granularity = zone(spec.timezone), spec.granularity or "day"
    day, end = _first_day(local_time(spec.from_, tz).date(), granularity), spec.to
    days: list[date] = []
    starts: list[datetime] = []
    while (start := _midnight(day, spec.timezone)) < end:
        days.append(day)
        starts.append(max(start, spec.from_))
        try:
            day = _next(day, granularity)
        except OverflowError:  # the calendar ends
            break
    return days, starts


def _first_day(day: date, granularity: str) -> date:
    if granularity == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if granularity == "month" else day


def _next(day: date, granularity: str) -> date:
    if granularity == "month":
        return (day.replace(day=28) + timedelta(days=4)).replace(day=1)
    return day + timedelta(days=7 if granularity == "week" else 1)


def _midnight(day: date, timezone: str) -> datetime:
    return resolve_instant(day.isoformat(), timezone)


def _leads(spec: PlanSpec, snapshot: str, starts: str) -> str:
    score = f"(select s.score from {there('lead_scores', 's', 's.id = l.id', snapshot)})"
    return f"""
        select width_bucket(l.created_at, {starts}) as n, count(*) as total, count(*) filter (where l.status = 'converted') as converted,
               count(*) filter (where coalesce({score}, 0) >= {int(spec.qualification_threshold)}) as qualified
        from ingest.leads l where {care.during("l", "created_at", spec, snapshot, "leads")} group by 1"""


def _conversations(spec: PlanSpec, snapshot: str, starts: str) -> str:
    return f"""
        select width_bucket(c.created_at, {starts}) as n, count(*) as total, avg(c.engagement_score::text::numeric) as engagement
        from ingest.conversations c where {care.during("c", "created_at", spec, snapshot, "conversations")} group by 1"""


def _responses(spec: PlanSpec, snapshot: str, starts: str) -> str:
    """The median over AI messages whose predecessor in the conversation is inbound: the mean of the middle two, half up."""
    earlier = there("messages", "b", "b.conversation_id = m.conversation_id and (b.created_at, b.id) < (m.created_at, m.id)", snapshot)
    before = f"select b.created_at, b.sender_kind from {earlier} order by b.created_at desc, b.id desc limit 1"
    return f"""
        select width_bucket(m.created_at, {starts}) as n,
               floor(percentile_cont(0.5) within group (order by (extract(epoch from m.created_at - b.created_at) * 1000)::float8) + 0.5)::bigint
               as median
        from ingest.messages m cross join lateral ({before}) b
        where m.sender_kind = 'ai' and b.sender_kind = 'visitor' and {care.during("m", "created_at", spec, snapshot, "messages")} group by 1"""


def _visitors(spec: PlanSpec, snapshot: str, starts: str) -> str:
    return f"""
        select width_bucket(v.at, {starts}) as n, count(distinct v.visitor_id) as visitors
        from ingest.visits v where {care.during("v", "at", spec, snapshot, "visits")} group by 1"""


DATASET = Analytics()
