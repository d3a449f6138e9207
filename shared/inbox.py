"""Once: a handler claims a message inside the transaction of its effect, so the effect happens once however often the message comes."""

from shared.database import Connection


class Inbox:
    """The inbox table of one schema. Claims older than the topics' retention may be pruned: their messages can't come again."""

    def __init__(self, schema: str) -> None:
        self._claim = f"INSERT INTO {schema}.inbox (message_id) VALUES ($1) ON CONFLICT DO NOTHING RETURNING true"
        self._prune = f"DELETE FROM {schema}.inbox WHERE claimed_at < now() - interval '8 days'"

    async def claim(self, connection: Connection, message_id: str) -> bool:
        """True where this is the first time; waits while another transaction holds the same claim."""
        return bool(await connection.fetchval(self._claim, message_id))

    async def prune(self, connection: Connection) -> None:
        await connection.execute(self._prune)
