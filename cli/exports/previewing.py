"""What people and machines see of a preview."""

from typing import Any

from cli.output import Output

CELL_MAX = 40  # characters of a cell in the table
COLUMNS_MAX = 8


def show_preview(out: Output, preview: dict[str, Any], rows: int) -> None:
    if out.json_mode:
        out.document(preview)
        return
    shown, personal = preview.get("columns") or [], set(preview.get("personal_columns") or [])
    names = [f"{key} *" if key in personal else key for key in shown[:COLUMNS_MAX]]
    out.table(names or ["rows"], [[_short(cell) for cell in row[:COLUMNS_MAX]] for row in (preview.get("rows") or [])[:rows]], "No row.")
    about = "" if preview.get("estimate") == "counted" else "about "
    more = f" ({COLUMNS_MAX} shown, --json shows all)" if len(shown) > COLUMNS_MAX else ""
    sizes = preview.get("estimated_bytes_by_format") or {}
    each = f" ({', '.join(f'{name} {size:,}' for name, size in sizes.items())})" if len(sizes) > 1 else ""
    out.fields([
        ("format", preview.get("format")), ("rows", f"{about}{preview.get('estimated_rows', 0):,}"), ("bytes", f"about {preview.get('estimated_bytes', 0):,}{each}"),
        ("seconds", f"about {preview.get('estimated_seconds')}"), ("columns", f"{len(shown)}{more}"), ("personal (*)", ", ".join(sorted(personal)) or None),
    ])  # fmt: skip
    if problems := preview.get("problems"):
        out.table(["row", "column", "problem"], [[p.get("row"), p.get("column"), p.get("message")] for p in problems])


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= CELL_MAX else line[: CELL_MAX - 1] + "…"
