"""`xinshao reconcile MONTH`: every difference between live tallies, the store and its records."""

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from streams.cli.options import AsJson, StoreFolder, store_settings
from streams.cli.terminal import FINDINGS, stdout

if TYPE_CHECKING:
    from models.month import Month
    from models.tally import Tally
    from streams.settings import Settings
    from streams.upkeep.reconcile import Difference

PATIENCE: Final = 10.0
"""Seconds that a moving stream has until its figures agree."""

_KEYS_SHOWN: Final = 20


def reconcile(
    month: Annotated[str, typer.Argument(metavar="MONTH", help="月份，如 2022-06")],
    data: StoreFolder = None,
    as_json: AsJson = False,
) -> None:
    """Compare live tallies, stored tallies and a recount from the records of a month."""
    import orjson

    from models.month import Month

    which = Month.of(month)
    settings = store_settings(data)
    asked, found = asyncio.run(_reconcile(which, settings, embedded=data is not None))
    if as_json:
        for difference in found:
            sys.stdout.buffer.write(
                orjson.dumps(difference.as_json(), option=orjson.OPT_APPEND_NEWLINE)
            )
    else:
        _tell(month, found, live=asked)
    if found:
        raise typer.Exit(FINDINGS)


async def _reconcile(
    month: "Month", settings: "Settings", *, embedded: bool
) -> "tuple[bool, list[Difference]]":
    from streams.log.connection import fault
    from streams.store.client import Store
    from streams.upkeep.reconcile import reconcile

    live = not embedded and await fault(settings) is None
    with Store.open(settings) as store:
        log = settings if live else None
        return live, await reconcile(month, store, log, PATIENCE if live else 0.0)


def _tell(month: str, found: "list[Difference]", *, live: bool) -> None:
    out = stdout()
    ways = "实时统计、数据库统计、由信息清点" if live else "数据库统计、由信息清点"
    if not live:
        out.print("没有对照实时统计：未连消息服务")
    if not found:
        out.print(f"{month}：{ways}全部一致", style="green")
    for difference in found:
        unit, category, day = difference.bucket
        figures = [("数据库统计", difference.stored), ("由信息清点", difference.counted)]
        if difference.live is not None:
            figures.insert(0, ("实时统计", difference.live))
        out.print(
            f"不同：{unit} {category.zh} {day}：" + "；".join(_figures(*each) for each in figures),
            style="red",
            soft_wrap=True,
        )
        for key in difference.records[:_KEYS_SHOWN]:
            out.print(f"  信息键 {key}")
        if len(difference.records) > _KEYS_SHOWN:
            out.print(f"  ……共 {len(difference.records)} 条，全部见 --json")


def _figures(name: str, tally: "Tally") -> str:
    return f"{name} 报送/合规/及时 {tally.reported}/{tally.compliant}/{tally.timely}"
