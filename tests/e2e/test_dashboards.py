"""Every query of Grafana's dashboards, asked of the real Prometheus and the real ClickHouse."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from models.words import SHANGHAI
from streams.demo.tansu import Tansu
from streams.registry import load_registry
from streams.settings import DEPLOY
from streams.store.client import Store
from streams.watch.alerts.rules import render_rules
from streams.worker import working
from tests.support.oracle import Deliveries, all_committed, settings_for, submit
from tests.support.processes import until
from tests.support.watchers import Prometheus, prometheus

CITY = json.loads((DEPLOY / "grafana/dashboards/city.json").read_text("utf-8"))
JUNE = datetime(2022, 6, 1, tzinfo=SHANGHAI), datetime(2022, 6, 30, 20, tzinfo=SHANGHAI)


def queries(source: str) -> Iterator[tuple[str, str]]:
    """The panel's title and the query, of every query of a kind of source."""
    for panel in CITY["panels"]:
        if panel.get("datasource", {}).get("type") == source:
            for target in panel["targets"]:
                yield panel["title"], target.get("expr") or target["rawSql"]


async def chosen(watcher: Prometheus) -> dict[str, list[str]]:
    """The values of the dashboard's variables when all are chosen."""
    unit, category = CITY["templating"]["list"]
    asked = re.fullmatch(r"label_values\((.+), (\w+)\)", unit["query"])
    assert asked
    units = await watcher.get(f"/api/v1/label/{asked[2]}/values", **{"match[]": asked[1]})
    texts_and_values = [each.split(" : ") for each in category["query"].split(", ")]
    return {unit["name"]: units["data"], category["name"]: [each[1] for each in texts_and_values]}


def promql(query: str, variables: dict[str, list[str]]) -> str:
    """What Grafana makes of a query to Prometheus."""
    for name, values in variables.items():
        escaped = (re.sub(r"[\\^$*+?.()|\[\]{}]", r"\\\\\g<0>", value) for value in values)
        query = query.replace(f"${name}", f"({'|'.join(escaped)})")
    assert "$" not in query
    return query


def sql(query: str, variables: dict[str, list[str]]) -> str:
    """What Grafana and its plugin make of a query to ClickHouse (its pkg/macros)."""
    for name, values in variables.items():
        quoted = ",".join(f"'{value}'" for value in values)
        query = query.replace(f"${{{name}:singlequote}}", quoted)
    for macro, time in zip(("$__fromTime", "$__toTime"), JUNE, strict=True):
        query = query.replace(macro, f"toDateTime({int(time.timestamp())})")
    assert "$" not in query
    return query


@pytest.mark.timeout(180)
async def test_every_panel_has_rows(tansu: Tansu, tmp_path: Path) -> None:
    settings = settings_for(tansu, tmp_path, clickhouse=f"chdb:{tmp_path / 'store'}")
    thresholds = settings.registry / "thresholds.yaml"
    thresholds.write_text(re.sub("for: .+", "for: 0s", thresholds.read_text("utf-8")), "utf-8")
    rules = render_rules(load_registry(settings.registry))
    async with working(settings) as worker:
        await submit(settings, Deliveries(seed=1).take(400))
        await all_committed(settings)
        await worker.stored()
        async with prometheus(tmp_path / "prometheus", rules, settings.port) as watcher:

            async def rows(query: str) -> list[Any]:
                found = await watcher.get("/api/v1/query", query=query)
                return list(found["data"]["result"])

            await until(lambda: rows('ALERTS{scope="unit",alertstate="firing"}'))
            variables = await chosen(watcher)
            figures = {}
            for title, query in queries("prometheus"):
                figures[title] = await rows(promql(query, variables))
                assert figures[title], f"{title}: {query}"
        with Store.open(settings) as store:
            for title, query in queries("grafana-clickhouse-datasource"):
                figures[title] = [*store.rows(sql(query, variables))]
                assert figures[title], f"{title}: {query}"
    ((_at, reported),) = (row["value"] for row in figures["报送量"])
    (ranking,) = (rows for title, rows in figures.items() if title.startswith("排名"))
    assert int(reported) == sum(row[2] for row in ranking)
    # A day begins at midnight in Beijing.
    assert {time.astimezone(UTC).hour for time, *_ in figures["每日报送量"]} == {16}
