"""Configuration as people review it: YAML, the same bytes for the same input."""

from typing import Any

import yaml


def as_yaml(config: dict[str, Any]) -> str:
    """The YAML text, in the order given; texts of several lines are written as blocks."""
    return yaml.dump(config, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=1 << 20)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        """Write repeated values out, without anchors, for readers."""
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Indent lists, as people do."""
        return super().increase_indent(flow, False)


def _block(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
    )


_Dumper.add_representer(str, _block)
