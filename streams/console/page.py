"""The console: a month's figures as a page, from the tallies that the worker rolls up."""

from collections.abc import Iterable
from decimal import Decimal
from html import escape
from typing import Final

from faust import App, web

from models.month import Month
from models.rates import RateKind
from models.tally import NOTHING, Duty, Tally
from models.words import COLUMNS, DOUBLE_PUBLICITY, FIVE_KINDS, IN_TOTAL, Category, CategoryGroup
from streams.clock import Clock
from streams.counting.rollup import Rollup

_REFRESH_SECONDS: Final = 2

_STYLE: Final = """
body{font:15px/1.5 system-ui,"PingFang SC","Noto Sans CJK SC",sans-serif;margin:2rem;color:#1c2733}
h1{font-size:1.4rem;margin:0}p{color:#5a6b7b;margin:.3rem 0 1.2rem}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .7rem;text-align:right;border-bottom:1px solid #e3e8ee;white-space:nowrap}
th{background:#f4f6f9;font-weight:600;position:sticky;top:0}
td:first-child,th:first-child{text-align:left}
.low{color:#b3261e;font-weight:600}
"""

_SINGLE: Final = tuple(category for category in COLUMNS if category.about.group is None)
"""The categories that are counted each by itself."""

_LOW: Final = 95
"""Rates below this percentage are marked on the page; alerts have thresholds of their own."""


def add_console(app: App, rollup: Rollup, clock: Clock) -> None:
    """Serve the console at /."""

    @app.page("/")
    async def console(page: web.View, _request: web.Request) -> web.Response:
        return page.html(
            render(rollup.between(Month.containing(clock.today()).first, clock.today()), clock)
        )


def render(tallies: dict[Duty, Tally], clock: Clock) -> str:
    """The page of the month to date: a row for each unit, the largest first."""
    units: dict[str, dict[Category, Tally]] = {}
    for duty, tally in tallies.items():
        units.setdefault(duty.unit, {})[duty.category] = tally
    ordered = sorted(units.items(), key=lambda item: (-_total(item[1]), item[0]))
    heads = ["报送机构", "总报送量"]
    for category in DOUBLE_PUBLICITY:
        heads += [category.zh, *(kind.zh for kind in RateKind), "待补正"]
    heads += [CategoryGroup.FIVE_KINDS, *(category.zh for category in _SINGLE)]
    rows = "".join(_row(unit, by_category) for unit, by_category in ordered)
    return (
        f'<!doctype html><html lang="zh-CN"><meta charset="utf-8"><title>信哨</title>'
        f'<meta http-equiv="refresh" content="{_REFRESH_SECONDS}"><style>{_STYLE}</style>'
        f"<h1>信哨 · {Month.containing(clock.today()).zh}信用信息报送</h1>"
        f"<p>截至 {clock.today()}，{len(units)} 个机构，共 "
        f"{sum(map(_total, units.values())):,} 条；每 {_REFRESH_SECONDS} 秒刷新</p>"
        f"<table><tr>{''.join(f'<th>{head}' for head in heads)}</tr>{rows}</table>"
    )


def _row(unit: str, by_category: dict[Category, Tally]) -> str:
    cells = [escape(unit), _number(_total(by_category))]
    for category in DOUBLE_PUBLICITY:
        tally = by_category.get(category, NOTHING)
        rates = (_rate(kind.of(tally)) for kind in RateKind)
        cells += [_number(tally.reported), *rates, _number(tally.pending)]
    cells.append(_number(_sum(by_category, FIVE_KINDS)))
    cells.extend(_number(_sum(by_category, (category,))) for category in _SINGLE)
    return f"<tr>{''.join(f'<td>{cell}' for cell in cells)}</tr>"


def _sum(by_category: dict[Category, Tally], categories: Iterable[Category]) -> int:
    return sum(by_category.get(category, NOTHING).reported for category in categories)


def _total(by_category: dict[Category, Tally]) -> int:
    return _sum(by_category, IN_TOTAL)


def _number(count: int) -> str:
    return f"{count:,}" if count else ""


def _rate(rate: Decimal | None) -> str:
    if rate is None:
        return ""
    return f'<span class="low">{rate}%</span>' if rate < _LOW else f"{rate}%"
