"""A report as its users would make one: the same figures, ready to draw, as six charts and a table. Run by the peers' Python: report_pdf.py WAY CSV TARGET.

weasyprint: HTML with charts as SVG, tagged (PDF/UA-1) as ours is. reportlab: its own charts and tables, not tagged.
"""

import csv
import sys

TITLES = ("Leads", "Qualified leads", "Conversations", "Conversion rate", "Response time", "Engagement")
WIDTH, HEIGHT = 240, 90


def read(path: str) -> tuple[list[str], list[list[str]]]:
    with open(path, encoding="utf-8-sig", newline="") as file:
        head, *rows = csv.reader(file)
    return head, rows


def _line(values: list[float]) -> str:
    top = max(values) or 1.0
    points = " ".join(f"{i * WIDTH / len(values):.1f},{HEIGHT - v * HEIGHT / top:.1f}" for i, v in enumerate(values))
    return f'<svg width="{WIDTH}" height="{HEIGHT}" role="img"><polyline points="{points}" fill="none" stroke="#1a73e8"/></svg>'


def weasyprint(head: list[str], rows: list[list[str]], target: str) -> None:
    from weasyprint import HTML

    charts = "".join(f"<h3>{title}</h3>{_line([float(row[n]) for row in rows])}" for n, title in enumerate(TITLES, 1))
    cells = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    names = "".join(f'<th scope="col">{name}</th>' for name in head)
    style = "@page { size: A4; @bottom-center { content: counter(page) ' of ' counter(pages) } } table { width: 100%; font-size: 8pt } thead { display: table-header-group }"
    page = f"""<!doctype html><html lang="en"><head><title>Analytics report</title><style>{style}</style></head><body><h1>Analytics report</h1>
        {charts}<table><thead><tr>{names}</tr></thead><tbody>{cells}</tbody></table></body></html>"""
    HTML(string=page).write_pdf(target, pdf_variant="pdf/ua-1")


def reportlab(head: list[str], rows: list[list[str]], target: str) -> None:
    from reportlab.graphics.charts.linecharts import HorizontalLineChart
    from reportlab.graphics.shapes import Drawing
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.platypus import Paragraph, SimpleDocTemplate, Table

    styles = getSampleStyleSheet()
    story = [Paragraph("Analytics report", styles["Title"])]
    for n, title in enumerate(TITLES, 1):
        chart, drawing = HorizontalLineChart(), Drawing(WIDTH, HEIGHT + 20)
        chart.width, chart.height, chart.data = WIDTH, HEIGHT, [[float(row[n]) for row in rows]]
        drawing.add(chart)
        story += [Paragraph(title, styles["Heading3"]), drawing]
    story.append(Table([head, *rows], repeatRows=1))
    SimpleDocTemplate(target, pagesize=A4).build(story)


if __name__ == "__main__":
    {"weasyprint": weasyprint, "reportlab": reportlab}[sys.argv[1]](*read(sys.argv[2]), sys.argv[3])
