"""`waybill migrate`: the database brought to this version."""

from collections.abc import Mapping

import typer

from cli.errors import CliError
from cli.frame import Run, command

SERVICES = ("ingest", "lead_scoring", "export_request", "formatter", "delivery")


def passwords_of(values: Mapping[str, str]) -> dict[str, str]:
    """Each service's database password: WAYBILL_<SERVICE>_DATABASE_PASSWORD, or the user-info of WAYBILL_<SERVICE>_DATABASE_URL."""
    from urllib.parse import unquote, urlsplit

    found = {}
    for service in SERVICES:
        name = f"WAYBILL_{service.upper()}_DATABASE"
        password = values.get(f"{name}_PASSWORD") or unquote(urlsplit(values.get(f"{name}_URL") or "").password or "")
        if password:
            found[service] = password
    return found


def migrate(run: Run) -> None:
    """Applies the migrations that are missing, and sets the services' database passwords. Doing it again changes nothing."""
    url = run.settings.need("WAYBILL_DATABASE_URL", "--database-url")
    passwords = passwords_of(run.settings.values)
    try:
        from deploy.migrations import migrate as apply
    except ImportError as error:
        raise CliError(
            f"The migrations are not installed here ({error}): run this from the project's folder or its container image."
        ) from None
    try:
        applied = apply(url, passwords)
    except KeyboardInterrupt:
        raise
    except Exception as error:
        # Whatever the database or the migration tool says, its first line says what; the whole of it helps nobody here.
        first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise CliError(f"WAYBILL_DATABASE_URL: the migration failed: {first}", "migration_failed") from None
    if run.out.json_mode:
        run.out.document({"applied": list(applied), "passwords_set": sorted(passwords)})
        return
    print(f"Applied {', '.join(applied)}." if applied else "Nothing to apply: the database is current.")


def register(app: typer.Typer) -> None:
    command(app, "migrate", "waybill migrate --database-url postgresql://postgres@127.0.0.1:5432/waybill")(migrate)
