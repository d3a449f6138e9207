"""What the formatter asks PostgreSQL besides the rows: whether an export still runs."""

import asyncpg

from shared.database import tenant

RUNNING = ("accepted", "planning", "formatting", "assembling")


class ExportStates:
    """Reads export states by the column grant that the formatter has."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def wanted(self, org_id: str, export_id: str) -> bool:
        """False once the export has ended or is gone: its chunks need no formatting any more."""
        async with tenant(self._pool, org_id) as connection:
            status = await connection.fetchval("SELECT status FROM exports.exports WHERE id = $1", export_id)
        return status in RUNNING
