"""`xinshao keys issue|revoke|list`: the platforms' keys."""

import re
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from models.words import SHANGHAI
from streams.cli.options import AsJson, category_of, unit_of
from streams.cli.terminal import Failure, stderr, stdout

if TYPE_CHECKING:
    from streams.intake.keys import StoredKey
    from streams.settings import Settings

Named = TypeVar("Named")

keys = typer.Typer(help="密钥：签发、吊销、列出各平台的密钥", no_args_is_help=True)

_DURATION: Final = re.compile(r"(\d{1,4})([dhm])", re.ASCII)
_UNIT_OF_TIME: Final = {"d": "days", "h": "hours", "m": "minutes"}
_STATES: Final = {None: "有效", "expired": "已到期", "revoked": "已吊销"}


@keys.command(help="给平台签发一个密钥；只显示这一次")
def issue(
    platform: Annotated[str, typer.Argument(metavar="PLATFORM", help="平台编号，见 platforms")],
    units: Annotated[
        list[str] | None,
        typer.Option("--unit", metavar="U", help="只可为此机构报送，可写多次；缺省为平台的全部"),
    ] = None,
    categories: Annotated[
        list[str] | None,
        typer.Option("--category", metavar="C", help="只可报送此类别，可写多次；缺省为平台的全部"),
    ] = None,
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="DURATION", help="多久后到期，如 365d")
    ] = None,
) -> None:
    """Issue a key; its text alone goes to stdout."""
    from streams.intake.keys import FORM
    from streams.intake.keys import issue as issue_key
    from streams.registry import load_registry
    from streams.settings import load_settings

    now = datetime.now(SHANGHAI)
    settings = load_settings()
    registry = load_registry(settings.registry)
    text = issue_key(
        settings.keys,
        registry,
        platform,
        now,
        units=_meant(units, lambda name: unit_of(name, registry)),
        categories=_meant(categories, category_of),
        expires_at=now + _duration(expires) if expires else None,
    )
    match = FORM.fullmatch(text)
    _audit(settings, "issued", match[1] if match else "", platform)
    stdout().print(text, soft_wrap=True)
    stderr().print(
        "请立即交给平台并妥善保存：密钥只显示这一次，遗失只能重新签发。"
        "平台换用新密钥后，用 xinshao keys revoke 吊销旧的",
        soft_wrap=True,
    )


@keys.command(help="吊销一个密钥")
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="密钥编号，见 keys list")],
    after: Annotated[
        str | None,
        typer.Option("--after", metavar="DURATION", help="多久后失效，如 7d、12h；缺省为立即"),
    ] = None,
) -> None:
    """Revoke a key, at once or after the time that its platform needs to take the next one."""
    from streams.intake.keys import revoke as revoke_key
    from streams.settings import load_settings

    at = datetime.now(SHANGHAI) + (_duration(after) if after else timedelta())
    settings = load_settings()
    revoked = revoke_key(settings.keys, key_id, at)
    _audit(settings, "revoked", key_id, revoked.platform)
    stdout().print(f"密钥 {key_id}（{revoked.platform}）自 {_time(revoked.revoked_at)} 起失效")


@keys.command("list", help="列出密钥；密钥本身无处可查")
def list_keys(as_json: AsJson = False) -> None:
    """List what is known of every key."""
    import orjson
    from rich.table import Table

    from streams.intake.keys import KeyFile
    from streams.settings import load_settings

    now = datetime.now(SHANGHAI)
    found = KeyFile.read(load_settings().keys).keys
    if as_json:
        for key in found:
            line = orjson.dumps(_summary(key, now), option=orjson.OPT_APPEND_NEWLINE)
            sys.stdout.buffer.write(line)
        return
    table = Table(title=f"密钥 {len(found)} 个")
    for head in ("编号", "平台", "机构", "类别", "签发", "到期", "吊销", "状态"):
        table.add_column(head, overflow="fold")
    for key in found:
        table.add_row(
            key.id,
            key.platform,
            "全部" if key.units is None else "、".join(sorted(key.units)),
            "全部" if key.categories is None else "、".join(c.zh for c in sorted(key.categories)),
            _time(key.issued_at),
            _time(key.expires_at),
            _time(key.revoked_at),
            _STATES[key.closed(now)],
        )
    stdout().print(table)


def _meant(
    names: list[str] | None, meaning: Callable[[str], Named | None]
) -> frozenset[Named] | None:
    if not names:
        return None
    return frozenset(each for name in names if (each := meaning(name)) is not None)


def _summary(key: "StoredKey", now: datetime) -> dict[str, Any]:
    return {
        **key.model_dump(mode="json", exclude={"salt", "hash", "units", "categories"}),
        "units": None if key.units is None else sorted(key.units),
        "categories": None if key.categories is None else sorted(key.categories),
        "state": key.closed(now) or "open",
    }


def _time(at: datetime | None) -> str:
    return f"{at.astimezone(SHANGHAI):%Y-%m-%d %H:%M}" if at else ""


def _duration(text: str) -> timedelta:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise Failure(f"“{text}”不是时长，请按 7d（天）、12h（小时）、30m（分钟）的样式填写")
    return timedelta(**{_UNIT_OF_TIME[match[2]]: int(match[1])})


def _audit(settings: "Settings", event: str, key_id: str, platform: str) -> None:
    from streams.intake.audit import Audit

    Audit(settings.audit).write(event, key=key_id, platform=platform, route="xinshao keys")
