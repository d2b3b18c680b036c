"""The bulletin as one HTML page that prints on A4: text in portrait, annexes in landscape."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from html import escape
from itertools import groupby
from typing import Final

from models.bulletin import Bulletin
from models.bulletin.document import Section, Table, Value, shown

_STYLE: Final = """
@page { size: A4; margin: 37mm 26mm 35mm 28mm;
        @bottom-center { content: "— " counter(page) " —"; font: 14pt SimSun, serif; } }
@page annex { size: A4 landscape; margin: 15mm; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 210mm; padding: 0 26px; color: #000; background: #fff;
       font: 16pt/28pt FangSong_GB2312, FangSong, STFangsong, 仿宋, "Noto Serif CJK SC", serif; }
p { margin: 0; text-indent: 2em; overflow-wrap: anywhere; }
.plain, .centre, .right { text-indent: 0; }
.centre { text-align: center; }
.right { text-align: right; padding-right: 4em; }
.letterhead { color: #c00; text-indent: 0; text-align: center; font: bold 22pt/40pt SimSun,
              "Noto Serif CJK SC", serif; margin-top: 20pt; }
.number { text-indent: 0; text-align: center; border-bottom: 2pt solid #c00; padding-bottom: 6pt; }
h1 { font: bold 22pt/36pt SimSun, "Noto Serif CJK SC", serif; text-align: center;
     margin: 28pt 0; text-wrap: balance; }
h2, h3, h4 { font-size: 16pt; line-height: 28pt; margin: 0; text-indent: 2em;
             break-after: avoid; }
h2 { font-family: SimHei, "Noto Sans CJK SC", sans-serif; }
h3 { font-family: KaiTi_GB2312, KaiTi, STKaiti, 楷体, serif; font-weight: normal; }
.signature { margin-top: 56pt; break-inside: avoid; }
.annex { page: annex; break-before: page; max-width: none; margin-top: 40pt; }
.annex p { text-indent: 0; line-height: 22pt; }
.annex h2 { text-align: center; text-indent: 0; font-size: 18pt; line-height: 22pt;
            margin: 0 0 6pt; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%;
        font: 8.5pt/1.25 SimSun, "Noto Serif CJK SC", serif; }
section > table { font-size: 12pt; line-height: 1.6; margin: 10pt 0; }
th, td { border: .5pt solid #000; padding: 1pt 2pt; text-align: center; font-weight: normal;
         overflow-wrap: anywhere; }
th { font-family: SimHei, "Noto Sans CJK SC", sans-serif; }
td.figure { font-variant-numeric: tabular-nums; white-space: nowrap; }
td.text { text-align: left; }
thead { display: table-header-group; }
tr { break-inside: avoid; }
.imprint { border-top: 1pt solid #000; border-bottom: 1pt solid #000; margin-top: 28pt;
           font-size: 14pt; display: flex; justify-content: space-between; }
@media screen { .wide table { min-width: 60rem; } }
@media print { body { max-width: none; padding: 0; } .wide { overflow: visible; } }
"""


def render(bulletin: Bulletin) -> bytes:
    """One HTML page in UTF-8, without other files."""
    return "\n".join(_page(bulletin)).encode()


def _page(bulletin: Bulletin) -> Iterator[str]:
    yield '<!DOCTYPE html>\n<html lang="zh-CN">\n<head>\n<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{escape(bulletin.title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>"
    yield f'<p class="letterhead">{escape(bulletin.letterhead)}</p>'
    yield f'<p class="number">{escape(bulletin.number)}</p>'
    yield f"<h1>{escape(bulletin.title)}</h1>"
    yield f'<p class="plain">{escape(bulletin.addressee)}</p>'
    yield f"<p>{escape(bulletin.opening)}</p>"
    for section in bulletin.sections:
        yield from _section(section, 2)
    yield f"<p>{escape(bulletin.contact)}</p>"
    for number, annex in enumerate(bulletin.annexes, 1):
        lead = "附件：" if number == 1 else "　　　"
        yield f"<p>{lead}{number}.{escape(annex.title)}</p>"
    yield f'<div class="signature"><p class="right">{escape(bulletin.signatory)}</p>'
    yield f'<p class="right">{escape(bulletin.signed)}</p></div>'
    for number, annex in enumerate(bulletin.annexes, 1):
        last = number == len(bulletin.annexes)
        yield from _annex(f"附件{number}", annex, _imprint(bulletin) if last else ())
    if bulletin.comparison:
        errata = (
            f"<p>{number}.{escape(erratum)}</p>"
            for number, erratum in enumerate(bulletin.errata, 1)
        )
        yield from _annex("说明（不随通报印发）", bulletin.comparison, errata)
    yield "</body>\n</html>\n"


def _section(section: Section, level: int) -> Iterator[str]:
    yield f"<section>\n<h{level}>{escape(section.heading)}</h{level}>"
    for paragraph in section.paragraphs:
        yield f"<p>{escape(paragraph)}</p>"
    if section.table:
        yield from _table(section.table)
    for part in section.parts:
        yield from _section(part, level + 1)
    yield "</section>"


def _imprint(bulletin: Bulletin) -> Iterator[str]:
    if bulletin.imprint:
        signatory, printed, copies = map(escape, bulletin.imprint)
        yield f'<div class="imprint"><span>{signatory}</span><span>{printed}</span></div>'
        yield f'<p class="right">{copies}</p>'


def _annex(label: str, table: Table, below: Iterable[str] = ()) -> Iterator[str]:
    yield f'<div class="annex">\n<p>{label}</p>\n<h2>{escape(table.title)}</h2>\n<div class="wide">'
    yield from _table(table)
    yield "</div>"
    yield from below
    yield "</div>"


def _table(table: Table) -> Iterator[str]:
    yield "<table>\n<colgroup>"
    total = sum(column.width for column in table.columns)
    for column in table.columns:
        yield f'<col style="width:{100 * column.width / total:.2f}%">'
    yield "</colgroup>\n<thead>"
    for _, cells in groupby(table.heading_cells, key=lambda cell: cell.row):
        spans = (
            f'<th rowspan="{cell.rows}" colspan="{cell.columns}">{escape(cell.title)}</th>'
            for cell in cells
        )
        yield f"<tr>{''.join(spans)}</tr>"
    yield "</thead>\n<tbody>"
    running = table.running
    for row in table.rows:
        yield f"<tr>{''.join(map(_cell, row, running))}</tr>"
    yield "</tbody>\n</table>"


def _cell(value: Value, running: bool) -> str:
    if isinstance(value, int | Decimal):
        return f'<td class="figure">{shown(value)}</td>'
    text = escape(shown(value))
    return f'<td class="text">{text}</td>' if running else f"<td>{text}</td>"
