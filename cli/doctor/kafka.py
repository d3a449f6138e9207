"""Kafka: is it there, are the topics as their files say, who lags behind, what lies dead."""

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from cli.core.findings import Finding, GroupLag, Verdict, lag_findings, missing_topics
from cli.dlq.reading import GROUP, consumer_of, dead_letter_topics, partitions_of
from cli.errors import CliError
from cli.kafka import brokers_of
from cli.settings import Settings
from shared.brokers import Brokers
from shared.reach import quiet, why_not

START = "Start it (`make up`), or set WAYBILL_KAFKA to where it is."
SECURITY = "Set what it names as the brokers have it: docs/security.md."


async def kafka(settings: Settings) -> list[Finding]:
    if settings.get("WAYBILL_KAFKA") is None:
        return [Finding("kafka", Verdict.wrong, "WAYBILL_KAFKA isn't set", START)]
    try:
        brokers = brokers_of(settings)
    except CliError as error:
        return [Finding("kafka", Verdict.wrong, str(error), SECURITY)]
    quiet()
    if why := await why_not(brokers):
        return [
            Finding(
                "kafka", Verdict.wrong, f"WAYBILL_KAFKA: no broker answers at {brokers}: {why}", SECURITY if "WAYBILL_" in why else START
            )
        ]
    admin = AIOKafkaAdminClient(**brokers.client, request_timeout_ms=5000)
    try:
        await admin.start()
        found = [Finding("kafka", Verdict.ok, f"answers at {brokers}")]
        found += await _topics(admin)
        found += await _groups(brokers)
        found += await _dead_letters(brokers)
        return found
    except (KafkaError, CliError) as error:
        return [Finding("kafka", Verdict.wrong, f"{brokers} doesn't answer as Kafka does: {error or type(error).__name__}", START)]
    finally:
        await admin.close()


async def _topics(admin: AIOKafkaAdminClient) -> list[Finding]:
    from shared.topics import all_topics

    wanted = {name: topic.partitions for name, topic in all_topics().items()}
    here = [name for name in await admin.list_topics() if name in wanted]
    found = {row["topic"]: len(row["partitions"]) for row in await admin.describe_topics(here)} if here else {}
    if wrong := missing_topics(wanted, found):
        return [Finding("topics", Verdict.wrong, "; ".join(wrong), "`make up` makes them; elsewhere create them as schemas/topics/ says.")]
    return [Finding("topics", Verdict.ok, f"{len(wanted)} there")]


async def _groups(brokers: Brokers) -> list[Finding]:
    from shared.lag import Kafka

    asks = Kafka(brokers)
    try:
        await asks.start()
        names = [name for name in await asks.groups() if not name.startswith(GROUP)]
        members = await asks.members(names)
        lags = [GroupLag(each.group, each.topic, each.messages, members.get(each.group, 0)) for each in await asks.lags(names)]
    finally:
        await asks.close()
    if not names:
        return [Finding("consumer groups", Verdict.note, "none yet", "Services join when they start.")]
    return lag_findings(lags)


async def _dead_letters(brokers: Brokers) -> list[Finding]:
    found = []
    async with consumer_of(brokers) as consumer:
        for topic in await dead_letter_topics(consumer):
            waiting = sum(each.waiting for each in await partitions_of(brokers, consumer, topic))
            if waiting:
                found.append(
                    Finding(
                        topic,
                        Verdict.note,
                        f"{waiting:,} dead letters wait",
                        f"`waybill dlq show {topic}`, then `waybill dlq replay {topic}`.",
                    )
                )
    return found or [Finding("dead letters", Verdict.ok, "none wait")]
