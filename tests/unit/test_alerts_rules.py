"""The rules: rendered as committed, about every unit that they should be, checked by the tools."""

import re
import shutil
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from models.registry import AlertLines, Threshold
from models.words import Category
from streams.cli import run
from streams.registry import load_channels
from streams.settings import DEPLOY
from streams.watch.alerts.check import PACKAGES, check
from streams.watch.alerts.routes import render_routes
from streams.watch.alerts.rules import PLATFORMS, UNITS, render_rules
from tests.support.deployed import CALENDAR, REGISTRY
from tests.support.needs import require

ALERTS = {
    rule["alert"]
    for text in render_rules(REGISTRY).values()
    for group in yaml.safe_load(text)["groups"]
    for rule in group["rules"]
    if "alert" in rule
}


def test_what_is_committed_is_what_the_registry_renders() -> None:
    channels = load_channels(DEPLOY / "registry")
    rendered = {f"prometheus/rules/{name}": t for name, t in render_rules(REGISTRY).items()} | {
        f"alertmanager/{name}": t for name, t in render_routes(REGISTRY, CALENDAR, channels).items()
    }
    committed = {name: (DEPLOY / name).read_text("utf-8") for name in rendered}
    assert committed == rendered, "run xinshao alerts render"


@pytest.mark.slow
def test_the_tools_find_nothing_wrong() -> None:
    require(*PACKAGES)
    found = [*check(DEPLOY, REGISTRY)]
    assert [finding for finding in found if finding.fault] == []
    assert len(found) > 2 * len(REGISTRY.units)


@pytest.mark.slow
def test_the_tools_find_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    require(*PACKAGES)
    shutil.copytree(DEPLOY / "prometheus", tmp_path / "prometheus")
    shutil.copytree(DEPLOY / "alertmanager", tmp_path / "alertmanager")
    rules = tmp_path / "prometheus/rules" / UNITS
    rules.write_text(rules.read_text("utf-8").replace("< 98", "< 99"), "utf-8")
    routes = tmp_path / "alertmanager/alertmanager.yml"
    routes.write_text(routes.read_text("utf-8").replace('unit="江夏区"', 'unit="江厦区"'), "utf-8")
    assert run(["alerts", "check", "--deploy", str(tmp_path)]) == 1
    told = capsys.readouterr().out
    assert "规则测试 rates.yaml：有误" in told
    wrong = "路由 scope=unit unit=江夏区 severity=critical：有误\n应发给江夏区、市信用办，实际发给"
    assert wrong in told


def test_without_the_tools_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    assert run(["alerts", "check"]) == 2
    assert "请安装 Debian 软件包 prometheus、prometheus-alertmanager" in capsys.readouterr().err


def test_where_nothing_was_rendered_it_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    require(*PACKAGES)
    assert run(["alerts", "check", "--deploy", str(tmp_path)]) == 2
    assert "请先运行 xinshao alerts render" in capsys.readouterr().err


def test_every_alert_has_its_section_in_the_runbook_and_its_tests() -> None:
    runbook = (DEPLOY.parent / "docs/runbook.md").read_text("utf-8")
    assert {*re.findall(r"^## (\w+)$", runbook, re.MULTILINE)} == ALERTS
    quiet, resolving = set(), set()
    for file in (DEPLOY / "prometheus/tests").glob("*.yaml"):
        for test in yaml.safe_load(file.read_text("utf-8"))["tests"]:
            told: dict[str, list[bool]] = {}
            for asked in test["alert_rule_test"]:
                told.setdefault(asked["alertname"], []).append(bool(asked["exp_alerts"]))
            quiet |= {name for name, fires in told.items() if not any(fires)}
            resolving |= {name for name, fires in told.items() if fires[-2:] == [True, False]}
    assert quiet == ALERTS
    assert resolving == ALERTS


def test_a_units_own_threshold_stands_instead_of_the_categorys() -> None:
    own = Threshold(
        category=Category.PENALTY,
        unit="市公管办(市政务服务和大数据管理局)",
        compliance=AlertLines(warning=Decimal("99.5"), critical=Decimal(90)),
        min_count=1,
        for_="1h",
    )
    general = REGISTRY.thresholds_for("江夏区", Category.PENALTY)
    assert general is not None
    registry = replace(REGISTRY, thresholds=(general, own))
    (group,) = yaml.safe_load(render_rules(registry)[UNITS])["groups"]
    found = [
        (rule["expr"].splitlines()[0], rule["for"])
        for rule in group["rules"]
        if rule["alert"] == "UnitComplianceLow"
    ]
    figure = "last_over_time(unit_category:xinshao_compliance:percent"
    unit = "市公管办(市政务服务和大数据管理局)"
    assert found == [
        (f'{figure}{{category="penalty",unit!="{unit}"}}[10m]) < 98', "15m"),
        (f'{figure}{{category="penalty",unit!="{unit}"}}[10m]) < 95', "15m"),
        (f'{figure}{{category="penalty",unit="{unit}"}}[10m]) < 99.5', "1h"),
        (f'{figure}{{category="penalty",unit="{unit}"}}[10m]) < 90', "1h"),
    ]


def test_a_platforms_own_rhythm_stands_instead_of_the_usual_one() -> None:
    platform = REGISTRY.platforms[0]
    assert platform.rhythm == 5
    seldom = platform.model_copy(update={"rhythm": 22})
    (group,) = yaml.safe_load(
        render_rules(replace(REGISTRY, platforms=(seldom, *REGISTRY.platforms[1:])))[PLATFORMS]
    )["groups"]
    assert [rule["expr"].rsplit(" ", 1)[1] for rule in group["rules"]] == [
        "22",
        *["5"] * (len(REGISTRY.platforms) - 1),
    ]
    assert "登记的间隔为22个工作日" in group["rules"][0]["annotations"]["summary"]
