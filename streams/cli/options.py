"""Options that several verbs take, and what they mean."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.words import CATEGORY_OF, SHANGHAI, Category
from streams.cli.terminal import Failure, stdout

if TYPE_CHECKING:
    from collections.abc import Mapping

    from models.calendar import Calendar
    from models.registry import Registry
    from streams.settings import Settings

AsJson = Annotated[bool, typer.Option("--json", help="输出JSON，供程序读取")]
InCategory = Annotated[
    str | None, typer.Option("--category", metavar="C", help="信息类别，如 penalty 或 行政处罚")
]
OfUnit = Annotated[str | None, typer.Option("--unit", metavar="U", help="报送机构")]
DataFolder = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="数据文件夹；缺省为用户数据目录")
]
StoreFolder = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="演示的数据文件夹；不需任何服务"),
]
OutFolder = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="写入的文件夹；缺省为 deploy")
]
RegistryFolder = Annotated[
    Path | None,
    typer.Option(
        "--registry", metavar="DIR", envvar="XINSHAO_REGISTRY", help="登记册文件夹；缺省为自带的"
    ),
]


def category_of(name: str | None) -> Category | None:
    """The category that an option names, in the wire form or in Chinese.

    Raises:
        Failure: there is none of that name.
    """
    if name is None:
        return None
    if name in CATEGORY_OF:
        return CATEGORY_OF[name]
    names = "、".join(f"{category.value} {category.zh}" for category in Category)
    raise Failure(f"没有信息类别“{name}”，应为：{names}")


def time_of(text: str | None) -> datetime:
    """The time that an option gives, in Shanghai unless it says its zone; now without one.

    Raises:
        Failure: it is no time.
    """
    if text is None:
        return datetime.now(SHANGHAI)
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise Failure(f"“{text}”不是时间，请按 2022-06-03T09:00:00+08:00 的样式填写") from None
    return time if time.tzinfo else time.replace(tzinfo=SHANGHAI)


def registry_of(folder: Path | None) -> "tuple[Registry, Calendar]":
    """The registry and the calendar to judge by: those of the folder, else the program's own.

    Raises:
        RegistryError: they cannot be used.
    """
    from streams.registry import load_calendar, load_registry
    from streams.settings import DEPLOY

    folder = folder or DEPLOY / "registry"
    return load_registry(folder), load_calendar(folder)


def write_rendered(files: "Mapping[str, str]", out: Path | None) -> None:
    """Write what was rendered into the folder of `OutFolder`, by the files' paths in it."""
    from streams.settings import DEPLOY

    for name, text in files.items():
        path = (out or DEPLOY) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        stdout().print(f"已写出 {path}", soft_wrap=True)


def unit_of(name: str | None, registry: "Registry") -> str | None:
    """The id of the unit that an option names.

    Raises:
        Failure: the registry does not know it.
    """
    if name is None:
        return None
    from models.registry import unknown_unit

    unit = registry.unit(name)
    if unit is None:
        raise Failure(unknown_unit(name))
    return unit.id


def store_settings(data: Path | None) -> "Settings":
    """Settings with a store: the embedded stack's in `data`, else the configured one.

    Without either it is that of the user's data folder, where `demo` keeps its own.

    Raises:
        Failure: there is no store.
        SettingsError: the settings are wrong.
    """
    from streams.settings import load_settings
    from streams.store.client import CHDB, CHDB_FOLDER

    settings = load_settings()
    if data is None and settings.clickhouse:
        return settings
    folder = (data or Path(typer.get_app_dir("xinshao"))) / CHDB_FOLDER
    if not folder.is_dir():
        raise Failure(
            f"{folder.parent} 里没有数据库（{CHDB_FOLDER} 文件夹）：请核对 --data，"
            "或设置 XINSHAO_CLICKHOUSE，或先运行 xinshao demo"
        )
    return load_settings(clickhouse=f"{CHDB}{folder}")
