"""The demo's Prometheus and Alertmanager."""

import shutil
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from streams.demo.tansu import listening
from streams.demo.watchers import ALERTMANAGER, PROMETHEUS, WatchersUnavailableError, watching
from streams.settings import DEPLOY, Settings
from tests.support.house import free_port
from tests.support.needs import require
from tests.support.processes import until

WITH_ALL = """
- {unit: 江夏区, role: 值班岗, email: a@jiangxia.example, wecom: jx,
   webhook: "https://push.example/alerts"}
"""


def settings_of(folder: Path) -> Settings:
    """Settings of a worker that does not run, with a contact that is told in every way."""
    registry = folder / "registry"
    shutil.copytree(DEPLOY / "registry", registry)
    with (registry / "contacts.yaml").open("a", encoding="utf-8") as contacts:
        contacts.write(WITH_ALL)
    return Settings(registry=registry, port=free_port())


async def test_the_watchers_run_tell_nobody_and_are_gone(tmp_path: Path) -> None:
    require(*PROMETHEUS, next(filter(shutil.which, ALERTMANAGER), ALERTMANAGER[0]))
    async with (
        watching(settings_of(tmp_path), tmp_path / "watching") as watchers,
        httpx.AsyncClient() as client,
    ):
        assert (await client.get(watchers.alerts)).is_success
        prometheus = httpx.URL(watchers.alerts)
        rules = (await client.get(prometheus.join("/api/v1/rules"))).json()["data"]["groups"]
        names = {rule["name"] for group in rules for rule in group["rules"]}
        assert names >= {"UnitTimelinessLow", "PipelineGone"}

        async def told() -> bool:
            managers = await client.get(prometheus.join("/api/v1/alertmanagers"))
            active = managers.json()["data"]["activeAlertmanagers"]
            return [each["url"] for each in active] == [f"{watchers.routes}/api/v2/alerts"]

        await until(told)
        status = (await client.get(f"{watchers.routes}/api/v2/status")).json()
        config = status["config"]["original"]
        assert "- receiver: 江夏区" in config
        assert [way for way in ("email", "wechat", "webhook") if f"{way}_configs" in config] == []
    for address in watchers:
        assert not listening(urlsplit(address).port or 0)


async def test_what_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(WatchersUnavailableError, match="没有安装 Prometheus 和 Alertmanager"):
        async with watching(settings_of(tmp_path), tmp_path / "watching"):
            pass
    (tmp_path / "prometheus").touch(mode=0o755)
    with pytest.raises(WatchersUnavailableError, match="没有安装 Alertmanager，"):
        async with watching(settings_of(tmp_path / "again"), tmp_path / "watching"):
            pass


async def test_what_does_not_start_is_told_with_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("prometheus", "alertmanager"):
        (tmp_path / name).write_text("#!/bin/sh\necho no\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    monkeypatch.setattr("streams.demo.watchers.ALERTMANAGER", ("alertmanager",))
    with pytest.raises(WatchersUnavailableError) as failed:
        async with watching(settings_of(tmp_path), tmp_path / "watching"):
            pass
    log = tmp_path / "watching/alertmanager/log"
    assert str(log) in str(failed.value)
    assert log.read_text() == "no\n"
