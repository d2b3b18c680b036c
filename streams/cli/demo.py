"""`xinshao demo`: the embedded stack with a published month in it."""

import asyncio
import signal
import webbrowser
from collections.abc import Callable
from contextlib import AsyncExitStack
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from models.month import Month
from streams.cli.options import DataFolder
from streams.cli.terminal import INTERRUPTED, Failure, progress, stdout

if TYPE_CHECKING:
    from rich.table import Table

    from models.tally import Duty, Tally
    from streams.demo.month import Mismatch
    from streams.demo.simulate import Plan

MONTH: Final = Month(2022, 6)
"""The month whose tables are published with the program."""


def demo(
    scale: Annotated[str, typer.Option("--scale", metavar="X", help="数量的倍数，如 0.01")] = "1",
    data: DataFolder = None,
    browser: Annotated[bool, typer.Option(" /--no-browser", help="不打开浏览器")] = True,
    once: Annotated[
        bool, typer.Option("--once", help="放完即退出；与公布的数字相同则退出码为 0")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="不重放：由数据文件夹里上次的数据恢复，接着运行")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="随机种子")] = 0,
    port: Annotated[int | None, typer.Option("--port", metavar="P", help="网页端口")] = None,
) -> None:
    """Replay June 2022 through the embedded stack and compare it with the published tables."""
    from streams.demo.simulate import Plan

    try:
        plan = Plan.of_month(MONTH, Decimal(scale))
    except InvalidOperation:
        raise Failure(f"“{scale}”不是数字：--scale 应为大于 0 的数，如 0.01") from None
    folder = data or Path(typer.get_app_dir("xinshao"))
    try:
        equal = asyncio.run(_demo(plan, folder, port, seed, keep=keep, once=once, browser=browser))
    except (KeyboardInterrupt, asyncio.CancelledError):
        stdout().print("已停止")
        raise typer.Exit(INTERRUPTED if once else 0) from None
    raise typer.Exit(0 if equal else 1)


async def _demo(
    plan: "Plan",
    folder: Path,
    port: int | None,
    seed: int,
    *,
    keep: bool,
    once: bool,
    browser: bool,
) -> bool:
    from streams.demo.month import month_of, run, settled
    from streams.demo.stack import embedded, welcoming
    from streams.demo.watchers import WatchersUnavailableError, watching
    from streams.intake.gateway import GatewayError
    from streams.worker import calm_garbage_collector

    calm_garbage_collector()
    out = stdout()
    if (task := asyncio.current_task()) is not None:
        # SIGTERM ends it as Ctrl-C does: the broker and the feeder are stopped first.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with AsyncExitStack() as running:
        worker, settings = await running.enter_async_context(embedded(folder, port, keep=keep))
        address = f"http://{settings.host}:{settings.port}/"
        out.print(f"控制台 {address}，指标 {address}metrics，数据在 {folder}")
        if not once:
            try:
                welcome = await running.enter_async_context(welcoming(worker, settings))
                out.print(
                    f"网关 {welcome.address}，试用密钥（{welcome.platform.name}）：", soft_wrap=True
                )
                out.print(welcome.key, soft_wrap=True, highlight=False)
            except GatewayError as lacking:
                out.print(str(lacking), soft_wrap=True)
            try:
                watchers = await running.enter_async_context(
                    watching(settings, folder / "watching")
                )
                out.print(f"告警 {watchers.alerts}，分派 {watchers.routes}；演示中不发给任何人")
            except WatchersUnavailableError as lacking:
                out.print(str(lacking), soft_wrap=True)
        if browser and not once:
            webbrowser.open(address)
        if keep:
            found = await worker.during(settled(worker, plan))
        else:
            with progress(out, f"重放 {plan.month}") as move:
                found = await worker.during(run(worker, settings, plan, seed, _bar(plan, move)))
        out.print(_table(plan, month_of(worker, plan.month)))
        _tell(plan, found)
        if not once:
            out.print(f"继续运行，可在 {address} 查看；按 Ctrl-C 停止")
            await worker.during(asyncio.Event().wait())
    return not found


def _bar(plan: "Plan", move: Callable[[float], None]) -> Callable[[int, int], None]:
    # A record is submitted 1.02 times on average, but the bar need not know how often.
    return lambda sent, judged: move(min(1.0, judged / max(plan.reported, sent)))


def _table(plan: "Plan", tallies: "dict[Duty, Tally]") -> "Table":
    """The two categories whose rates are published: live figures beside the published ones."""
    from rich.table import Table

    from models.tally import NOTHING, Duty
    from models.words import DOUBLE_PUBLICITY

    table = Table(title=f"{plan.month} 双公示：实时数字与公布数字")
    for head in ("报送机构", "类别", "报送", "合规率", "公布", "及时率", "公布 "):
        table.add_column(head, justify="left" if head in ("报送机构", "类别") else "right")
    for cell in plan.cells:
        if cell.category in DOUBLE_PUBLICITY:
            live = tallies.get(Duty(cell.unit, cell.category), NOTHING)
            table.add_row(
                cell.unit,
                cell.category.zh,
                f"{live.reported:,}",
                _percent(live.compliance_rate),
                _percent(cell.published_compliance_rate),
                _percent(live.timeliness_rate),
                _percent(cell.published_timeliness_rate),
            )
    return table


def _percent(rate: Decimal | None) -> str:
    return "" if rate is None else f"{rate}%"


def _tell(plan: "Plan", found: "list[Mismatch]") -> None:
    out = stdout()
    total = sum(cell.reported for cell in plan.cells)
    if not found:
        out.print(
            f"{len(plan.cells)} 格（机构×类别）共 {total:,} 条，报送、合规、及时数全部与"
            + ("公布的相同" if plan.scale == 1 else f"按 {plan.scale} 倍缩放的公布数相同"),
            style="green",
        )
    for difference in found:
        cell, live = difference.cell, difference.live
        out.print(
            f"不同：{cell.unit} {cell.category.zh}：报送/合规/及时应为 "
            f"{cell.reported}/{cell.compliant}/{cell.timely}，实为 "
            f"{live.reported}/{live.compliant}/{live.timely}",
            style="red",
        )
    for cell in plan.cells:
        for said, why in (("公布的表有误", cell.fault), ("数量系推算", cell.inferred)):
            if why:
                out.print(f"{said}：{cell.unit} {cell.category.zh}：{why}", soft_wrap=True)
