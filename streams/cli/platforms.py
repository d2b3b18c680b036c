"""`xinshao platforms`: the platforms in the registry."""

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from models.words import SHANGHAI
from streams.cli.options import AsJson, DataFolder, RegistryFolder, registry_of, store_settings
from streams.cli.terminal import stdout

if TYPE_CHECKING:
    from models.registry import Platform

_VIA: Final = {"api": "接口", "kafka": "Kafka", "file": "文件"}


def platforms(
    data: DataFolder = None,
    month: Annotated[
        str | None, typer.Option("--month", metavar="MONTH", help="截至哪个月，如 2022-06")
    ] = None,
    as_json: AsJson = False,
    registry: RegistryFolder = None,
) -> None:
    """List the platforms that were connected by the month's end, as the bulletin counts them."""
    import orjson
    from rich.table import Table

    from models.bulletin import NewPlatform
    from models.bulletin import platforms as connected_by
    from models.month import Month
    from streams.bulletin import load_rules
    from streams.settings import DEPLOY
    from streams.store.answers import last_submissions
    from streams.store.client import Store

    known, _calendar = registry_of(registry)
    which = Month.of(month) if month else Month.containing(datetime.now(SHANGHAI))
    rules = load_rules(registry or DEPLOY / "registry", known)
    with Store.open(store_settings(data)) as store:
        last = last_submissions(store)
    connected, new = connected_by(which, known, rules)
    listed = [
        _entry(each, last.get(each.id), new=NewPlatform(each.owner, each.name) in new)
        for each in known.platforms
        if each.since <= which.last
    ]
    if as_json:
        for entry in listed:
            sys.stdout.buffer.write(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))
        return
    table = Table(title=f"截至 {which} 已对接平台 {connected} 个，其中本月新增 {len(new)} 个")
    for head in ("编号", "平台名称", "所属单位", "接入方式", "对接日期", "本月新增", "最近报送"):
        table.add_column(head, overflow="fold")
    for entry in listed:
        table.add_row(
            entry["id"],
            entry["name"],
            entry["owner"],
            _VIA[entry["via"]],
            entry["since"],
            "是" if entry["new"] else "",
            entry["last_submission"] or "—",
        )
    out = stdout()
    out.print(table)
    if unlisted := connected - len(listed):
        out.print(f"另有 {unlisted} 个已对接的平台没有列名，待补录到登记册（platforms.yaml）")


def _entry(platform: "Platform", last: datetime | None, *, new: bool) -> dict[str, Any]:
    return {
        "id": platform.id,
        "name": platform.name,
        "owner": platform.owner,
        "via": platform.via.value,
        "since": platform.since.isoformat(),
        "new": new,
        "last_submission": last and last.astimezone(SHANGHAI).isoformat(timespec="seconds"),
    }
