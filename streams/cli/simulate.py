"""`xinshao simulate`: submissions that reproduce a month's published tables."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Final

import typer

from streams.cli.options import RegistryFolder, registry_of
from streams.cli.terminal import Failure, Terminal, progress, stderr

if TYPE_CHECKING:
    from streams.published.plan import Plan

MOVE_BAR_EVERY: Final = 2000
"""Lines between two moves of the progress bar."""

LISTED: Final = 5
"""Deviations that are listed one by one; the others are only counted."""


def simulate(
    month: Annotated[str, typer.Argument(metavar="MONTH", help="已公布通报的月份，如 2022-06")],
    out: Annotated[str, typer.Option("--out", metavar="FILE", help="写入的文件；- 为标准输出")],
    scale: Annotated[str, typer.Option("--scale", metavar="X", help="数量的倍数，如 0.01")] = "1",
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="随机种子，相同则结果相同")] = 0,
    registry: RegistryFolder = None,
) -> None:
    """Write a month's submissions, and report how near they are to its published tables."""
    from models.month import Month
    from streams.demo.simulate import submissions
    from streams.published.plan import Plan

    _known, calendar = registry_of(registry)
    try:
        plan = Plan.of_month(Month.of(month), Decimal(scale))
    except InvalidOperation:
        raise Failure(f"“{scale}”不是数字：--scale 应为大于 0 的数，如 0.01") from None
    screen = stderr()
    written = 0
    with _output(out) as file, progress(screen, f"生成 {month}") as move:
        for line in submissions(plan, calendar, seed):
            file.write(line)
            file.write(b"\n")
            written += 1
            if written % MOVE_BAR_EVERY == 0:
                move(min(1.0, written / plan.reported))
    screen.print(f"已写出 {written} 条报送，{plan.reported} 条信息", soft_wrap=True)
    _tell(plan, screen)


@contextmanager
def _output(out: str) -> Iterator[BinaryIO]:
    if out == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    else:
        with Path(out).open("wb") as file:
            yield file


def _tell(plan: "Plan", screen: Terminal) -> None:
    """Say how far the plan's rates are from the published ones, and which of those are at fault."""
    deviations = plan.deviations
    if not deviations:
        screen.print("各单元的合规率、及时率与公布的表完全相同", style="green")
    for deviation in deviations[:LISTED]:
        cell = deviation.cell
        screen.print(
            f"{cell.unit} {cell.category.zh} {deviation.kind.zh}：生成 {deviation.planned}%，"
            f"公布 {deviation.published}%，相差 {deviation.points} 个百分点",
            soft_wrap=True,
        )
    if len(deviations) > LISTED:
        screen.print(f"另有 {len(deviations) - LISTED} 个比率与公布的不同，相差更小")
    for cell in plan.cells:
        for said, why in (("公布的表有误", cell.fault), ("数量系推算", cell.inferred)):
            if why:
                screen.print(f"{said}：{cell.unit} {cell.category.zh}：{why}", soft_wrap=True)
