"""A dlt pipeline from a PostgreSQL query to CSV files, run in the bench's virtualenv: `python dlt_pipeline.py URL QUERY DIRECTORY`."""

import sys

import dlt  # type: ignore[import-not-found]
from dlt.destinations import filesystem  # type: ignore[import-not-found]
from dlt.sources.sql_database import sql_table  # type: ignore[import-not-found]
from sqlalchemy import create_engine, text


def main(url: str, query: str, directory: str) -> None:
    """A view holds the query, as a user would keep it; dlt reads the view in Arrow tables."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg2://"))
    with engine.begin() as connection:
        connection.execute(text("CREATE SCHEMA IF NOT EXISTS bench"))
        connection.execute(text("DROP VIEW IF EXISTS bench.messages"))
        connection.exec_driver_sql("CREATE VIEW bench.messages AS " + query.replace("%", "%%"))
    table = sql_table(engine, table="messages", schema="bench", backend="connectorx", reflection_level="full_with_precision")
    pipeline = dlt.pipeline("bench", destination=filesystem(bucket_url=f"file://{directory}"), dataset_name="bench")
    pipeline.run(table, loader_file_format="csv", write_disposition="replace").raise_on_failed_jobs()


if __name__ == "__main__":
    main(*sys.argv[1:])
