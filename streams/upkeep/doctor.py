"""What is reachable, configured, behind: the checks of `xinshao doctor`."""

import asyncio
import urllib.error
import urllib.request
from typing import Any, Final, NamedTuple

import orjson

from streams.errors import XinshaoError
from streams.log.connection import fault
from streams.log.topics import core_topics, topic_faults
from streams.registry import load_calendar, load_registry
from streams.settings import Settings
from streams.store.client import Store
from streams.store.migrations import RUN, changes_due

_PAGE_WAIT: Final = 5.0
"""Seconds that a worker's page may take to answer."""


class Diagnosis(NamedTuple):
    """The answer of one check: what was looked at, whether it is fine, and what is so (Chinese)."""

    check: str
    fine: bool
    said: str

    def as_json(self) -> dict[str, Any]:
        """The public form."""
        return self._asdict()


async def examine(settings: Settings) -> list[Diagnosis]:
    """Make every check; a fault that one finds stops none of the others."""
    return [
        _registry(settings),
        _identity_key(settings),
        *await _log(settings),
        *await asyncio.to_thread(_store, settings),
        *await asyncio.to_thread(_worker, settings),
    ]


def examine_data(settings: Settings) -> list[Diagnosis]:
    """Make the checks that need no server, of a store in a folder of its own."""
    return [_registry(settings), *_store(settings)]


def _registry(settings: Settings) -> Diagnosis:
    try:
        registry = load_registry(settings.registry)
        load_calendar(settings.registry)
    except XinshaoError as error:
        return Diagnosis("登记册", False, str(error))
    return Diagnosis(
        "登记册",
        True,
        f"{len(registry.units)} 个机构、{len(registry.platforms)} 个平台（{settings.registry}）",
    )


def _identity_key(settings: Settings) -> Diagnosis:
    if settings.identity_key.get_secret_value():
        return Diagnosis("身份密钥", True, "已设置")
    return Diagnosis(
        "身份密钥",
        False,
        "没有设置 XINSHAO_IDENTITY_KEY：信息键可被他人重算，正式运行前必须设置，设定后不能再改",
    )


async def _log(settings: Settings) -> list[Diagnosis]:
    if refused := await fault(settings):
        return [Diagnosis("消息服务", False, str(refused))]
    reached = Diagnosis("消息服务", True, settings.brokers)
    try:
        faults = await topic_faults(settings, core_topics(settings))
    except XinshaoError as error:
        faults = [str(error)]
    said = "；".join(faults) if faults else "齐全，设置与约定一致"
    return [reached, Diagnosis("主题", not faults, said)]


def _store(settings: Settings) -> list[Diagnosis]:
    if not settings.clickhouse:
        return [Diagnosis("数据库", True, "没有配置（XINSHAO_CLICKHOUSE）：只研判，不入库")]
    try:
        store = Store.connect(settings)
    except XinshaoError as error:
        return [Diagnosis("数据库", False, str(error))]
    with store:
        reached = Diagnosis("数据库", True, f"{settings.clickhouse}，{store.database}")
        try:
            due = changes_due(store, settings)
        except XinshaoError as error:
            return [reached, Diagnosis("数据库结构", False, str(error))]
    lacking = [f"没有执行迁移 {name}" for name in due.migrations]
    lacking += [f"表 {each.table} 的保存期限与设置不符" for each in due.retentions]
    if lacking:
        return [reached, Diagnosis("数据库结构", False, f"{'；'.join(lacking)}：{RUN}")]
    return [reached, Diagnosis("数据库结构", True, "已是最新")]


def _worker(settings: Settings) -> list[Diagnosis]:
    base = f"http://{settings.host}:{settings.port}/health/"
    found = []
    for page, check, bad in (
        ("ready", "研判进程就绪", "分区仍在重建状态"),
        ("progress", "研判进程推进", "分区有积压而没有进展，见 docs/operations.md"),
    ):
        try:
            with urllib.request.urlopen(base + page, timeout=_PAGE_WAIT) as answer:  # noqa: S310
                found.append(Diagnosis(check, True, f"正常（{answer.url}）"))
        except urllib.error.HTTPError as error:
            partitions = "、".join(orjson.loads(error.read())["partitions"])
            found.append(Diagnosis(check, False, f"{bad}：{partitions}"))
        except OSError:
            said = f"{base} 没有应答：xinshao worker 没有运行，或在别的地址（XINSHAO_PORT）"
            return [Diagnosis("研判进程", False, said)]
    return found
