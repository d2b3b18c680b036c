"""`xinshao rejects ls|show|redrive`: what could not be read, and putting it back."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from models.identity import mask_personal
from models.words import SHANGHAI
from streams.cli.options import AsJson, StoreFolder, store_settings, time_of
from streams.cli.terminal import Failure, stdout

if TYPE_CHECKING:
    from streams.log.wire import Reject
    from streams.store.rejects import RejectEntry
    from streams.upkeep.rejects import Rejects

rejects = typer.Typer(help="拒收：查看无法读取的报送，修好后放回", no_args_is_help=True)

OfRule = Annotated[str | None, typer.Option("--rule", metavar="R", help="只看这条规则，如 json")]
Since = Annotated[
    str | None, typer.Option("--since", metavar="T", help="只看此时之后的，如 2022-06-03T09:00")
]
Until = Annotated[str | None, typer.Option("--until", metavar="T", help="只看此时之前的")]

Result = TypeVar("Result")


@rejects.command("ls", help="列出拒收的报送")
def list_rejects(
    rule: OfRule = None,
    since: Since = None,
    until: Until = None,
    data: StoreFolder = None,
    as_json: AsJson = False,
) -> None:
    """List the rejects, oldest first."""
    import orjson
    from rich.table import Table

    wanted = _wanted(rule, since, until)
    found = [each for each in _listed(data) if wanted(each)]
    if as_json:
        for reject in found:
            sys.stdout.buffer.write(
                orjson.dumps(_summary(reject), option=orjson.OPT_APPEND_NEWLINE)
            )
        return
    table = Table(title=f"拒收 {len(found)} 条")
    for head in ("编号", "时间", "规则", "原因", "已放回"):
        table.add_column(head)
    for reject in found:
        at = reject.at.astimezone(SHANGHAI).isoformat(sep=" ", timespec="seconds")
        back = "是" if reject.redriven else ""
        table.add_row(reject.id, at, reject.rule, reject.message, back)
    stdout().print(table)


@rejects.command(help="显示一条拒收的报送；证件号码等已遮盖")
def show(
    number: Annotated[str, typer.Argument(metavar="ID", help="rejects ls 列出的编号")],
    raw: Annotated[bool, typer.Option("--raw", help="原样输出全部字节，不遮盖")] = False,
    data: StoreFolder = None,
) -> None:
    """Show what is known of a reject, and its text with personal numbers masked."""
    if raw and data is not None:
        raise Failure("数据文件夹里只有遮盖过的文本：原文在消息服务里，--raw 不能与 --data 同用")
    found = _shown(number, data)
    if not found:
        raise Failure(f"没有编号为 {number} 的拒收，请用 xinshao rejects ls 核对")
    for reject, value in found:
        if raw:
            sys.stdout.buffer.write(value)
            continue
        out = stdout()
        for name, given in _summary(reject).items():
            out.print(f"{name}: {given}", soft_wrap=True)
        out.print(mask_personal(value.decode("utf-8", "replace")), soft_wrap=True)


@rejects.command(help="把拒收的报送放回原来的主题")
def redrive(
    number: Annotated[str | None, typer.Argument(metavar="[ID]", help="只放回这一条")] = None,
    rule: OfRule = None,
    since: Since = None,
    until: Until = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="只列出，不放回")] = False,
    data: StoreFolder = None,
) -> None:
    """Put rejects back where they came from; those that were put back before stay."""
    if data is not None:
        raise Failure(
            "放回要写入消息服务，数据文件夹里没有：请在系统运行时不带 --data 执行，"
            "并用 XINSHAO_BROKERS 指明它的消息服务"
        )
    wanted = _wanted(rule, since, until)

    async def back(opened: "Rejects") -> "list[Reject]":
        found = await opened.all(
            lambda reject: (
                number in (None, reject.id) and wanted(reject) and opened.returnable(reject)
            )
        )
        for reject in found if not dry_run else ():
            await opened.redrive(reject)
        return found

    found = _with_rejects(back)
    out = stdout()
    for reject in found:
        out.print(f"{'将放回' if dry_run else '已放回'} {reject.id}（{reject.rule}）")
    out.print(f"共 {len(found)} 条{'，没有放回任何一条' if dry_run else ''}")


def _listed(data: Path | None) -> "list[RejectEntry]":
    """The rejects of a data folder, else of the log."""
    from streams.store.client import Store
    from streams.store.rejects import stored_rejects
    from streams.upkeep.rejects import entry

    if data is None:
        return [entry(each) for each in _with_rejects(lambda opened: opened.all())]
    with Store.open(store_settings(data)) as store:
        return stored_rejects(store)


def _shown(number: str, data: Path | None) -> "list[tuple[RejectEntry, bytes]]":
    """The rejects of an id with their bytes: all of them in the log, masked text in a folder."""
    from streams.store.client import Store
    from streams.store.rejects import stored_reject
    from streams.upkeep.rejects import entry

    if data is None:
        found = _with_rejects(lambda opened: opened.all(lambda reject: reject.id == number))
        return [(entry(each), each.value) for each in found]
    with Store.open(store_settings(data)) as store:
        return [(each, text.encode()) for each, text in stored_reject(store, number)]


def _with_rejects(use: "Callable[[Rejects], Awaitable[Result]]") -> Result:
    from streams.settings import load_settings
    from streams.upkeep.rejects import Rejects

    async def opened() -> Result:
        async with Rejects.opened(load_settings()) as found:
            return await use(found)

    return asyncio.run(opened())


def _wanted(
    rule: str | None, since: str | None, until: str | None
) -> "Callable[[Reject | RejectEntry], bool]":
    begin = datetime.min.replace(tzinfo=SHANGHAI) if since is None else time_of(since)
    end = datetime.max.replace(tzinfo=SHANGHAI) if until is None else time_of(until)
    return lambda reject: rule in (None, reject.rule) and begin <= reject.at <= end


def _summary(reject: "RejectEntry") -> dict[str, Any]:
    return {
        "id": reject.id,
        "rule": reject.rule,
        "message": reject.message,
        "at": reject.at.astimezone(SHANGHAI).isoformat(),
        "bytes": reject.size,
        "redriven": reject.redriven,
    }
