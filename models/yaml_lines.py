"""YAML text whose every mapping and sequence still knows its lines.

The registry files are written by hand; a mistake in one is reported with its file and line. Only
plain data is read: no tags, no anchors, no merge keys, one document.
"""

from collections.abc import Iterable
from datetime import date
from typing import TypeAlias

import yaml

from models.errors import InputError

YamlValue: TypeAlias = "YamlMap | YamlList | str | int | float | bool | date | None"
"""What a YAML text holds. A timestamp is a `datetime`, which is a `date` too."""


class YamlFault(InputError):
    """What is wrong in a YAML text, and where; `str()` says it in Chinese.

    Attributes:
        source: The name of the text, as the caller gave it (usually a file's path).
        line: The line of the fault, from 1.
        reason: What is wrong, in Chinese, without the place.
    """

    def __init__(self, source: str, line: int, reason: str) -> None:
        super().__init__(f"{source} 第 {line} 行：{reason}")
        self.source = source
        self.line = line
        self.reason = reason


class YamlMap(dict[str, YamlValue]):
    """A YAML mapping: a plain dict, and `line` (where it begins) and `lines` (of each key)."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[str, int] = {}


class YamlList(list[YamlValue]):
    """A YAML sequence: a plain list, and `line` (where it begins) and `lines` (of each item)."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: list[int] = []


def parse_yaml(text: str, source: str) -> YamlValue:
    """Read one YAML document of plain data; an empty text is None.

    Args:
        text: The YAML text.
        source: What to call it in a fault, usually the file's path.

    Raises:
        YamlFault: It is not YAML, or holds a repeated key, a key that is not text, an anchor or
            alias, a tag, a value that its form promises and is not (2022-13-01), or a
            second document.
    """
    try:
        loader = _PlainLoader(text)
        root = loader.get_single_node()
        return None if root is None else _value(loader, root, source)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise YamlFault(source, line, f"含有不允许的控制字符 U+{error.character:04X}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise YamlFault(source, line, f"YAML 格式错误（{error.problem}）") from None


def line_at(value: YamlValue, path: Iterable[str | int]) -> int:
    """Line of what `path` leads to, or of its nearest known ancestor; 1 where none is known.

    Args:
        value: What `parse_yaml` gave.
        path: Keys and indexes from the root, as in the `loc` of a pydantic error.
    """
    line = value.line if isinstance(value, YamlMap | YamlList) else 1
    for step in path:
        match value, step:
            case YamlMap() as mapping, str() as key if key in mapping:
                line, value = mapping.lines[key], mapping[key]
            case YamlList() as items, int() as index if 0 <= index < len(items):
                line, value = items.lines[index], items[index]
            case _:
                break
    return line


class _PlainLoader(yaml.SafeLoader):
    """PyYAML's safe loader for plain data: what is read is never larger than it looks."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if event.anchor is not None:
            raise yaml.MarkedYAMLError(
                problem="不允许使用锚点和引用", problem_mark=event.start_mark
            )
        if event.tag is not None:
            raise yaml.MarkedYAMLError(problem="不允许使用标签", problem_mark=event.start_mark)
        return super().compose_node(parent, index)


def _value(loader: _PlainLoader, node: yaml.Node, source: str) -> YamlValue:
    match node:
        case yaml.MappingNode():
            return _mapping(loader, node, source)
        case yaml.SequenceNode():
            items = YamlList(_line(node))
            for item in node.value:
                items.append(_value(loader, item, source))
                items.lines.append(_line(item))
            return items
        case _:
            return _scalar(loader, node, source)


def _mapping(loader: _PlainLoader, node: yaml.MappingNode, source: str) -> YamlMap:
    mapping = YamlMap(_line(node))
    for key_node, value_node in node.value:
        line = _line(key_node)
        key = _scalar(loader, key_node, source) if key_node.id == "scalar" else None
        if not isinstance(key, str):
            raise YamlFault(source, line, "冒号前的键必须是文字；数字、日期等请加引号")
        if key in mapping:
            raise YamlFault(source, line, f"键“{key}”重复，已在第 {mapping.lines[key]} 行出现")
        mapping[key] = _value(loader, value_node, source)
        mapping.lines[key] = line
    return mapping


def _scalar(loader: _PlainLoader, node: yaml.Node, source: str) -> str | float | date | None:
    try:
        value: str | float | date | None = loader.construct_object(node)
    except ValueError:
        raise YamlFault(source, _line(node), f"“{node.value}”不是有效的值") from None
    return value


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
