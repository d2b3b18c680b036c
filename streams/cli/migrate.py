"""`xinshao migrate`: the store's schema brought up to date."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.options import AsJson, StoreFolder, store_settings
from streams.cli.terminal import FINDINGS, stdout

if TYPE_CHECKING:
    from streams.store.migrations import Changes


def migrate(
    data: StoreFolder = None,
    check: Annotated[
        bool, typer.Option("--check", help="只检查，不改动；还有要做的则退出码为 1")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Apply the migrations that the store lacks, and set how long its rows are kept."""
    import orjson

    from streams.upkeep.migrate import migrate, outstanding

    settings = store_settings(data)
    changes = outstanding(settings) if check else migrate(settings)
    if as_json:
        told = {
            "database": settings.clickhouse_database,
            "done": not check,
            "migrations": changes.migrations,
            "retentions": {each.table: each.months for each in changes.retentions},
        }
        sys.stdout.buffer.write(orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE))
    else:
        _tell(changes, settings.clickhouse_database, done=not check)
    if check and changes:
        raise typer.Exit(FINDINGS)


def _tell(changes: "Changes", database: str, *, done: bool) -> None:
    out = stdout()
    said = "已" if done else "待"
    for name in changes.migrations:
        out.print(f"{said}执行迁移 {name}")
    for table, _column, months in changes.retentions:
        out.print(f"{said}设置表 {table} 的保存期限：{f'{months} 个月' if months else '永久'}")
    if done or not changes:
        out.print(f"数据库 {database} 的结构已是最新", style="green")
