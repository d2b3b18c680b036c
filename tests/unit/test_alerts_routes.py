"""Alertmanager's configuration: who is told, when, and that nothing secret is in it."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from models.channels import Channels
from models.registry import OFFICE, OPERATORS, Contact, Registry, RegistryError
from models.words import SHANGHAI
from streams.registry import load_channels
from streams.settings import DEPLOY
from streams.watch.alerts.routes import (
    AFTER_HOURS,
    CONFIG,
    DAYS_OFF,
    WECOM_SECRET,
    YEARS,
    expected_receivers,
    render_routes,
)
from tests.support.deployed import CALENDAR, REGISTRY
from tests.support.needs import require
from tests.support.watchers import write

CHANNELS = load_channels(DEPLOY / "registry")
WECOM = CHANNELS.model_copy(update={"wecom_corp": "ww0123456789abcdef", "wecom_agent": "1000002"})


def told_by(*contacts: Contact) -> Registry:
    """The registry with these contacts only."""
    return replace(REGISTRY, contacts=contacts)


def contact(unit: str, **given: str) -> Contact:
    return Contact(unit=unit, role="信用岗", email=f"a@{unit.encode().hex()}.example", **given)


def configured(registry: Registry = REGISTRY, channels: Channels = CHANNELS) -> Any:
    return yaml.safe_load(render_routes(registry, CALENDAR, channels)[CONFIG])


def test_the_committed_files_are_what_is_rendered() -> None:
    for name, text in render_routes(REGISTRY, CALENDAR, CHANNELS).items():
        assert (DEPLOY / "alertmanager" / name).read_text("utf-8") == text


@pytest.mark.slow
@pytest.mark.parametrize(
    "registry",
    [
        REGISTRY,
        told_by(
            contact(OFFICE), contact("江夏区", wecom="jx", webhook="https://jx.example/alerts")
        ),
    ],
    ids=["deployed", "one-unit"],
)
def test_alertmanager_takes_it_and_routes_everybody(registry: Registry, tmp_path: Path) -> None:
    require("amtool")
    write(tmp_path, render_routes(registry, CALENDAR, WECOM))
    check = amtool(tmp_path, "check-config", CONFIG)
    assert check.returncode == 0, check.stdout + check.stderr
    for labels, receivers in expected_receivers(registry):
        found = amtool(
            *(tmp_path, "config", "routes", "test", f"--config.file={CONFIG}"),
            *(f"{name}={value}" for name, value in labels.items()),
        )
        assert sorted(found.stdout.strip().split(",")) == sorted(receivers), labels


def amtool(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("amtool")
    assert program
    return subprocess.run(
        [program, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


def test_who_is_expected_to_be_told() -> None:
    """In words, so that routes and expectation cannot be wrong together."""
    registry = told_by(contact(OFFICE), contact("江夏区"))
    told = {
        frozenset(labels.values()): receivers for labels, receivers in expected_receivers(registry)
    }
    assert told[frozenset({"unit", "江夏区", "warning"})] == ("江夏区",)
    assert told[frozenset({"unit", "江夏区", "critical"})] == ("江夏区", OFFICE)
    assert told[frozenset({"unit", "江汉区", "warning"})] == (OFFICE,)
    assert told[frozenset({"unit", "江汉区", "critical"})] == (OFFICE,)
    assert told[frozenset({"platform", "caidian-dashuju", "warning"})] == (OFFICE,)
    assert told[frozenset({"pipeline", "critical"})] == (OFFICE,)
    operated = dict.fromkeys(
        receivers
        for labels, receivers in expected_receivers(REGISTRY)
        if labels["scope"] == "pipeline"
    )
    assert [*operated] == [(OPERATORS,)]
    assert len(told) == 2 * (len(REGISTRY.units) + len(REGISTRY.platforms) + 1)


def test_nothing_secret_is_in_the_text() -> None:
    hook = "https://push.jiangxia.example:8443/alerts"
    registry = told_by(contact(OFFICE), contact("江夏区", wecom="jx|wy", webhook=hook))
    config = configured(registry, WECOM)
    (jiangxia,) = (each for each in config["receivers"] if each["name"] == "江夏区")
    (webhook,) = jiangxia["webhook_configs"]
    (wecom,) = jiangxia["wechat_configs"]
    assert webhook["http_config"]["authorization"] == {
        "credentials_file": "/run/secrets/webhook-push.jiangxia.example"
    }
    assert wecom["to_user"] == "jx|wy"
    assert config["global"]["smtp_auth_password_file"] == "/run/secrets/smtp_password"
    assert "smtp_auth_password" not in config["global"]
    # The one that Alertmanager does not read from a file.
    assert config["global"]["wechat_api_secret"] == WECOM_SECRET
    for receiver in config["receivers"]:
        for kind in ("email_configs", "wechat_configs", "webhook_configs"):
            assert all(each["send_resolved"] for each in receiver.get(kind, ()))


def test_channels_that_are_not_there_are_not_used() -> None:
    quiet = Channels(office_opens="08:30", office_closes="17:30")
    config = configured(told_by(contact(OFFICE)), quiet)
    assert config["receivers"] == [{"name": OFFICE}]
    assert config["global"] == {}


def test_what_cannot_be_told_is_refused() -> None:
    with pytest.raises(RegistryError, match="没有“市信用办”的联系人"):
        configured(told_by(contact("江夏区")))
    with pytest.raises(RegistryError, match="没有 wecom_corp"):
        configured(told_by(contact(OFFICE, wecom="ban")))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("office_opens: '9:00'\noffice_closes: '17:30'", "channels.yaml:1: office_opens 应为钟点"),
        ("office_opens: '18:00'\noffice_closes: '17:30'", "office_opens 应早于 office_closes"),
        ("office_opens: '08:00'", "缺少 office_closes"),
        (
            "office_opens: '08:00'\noffice_closes: '17:30'\nmail_server: smtp.example",
            "channels.yaml:3: mail_server 应为 主机:端口",
        ),
        ("office_opens: [", "channels.yaml:"),
        ("- a", "应为“键: 值”的形式"),
    ],
)
def test_wrong_channels_are_refused_with_their_line(text: str, problem: str) -> None:
    with pytest.raises(RegistryError) as refusal:
        Channels.parse(text, "channels.yaml")
    assert problem in str(refusal.value)


# --- times


def test_warnings_come_on_working_days_in_office_hours() -> None:
    """Every day of the years, make-up days included: just before, at the begin, at the end."""
    mutes = _mutes(configured())
    opens, closes = timedelta(hours=8, minutes=30), timedelta(hours=17, minutes=30)
    minute = timedelta(minutes=1)
    days = [*_days()]
    assert sum(CALENDAR.is_working_day(day) and day.weekday() >= 5 for day in days) > 0
    for day in days:
        midnight = datetime(day.year, day.month, day.day, tzinfo=SHANGHAI)
        working = CALENDAR.is_working_day(day)
        for after, told in (
            (timedelta(), False),
            (opens - minute, False),
            (opens, working),
            (closes - minute, working),
            (closes, False),
        ):
            assert _muted(mutes, midnight + after) is not told, (day, after)


def test_in_years_not_rendered_warnings_come_rather_than_not() -> None:
    mutes = _mutes(configured())
    new_year = datetime(YEARS[-1] + 1, 1, 1, 10, tzinfo=SHANGHAI)
    assert not _muted(mutes, new_year)


def test_hours_may_be_all_day() -> None:
    always = CHANNELS.model_copy(update={"office_opens": "00:00", "office_closes": "24:00"})
    working = next(day for day in _days() if CALENDAR.is_working_day(day))
    midnight = datetime(working.year, working.month, working.day, tzinfo=SHANGHAI)
    mutes = _mutes(configured(channels=always))
    assert not any(_muted(mutes, midnight + timedelta(hours=hour)) for hour in range(24))


def test_only_warnings_are_ever_muted() -> None:
    def muted(route: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        if "mute_time_intervals" in route:
            yield route
        for child in route.get("routes", ()):
            yield from muted(child)

    found = [*muted(configured()["route"])]
    assert len(found) > len(REGISTRY.units)
    for route in found:
        assert 'severity="warning"' in route["matchers"]
        assert route["mute_time_intervals"] == [DAYS_OFF, AFTER_HOURS]


def _days() -> Iterator[date]:
    first, last = date(YEARS[0], 1, 1), date(YEARS[-1], 12, 31)
    return (first + timedelta(days=n) for n in range((last - first).days + 1))


def _mutes(config: Any) -> list[Any]:
    return [each for named in config["time_intervals"] for each in named["time_intervals"]]


def _muted(intervals: list[Any], moment: datetime) -> bool:
    """As Alertmanager reads time intervals: within a list any, between the fields all."""
    clock = f"{moment:%H:%M}"
    return any(
        str(moment.year) in each.get("years", [str(moment.year)])
        and str(moment.month) in each.get("months", [str(moment.month)])
        and any(
            first <= moment.day <= last
            for run in each.get("days_of_month", ["1:31"])
            for first, last in [map(int, run.split(":"))]
        )
        and any(
            time["start_time"] <= clock < time["end_time"]
            for time in each.get("times", [{"start_time": "00:00", "end_time": "24:00"}])
        )
        for each in intervals
        if each["location"] == "Asia/Shanghai"
    )
