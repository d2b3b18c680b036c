"""The bulletin: June 2022 as published, the lists' rules, the self-check, the files."""

import csv
import re
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from html.parser import HTMLParser
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any

import orjson
import pytest
from docx import Document
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import load_workbook
from openpyxl.utils import get_column_letter

from models.bulletin import (
    Activity,
    Bulletin,
    BulletinError,
    BulletinRules,
    DetailRow,
    Edition,
    Figures,
    Platforms,
    Revision,
    compose,
    last_told,
    platforms,
    revisions,
)
from models.bulletin.check import contradictions
from models.bulletin.document import Section, Standing, Table, Value, shown
from models.month import Month
from models.rates import rate
from models.registry import Registry, RegistryError
from models.tally import Duty, Tally
from models.words import DOUBLE_PUBLICITY, FIVE_KINDS, Category, UnitKind
from streams.bulletin import RENDERINGS, AlreadyFrozenError, edition_of, load_rules, printed
from streams.bulletin.detail import HEADINGS, write_details
from streams.cli.terminal import Failure
from streams.demo.simulate import Plan
from streams.errors import InputError
from streams.published import published_month
from tests.support.deployed import CALENDAR, REGISTRY
from tests.support.planned import PlannedFigures

verb = import_module("streams.cli.bulletin")
"""The module: its package has the function under the same name."""

FOLDER = Path("deploy/registry")
RULES = load_rules(FOLDER, REGISTRY)
JUNE = Month(2022, 6)
MARCH = Month(2023, 3)
SOURCE = PlannedFigures([Plan.of_month(Month(2022, 6))], REGISTRY, CALENDAR)
EDITION = edition_of(JUNE, SOURCE, REGISTRY, RULES)
BULLETIN = compose(EDITION, REGISTRY, RULES, printed(JUNE))


def told(section: Section) -> Iterator[str]:
    """Every text of a section, in reading order."""
    yield section.heading
    yield from section.paragraphs
    if section.table:
        yield from table_texts(section.table)
    for part in section.parts:
        yield from told(part)


def table_texts(table: Table) -> Iterator[str]:
    yield from (cell.title for cell in table.heading_cells)
    for row in table.rows:
        yield from map(shown, row)


def paragraphs(bulletin: Bulletin) -> list[str]:
    def within(section: Section) -> Iterator[str]:
        yield from section.paragraphs
        for part in section.parts:
            yield from within(part)

    return [text for section in bulletin.sections for text in within(section)]


def month_of(
    tallies: dict[tuple[str, Category], tuple[int, int, int]], month: Month = MARCH
) -> Edition:
    """An edition of these reported, compliant and timely records."""
    figures = Figures(
        month,
        {
            Duty(*duty): Tally(reported, compliant, timely, compliant - timely)
            for duty, (reported, compliant, timely) in tallies.items()
        },
    )
    return Edition(figures, Platforms(35))


def rows_of(table: Table) -> dict[str, dict[tuple[str, ...], Value]]:
    paths = [path[1:] or path for path in table.paths]
    return {str(row[0]): dict(zip(paths[1:], row[1:], strict=True)) for row in table.rows}


# --- June 2022: the tables ---------------------------------------------------------------------

FAULTY = {
    ("江岸区", "行政许可", "合规率"): ("96.95%", "96.98%"),
    ("江岸区", "行政许可", "及时率"): ("99.70%", "99.71%"),
    ("江岸区", "行政处罚", "合规率"): ("80.48%", "80.49%"),
    ("江岸区", "行政处罚", "及时率"): ("86.67%", "87.88%"),
    ("汉阳区", "行政处罚", "及时率"): ("85.10%", "85.11%"),
    ("蔡甸区", "行政许可", "及时率"): ("99.80%", "99.84%"),
}
"""Rates that no counts give, or that were not rounded (docs/rules.md, section 7)."""

UNPRINTED = {
    ("硚口区", "行政确认"): 86,
    ("市交通运输局", "行政强制"): 1763,
    ("市交通运输局", "履约践诺"): 100,
    ("市住房保障和房屋管理局", "分级分类结果"): 1179,
    ("市人社局", "分级分类结果"): 919,
}
"""Counts that the tables lost, and the totals and the text give (docs/rules.md, section 7)."""

COLUMNS = {
    "总报送量": ("总报送量",),
    "行政许可": ("行政许可", "数量"),
    "行政处罚": ("行政处罚", "数量"),
    "其他行政行为": ("其他行政行为信息",),
    "分级分类结果": ("分级分类评价结果",),
    "信用承诺": ("信用承诺信息(条)",),
    "履约践诺": ("履约践诺信息(条)",),
    "联合奖惩案例": ("联合奖惩案例(个)",),
}


def test_every_printed_cell_is_reproduced() -> None:
    rows = {unit: row for table in BULLETIN.annexes[:2] for unit, row in rows_of(table).items()}
    ours = {
        (unit, path): value for unit, row in rows.items() for path, value in row.items() if value
    }
    for cell in published_month(Month(2022, 6)):
        if cell.category == "五类未列明":
            continue
        path = COLUMNS.get(cell.category, (cell.category,))
        assert ours.pop((cell.unit, path)) == cell.count
        for word, said in (("合规率", cell.compliance_rate), ("及时率", cell.timeliness_rate)):
            if said is not None:
                found = rows[cell.unit][cell.category, word]
                pair = FAULTY.get((cell.unit, cell.category, word), (shown(said), shown(said)))
                assert (shown(said), shown(found)) == pair
                ours.pop((cell.unit, (cell.category, word)), None)
    assert ours == {
        (unit, (category,)): count
        for (unit, category), count in UNPRINTED.items()
        if category in ("行政确认", "行政强制")
    }


def test_rows_stand_in_the_published_order() -> None:
    published = dict.fromkeys(cell.unit for cell in published_month(Month(2022, 6)))
    departments, districts = BULLETIN.annexes[:2]
    assert [row[0] for table in (districts, departments) for row in table.rows] == list(published)


def test_annex_columns_begin_with_the_published_ones() -> None:
    """A category that was not there in June 2022 has its column behind those of its kind."""
    for table in BULLETIN.annexes[:2]:
        assert [heading.title for heading in table.headings[:5]] == [
            "报送机构",
            "信用信息报送情况(条)",
            "信用承诺信息(条)",
            "履约践诺信息(条)",
            "联合奖惩案例(个)",
        ]
        within = [path[1:] for path in table.paths if path[0] == table.headings[1].title]
        assert within[:15] == [
            ("总报送量",),
            *((category.zh, item) for category in DOUBLE_PUBLICITY for item in ITEMS),
            *((category.zh,) for category in FIVE_KINDS),
            ("其他行政行为信息",),
            ("分级分类评价结果",),
            ("基础信息",),
        ]


ITEMS = ("数量", "合规率", "及时率")


def test_what_differs_is_marked_with_its_reason() -> None:
    found = {
        (each.unit, each.category.zh, each.item): (shown(each.printed), shown(each.ours))
        for each in BULLETIN.discrepancies
    }
    unprinted = {(*where, "数量"): ("", str(count)) for where, count in UNPRINTED.items()}
    assert found == FAULTY | unprinted
    assert all("待核实" not in each.reason for each in BULLETIN.discrepancies)


def test_a_difference_without_known_fault_says_so() -> None:
    tallies = dict(EDITION.figures.tallies)
    tallies[Duty("洪山区", Category.BASIC)] = Tally(3, 3, 3)
    moved = replace(EDITION, figures=replace(EDITION.figures, tallies=tallies))
    more = compose(moved, REGISTRY, RULES, printed(JUNE)).discrepancies
    (new,) = set(more) - set(BULLETIN.discrepancies)
    assert (new.unit, new.printed, new.ours) == ("洪山区", 0, 3)
    assert "待核实" in new.reason


# --- June 2022: the text -----------------------------------------------------------------------

DIFFERENCES = (
    # Truncated in print, not rounded: 117096 of 117525 records, 117007 of them timely.
    (
        "11.70万条，数据合规率99.60%，及时率99.90%",
        "11.71万条，数据合规率99.63%，及时率99.92%",
    ),
    # A misprint: there is no 黄浦区 in Wuhan, and annex 2 has the figures under 黄陂区.
    ("黄浦区", "黄陂区"),
    # Wording: sections two and five have it with a number.
    ("报送数量前三的是", "报送数量前3位的是"),
    # Names are written out as in the registry, as section two does.
    ("市住房保障和房屋管理局、人社局、气象局共", "市住房保障和房屋管理局、市人社局、市气象局共"),
    ("1市政务服务和大数据管理局", "1市公管办（市政务服务和大数据管理局）"),
    # The column of numbers had no heading.
    ("具体如下：所属单位", "具体如下：序号所属单位"),
    # Signed before the month was over, printed on 18 July.
    ("2022年6月18日", "2022年7月18日"),
)
"""What was published, and what we say: everything else is equal, character by character."""


def squeezed(text: str) -> str:
    return "".join(text.split())


def test_the_text_is_the_published_one_but_for_known_differences() -> None:
    published = squeezed(Path("tests/data/bulletin-2022-06.txt").read_text("utf-8"))
    published = published[: published.index("附件16月市直部门")]
    for theirs, ours in DIFFERENCES:
        assert theirs in published
        published = published.replace(theirs, ours)
    text = [
        BULLETIN.letterhead,
        BULLETIN.number,
        BULLETIN.title,
        BULLETIN.addressee,
        BULLETIN.opening,
        *(text for section in BULLETIN.sections for text in told(section)),
        BULLETIN.contact,
        "附件：",
        *(f"{number}.{annex.title}" for number, annex in enumerate(BULLETIN.annexes, 1)),
        BULLETIN.signatory,
        BULLETIN.signed,
    ]
    assert squeezed("".join(text)) == published


def test_imprint_and_example_row_are_the_published_ones() -> None:
    published = squeezed(Path("tests/data/bulletin-2022-06.txt").read_text("utf-8"))
    assert squeezed("".join(BULLETIN.imprint)) in published
    example = squeezed("".join(map(shown, BULLETIN.annexes[2].rows[0])))
    for theirs, ours in ((":", "："), ("(", "（"), (")", "）")):
        published, example = published.replace(theirs, ours), example.replace(theirs, ours)
    assert example in published


# --- the lists' rules --------------------------------------------------------------------------

LICENCE, PENALTY = DOUBLE_PUBLICITY
DISTRICTS = [unit.id for unit in REGISTRY.units if unit.kind is UnitKind.DISTRICT]
DEPARTMENTS = [unit.id for unit in REGISTRY.units if unit.kind is UnitKind.DEPARTMENT]


def text_of(edition: Edition, rules: BulletinRules = RULES) -> str:
    return "\n".join(paragraphs(compose(edition, REGISTRY, rules)))


def test_a_list_grows_by_those_level_at_its_end() -> None:
    counts = {"江岸区": 99, "江汉区": 98, "硚口区": 97, "汉阳区": 97, "武昌区": 90, "青山区": 80}
    edition = month_of({(unit, LICENCE): (100, good, good) for unit, good in counts.items()})
    text = text_of(edition)
    assert "较高的区有：江岸区（99%）、江汉区（98%）、硚口区（97%）、汉阳区（97%）。" in text
    # Nobody is both good and bad.
    assert "较低的区有：青山区（80%）、武昌区（90%）。" in text
    rankings = RULES.rankings.model_copy(update={"ties": False})
    text = text_of(edition, RULES.model_copy(update={"rankings": rankings}))
    assert "较高的区有：江岸区（99%）、江汉区（98%）、硚口区（97%）。" in text


def test_equal_rates_are_ordered_by_the_other_rate_then_precedence_then_registry() -> None:
    edition = month_of(
        {
            ("青山区", PENALTY): (10, 9, 9),
            ("武昌区", PENALTY): (10, 10, 10),
            ("汉阳区", PENALTY): (10, 9, 9),
            ("江岸区", PENALTY): (10, 5, 4),
            ("市农业农村局", PENALTY): (1, 1, 1),
            ("市税务局", PENALTY): (1, 1, 1),
            ("市民宗委", PENALTY): (1, 1, 1),
            ("市统计局", PENALTY): (1, 1, 0),
        }
    )
    text = text_of(edition)
    assert "行政处罚信息及时率达到100%的区有：武昌区、汉阳区、青山区。" in text
    assert "及时率达到100%的有：市税务局、市农业农村局、市民宗委。" in text


def test_one_sentence_where_everybody_is_good() -> None:
    edition = month_of(
        {
            ("江岸区", LICENCE): (10000, 9910, 9910),
            ("江汉区", LICENCE): (100, 100, 100),
            ("武昌区", PENALTY): (9, 9, 9),
            ("青山区", PENALTY): (9, 9, 9),
        }
    )
    text = text_of(edition)
    # 99.10 % is above 99.0 %, not above 99.1 %.
    assert "各区行政许可信息合规率均超过99%。" in text
    assert "各区行政处罚信息合规率均达到100%。" in text
    assert "较低" not in text


def test_one_unit_is_named_and_not_called_all() -> None:
    text = text_of(
        month_of({("江岸区", LICENCE): (3, 3, 2), ("江岸区", Category.BASIC): (4, 4, 4)})
    )
    assert "行政许可信息合规率达到100%的区有：江岸区。" in text
    assert "行政许可信息及时率较低的区有：江岸区（66.67%）。" in text
    assert "较高" not in text
    assert "各区、市直单位均未报送行政处罚信息。" in text
    assert "江岸区报送基础信息4条；市直单位未报送基础信息。" in text
    assert "市各部门报送“双公示”信息总量3条，清洗入库3条，数据合规率100%，及时率66.67%。" in text


def test_without_compliant_records_there_is_no_timeliness() -> None:
    bulletin = compose(month_of({("江岸区", LICENCE): (3, 0, 0)}), REGISTRY, RULES)
    assert "数据合规率0%。" in paragraphs(bulletin)[0]
    row = rows_of(bulletin.annexes[1])["江岸区"]
    assert (row["行政许可", "合规率"], row["行政许可", "及时率"]) == (Decimal("0.00"), None)


def test_an_empty_month_is_told_as_such() -> None:
    bulletin = compose(month_of({}), REGISTRY, RULES)
    text = "\n".join(paragraphs(bulletin))
    assert "3月份，各区、市各部门均未报送“双公示”信息。" in text
    assert "3月份，各区、市直单位均未报送联合奖惩案例。" in text
    assert "已有35个平台（系统）与市信用信息公共服务平台完成对接，本月没有新增。" in text
    assert [len(table.rows) for table in bulletin.annexes] == [0, 0, 1]
    assert (bulletin.number, bulletin.signed) == ("（文号待定）", "")
    assert len(bulletin.silent) == len(REGISTRY.units)
    for render in RENDERINGS.values():
        assert render(bulletin)


def test_silent_units_can_be_listed() -> None:
    listing = RULES.model_copy(update={"silent_units": "list"})
    assert text_of(month_of({}), listing)
    edition = month_of({("江岸区", Category.COMMITMENT): (3, 3, 3)})
    rules = BulletinRules.parse(
        (FOLDER / "bulletin.yaml").read_text("utf-8").replace("units: omit", "units: list"),
        REGISTRY,
    )
    districts = compose(edition, REGISTRY, rules).annexes[1]
    assert len(districts.rows) == len(DISTRICTS)
    assert set(districts.rows[0][1:]) == {None}


def test_too_many_units_to_be_named_are_counted() -> None:
    edition = month_of({(unit, Category.GRADING): (2, 2, 2) for unit in DEPARTMENTS[:5]})
    assert "各区未报送分级分类结果信息；5个市直单位报送分级分类结果信息10条。" in text_of(edition)


def test_a_level_leader_is_named_too() -> None:
    counts = dict(zip(DISTRICTS, (9, 8, 7, 7, 1), strict=False))
    edition = month_of({(unit, Category.COMMITMENT): (n, n, n) for unit, n in counts.items()})
    assert f"报送数量前3位的是：{'、'.join(DISTRICTS[:4])}。" in text_of(edition)


def test_platforms_are_those_connected_by_the_months_end() -> None:
    assert platforms(JUNE, REGISTRY, RULES).connected == 35
    assert len(platforms(JUNE, REGISTRY, RULES).new) == 8
    assert platforms(JUNE.previous, REGISTRY, RULES) == Platforms(27)
    assert platforms(JUNE.next, REGISTRY, RULES) == Platforms(35)


# --- the self-check ----------------------------------------------------------------------------


def mutated(section: Section, paragraph: str, other: str) -> Section:
    return replace(
        section,
        paragraphs=tuple(other if each == paragraph else each for each in section.paragraphs),
        parts=tuple(mutated(part, paragraph, other) for part in section.parts),
    )


def altered_texts() -> Iterator[tuple[str, str]]:
    """Each paragraph of sections one to eight, with each of its numbers raised by one digit."""
    for paragraph in paragraphs(replace(BULLETIN, sections=BULLETIN.sections[:-1])):
        start = re.match(r"(截至)?\d+月份，", paragraph)
        for number in re.finditer(r"\d", paragraph):
            if not start or number.start() >= start.end():
                other = str((int(number[0]) + 1) % 10)
                yield paragraph, paragraph[: number.start()] + other + paragraph[number.end() :]


def test_every_digit_of_the_text_is_checked() -> None:
    altered = list(altered_texts())
    assert len(altered) > 200
    for paragraph, other in altered:
        sections = tuple(mutated(section, paragraph, other) for section in BULLETIN.sections)
        assert contradictions(replace(BULLETIN, sections=sections), EDITION), other


def test_every_name_in_a_list_is_checked() -> None:
    dropped = 0
    for paragraph in paragraphs(replace(BULLETIN, sections=BULLETIN.sections[:-2])):
        for name in re.findall(
            r"(?<=：)[^、。；]+、|、[^、。；：\d]+?(?=[、。；]|共报送|分别)", paragraph
        ):
            other = paragraph.replace(name, "", 1)
            sections = tuple(mutated(section, paragraph, other) for section in BULLETIN.sections)
            assert contradictions(replace(BULLETIN, sections=sections), EDITION), other
            dropped += 1
    assert dropped > 40


def test_every_column_of_the_annexes_is_checked() -> None:
    for index, table in enumerate(BULLETIN.annexes[:2]):
        for number, row in list(enumerate(table.rows))[::6]:
            for column, value in enumerate(row[1:], 1):
                raised = 1 if value is None or isinstance(value, str) else value + 1
                rows = list(table.rows)
                rows[number] = (*row[:column], raised, *row[column + 1 :])
                annexes = list(BULLETIN.annexes)
                annexes[index] = replace(table, rows=tuple(rows))
                wrong = replace(BULLETIN, annexes=tuple(annexes))
                assert contradictions(wrong, EDITION), (row[0], column)


def test_a_missing_or_repeated_row_is_a_contradiction() -> None:
    departments, districts, publicity = BULLETIN.annexes
    for rows in (districts.rows[1:], (*districts.rows, districts.rows[0])):
        annexes = (departments, replace(districts, rows=rows), publicity)
        assert contradictions(replace(BULLETIN, annexes=annexes), EDITION)


@pytest.mark.parametrize(
    ("duty", "tally", "said"),
    [
        (Duty("江岸区", LICENCE), Tally(3, 4, 4), "统计数自相矛盾"),
        (Duty("江岸区", LICENCE), Tally(3, 2, 3), "统计数自相矛盾"),
        (Duty("江岸区", LICENCE), Tally(3, 2, 2, 1), "统计数自相矛盾"),
        (Duty("江岸区", LICENCE), Tally(3, 2, -1), "统计数自相矛盾"),
        (Duty("汉口区", LICENCE), Tally(3, 2, 1), "汉口区 行政许可：报送机构不在登记册中"),
    ],
)
def test_figures_that_cannot_be_are_refused(duty: Duty, tally: Tally, said: str) -> None:
    edition = Edition(Figures(JUNE, {duty: tally}), Platforms(35))
    with pytest.raises(BulletinError, match=said):
        compose(edition, REGISTRY, RULES)


def test_platforms_that_do_not_add_up_are_refused() -> None:
    wrong = replace(EDITION, platforms=EDITION.platforms._replace(connected=7))
    with pytest.raises(BulletinError, match="总数少于新增数"):
        compose(wrong, REGISTRY, RULES)


counts = st.integers(0, 4).flatmap(
    lambda reported: st.integers(0, reported).flatmap(
        lambda compliant: st.tuples(
            st.just(reported), st.just(compliant), st.integers(0, compliant)
        )
    )
)
months = st.dictionaries(
    st.tuples(
        st.sampled_from([*DISTRICTS[:5], "市文化和旅游局", *DEPARTMENTS[-4:]]),
        st.sampled_from(list(Category)),
    ),
    counts | st.just((20_000, 19_990, 19_980)) | st.just((1000, 999, 998)),
    max_size=40,
)


@given(now=months, before=months)
def test_no_month_makes_a_bulletin_contradict_itself(
    now: dict[tuple[str, Category], tuple[int, int, int]],
    before: dict[tuple[str, Category], tuple[int, int, int]],
) -> None:
    previous = month_of(before, Month(2023, 2)).figures
    edition = replace(month_of(now), previous=previous)
    bulletin = compose(edition, REGISTRY, RULES)
    cells = orjson.loads(RENDERINGS["json"](bulletin))["cells"]
    assert {(cell["unit"], cell["category"]): cell["reported"] for cell in cells} == {
        duty: reported for duty, (reported, _, _) in now.items() if reported
    }


# --- the rules' file ---------------------------------------------------------------------------

TEXT = (FOLDER / "bulletin.yaml").read_text("utf-8")


def problem(text: str, registry: Registry = REGISTRY) -> str:
    with pytest.raises(RegistryError) as refusal:
        BulletinRules.parse(text, registry)
    return str(refusal.value)


@pytest.mark.parametrize(
    ("sound", "faulty", "said"),
    [
        ("{best: 3, worst", "{best: 0, worst", "rankings districts best 不能小于 1"),
        ("  ties: true", "  ties: 是", "rankings ties 应为 true 或 false"),
        (
            "    - 市税务局",
            "    - 市税务厅",
            "rankings precedence 第 1 项 不是 units.yaml 中的报送机构",
        ),
        ("{year}年{month}月份信用", "{year}年{mont}月份信用", "title 只能用占位 {year}、{month}"),
        ("{year}年{month}月份信用", "{year}年{month月份信用", "title 花括号不成对，请改正"),
        ("silent_units: omit", "silent_units: hide", "silent_units 应为以下之一"),
        ('month: "2022-06"', 'month: "2022-13"', "issues 第 1 项 month 应为月份，如 2022-06"),
        ("signed: 2022-07-18", 'signed: "2022-07-18"', "issues 第 1 项 signed 应为日期"),
        ("unlisted_platforms: 27", "unlisted: 27", "unlisted 是不认识的键，请改正或删去"),
        ("all_above: 99}", "all_above: 101}", "rankings districts all_above 不能大于 100"),
        ("addressee: 各区", "addressee: 各区\naddressee: 各区", "键“addressee”重复"),
    ],
)
def test_a_mistake_in_the_file_is_told_with_its_line(sound: str, faulty: str, said: str) -> None:
    assert TEXT.count(sound) == 1
    text = TEXT.replace(sound, faulty)
    line = text[: text.index(faulty)].count("\n") + 1 + faulty.count("\n")
    told = problem(text).splitlines()
    assert any(each.startswith(f"bulletin.yaml:{line}: ") and said in each for each in told), told


def test_two_issues_of_a_month_and_other_forms_are_refused() -> None:
    repeated = TEXT + TEXT[TEXT.index('  - month: "2022-06"') :]
    assert "2022-06 出现了不止一次" in problem(repeated)
    assert "bulletin.yaml:1: 内容应为" in problem("[]")


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"bulletin\.yaml:1: 读不出来"):
        load_rules(tmp_path, REGISTRY)
    (tmp_path / "bulletin.yaml").write_bytes("标题".encode("gbk"))
    with pytest.raises(RegistryError, match="UTF-8"):
        load_rules(tmp_path, REGISTRY)


# --- months, freezing, revisions ---------------------------------------------------------------


def test_months() -> None:
    assert (str(Month.of("2022-12").next), str(Month.of("2023-01").previous)) == (
        "2023-01",
        "2022-12",
    )
    assert (Month(2024, 2).first, Month(2024, 2).last) == (date(2024, 2, 1), date(2024, 2, 29))
    for wrong in ("2022-13", "2022", "六月", "2022-6-1"):
        with pytest.raises(ValueError, match="不是月份"):
            Month.of(wrong)


def test_an_edition_survives_its_json() -> None:
    duty = Duty("江岸区", LICENCE)
    activity = Activity("江岸区", "长江日报", "信用日", "https://a.example/1")
    edition = replace(
        EDITION,
        figures=replace(EDITION.figures, activities=(activity,)),
        previous=Figures(JUNE.previous, {duty: Tally(3, 2, 1, 1)}),
        revisions=(Revision(JUNE.previous, duty, Tally(3, 2, 1, 1), Tally(3, 3, 2, 1)),),
        frozen_at=datetime(2022, 7, 18, 9, tzinfo=UTC),
    )
    again = Edition.of_json(edition.to_json())
    assert again == edition
    assert compose(again, REGISTRY, RULES) == compose(edition, REGISTRY, RULES)


class Live(PlannedFigures):
    """Figures that corrections move."""

    def __init__(self) -> None:
        super().__init__([], REGISTRY, CALENDAR)
        self.now: dict[Month, dict[Duty, Tally]] = {}

    def figures(self, month: Month) -> Figures:
        return Figures(month, dict(self.now.get(month, {})))


def test_frozen_numbers_stay_and_the_next_bulletin_tells_what_moved_once() -> None:
    first, second, third = Month(2023, 1), Month(2023, 2), Month(2023, 3)
    licences, basic = Duty("江岸区", LICENCE), Duty("江岸区", Category.BASIC)
    source = Live()
    source.now[first] = {licences: Tally(10, 8, 8), basic: Tally(5, 5, 5)}
    source.freeze(frozen(edition_of(first, source, REGISTRY, RULES)))
    published = compose(edition_of(first, source, REGISTRY, RULES), REGISTRY, RULES)

    source.now[first][licences] = Tally(10, 9, 8, 1)
    source.now[second] = {licences: Tally(20, 20, 20)}
    assert compose(edition_of(first, source, REGISTRY, RULES), REGISTRY, RULES) == published
    edition = edition_of(second, source, REGISTRY, RULES)
    moved = Revision(first, licences, Tally(10, 8, 8), Tally(10, 9, 8, 1))
    assert edition.revisions == (moved,)
    # The month before is told as it was published.
    assert edition.previous == source.frozen(first).figures  # type: ignore[union-attr]
    bulletin = compose(edition, REGISTRY, RULES)
    assert [table.title for table in bulletin.annexes[3:]] == [
        "双公示信息环比变化表",
        "以前月份数据修订表",
    ]
    assert bulletin.annexes[4].rows == (
        (
            "2023-01",
            "江岸区",
            "行政许可",
            10,
            Decimal(80),
            Decimal(100),
            10,
            Decimal(90),
            rate(8, 9),
        ),
    )

    source.freeze(frozen(edition))
    with pytest.raises(AlreadyFrozenError):
        source.freeze(frozen(edition))
    source.now[third] = {licences: Tally(1, 1, 1)}
    assert edition_of(third, source, REGISTRY, RULES).revisions == ()
    del source.now[first][basic]
    (gone,) = edition_of(third, source, REGISTRY, RULES).revisions
    assert gone == Revision(first, basic, Tally(5, 5, 5), Tally())


def frozen(edition: Edition) -> Edition:
    return replace(edition, frozen_at=datetime(2023, 4, 1, tzinfo=UTC))


def test_corrections_without_effect_on_the_figures_are_no_revision() -> None:
    told = Figures(JUNE, {Duty("江岸区", LICENCE): Tally(3, 2, 1, 1)})
    now = Figures(JUNE, {Duty("江岸区", LICENCE): Tally(3, 2, 1, 1, corrections=4, duplicates=2)})
    assert not list(revisions([told], {JUNE: now}))
    assert last_told([Edition(told, Platforms(35))]) == [told]


def test_changes_of_rank_and_rate_stand_beside_each_unit() -> None:
    before = month_of(
        {
            ("江岸区", LICENCE): (10, 9, 9),
            ("江汉区", LICENCE): (10, 8, 8),
            ("武昌区", LICENCE): (10, 8, 4),
            ("青山区", LICENCE): (10, 10, 10),
        }
    ).figures
    now = month_of(
        {
            ("江岸区", LICENCE): (10, 7, 7),
            ("江汉区", LICENCE): (10, 9, 9),
            ("武昌区", LICENCE): (10, 8, 8),
            ("市税务局", LICENCE): (10, 1, 1),
        }
    )
    bulletin = compose(replace(now, previous=before), REGISTRY, RULES)
    changes = {change.unit: change for change in bulletin.changes}
    assert changes["江岸区"].compliance == (
        Standing(Decimal("70.00"), 3),
        Standing(Decimal("90.00"), 2),
    )
    # Equal rates have equal rank.
    assert changes["武昌区"].compliance[1] == Standing(Decimal("80.00"), 3)
    assert changes["江汉区"].compliance[1] == Standing(Decimal("80.00"), 3)
    assert changes["青山区"].compliance == (None, Standing(Decimal("100.00"), 1))
    rows = {row[0]: row[4:10] for row in bulletin.annexes[3].rows}
    assert [shown(value) for value in rows["江岸区"]] == ["70%", "90%", "-20.00", "3", "2", "-1"]
    assert [shown(value) for value in rows["江汉区"]] == ["90%", "80%", "+10.00", "1", "3", "+2"]
    assert [shown(value) for value in rows["武昌区"]] == ["80%", "80%", "持平", "2", "3", "+1"]
    assert [shown(value) for value in rows["市税务局"]] == ["10%", "", "", "1", "", ""]


# --- the files ---------------------------------------------------------------------------------

SHARP = Activity("江岸区", "长江日报", "=1+1 <script>alert(1)</script>\x0b", "javascript:alert(1)")
SHARP_BULLETIN = compose(
    replace(
        EDITION,
        figures=replace(EDITION.figures, activities=(SHARP,)),
        previous=Figures(JUNE.previous, dict(EDITION.figures.tallies)),
    ),
    REGISTRY,
    RULES,
    printed(JUNE),
)


def test_json_has_the_cells_of_the_contract() -> None:
    document = orjson.loads(RENDERINGS["json"](BULLETIN))
    cells = {(cell["unit"], cell["category"]): cell for cell in document["cells"]}
    assert cells["江夏区", "penalty"] == {
        "unit": "江夏区",
        "kind": "district",
        "category": "penalty",
        "reported": 140,
        "compliant": 109,
        "timely": 74,
        "compliance_rate": 77.86,
        "timeliness_rate": 67.89,
    }
    assert cells["市统计局", "penalty"]["timeliness_rate"] == 0
    assert len(cells) == len(document["cells"]) == len(EDITION.figures.tallies)
    assert [section["heading"][:2] for section in document["sections"]] == [
        f"{numeral}、" for numeral in "一二三四五六七八九"
    ]
    assert len(document["comparison"]) == len(FAULTY) + len(UNPRINTED)


def test_docx_holds_the_text_and_the_annexes_with_merged_headings() -> None:
    paper = Document(BytesIO(RENDERINGS["docx"](SHARP_BULLETIN)))
    texts = [paragraph.text for paragraph in paper.paragraphs]
    for expected in (BULLETIN.title, *paragraphs(BULLETIN), BULLETIN.signatory, BULLETIN.signed):
        assert expected in texts
    assert not any("差异说明" in text for text in texts)
    new, departments, districts, publicity, changes = paper.tables
    assert [cell.text for cell in new.rows[5].cells] == ["5", "黄陂区", "大数据平台"]
    assert (len(departments.rows), len(districts.rows)) == (3 + 25, 3 + 15)
    top = districts.rows[0].cells
    assert top[1]._tc is top[15]._tc
    assert top[0]._tc is districts.rows[2].cells[0]._tc
    assert [cell.text for cell in districts.rows[3].cells] == [
        shown(value) for value in BULLETIN.annexes[1].rows[0]
    ]
    assert publicity.rows[2].cells[3].text == "=1+1 <script>alert(1)</script>"
    assert len(changes.rows) == 2 + len(SHARP_BULLETIN.changes)
    upright, across = paper.sections
    assert (upright.page_width, across.page_width) == (across.page_height, upright.page_height)


def test_xlsx_has_a_sheet_for_each_annex_ready_to_print() -> None:
    book = load_workbook(BytesIO(RENDERINGS["xlsx"](SHARP_BULLETIN)))
    assert book.sheetnames == [
        "附件1 6月市直部门报送情况统计表",
        "附件2 6月各区报送情况统计表",
        "附件3 开展诚信宣传活动统计表",
        "附件4 双公示信息环比变化表",
        "与已公布数字的差异说明",
    ]
    sheet = book.worksheets[1]
    merged = {str(cells) for cells in sheet.merged_cells.ranges}
    table = SHARP_BULLETIN.annexes[1]
    within = 1 + len(table.headings[1].leaves)
    end, next_, last = map(get_column_letter, (within, within + 1, len(table.columns)))
    assert {"A3:A5", f"B3:{end}3", "B4:B5", "C4:E4", "F4:H4", "I4:I5"} <= merged
    assert {f"A2:{last}2", f"{next_}3:{next_}5"} <= merged
    assert [cell.value for cell in sheet[6]][:4] == ["东湖高新区", 149359, 967, 0.9928]
    assert (sheet["D6"].number_format, sheet["E6"].number_format) == ("0.00%", "0%")
    assert sheet["J6"].value is None
    assert sheet.print_title_rows == "$3:$5"
    assert (sheet.page_setup.orientation, sheet.page_setup.fitToWidth) == ("landscape", 1)
    title = book.worksheets[2]["D5"]
    assert (title.value, title.data_type) == ("=1+1 <script>alert(1)</script>", "s")


class Outline(HTMLParser):
    """Counts tags, and refuses those that are not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        assert "href" not in dict(attrs)
        if tag not in ("meta", "col"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_html_is_whole_and_runs_nothing() -> None:
    outline = Outline()
    outline.feed(RENDERINGS["html"](SHARP_BULLETIN).decode())
    assert outline.open == []
    assert "script" not in outline.seen
    assert outline.seen.count("table") == 1 + 4 + 1
    text = "".join(outline.text)
    for expected in (*paragraphs(BULLETIN), "与已公布数字的差异说明", *BULLETIN.errata):
        assert expected in text


# --- details and the verb ----------------------------------------------------------------------

SMALL = Plan.of_month(Month(2022, 6), 0.001)


def test_details_are_the_records_behind_the_figures(tmp_path: Path) -> None:
    source = PlannedFigures([SMALL], REGISTRY, CALENDAR)
    figures = source.figures(JUNE)
    for unit in ("江夏区", "市统计局"):
        counted = write_details(source.details(JUNE, unit), tmp_path / "detail.csv")
        expected = {
            duty.category: tally[:4] for duty, tally in figures.tallies.items() if duty.unit == unit
        }
        assert {category: tally[:4] for category, tally in counted.items()} == expected
    with (tmp_path / "detail.csv").open(encoding="utf-8-sig", newline="") as file:
        header, only = csv.reader(file)
    assert tuple(header) == HEADINGS
    assert only[header.index("是否及时")] == "逾期"
    assert list(source.details(JUNE.next, "江夏区")) == []


def test_a_formula_in_a_record_stays_a_text(tmp_path: Path) -> None:
    row = DetailRow(
        record_key="00ff",
        category=LICENCE,
        document="=cmd|'/c calc'!A1",
        subject="@某某公司",
        decided=date(2022, 6, 1),
        deadline=None,
        received=date(2022, 6, 2),
        first_compliant=None,
        compliant=False,
        timely=None,
        reasons=("统一社会信用代码有误", "许可类别有误"),
    )
    assert write_details([row], tmp_path / "one.csv") == {LICENCE: Tally(1)}
    text = (tmp_path / "one.csv").read_text("utf-8-sig")
    assert "'=cmd" in text
    assert "'@某某公司" in text
    assert "统一社会信用代码有误；许可类别有误" in text


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> PlannedFigures:
    planned = PlannedFigures([SMALL], REGISTRY, CALENDAR)
    monkeypatch.setattr(verb, "stored_figures", lambda _data: nullcontext(planned))
    return planned


def test_the_verb_writes_what_is_asked_for(tmp_path: Path, source: PlannedFigures) -> None:
    verb.bulletin("2022-06", tmp_path / "out", "json,html", detail=True)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["bulletin-2022-06.html", "bulletin-2022-06.json", "detail-2022-06"]
    details = {path.stem for path in (tmp_path / "out" / "detail-2022-06").iterdir()}
    assert details == source.figures(JUNE).units


def test_the_verb_freezes_once(tmp_path: Path, source: PlannedFigures) -> None:
    verb.bulletin("2022-06", tmp_path, "json", freeze=True)
    first = (tmp_path / "bulletin-2022-06.json").read_bytes()
    assert orjson.loads(first)["frozen"] is True
    assert source.frozen_months() == [JUNE]
    with pytest.raises(Failure, match="不能再次定稿"):
        verb.bulletin("2022-06", tmp_path, "json", freeze=True)
    verb.bulletin("2022-06", tmp_path, "json")
    assert (tmp_path / "bulletin-2022-06.json").read_bytes() == first


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"month": "2022-13"}, "不是月份"),
        ({"formats": "pdf"}, "--format 应为"),
        ({"formats": ""}, "--format 应为"),
        ({"month": "2999-01", "freeze": True}, "还没有结束"),
    ],
)
@pytest.mark.usefixtures("source")
def test_the_verb_says_what_is_wrong(given: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        verb.bulletin(**{"month": "2022-06", "out": tmp_path, **given})
    assert not list(tmp_path.iterdir())


def test_a_bulletin_that_contradicts_itself_is_not_written(
    tmp_path: Path, source: PlannedFigures, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = Figures(JUNE, {Duty("江岸区", LICENCE): Tally(1, 2, 2)})
    monkeypatch.setattr(source, "figures", lambda _month: wrong)
    with pytest.raises(BulletinError, match="通报自相矛盾"):
        verb.bulletin("2022-06", tmp_path, "json", freeze=True)
    assert not list(tmp_path.iterdir())
    assert source.frozen_months() == []


def test_without_a_store_the_verb_says_so(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="数据库"):
        verb.bulletin("2022-06", tmp_path)
