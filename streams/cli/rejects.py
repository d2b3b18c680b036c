"""`xinshao rejects ls|show|redrive`: what could not be read, and putting it back."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from models.words import SHANGHAI
from streams.cli.options import AsJson, time_of
from streams.cli.terminal import Failure, stdout

if TYPE_CHECKING:
    from streams.log.wire import Reject
    from streams.upkeep.rejects import Rejects

rejects = typer.Typer(help="拒收：查看无法读取的报送，修好后放回", no_args_is_help=True)

Rule = Annotated[str | None, typer.Option("--rule", metavar="R", help="只看这条规则，如 json")]
Since = Annotated[
    str | None, typer.Option("--since", metavar="T", help="只看此时之后的，如 2022-06-03T09:00")
]
Until = Annotated[str | None, typer.Option("--until", metavar="T", help="只看此时之前的")]

Result = TypeVar("Result")


@rejects.command("ls", help="列出拒收的报送")
def list_rejects(
    rule: Rule = None, since: Since = None, until: Until = None, as_json: AsJson = False
) -> None:
    """List the rejects, oldest first."""
    import orjson
    from rich.table import Table

    found = _with_rejects(lambda opened: opened.all(_wanted(rule, since, until)))
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
) -> None:
    """Show one reject: what is known of it, and its text with personal numbers masked."""
    from models.identity import mask_personal

    found = _with_rejects(lambda opened: opened.all(lambda reject: reject.id == number))
    if not found:
        raise Failure(f"没有编号为 {number} 的拒收，请用 xinshao rejects ls 核对")
    (reject,) = found
    if raw:
        sys.stdout.buffer.write(reject.value)
        return
    out = stdout()
    for name, value in _summary(reject).items():
        out.print(f"{name}: {value}", soft_wrap=True)
    out.print(mask_personal(reject.value.decode("utf-8", "replace")), soft_wrap=True)


@rejects.command(help="把拒收的报送放回原来的主题")
def redrive(
    number: Annotated[str | None, typer.Argument(metavar="[ID]", help="只放回这一条")] = None,
    rule: Rule = None,
    since: Since = None,
    until: Until = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="只列出，不放回")] = False,
) -> None:
    """Put rejects back where they came from; those that were put back before stay."""
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


def _with_rejects(use: "Callable[[Rejects], Awaitable[Result]]") -> Result:
    from streams.settings import load_settings
    from streams.upkeep.rejects import Rejects

    async def opened() -> Result:
        async with Rejects.opened(load_settings()) as found:
            return await use(found)

    return asyncio.run(opened())


def _wanted(rule: str | None, since: str | None, until: str | None) -> "Callable[[Reject], bool]":
    begin = datetime.min.replace(tzinfo=SHANGHAI) if since is None else time_of(since)
    end = datetime.max.replace(tzinfo=SHANGHAI) if until is None else time_of(until)
    return lambda reject: rule in (None, reject.rule) and begin <= reject.at <= end


def _summary(reject: "Reject") -> dict[str, Any]:
    return {
        "id": reject.id,
        "rule": reject.rule,
        "message": reject.message,
        "at": reject.at.astimezone(SHANGHAI).isoformat(),
        "bytes": len(reject.value),
        "redriven": reject.redriven,
    }
