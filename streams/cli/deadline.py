"""`xinshao deadline`: the last day on which a record is still timely."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.options import (
    AsJson,
    InCategory,
    OfUnit,
    RegistryFolder,
    category_of,
    registry_of,
    unit_of,
)
from streams.cli.terminal import Failure, stdout

if TYPE_CHECKING:
    from models.registry import Registry
    from models.words import Category


def deadline(
    decided: Annotated[
        str, typer.Argument(metavar="DATE", help="作出决定的日期，如 2022-06-03 或 20220603")
    ],
    days: Annotated[
        int | None, typer.Option("--days", metavar="N", help="工作日数；不写则按登记册")
    ] = None,
    category: InCategory = None,
    unit: OfUnit = None,
    as_json: AsJson = False,
    registry: RegistryFolder = None,
) -> None:
    """Print the deadline that follows from the day of a decision."""
    import orjson

    from models.rules import parse_day

    day = parse_day(decided.strip())
    if day is None:
        raise Failure(f"“{decided}”不是真实存在的日期，请按 2022-06-03 的样式填写")
    known, calendar = registry_of(registry)
    if days is None:
        days = _window(known, unit_of(unit, known), category_of(category))
    end = None if days is None else calendar.deadline(day, days)
    if as_json:
        answer = {
            "decided": day,
            "days": days,
            "deadline": end and end.day,
            "provisional": end is not None and end.provisional,
        }
        sys.stdout.buffer.write(orjson.dumps(answer, option=orjson.OPT_APPEND_NEWLINE))
        return
    out = stdout()
    if end is None:
        out.print(f"{day} 作出的决定：登记册规定不考核及时性，没有报送期限")
        return
    out.print(f"{day} 作出的决定，{days} 个工作日内报送（决定当日不计）")
    out.print(f"报送期限：{end.day} 24:00（北京时间）" + ("，预估" if end.provisional else ""))
    if end.provisional:
        out.print(
            f"预估：{end.day.year} 年的节假日安排尚未公布或没有收录，"
            "期限按周末和法定节假日推算，可能变动"
        )


def _window(registry: "Registry", unit: str | None, category: "Category | None") -> int | None:
    """The window in working days; without a category that of the categories not set otherwise."""
    from models.registry import DEFAULT_WINDOW

    if category is not None:
        return registry.window(unit, category)
    windows = {entry.unit: entry.days for entry in registry.windows if entry.category is None}
    return windows.get(unit, windows.get(None, DEFAULT_WINDOW))
