"""The bulletin as an official document (公文): the text in portrait, the annexes in landscape.

Page, type and spacing follow GB/T 9704-2012 党政机关公文格式.
"""

from collections.abc import Iterator
from io import BytesIO
from typing import Any, Final

from docx import Document
from docx.document import Document as Paper
from docx.enum.section import WD_ORIENT, WD_SECTION
from docx.enum.table import WD_CELL_VERTICAL_ALIGNMENT, WD_TABLE_ALIGNMENT
from docx.enum.text import WD_ALIGN_PARAGRAPH, WD_LINE_SPACING, WD_TAB_ALIGNMENT
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.section import Section as Pages
from docx.shared import Length, Mm, Pt, RGBColor
from docx.table import Table as Grid
from docx.table import _Cell
from docx.text.paragraph import Paragraph
from docx.text.run import Run

from models.bulletin import Bulletin
from models.bulletin.document import Section, Table, shown

SONG: Final = "宋体"
HEI: Final = "黑体"
KAI: Final = "楷体_GB2312"
FANGSONG: Final = "仿宋_GB2312"
LATIN: Final = "Times New Roman"
"""Digits and Latin letters, whatever font is named for the Chinese beside them."""

SIZE_2: Final = Pt(22)
SIZE_3: Final = Pt(16)
SIZE_4: Final = Pt(14)
SIZE_5: Final = Pt(10.5)
"""二号, 三号, 四号 and 五号."""
SMALL: Final = Pt(8)
"""Lets 25 units fit on one page."""

LINE: Final = Pt(28)
RED: Final = RGBColor(0xC0, 0x00, 0x00)
MARGIN: Final = Mm(15)
"""Of the landscape pages."""

LEFT: Final = WD_ALIGN_PARAGRAPH.LEFT
CENTRE: Final = WD_ALIGN_PARAGRAPH.CENTER
RIGHT: Final = WD_ALIGN_PARAGRAPH.RIGHT

_WIDE: Final = 12
"""A table of more columns is set in the small type."""


def render(bulletin: Bulletin) -> bytes:
    """A document for Word, WPS or LibreOffice. The comparison with what was published is left out.

    Its fonts are named, not embedded; where they are missing, the reader's own are used.
    """
    paper = Document()
    paper.core_properties.title = bulletin.title
    paper.core_properties.author = bulletin.signatory
    paper.core_properties.comments = ""
    _upright(paper.sections[0])
    _head(paper, bulletin)
    for section in bulletin.sections:
        _section(paper, section, 0)
    _foot(paper, bulletin)
    _across(paper.add_section(WD_SECTION.NEW_PAGE))
    for number, annex in enumerate(bulletin.annexes, 1):
        label = _write(paper, f"附件{number}", LEFT, HEI)
        label.paragraph_format.page_break_before = number > 1
        label.paragraph_format.keep_with_next = True
        title = _write(paper, annex.title, CENTRE, SONG, Pt(18), bold=True)
        title.paragraph_format.keep_with_next = True
        _table(paper, annex, paper.sections[-1])
    if bulletin.imprint:
        _imprint(paper, *bulletin.imprint)
    written = BytesIO()
    paper.save(written)
    return written.getvalue()


def _head(paper: Paper, bulletin: Bulletin) -> None:
    letterhead = _write(paper, bulletin.letterhead, CENTRE, SONG, Pt(21), bold=True, colour=RED)
    letterhead.paragraph_format.space_after = LINE
    number = _write(paper, bulletin.number, CENTRE)
    _rule_below(number)
    title = _write(paper, bulletin.title, CENTRE, SONG, SIZE_2, bold=True)
    title.paragraph_format.line_spacing = Pt(36)
    title.paragraph_format.space_before = title.paragraph_format.space_after = LINE
    _write(paper, bulletin.addressee, LEFT)
    _write(paper, bulletin.opening, indent=True)


_HEADINGS: Final = ((HEI, False), (KAI, False), (FANGSONG, True))
"""Font of each level of headings, and whether it is bold."""


def _section(paper: Paper, section: Section, level: int) -> None:
    font, bold = _HEADINGS[level]
    heading = _write(paper, section.heading, LEFT, font, bold=bold, indent=True)
    heading.paragraph_format.keep_with_next = True
    for paragraph in section.paragraphs:
        _write(paper, paragraph, indent=True)
    if section.table:
        _table(paper, section.table, paper.sections[-1])
        _write(paper, "")
    for part in section.parts:
        _section(paper, part, level + 1)


def _foot(paper: Paper, bulletin: Bulletin) -> None:
    _write(paper, bulletin.contact, LEFT, indent=True)
    for number, annex in enumerate(bulletin.annexes, 1):
        lead = "附件：" if number == 1 else "　　　"
        _write(paper, f"{lead}{number}.{annex.title}", LEFT, indent=True)
    signatory = _write(paper, bulletin.signatory, RIGHT)
    signatory.paragraph_format.space_before = 2 * LINE
    signatory.paragraph_format.keep_with_next = True
    signed = _write(paper, bulletin.signed, RIGHT)
    signed.paragraph_format.right_indent = 4 * SIZE_3


def _imprint(paper: Paper, signatory: str, printed: str, copies: str) -> None:
    """版记: who printed it, when, how many."""
    line = _write(paper, f"{signatory}\t{printed}", LEFT, FANGSONG, SIZE_4)
    line.paragraph_format.space_before = LINE
    line.paragraph_format.keep_with_next = True
    edge = _room(paper.sections[-1])
    line.paragraph_format.tab_stops.add_tab_stop(edge, WD_TAB_ALIGNMENT.RIGHT)
    _rule_below(line, "000000", 6)
    _write(paper, copies, RIGHT, FANGSONG, SIZE_4)


def _write(
    paper: Paper | _Cell,
    text: str,
    alignment: WD_ALIGN_PARAGRAPH = LEFT,
    font: str = FANGSONG,
    size: Length = SIZE_3,
    *,
    bold: bool = False,
    colour: RGBColor | None = None,
    indent: bool = False,
) -> Paragraph:
    """Add a paragraph; `indent` moves its first line in by two characters."""
    paragraph = paper.add_paragraph()
    _style(paragraph.add_run(text), font, size, bold=bold, colour=colour)
    form = paragraph.paragraph_format
    form.alignment = alignment
    form.space_before = form.space_after = Pt(0)
    form.line_spacing_rule = WD_LINE_SPACING.EXACTLY
    form.line_spacing = max(LINE, Pt(size.pt * 1.5))
    if indent:
        form.first_line_indent = 2 * size
    return paragraph


def _style(
    run: Run,
    font: str,
    size: Length,
    *,
    bold: bool = False,
    colour: RGBColor | None = None,
) -> None:
    run.font.name = LATIN
    run.font.size = size
    run.font.bold = bold
    if colour is not None:
        run.font.color.rgb = colour
    # python-docx can only set the font of Latin letters.
    run._element.get_or_add_rPr().get_or_add_rFonts().set(qn("w:eastAsia"), font)


# --- pages ----------------------------------------------------------------------------------


def _upright(pages: Pages) -> None:
    pages.page_width, pages.page_height = Mm(210), Mm(297)
    pages.top_margin, pages.bottom_margin = Mm(37), Mm(35)
    pages.left_margin, pages.right_margin = Mm(28), Mm(26)
    pages.footer_distance = Mm(25)
    number = pages.footer.paragraphs[0]
    number.alignment = CENTRE
    run = number.add_run("— ")
    _style(run, SONG, SIZE_4)
    for part in _page_number():
        run._element.append(part)
    run.add_text(" —")


def _across(pages: Pages) -> None:
    pages.orientation = WD_ORIENT.LANDSCAPE
    pages.page_width, pages.page_height = Mm(297), Mm(210)
    pages.top_margin = pages.bottom_margin = pages.left_margin = pages.right_margin = MARGIN
    pages.footer_distance = Mm(7)


def _room(pages: Pages) -> Length:
    """Between the margins."""
    return Length((pages.page_width or 0) - (pages.left_margin or 0) - (pages.right_margin or 0))


# --- tables ---------------------------------------------------------------------------------


def _table(paper: Paper, table: Table, pages: Pages) -> None:
    columns = table.columns
    grid = paper.add_table(table.depth + len(table.rows), len(columns), "Table Grid")
    grid.alignment = WD_TABLE_ALIGNMENT.CENTER
    grid.autofit = False
    _narrow_margins(grid)
    size = SMALL if len(columns) > _WIDE else SIZE_5
    unit = _room(pages) / sum(column.width for column in columns)
    cells = [row.cells for row in grid.rows]
    for row in cells:
        for cell, column in zip(row, columns, strict=True):
            cell.width = Length(int(unit * column.width))
    for grid_column, column in zip(grid.columns, columns, strict=True):
        grid_column.width = Length(int(unit * column.width))
    for title, top, left, rows, spanned in table.heading_cells:
        cell = cells[top][left].merge(cells[top + rows - 1][left + spanned - 1])
        _fill(cell, title, HEI, size)
    alignments = [LEFT if running else CENTRE for running in table.running]
    for texts, row in zip(table.rows, cells[table.depth :], strict=True):
        for value, cell, alignment in zip(texts, row, alignments, strict=True):
            _fill(cell, shown(value), SONG, size, alignment)
    for number, grid_row in enumerate(grid.rows):
        properties = grid_row._tr.get_or_add_trPr()
        properties.append(OxmlElement("w:cantSplit"))
        if number < table.depth:
            properties.append(OxmlElement("w:tblHeader"))


def _fill(
    cell: _Cell, text: str, font: str, size: Length, alignment: WD_ALIGN_PARAGRAPH = CENTRE
) -> None:
    cell.vertical_alignment = WD_CELL_VERTICAL_ALIGNMENT.CENTER
    paragraph = cell.paragraphs[0]
    for surplus in cell.paragraphs[1:]:
        surplus._element.getparent().remove(surplus._element)
    form = paragraph.paragraph_format
    form.alignment = alignment
    form.space_before = form.space_after = Pt(1) if size == SMALL else Pt(3)
    _style(paragraph.add_run(text), font, size)


# --- what python-docx cannot do by itself -----------------------------------------------------


def _element(tag: str, **attributes: str) -> Any:
    element = OxmlElement(tag)
    for name, value in attributes.items():
        element.set(qn(f"w:{name}"), value)
    return element


def _page_number() -> Iterator[Any]:
    yield _element("w:fldChar", fldCharType="begin")
    instruction = _element("w:instrText")
    instruction.text = "PAGE"
    yield instruction
    yield _element("w:fldChar", fldCharType="end")


def _narrow_margins(grid: Grid) -> None:
    """Leave 1 pt beside the text of a cell, where Word leaves 5.4 pt."""
    margins = _element("w:tblCellMar")
    for side in ("left", "right"):
        margins.append(_element(f"w:{side}", w="20", type="dxa"))
    grid._tbl.tblPr.append(margins)


def _rule_below(paragraph: Paragraph, colour: str = "C00000", eighths: int = 16) -> None:
    borders = _element("w:pBdr")
    line = {"val": "single", "sz": str(eighths), "space": "6", "color": colour}
    borders.append(_element("w:bottom", **line))
    # pBdr has its place in the schema's order, before spacing and indentation.
    properties = paragraph._element.get_or_add_pPr()
    properties.insert_element_before(borders, "w:shd", "w:tabs", "w:spacing", "w:ind", "w:jc")
