"""A workbook as its users would write one: rows by psycopg2, xlsxwriter (constant memory) or rust_xlsxwriter's Python binding. Run by the peers' Python:
workbooks.py WAY URL QUERY TARGET."""

import sys
from datetime import datetime

import psycopg2


def rows(url: str, query: str) -> tuple[list[str], list[tuple[object, ...]]]:
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return [d[0] for d in cursor.description], cursor.fetchall()


def xlsxwriter(url: str, query: str, target: str) -> None:
    import xlsxwriter

    names, found = rows(url, query)
    with xlsxwriter.Workbook(target, {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}) as book:
        sheet, stamp = book.add_worksheet("Leads"), book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        sheet.write_row(0, 0, names, book.add_format({"bold": True}))
        for number, row in enumerate(found, 1):
            for place, value in enumerate(row):
                if isinstance(value, str):
                    sheet.write_string(number, place, value)
                elif isinstance(value, datetime):
                    sheet.write_datetime(number, place, value, stamp)
                elif value is not None:
                    sheet.write_number(number, place, value)


def rust(url: str, query: str, target: str) -> None:
    from rustpy_xlsxwriter import write_worksheet

    names, found = rows(url, query)
    write_worksheet([dict(zip(names, row, strict=True)) for row in found], target, sheet_name="Leads", freeze_row=1, bold_headers=True)


if __name__ == "__main__":
    {"xlsxwriter": xlsxwriter, "rust": rust}[sys.argv[1]](*sys.argv[2:])
