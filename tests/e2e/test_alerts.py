"""Alerts from end to end, by the real Prometheus and the real Alertmanager."""

import re
import signal
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import orjson
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from models.calendar import FIRST_YEAR, LAST_YEAR, Calendar
from models.channels import Channels
from models.judging import identify
from models.month import Month
from models.registry import OFFICE, OPERATORS, Contact, Registry, Unit
from models.submission import Position, read_delivery
from models.tally import Bucket, Tally
from models.words import DOUBLE_PUBLICITY, SHANGHAI, Category, Op, UnitKind
from streams.demo.simulate import Plan, submissions
from streams.demo.tansu import HOST, Tansu
from streams.intake.replay import replay
from streams.log.topics import TALLIES, core_topics, ensure_topics, tally_partition
from streams.log.wire import TallyKey, TallyValue
from streams.log.writer import LogWriter, Message
from streams.registry import load_calendar, load_registry
from streams.settings import Settings
from streams.watch.alerts.routes import CONFIG, WECOM_SECRET, Pace, render_routes
from streams.watch.alerts.rules import Timing, render_rules
from streams.worker import working
from tests.support.deployed import REGISTRY
from tests.support.oracle import settings_for, writing
from tests.support.planned import PlannedFigures
from tests.support.processes import until, worker_process
from tests.support.watchers import (
    Mailbox,
    Program,
    Receiver,
    alertmanager,
    http_receiver,
    mail_server,
    prometheus,
    write,
)

QUICK = Pace(wait="2s", interval="1s")
SOON = Timing(hold="20s")
"""Alerts of pending records wait as long as ever, and none is told here. If one were, Alertmanager
might add a notice that a warning is over which a critical alert had inhibited and nobody was told
(`streams.watch.alerts.routes`): then how many mails come is not sure."""
_DAYS = (date(LAST_YEAR, 12, 31) - date(FIRST_YEAR, 1, 1)).days + 1
ALWAYS_OPEN = Calendar(repeat(True, _DAYS), repeat(True, _DAYS))
ALWAYS_CLOSED = Calendar(repeat(False, _DAYS), repeat(True, _DAYS))


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with mail_server() as box:
        yield box


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with http_receiver() as receiver:
        yield receiver


def channels(mailbox: Mailbox, **given: Any) -> Channels:
    """Around the clock, to the test's own mail server."""
    return Channels(
        **{
            "mail_server": f"{HOST}:{mailbox.port}",
            "mail_tls": False,
            "office_opens": "00:00",
            "office_closes": "24:00",
            **given,
        }
    )


def address(unit: str) -> str:
    """The mail address of the only contact of a unit."""
    (contact,) = REGISTRY.contacts_for(unit)
    return contact.email


async def tell(
    manager: Program, severity: str, alertname: str = "UnitOverdue", **labels: str
) -> None:
    """An alert, as Prometheus tells it."""
    summary = f"{labels.get('unit', '')}{labels.get('category', '')}：{alertname}"
    alert = {
        "labels": {"alertname": alertname, "severity": severity, **labels},
        "annotations": {"summary": summary, "action": "请今天补正", "runbook_url": "http://x/#y"},
        "startsAt": datetime.now(UTC).isoformat(),
    }
    await manager.post("/api/v2/alerts", [alert])


async def test_mail_wecom_and_webhook_all_arrive(
    tmp_path: Path, mailbox: Mailbox, receiver: Receiver
) -> None:
    secrets = tmp_path / "secrets"
    write(secrets, {"webhook-push.example": "token of push.example"})
    contact = Contact(
        unit="江夏区",
        role="报送岗",
        email="a@jiangxia.example",
        wecom="jx",
        webhook="https://push.example/alerts",
    )
    registry = replace(REGISTRY, contacts=(*REGISTRY.contacts_for(OFFICE), contact))
    sent = channels(
        mailbox,
        wecom_corp="ww1",
        wecom_agent="7",
        wecom_url=f"{receiver.address}/wecom/",
        secrets=str(secrets),
    )
    files = render_routes(registry, ALWAYS_OPEN, sent, QUICK)
    # What only the address of a registry's webhook (https) and the start of Alertmanager do.
    files[CONFIG] = (
        files[CONFIG]
        .replace("https://push.example", receiver.address)
        .replace(WECOM_SECRET, "secret of the app")
    )
    began = datetime.now(SHANGHAI)
    async with alertmanager(tmp_path / "am", files) as manager:
        await tell(manager, "warning", scope="unit", unit="江夏区", category="penalty")
        await tell(manager, "warning", scope="unit", unit="江夏区", category="licence")
        await until(lambda: mailbox.mails and receiver.to("/alerts") and receiver.to("/wecom/m"))
    ended = datetime.now(SHANGHAI)

    (mail,) = mailbox.mails
    assert mail.to == ("a@jiangxia.example",)
    assert mail.subject == "【信哨】江夏区：2项需要处理"
    for text in (mail.text, mail.html):
        assert "【预警】江夏区penalty：UnitOverdue" in text
        assert "【预警】江夏区licence：UnitOverdue" in text
        assert "怎么办：请今天补正" in text
        assert any(f"开始：{at.month}月{at.day}日 {at:%H:%M}" in text for at in (began, ended))
        assert "http://x/#y" in text
    (hook,) = receiver.to("/alerts")
    assert hook.authorization == "Bearer token of push.example"
    assert len(hook.body["alerts"]) == 2
    (gettoken,) = receiver.to("/wecom/gettoken")
    assert "corpsecret=secret+of+the+app" in gettoken.path
    (wecom,) = receiver.to("/wecom/message/send")
    assert wecom.body["touser"] == "jx"
    assert wecom.body["agentid"] == "7"
    assert wecom.body["text"]["content"].startswith("【信哨】江夏区：2项需要处理\n\n【预警】江夏区")


@pytest.mark.parametrize("off_duty", ["day", "hour"])
async def test_off_duty_only_warnings_wait(tmp_path: Path, mailbox: Mailbox, off_duty: str) -> None:
    unit = {"scope": "unit", "unit": "江夏区"}
    calendar, hours = ALWAYS_CLOSED, {}
    if off_duty == "hour":
        opens = 1 if datetime.now(SHANGHAI).hour >= 12 else 22
        calendar = ALWAYS_OPEN
        hours = {"office_opens": f"{opens:02}:00", "office_closes": f"{opens + 1:02}:00"}
    closed = render_routes(REGISTRY, calendar, channels(mailbox, **hours), QUICK)
    async with alertmanager(tmp_path, closed) as manager:
        await tell(manager, "warning", "UnitDueSoon", **unit)
        await tell(manager, "critical", "UnitOverdue", **unit)
        await until(lambda: mailbox.of(address("江夏区")) and mailbox.of(address(OFFICE)))
        # The warning's group was due before.
        assert len(mailbox.mails) == 2
        assert all("UnitDueSoon" not in mail.text for mail in mailbox.mails)
        write(tmp_path, render_routes(REGISTRY, ALWAYS_OPEN, channels(mailbox), QUICK))
        await manager.post("/-/reload")
        await until(lambda: "UnitDueSoon" in mailbox.of(address("江夏区"))[-1].text)
    assert len(mailbox.of(address(OFFICE))) == 1


async def test_an_outage_is_one_message(tmp_path: Path, mailbox: Mailbox) -> None:
    files = render_routes(REGISTRY, ALWAYS_OPEN, channels(mailbox), QUICK)
    async with alertmanager(tmp_path, files) as manager:

        async def inhibited() -> set[str]:
            alerts = await manager.get("/api/v2/alerts", inhibited="true", active="false")
            return {alert["labels"].get("unit", "") for alert in alerts}

        # Neither keeps the figures from being right.
        for alertname in ("RejectsRising", "StoreNotWriting"):
            await tell(manager, "critical", alertname, scope="pipeline")
        await tell(manager, "critical", scope="unit", unit="江汉区", category="penalty")
        await tell(manager, "warning", scope="unit", unit="江汉区", category="penalty")
        await tell(manager, "warning", scope="unit", unit="江汉区", category="licence")
        await until(lambda: len(mailbox.of(address("江汉区"))) == 2)
        assert await inhibited() == {"江汉区"}  # the warning that says less than the critical one
        assert sum("penalty" in mail.text for mail in mailbox.of(address("江汉区"))) == 1

        mailbox.mails.clear()
        await tell(manager, "critical", "PipelineGone", scope="pipeline")
        await until(lambda: any("PipelineGone" in mail.text for mail in mailbox.mails))
        for each in REGISTRY.units:
            await tell(manager, "critical", scope="unit", unit=each.id)
        assert await inhibited() == {each.id for each in REGISTRY.units}
        assert {mail.to for mail in mailbox.mails} == {(address(OPERATORS),)}


# -- June 2022

MONTH = Month(2022, 6)
PLAN = Plan.of_month(MONTH)
JUNE_30 = "2022-06-30T20:00:00+08:00"


def with_thresholds(settings: Settings, thresholds: list[dict[str, Any]]) -> Registry:
    """The registry of these settings, its thresholds replaced."""
    text = yaml.safe_dump(thresholds, allow_unicode=True)
    (settings.registry / "thresholds.yaml").write_text(text, "utf-8")
    return load_registry(settings.registry, settings.identity_key.get_secret_value().encode())


async def month_to_date(settings: Settings) -> dict[tuple[str, str], tuple[int, int, int]]:
    """What a worker says: unit and category to reported, compliant and timely; not the zeros."""
    async with httpx.AsyncClient() as client:
        try:
            page = await client.get(f"http://{settings.host}:{settings.port}/metrics")
        except httpx.TransportError:
            return {}
    names = [f"xinshao_unit_{each}_records" for each in ("reported", "compliant", "timely")]
    counts: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for family in text_string_to_metric_families(page.text):
        for name, labels, value, *_ in family.samples:
            if name in names and labels["window"] == "month" and value:
                counts[labels["unit"], labels["category"]][name] = int(value)
    return {
        duty: (counted[names[0]], counted.get(names[1], 0), counted.get(names[2], 0))
        for duty, counted in counts.items()
        if names[0] in counted
    }


async def test_jiangxia_is_told_once_and_told_when_it_is_over(
    tansu: Tansu, tmp_path: Path, mailbox: Mailbox
) -> None:
    settings = settings_for(tansu, tmp_path)
    limits = {"timeliness": {"warning": 98, "critical": 90}, "min_count": 5, "for": "0s"}
    registry = with_thresholds(settings, [{"category": "penalty", **limits}])
    plan = replace(
        PLAN, cells=tuple(cell for cell in PLAN.cells if cell.category is Category.PENALTY)
    )
    calendar = load_calendar(settings.registry)
    planned = PlannedFigures([plan], registry, calendar)
    overdue = {
        row.record_key
        for row in planned.details(MONTH, "江夏区")
        if row.compliant and not row.timely
    }
    assert len(overdue) == 109 - 74
    late: list[bytes] = []
    others: list[bytes] = []
    for line in submissions(plan, calendar):
        key = identify(read_delivery(line), registry).hex()
        (late if key in overdue else others).append(line)

    async def submit(lines: list[bytes], office: LogWriter) -> None:
        await replay(lines, str(MONTH), settings, registry, office)

    expected = {
        (cell.unit, cell.category.value): (cell.reported, cell.compliant, cell.timely)
        for cell in plan.cells
    }
    jiangxia = ("江夏区", "penalty")
    before_late = {**expected, jiangxia: (140 - 35, 74, 74)}
    routes = render_routes(registry, ALWAYS_OPEN, channels(mailbox), QUICK)
    alarm = ("UnitTimelinessLow", *jiangxia)
    await ensure_topics(settings, core_topics(settings))
    async with (
        worker_process(settings) as worker,
        writing(settings) as office,
        alertmanager(tmp_path / "alertmanager", routes) as manager,
    ):
        await submit(others, office)

        async def says(figures: object) -> bool:
            return await month_to_date(settings) == figures

        await until(lambda: says(before_late))
        folder, rules = tmp_path / "prometheus", render_rules(registry, SOON)
        async with prometheus(folder, rules, settings.port, manager) as watcher:
            # Whatever else is wrong in June has been told.
            await until(watcher.firing)
            await watcher.evaluated()
            assert alarm not in await watcher.firing()
            await until(lambda: all_told(manager, mailbox))
            mailbox.mails.clear()

            # It sees the fall as one.
            watcher.signal(signal.SIGSTOP)
            await submit(late, office)
            await until(lambda: says(expected))
            watcher.signal(signal.SIGCONT)
            await until(
                lambda: mailbox.of(address("江夏区")) and mailbox.of(address(OFFICE)), within=30
            )
            (told,) = mailbox.of(address("江夏区"))
            (copy,) = mailbox.of(address(OFFICE))
            assert "江夏区" in told.subject
            for text in (told.text, told.html, copy.text):
                assert "67.89%" in text
            since = (await watcher.firing())[alarm]["activeAt"]

            worker.signal(signal.SIGKILL)
            await worker.ended()
            await until(lambda: watcher.says("up", 0))
            worker.start()
            await until(lambda: says(expected))
            await until(lambda: watcher.says("up", 1))
            await watcher.evaluated()
            assert (await watcher.firing())[alarm]["activeAt"] == since

            # Reported by mistake: taken out again.
            await submit([withdrawn(line) for line in late], office)
            await until(lambda: says(before_late))
            await until(
                lambda: all(len(mailbox.of(address(each))) > 1 for each in ("江夏区", OFFICE))
            )
            assert len(mailbox.mails) == 4
            for receiver, first in (("江夏区", told), (OFFICE, copy)):
                again, over = mailbox.of(address(receiver))
                assert again == first
                assert "以下已恢复" in over.text
                assert "67.89%" in over.text


def withdrawn(line: bytes) -> bytes:
    """The withdrawal of what was submitted."""
    return orjson.dumps(
        orjson.loads(line) | {"op": Op.WITHDRAW, "received_at": JUNE_30, "reason": "误报"}
    )


async def all_told(manager: Program, mailbox: Mailbox) -> bool:
    """Whether every alert that is not inhibited is in a mail to everybody who should have it."""
    query = {"inhibited": "false", "silenced": "false"}
    return all(
        any(alert["annotations"]["summary"] in mail.text for mail in mailbox.of(address(receiver)))
        for group in await manager.get("/api/v2/alerts/groups", **query)
        for receiver in [group["receiver"]["name"]]
        for alert in group["alerts"]
    )


# -- the bulletin

RATES = {"合规率": "compliance", "及时率": "timeliness"}
ALERTS = {"compliance": "UnitComplianceLow", "timeliness": "UnitTimelinessLow"}


class Named(NamedTuple):
    """A unit that the bulletin names as poor, in what, and with what percentage."""

    unit: str
    category: str
    rate: str
    percent: Decimal


def poor_by_bulletin() -> list[Named]:
    """Whom the printed bulletin of June 2022 names."""
    text = "".join(Path("tests/data/bulletin-2022-06.txt").read_text("utf-8").split())
    found = re.finditer(
        r"(行政\w\w)信息(合规率|及时率)(?:较低的区有|未达到100%的有)：(.+?)。", text
    )
    categories = {category.zh: category.value for category in Category}
    return [
        Named(unit, categories[each[1]], RATES[each[2]], Decimal(percent))
        for each in found
        for unit, percent in re.findall(r"(\w+)（([\d.]+)%）", each[3])
    ]


def thresholds_of_bulletin(poor: list[Named]) -> list[dict[str, Any]]:
    """A department is poor below 100 %, a district at what the bulletin calls low or below it.

    Where it calls nothing low, it says that all are above 99.4 %.
    """
    thresholds: list[dict[str, Any]] = []
    for category in DOUBLE_PUBLICITY:
        usual = {"category": category.value, "min_count": 1, "for": "0s"}
        full = {rate: {"warning": 100, "critical": 0} for rate in ALERTS}
        thresholds.append({**usual, **full})
        for unit in REGISTRY.units:
            if unit.kind is UnitKind.DISTRICT:
                low = {
                    rate: max(
                        (
                            each.percent
                            for each in poor
                            if (each.category, each.rate) == (category.value, rate)
                            and unit_of(each.unit).kind is UnitKind.DISTRICT
                        ),
                        default=Decimal("99.4"),
                    )
                    for rate in ALERTS
                }
                # Printed rates are rounded.
                limits = {
                    rate: {"warning": float(percent + Decimal("0.005")), "critical": 0}
                    for rate, percent in low.items()
                }
                thresholds.append({**usual, "unit": unit.id, **limits})
    return thresholds


def unit_of(name: str) -> Unit:
    unit = REGISTRY.unit(name)
    assert unit
    return unit


async def test_exactly_those_alarm_whom_the_bulletin_names(tansu: Tansu, tmp_path: Path) -> None:
    poor = poor_by_bulletin()
    assert len(poor) == 14
    settings = settings_for(tansu, tmp_path)
    registry = with_thresholds(settings, thresholds_of_bulletin(poor))
    tallies = [
        (
            tally_partition(cell.unit),
            Message(
                key.encode(),
                TallyValue(
                    Position(1, 1),
                    Tally(cell.reported, cell.compliant, cell.timely, cell.compliant - cell.timely),
                ).encode(),
            ),
        )
        for cell in PLAN.cells
        for key in [TallyKey(0, Bucket(cell.unit, cell.category, date(2022, 6, 30)))]
    ]
    async with working(settings), writing(settings) as writer:
        await writer.write_all(settings.topic(TALLIES), tallies)
        await until(lambda: has_all(settings))
        folder, rules = tmp_path / "prometheus", render_rules(registry, SOON)
        async with prometheus(folder, rules, settings.port) as watcher:
            await until(lambda: watcher.firing(*ALERTS.values()))
            await watcher.evaluated()
            alarmed = {*await watcher.firing(*ALERTS.values())}
    assert alarmed == {(ALERTS[each.rate], each.unit, each.category) for each in poor}


async def has_all(settings: Settings) -> bool:
    return len(await month_to_date(settings)) == len(PLAN.cells)
