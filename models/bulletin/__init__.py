"""通报: the monthly bulletin as one model, from the figures to a document that agrees with itself.

`compose` is the whole of it; what it gives, `streams.bulletin` renders.
"""

from collections.abc import Iterable
from datetime import date

from models.bulletin.annexes import (
    changes,
    changes_table,
    comparison_table,
    publicity_table,
    revisions_table,
    units_table,
)
from models.bulletin.check import BulletinError, contradictions
from models.bulletin.compare import discrepancies
from models.bulletin.document import Bulletin, Cell, Heading, Section, Table
from models.bulletin.figures import (
    Activity,
    Concealment,
    DetailRow,
    Edition,
    Figures,
    NewPlatform,
    Platforms,
    PrintedCell,
    Revision,
    last_told,
    revisions,
)
from models.bulletin.rankings import double_publicity, in_text
from models.bulletin.rules import BulletinRules, Issue, SilentUnits
from models.bulletin.volumes import volume_sections
from models.month import Month
from models.registry import Registry
from models.words import Category, UnitKind

__all__ = [
    "Activity",
    "Bulletin",
    "BulletinError",
    "BulletinRules",
    "Cell",
    "Concealment",
    "DetailRow",
    "Edition",
    "Figures",
    "NewPlatform",
    "Platforms",
    "PrintedCell",
    "Revision",
    "compose",
    "last_told",
    "platforms",
    "revisions",
]

OPEN_NUMBER = "（文号待定）"
"""Printed where the registry has no document number for the month."""


def compose(
    edition: Edition,
    registry: Registry,
    rules: BulletinRules,
    printed: Iterable[PrintedCell] = (),
) -> Bulletin:
    """Write a month's bulletin, and read it again as its readers will.

    Args:
        edition: The figures and what is reported with them.
        registry: The units, in the order in which units with equal figures are listed.
        rules: The office's rules and texts.
        printed: The official bulletin of the same month, if there is one, to be compared with.

    Raises:
        BulletinError: the bulletin contradicts itself or its figures; every contradiction is named.
    """
    month, figures = edition.month, edition.figures
    units = registry.units
    issue = rules.issue(month)
    places = {"year": month.year, "month": month.number}
    cells = tuple(
        Cell(unit.id, unit.kind, category, tally)
        for unit in units
        for category in Category
        if (tally := figures.of(unit.id, category)).reported
    )
    moved = tuple(changes(figures, edition.previous, units)) if edition.previous else ()
    found = tuple(discrepancies(cells, printed)) if (printed := tuple(printed)) else ()
    bulletin = Bulletin(
        month=month,
        letterhead=rules.letterhead,
        number=issue.number if issue else OPEN_NUMBER,
        title=rules.title.format_map(places),
        addressee=rules.addressee,
        opening=rules.opening.format_map(places),
        sections=(
            double_publicity(figures, units, rules.rankings),
            *volume_sections(figures, units, rules.volumes),
            _platforms(edition),
            _requirements(edition, rules, issue),
        ),
        contact=rules.contact,
        signatory=rules.signatory,
        signed=_day(issue.signed) if issue else "",
        annexes=(
            *_unit_tables(figures, registry, rules),
            publicity_table(
                "开展诚信宣传活动统计表",
                figures.activities,
                rules.publicity_example.activity if rules.publicity_example else None,
            ),
            *((changes_table("双公示信息环比变化表", moved),) if moved else ()),
            *(
                (revisions_table("以前月份数据修订表", edition.revisions),)
                if edition.revisions
                else ()
            ),
        ),
        imprint=_imprint(rules, issue),
        cells=cells,
        silent=tuple(unit.id for unit in units if unit.id not in figures.units),
        changes=moved,
        revisions=edition.revisions,
        discrepancies=found,
        comparison=comparison_table("与已公布数字的差异说明", found) if printed else None,
        errata=issue.errata if issue and printed else (),
        frozen=edition.frozen_at is not None,
    )
    problems = contradictions(bulletin, edition)
    if problems:
        raise BulletinError(*problems)
    return bulletin


def platforms(month: Month, registry: Registry, rules: BulletinRules) -> Platforms:
    """The platforms connected by the end of the month, and those connected in it."""
    by_then = [each for each in registry.platforms if each.since <= month.last]
    new = tuple(NewPlatform(each.owner, each.name) for each in by_then if each.since >= month.first)
    return Platforms(rules.unlisted_platforms + len(by_then), new)


def _unit_tables(figures: Figures, registry: Registry, rules: BulletinRules) -> list[Table]:
    return [
        units_table(
            f"{figures.month.number}月{which}报送情况统计表",
            figures,
            [unit for unit in registry.units if unit.kind is kind],
            silent=rules.silent_units is SilentUnits.LIST,
        )
        for kind, which in ((UnitKind.DEPARTMENT, "市直部门"), (UnitKind.DISTRICT, "各区"))
    ]


def _platforms(edition: Edition) -> Section:
    connected, new = edition.platforms
    said = (
        f"截至{edition.month.number}月份，已有{connected}个平台（系统）"
        "与市信用信息公共服务平台完成对接，"
    )
    if not new:
        return Section("八、平台对接情况", (f"{said}本月没有新增。",))
    headings = (
        Heading("序号", width=0.5),
        Heading("所属单位", width=2),
        Heading("平台名称", width=2.5),
    )
    rows = tuple((number, in_text(owner), name) for number, (owner, name) in enumerate(new, 1))
    table = Table("本月新增对接平台", headings, rows)
    return Section("八、平台对接情况", (f"{said}其中本月新增{len(new)}个，具体如下：",), table)


def _requirements(edition: Edition, rules: BulletinRules, issue: Issue | None) -> Section:
    places: dict[str, int | str] = {"year": edition.month.year, "month": edition.month.number}
    told = edition.concealment
    concealment = rules.concealment.format_map({**places, **told._asdict()}) if told else ""
    places["concealment"] = concealment
    paragraphs = []
    listed = issue.requirements if issue and issue.requirements else rules.requirements
    for number, requirement in enumerate(listed, 1):
        first, *others = (text.format_map(places) for text in requirement.text)
        paragraphs += [f"{number}.{requirement.title}。{first}", *others]
    return Section("九、有关要求", tuple(paragraphs))


def _imprint(rules: BulletinRules, issue: Issue | None) -> tuple[str, ...]:
    if issue is None:
        return ()
    return rules.signatory, f"{_day(issue.printed)}印发", f"共印{issue.copies}份"


def _day(day: date) -> str:
    return f"{day.year}年{day.month}月{day.day}日"
