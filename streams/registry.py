"""Reads the registry's folder (`deploy/registry`, or the office's own)."""

from pathlib import Path
from typing import Final

from models.calendar import Calendar, CalendarError, Overrides
from models.channels import Channels
from models.registry import FILES, Registry, RegistryError

CALENDAR: Final = "calendar.yaml"
"""The file of the calendar's overrides, beside the registry's own."""

CHANNELS: Final = "channels.yaml"
"""The file that says how alerts are sent, beside the registry's own."""


def load_registry(folder: Path, identity_key: bytes = b"") -> Registry:
    """Read the registry.

    Args:
        folder: Where its files are.
        identity_key: Keys the digests of personal numbers and record keys.

    Raises:
        RegistryError: the folder is missing, or files are missing or wrong.
    """
    _require(folder)
    texts = {name: _text(folder / name) for name in FILES if (folder / name).exists()}
    return Registry.parse(texts, identity_key)


def load_calendar(folder: Path) -> Calendar:
    """Read the working-day calendar: the known years and the folder's overrides.

    Raises:
        RegistryError: the folder or the file is missing, or the file is wrong.
    """
    _require(folder)
    path = folder / CALENDAR
    if not path.exists():
        raise RegistryError(f"{CALENDAR}:1: {folder} 中缺少这个文件，请补上")
    try:
        overrides = Overrides.parse(_text(path), CALENDAR)
    except CalendarError as error:
        raise RegistryError(f"{error.source}:{error.line}: {error.reason}") from None
    return Calendar.build(overrides)


def load_channels(folder: Path) -> Channels:
    """Read how alerts are sent.

    Raises:
        RegistryError: the folder or the file is missing, or the file is wrong.
    """
    _require(folder)
    path = folder / CHANNELS
    if not path.exists():
        raise RegistryError(f"{CHANNELS}:1: {folder} 中缺少这个文件，请补上")
    return Channels.parse(_text(path), CHANNELS)


def _require(folder: Path) -> None:
    if not folder.is_dir():
        raise RegistryError(f"{folder}：登记册文件夹不存在，请核对路径")


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RegistryError(
            f"{path.name}:1: 读不出来（{error.strerror}），请检查文件权限"
        ) from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RegistryError(f"{path.name}:{line}: 不是 UTF-8 编码，请另存为 UTF-8") from None
