"""The checks of Prometheus's and Alertmanager's own tools over what was rendered."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from models.registry import Registry
from streams.errors import InputError, OperatorError
from streams.watch.alerts.routes import CONFIG, expected_receivers

PACKAGES: Final = {"promtool": "prometheus", "amtool": "prometheus-alertmanager"}
"""The programs that check, and the Debian packages that they come with."""


class NotRendered(InputError):
    """A deploy folder has no rules or no routes; `str()` is the Chinese line that says so."""


class ToolsMissingError(OperatorError):
    """The programs that check are not installed."""


class Finding(NamedTuple):
    """One check: what was looked at, and what the tool found wrong ("": nothing)."""

    what: str
    fault: str


def require_tools() -> None:
    """Look for the programs that are needed.

    Raises:
        ToolsMissingError: one is not installed.
    """
    if missing := [tool for tool in PACKAGES if shutil.which(tool) is None]:
        packages = "、".join(PACKAGES[tool] for tool in missing)
        raise ToolsMissingError(
            f"没有安装 {'、'.join(missing)}：请安装 Debian 软件包 {packages} 后重试"
        )


def check(deploy: Path, registry: Registry) -> Iterator[Finding]:
    """Check the rules, their unit tests, the configuration and every route in a deploy folder.

    Raises:
        NotRendered: there is nothing to check.
    """
    rules = sorted((deploy / "prometheus/rules").glob("*.yaml"))
    config = deploy / "alertmanager" / CONFIG
    if not rules or not config.is_file():
        raise NotRendered(f"{deploy} 里没有告警规则或路由：请先运行 xinshao alerts render")
    yield Finding("告警规则", _run("promtool", "check", "rules", *rules))
    for test in sorted((deploy / "prometheus/tests").glob("*.yaml")):
        yield Finding(f"规则测试 {test.name}", _run("promtool", "test", "rules", test))
    unusable = _run("amtool", "check-config", config)
    yield Finding("告警路由", unusable)
    if unusable:
        return
    for labels, receivers in expected_receivers(registry):
        told = [f"{name}={value}" for name, value in labels.items()]
        ended = _ended("amtool", "config", "routes", "test", f"--config.file={config}", *told)
        found = ended.stdout.strip().split(",")
        fault = ""
        if {*found} != {*receivers}:
            fault = f"应发给{'、'.join(receivers)}，实际发给{'、'.join(found)}"
        yield Finding(f"路由 {' '.join(told)}", fault)


def _run(*command: str | Path) -> str:
    ended = _ended(*command)
    return "" if ended.returncode == 0 else (ended.stderr + ended.stdout).strip() or "未说明原因"


def _ended(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - the tools named above
        [*map(str, command)], capture_output=True, text=True, check=False
    )
