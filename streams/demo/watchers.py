"""Prometheus and Alertmanager over the embedded stack, where they are installed.

They run with the registry's own rules and routes, but notify nobody: it is a demo, and what a
contact would get is seen on their pages. Its month passes in minutes, so alerts wait seconds.
"""

import asyncio
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

import httpx

from models.registry import Registry
from streams.demo.processes import end
from streams.demo.tansu import HOST, free_port
from streams.errors import OperatorError
from streams.registry import load_calendar, load_channels, load_registry
from streams.settings import Settings
from streams.watch.alerts.routes import CONFIG, Pace, render_routes
from streams.watch.alerts.rules import Timing, render_rules
from streams.watch.alerts.yaml import as_yaml

PROMETHEUS: Final = ("prometheus",)
ALERTMANAGER: Final = ("prometheus-alertmanager", "alertmanager")
"""What the programs are called: by Debian, and by others."""

_LASTING: Final = "30s"
_PACE: Final = Pace(wait="5s", interval="30s")
_LOOK: Final = "5s"
_PATIENCE: Final = 20.0
_ALERTS: Final = ("/alerts", "/classic/alerts")
"""Where Prometheus shows alerts: its own page, and that of Debian's package."""


class WatchersUnavailableError(OperatorError):
    """The watchers cannot run here; the message says why, in Chinese."""


class Watchers(NamedTuple):
    """The addresses of the running watchers: Prometheus's page of alerts, and Alertmanager's."""

    alerts: str
    routes: str


@asynccontextmanager
async def watching(settings: Settings, folder: Path) -> AsyncIterator[Watchers]:
    """Watch the worker of these settings; at the end no process is left behind.

    Args:
        settings: of the worker.
        folder: of all that the watchers write; what it had is gone.

    Raises:
        WatchersUnavailableError: a program is not installed, or does not start.
        RegistryError: the registry cannot be read, or lacks what routes need.
    """
    prometheus_program, alertmanager_program = _installed()
    shutil.rmtree(folder, ignore_errors=True)
    rules, routes = _rendered(settings)
    async with AsyncExitStack() as running:
        alertmanager = await running.enter_async_context(
            _running(
                alertmanager_program,
                folder / "alertmanager",
                routes,
                *(f"--config.file={CONFIG}", "--storage.path=data", "--cluster.listen-address="),
            )
        )
        config = {
            "global": {"scrape_interval": _LOOK, "evaluation_interval": _LOOK},
            "rule_files": [*rules],
            "scrape_configs": [
                {"job_name": "xinshao-worker", **_targets(f"{settings.host}:{settings.port}")}
            ],
            "alerting": {"alertmanagers": [_targets(alertmanager.removeprefix("http://"))]},
        }
        prometheus = await running.enter_async_context(
            _running(
                prometheus_program,
                folder / "prometheus",
                {**rules, "prometheus.yml": as_yaml(config)},
                *("--config.file=prometheus.yml", "--storage.tsdb.path=data"),
            )
        )
        async with httpx.AsyncClient(base_url=prometheus) as client:
            pages = [page for page in _ALERTS if (await client.get(page)).is_success]
        yield Watchers(f"{prometheus}{next(iter(pages), '')}", alertmanager)


def _installed() -> tuple[str, str]:
    found = {
        name: next(filter(None, map(shutil.which, programs)), None)
        for name, programs in (("Prometheus", PROMETHEUS), ("Alertmanager", ALERTMANAGER))
    }
    prometheus, alertmanager = found.values()
    if prometheus is None or alertmanager is None:
        missing = " 和 ".join(name for name, program in found.items() if program is None)
        raise WatchersUnavailableError(
            f"没有安装 {missing}，演示不含告警；要看告警，请安装后再运行"
            "（Debian、Ubuntu：apt install prometheus prometheus-alertmanager）"
        )
    return prometheus, alertmanager


def _rendered(settings: Settings) -> tuple[dict[str, str], dict[str, str]]:
    """The rules and the routes, quick and silent."""
    registry = load_registry(settings.registry)
    channels = load_channels(settings.registry)
    return (
        render_rules(_quick(registry), Timing(lasting=_LASTING)),
        render_routes(
            _silent(registry),
            load_calendar(settings.registry),
            channels.model_copy(update={"mail_server": None, "wecom_corp": None}),
            _PACE,
        ),
    )


def _quick(registry: Registry) -> Registry:
    return replace(
        registry,
        thresholds=tuple(
            each.model_copy(update={"for_": _LASTING}) for each in registry.thresholds
        ),
    )


def _silent(registry: Registry) -> Registry:
    return replace(
        registry,
        contacts=tuple(
            each.model_copy(update={"wecom": None, "webhook": None}) for each in registry.contacts
        ),
    )


def _targets(target: str) -> dict[str, object]:
    return {"static_configs": [{"targets": [target]}]}


@asynccontextmanager
async def _running(
    program: str, folder: Path, files: Mapping[str, str], *options: str
) -> AsyncIterator[str]:
    """A program with its files in a folder; the address that it serves."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    listen = f"{HOST}:{free_port()}"
    with (folder / "log").open("wb") as log:
        # A session of its own: Ctrl-C ends the demo, which then stops its watchers.
        process = subprocess.Popen(  # noqa: S603, ASYNC220 - the program's own words
            [program, *options, f"--web.listen-address={listen}"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        await _ready(process, f"http://{listen}", folder / "log")
        yield f"http://{listen}"
    finally:
        await end(process)


async def _ready(process: "subprocess.Popen[bytes]", address: str, log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    async with httpx.AsyncClient(base_url=address) as client:
        while process.poll() is None and time.monotonic() < deadline:
            with suppress(httpx.TransportError):
                if (await client.get("/-/ready")).is_success:
                    return
            await asyncio.sleep(0.1)
    raise WatchersUnavailableError(f"{log.parent.name} 没有启动，演示不含告警；原因见 {log}")
