"""附件: the bulletin's tables. Zero is a blank, and so is a rate without a denominator."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from models.bulletin.document import Change, Discrepancy, Heading, Standing, Table, Value
from models.bulletin.figures import Activity, Figures, Revision
from models.bulletin.rankings import standings
from models.rates import RateKind
from models.registry import Unit
from models.tally import NOTHING, Tally
from models.words import COLUMNS, DOUBLE_PUBLICITY, IN_TOTAL

_LONG: Final = 1.3
_NAME: Final = 2.4


_NUMBER_AND_RATES: Final = (Heading("数量"), *(Heading(kind.zh) for kind in RateKind))


def _columns(*, in_total: bool) -> Iterator[Heading]:
    for category, heading in COLUMNS.items():
        if category.about.in_total is in_total:
            yield Heading(heading, _NUMBER_AND_RATES if category in DOUBLE_PUBLICITY else ())


HEADINGS: Final = (
    Heading("报送机构", width=_NAME),
    Heading(
        "信用信息报送情况(条)",
        (Heading("总报送量", width=_LONG), *_columns(in_total=True)),
    ),
    *_columns(in_total=False),
)
"""Of annexes 1 and 2, as the annex 2 of June 2022 has them (its annex 1 lost some columns)."""


def units_table(title: str, figures: Figures, units: Iterable[Unit], *, silent: bool) -> Table:
    """Annex 1 or 2: a row for each of the units, by total reported; equal ones in registry order.

    Args:
        title: The table's title.
        figures: The month's.
        units: The units of one kind.
        silent: Whether those that reported nothing have a row too.
    """
    totals = {
        unit.id: figures.of(unit.id, *IN_TOTAL).reported
        for unit in units
        if silent or unit.id in figures.units
    }
    ordered = sorted(totals, key=lambda unit: totals[unit], reverse=True)
    rows = tuple((unit, totals[unit] or None, *_counts(figures, unit)) for unit in ordered)
    return Table(title, HEADINGS, rows)


def _counts(figures: Figures, unit: str) -> Iterator[Value]:
    for category in COLUMNS:
        tally = figures.of(unit, category)
        yield tally.reported or None
        if category in DOUBLE_PUBLICITY:
            yield from (kind.of(tally) for kind in RateKind)


def publicity_table(title: str, activities: Iterable[Activity], example: Activity | None) -> Table:
    """Annex 3, the example first if there is one."""
    headings = (
        Heading("序号", width=0.6),
        Heading("报送单位/区", width=1.6),
        Heading("刊发媒体", width=1.4),
        Heading("稿件标题", width=3),
        Heading("网址链接", width=3),
        Heading("备注"),
    )
    rows: list[tuple[Value, ...]] = [] if example is None else [("例：", *example)]
    rows += [(number, *map(_printable, activity)) for number, activity in enumerate(activities, 1)]
    return Table(title, headings, tuple(rows))


def _printable(text: str) -> str:
    """The text without characters that no document can hold."""
    return "".join(filter(str.isprintable, text))


def _now_and_before(word: str) -> Heading:
    return Heading(
        word,
        (
            Heading("本月"),
            Heading("上月"),
            Heading("增减(百分点)"),
            Heading("本月排名"),
            Heading("上月排名"),
            Heading("升降(位)"),
        ),
    )


def changes_table(title: str, changes: Iterable[Change]) -> Table:
    """环比: how each unit's number, rates and ranks moved since the month before."""
    headings = (
        Heading("报送机构", width=_NAME),
        Heading("类别", width=_LONG),
        Heading("数量", (Heading("本月"), Heading("上月"))),
        *(_now_and_before(kind.zh) for kind in RateKind),
    )
    rows = tuple(
        (
            change.unit,
            change.category.zh,
            *(count or None for count in change.reported),
            *_moved(*change.compliance),
            *_moved(*change.timeliness),
        )
        for change in changes
    )
    return Table(title, headings, rows)


def _moved(now: Standing | None, before: Standing | None) -> tuple[Value, ...]:
    points = climbed = None
    if now is not None and before is not None:
        points = f"{now.rate - before.rate:+.2f}" if now.rate != before.rate else "持平"
        climbed = f"{before.rank - now.rank:+d}" if now.rank != before.rank else "持平"
    return (
        now and now.rate,
        before and before.rate,
        points,
        now and now.rank,
        before and before.rank,
        climbed,
    )


def changes(figures: Figures, previous: Figures, units: Sequence[Unit]) -> Iterator[Change]:
    """The change of every unit that reported something of a 双公示 category in either month."""
    for category in DOUBLE_PUBLICITY:
        for kind in dict.fromkeys(unit.kind for unit in units):
            names = [unit.id for unit in units if unit.kind is kind]
            now, before = (
                {kind: standings(each, names, category, kind) for kind in RateKind}
                for each in (figures, previous)
            )
            for unit in names:
                reported = (
                    figures.of(unit, category).reported,
                    previous.of(unit, category).reported,
                )
                if any(reported):
                    compliance, timeliness = (
                        (now[kind].get(unit), before[kind].get(unit)) for kind in RateKind
                    )
                    yield Change(unit, kind, category, reported, compliance, timeliness)


def revisions_table(title: str, revisions: Iterable[Revision]) -> Table:
    """What later corrections moved of months published before."""
    headings = (
        Heading("月份"),
        Heading("报送机构", width=_NAME),
        Heading("类别", width=_LONG),
        *(Heading(word, _NUMBER_AND_RATES) for word in ("已公布", "修订后")),
    )
    rows = tuple(
        (
            str(revision.month),
            revision.duty.unit,
            revision.duty.category.zh,
            *_three(revision.told),
            *_three(revision.now),
        )
        for revision in revisions
    )
    return Table(title, headings, rows)


def _three(tally: Tally) -> tuple[Value, ...]:
    if tally.reported == NOTHING.reported:
        return 0, None, None
    return tally.reported, *(kind.of(tally) for kind in RateKind)


def comparison_table(title: str, discrepancies: Iterable[Discrepancy]) -> Table:
    """与已公布数字的差异."""
    headings = (
        Heading("报送机构", width=_NAME),
        Heading("类别", width=_LONG),
        Heading("项目"),
        Heading("已公布", width=_LONG),
        Heading("本系统", width=_LONG),
        Heading("说明", width=7),
    )
    rows = tuple(
        (each.unit, each.category.zh, each.item, each.printed, each.ours, each.reason)
        for each in discrepancies
    )
    return Table(title, headings, rows)
