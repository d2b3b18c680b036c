"""`xinshao bulletin`: a month's bulletin, in up to four forms."""

from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from models.words import SHANGHAI
from streams.cli.options import DataFolder, RegistryFolder, registry_of, store_settings
from streams.cli.terminal import FINDINGS, Failure, Terminal, progress, stderr

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from models.bulletin import Bulletin
    from models.month import Month
    from streams.bulletin import FiguresSource

LISTED: Final = 20
"""Differences from what was published that are listed one by one."""


def bulletin(
    month: Annotated[str, typer.Argument(metavar="MONTH", help="月份，如 2022-06")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="写入的文件夹")],
    formats: Annotated[
        str, typer.Option("--format", metavar="F,…", help="格式：json、docx、xlsx、html")
    ] = "json,docx,xlsx,html",
    freeze: Annotated[bool, typer.Option("--freeze", help="定稿：当月数字不再变动")] = False,
    detail: Annotated[
        bool, typer.Option("--detail", help="按机构写出每个数字背后的信息清单（CSV）")
    ] = False,
    data: DataFolder = None,
    registry: RegistryFolder = None,
) -> None:
    """Write the month's bulletin, unless it contradicts itself."""
    from models.bulletin import compose
    from models.month import Month
    from streams.bulletin import edition_of, load_rules, printed
    from streams.settings import DEPLOY

    wanted = _wanted(formats)
    known, _calendar = registry_of(registry)
    now = datetime.now(SHANGHAI)
    which = Month.of(month)
    rules = load_rules(registry or DEPLOY / "registry", known)
    if freeze and which.last >= now.date():
        raise Failure(f"{which} 还没有结束，不能定稿")
    with stored_figures(data) as source:
        edition = edition_of(which, source, known, rules)
        if freeze:
            if edition.frozen_at is not None:
                at = edition.frozen_at.astimezone(SHANGHAI)
                raise Failure(
                    f"{which} 的通报已于 {at:%Y-%m-%d %H:%M} 定稿，不能再次定稿；"
                    "去掉 --freeze 可重新输出定稿的内容"
                )
            edition = replace(edition, frozen_at=now)
        composed = compose(edition, known, rules, printed(which))
        contents = {ending: render(composed) for ending, render in wanted.items()}
        if freeze:
            source.freeze(edition)
        out.mkdir(parents=True, exist_ok=True)
        screen = stderr()
        for ending, content in contents.items():
            path = out / f"bulletin-{which}.{ending}"
            path.write_bytes(content)
            screen.print(f"已写出 {path}", soft_wrap=True)
        _tell(composed, screen)
        if detail and not _details(which, source, out / f"detail-{which}", screen):
            raise typer.Exit(FINDINGS)


@contextmanager
def stored_figures(data: Path | None) -> "Iterator[FiguresSource]":
    """The figures that the store keeps: ClickHouse, or the embedded stack's data in `data`.

    Raises:
        Failure: there is no store to read.
        StoreUnavailableError, StoreError: it does not answer, or cannot be used.
    """
    from streams.store.client import Store
    from streams.store.figures import StoredFigures

    with Store.open(store_settings(data)) as store:
        yield StoredFigures(store)


def _wanted(formats: str) -> "dict[str, Callable[[Bulletin], bytes]]":
    from streams.bulletin import RENDERINGS

    endings = [ending.strip() for ending in formats.split(",") if ending.strip()]
    unknown = [ending for ending in endings if ending not in RENDERINGS]
    if unknown or not endings:
        raise Failure(f"--format 应为 {'、'.join(RENDERINGS)} 中的一个或几个，用逗号分隔")
    return {ending: RENDERINGS[ending] for ending in endings}


def _tell(composed: "Bulletin", screen: Terminal) -> None:
    if composed.frozen:
        screen.print(f"{composed.month} 已定稿")
    if composed.silent:
        screen.print(f"没有报送任何信息的机构：{'、'.join(composed.silent)}", soft_wrap=True)
    for each in composed.discrepancies[:LISTED]:
        screen.print(
            f"与已公布的不同：{each.unit} {each.category.zh} {each.item}：{each.reason}",
            soft_wrap=True,
        )
    more = len(composed.discrepancies) - LISTED
    if more > 0:
        screen.print(f"另有 {more} 处与已公布的不同，见 XLSX、HTML、JSON 中的差异说明")


def _details(month: "Month", source: "FiguresSource", folder: Path, screen: Terminal) -> bool:
    """Write each unit's records; whether they add up to the figures as they are now."""
    from models.tally import NOTHING
    from streams.bulletin.detail import write_details

    folder.mkdir(parents=True, exist_ok=True)
    figures = source.figures(month)
    units = sorted(figures.units)
    agree = True
    with progress(screen, f"明细 {month}") as move:
        for number, unit in enumerate(units, 1):
            path = folder / f"{unit.replace('/', '_')}.csv"
            counted = write_details(source.details(month, unit), path)
            for duty, tally in figures.tallies.items():
                found = counted.get(duty.category, NOTHING)
                if duty.unit == unit and found[:4] != tally[:4]:
                    agree = False
                    screen.print(
                        f"{unit} {duty.category.zh}：明细 {found.reported} 条、合规"
                        f" {found.compliant} 条、及时 {found.timely} 条，统计为 {tally.reported}、"
                        f"{tally.compliant}、{tally.timely}",
                        style="red",
                        soft_wrap=True,
                    )
            move(number / len(units))
    screen.print(f"已写出 {len(units)} 个机构的明细：{folder}", soft_wrap=True)
    return agree
