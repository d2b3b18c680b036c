"""Alertmanager's configuration from the registry: who gets which alert, when, how often.

An alert goes to its unit's contacts, one message for all that the unit has to do; to the office
when it is critical, when it is about a platform, or when nobody else would get it; to the
operators when the monitor itself is at fault. Warnings come on working days in office hours.

Written for Alertmanager 0.25. There, what resolves while it is muted or inhibited ends without a
notice. Where a critical alert and the warning that it inhibited end together, the warning's end may
be sent too, if other warnings of the unit have been sent. Secrets of e-mail and webhooks are files,
but that of WeCom cannot be: the text holds `WECOM_SECRET` for it, to be replaced where
Alertmanager is started.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from itertools import groupby
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from models.calendar import LAST_KNOWN_YEAR, Calendar
from models.channels import Channels
from models.registry import OFFICE, OPERATORS, Contact, Registry, RegistryError
from streams.settings import DEPLOY
from streams.watch.alerts.yaml import as_yaml

CONFIG: Final = "alertmanager.yml"
TEMPLATES: Final = "templates/xinshao.tmpl"

WECOM_SECRET: Final = "@WECOM_SECRET@"  # noqa: S105 - where the secret goes

YEARS: Final = (LAST_KNOWN_YEAR, LAST_KNOWN_YEAR + 1)
"""The years whose days off are rendered. In any other, warnings come on days off too."""

DAYS_OFF: Final = "days-off"
AFTER_HOURS: Final = "after-hours"

_HEAD: Final = """\
# 由 xinshao alerts render 按 deploy/registry 生成，不要手改。
# 密钥不在这里：在 {secrets} 中各有文件。
"""
_WECOM_HEAD: Final = f"""\
# 只有企业微信应用的密钥 Alertmanager 不能从文件读：启动之前须把 {WECOM_SECRET} 换成它。
"""


class Pace(NamedTuple):
    """How soon and how often the same group is notified (Prometheus durations).

    A repeat must be shorter than Alertmanager keeps its log of notices (120h unless set otherwise).
    """

    wait: str = "1m"
    interval: str = "15m"
    repeat_warning: str = "72h"
    repeat_critical: str = "24h"
    repeat_pipeline: str = "4h"


PACE: Final = Pace()
"""Soon, and no more often than helps. The project's own."""


def render_routes(
    registry: Registry, calendar: Calendar, channels: Channels, pace: Pace = PACE
) -> dict[str, str]:
    """Alertmanager's files, by path within its folder; the same input gives the same bytes.

    Raises:
        RegistryError: the office has no contact, or a contact's WeCom no application.
    """
    told = _told(registry)
    _require(told, channels)
    config = {
        "global": _global(channels),
        "templates": [TEMPLATES],
        "route": _route(registry, told, pace),
        "inhibit_rules": _inhibitions(),
        "receivers": [
            {"name": name, **_receiver(contacts, channels)} for name, contacts in told.items()
        ],
        "time_intervals": [
            {"name": DAYS_OFF, "time_intervals": [*_days_off(calendar)]},
            {"name": AFTER_HOURS, "time_intervals": _after_hours(channels)},
        ],
    }
    head = _HEAD.format(secrets=channels.secrets) + _WECOM_HEAD * bool(channels.wecom_corp)
    return {
        CONFIG: head + as_yaml(config),
        TEMPLATES: (DEPLOY / "alertmanager" / TEMPLATES).read_text("utf-8"),
    }


def expected_receivers(registry: Registry) -> Iterator[tuple[dict[str, str], tuple[str, ...]]]:
    """The labels of every kind of alert, and the receivers it must reach, in any order."""
    told = _told(registry)
    for unit in registry.units:
        own = (unit.id,) if unit.id in told else ()
        labels = {"scope": "unit", "unit": unit.id}
        yield {**labels, "severity": "warning"}, own or (OFFICE,)
        yield {**labels, "severity": "critical"}, (*own, OFFICE)
    for platform in registry.platforms:
        own = (platform.owner,) if platform.owner in told else ()
        for severity in ("warning", "critical"):
            labels = {"scope": "platform", "platform": platform.id, "severity": severity}
            yield labels, (*own, OFFICE)
    operators = OPERATORS if OPERATORS in told else OFFICE
    for severity in ("warning", "critical"):
        yield {"scope": "pipeline", "severity": severity}, (operators,)


def _told(registry: Registry) -> dict[str, tuple[Contact, ...]]:
    """Everyone who has contacts, the office first."""
    names = (OFFICE, OPERATORS, *(unit.id for unit in registry.units))
    return {name: contacts for name in names if (contacts := registry.contacts_for(name))}


def _require(told: Mapping[str, tuple[Contact, ...]], channels: Channels) -> None:
    if OFFICE not in told:
        raise RegistryError(
            f"contacts.yaml:1: 没有“{OFFICE}”的联系人，没有联系人的机构的告警无处可发，请补上"
        )
    if not channels.wecom_corp and any(each.wecom for all_ in told.values() for each in all_):
        raise RegistryError(
            "channels.yaml:1: 联系人中有企业微信接收人，但没有 wecom_corp，请补上企业 ID"
        )


# --- routes ---------------------------------------------------------------------------------


def _route(registry: Registry, told: Mapping[str, object], pace: Pace) -> dict[str, Any]:
    platforms: dict[str, list[str]] = defaultdict(list)
    for platform in registry.platforms:
        if platform.owner in told:
            platforms[platform.owner].append(platform.id)
    return {
        "receiver": OFFICE,
        "group_by": ["scope"],
        "group_wait": pace.wait,
        "group_interval": pace.interval,
        "repeat_interval": pace.repeat_critical,
        "routes": [
            {
                "matchers": ['scope="pipeline"'],
                "receiver": OPERATORS if OPERATORS in told else OFFICE,
                "repeat_interval": pace.repeat_pipeline,
            },
            {"matchers": ['scope="unit"', 'severity="critical"'], "continue": True},
            {"matchers": ['scope="platform"'], "continue": True, "routes": [_warnings(pace)]},
            *(
                {
                    "matchers": ['scope="unit"', f"unit={_quoted(unit.id)}"],
                    "receiver": unit.id,
                    "group_by": ["unit"],
                    "routes": [_warnings(pace)],
                }
                for unit in registry.units
                if unit.id in told
            ),
            *(
                {
                    "matchers": ['scope="platform"', f"platform=~{_quoted('|'.join(ids))}"],
                    "receiver": owner,
                    "routes": [_warnings(pace)],
                }
                for owner, ids in platforms.items()
            ),
            # Of units without contacts.
            {**_warnings(pace), "matchers": ['scope="unit"', 'severity="warning"']},
        ],
    }


def _warnings(pace: Pace) -> dict[str, Any]:
    """How warnings are sent, within a route."""
    return {
        "matchers": ['severity="warning"'],
        "repeat_interval": pace.repeat_warning,
        "mute_time_intervals": [DAYS_OFF, AFTER_HOURS],
    }


def _inhibitions() -> list[dict[str, Any]]:
    return [
        # Only of faults that make the figures stale: judging goes on without the store, and beside
        # what is rejected.
        {
            "source_matchers": ['scope="pipeline"', 'alertname=~"Pipeline.+"'],
            "target_matchers": ['scope=~"unit|platform"'],
        },
        {
            "source_matchers": ['severity="critical"'],
            "target_matchers": ['severity="warning"'],
            "equal": ["alertname", "scope", "unit", "category", "platform"],
        },
    ]


def _quoted(text: str) -> str:
    """A value as a matcher writes it."""
    return json.dumps(text, ensure_ascii=False)


# --- receivers ------------------------------------------------------------------------------


def _global(channels: Channels) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    if channels.mail_server:
        settings |= {
            "smtp_smarthost": channels.mail_server,
            "smtp_from": channels.mail_sender,
            "smtp_require_tls": channels.mail_tls,
        }
        if channels.mail_user:
            settings |= {
                "smtp_auth_username": channels.mail_user,
                "smtp_auth_password_file": f"{channels.secrets}/smtp_password",
            }
    if channels.wecom_corp:
        settings |= {
            "wechat_api_url": channels.wecom_url,
            "wechat_api_corp_id": channels.wecom_corp,
            "wechat_api_secret": WECOM_SECRET,
        }
    return settings


def _receiver(contacts: Iterable[Contact], channels: Channels) -> dict[str, Any]:
    emails, wecoms, webhooks = [], [], []
    for contact in contacts:
        if channels.mail_server:
            emails.append(
                {
                    "to": contact.email,
                    "send_resolved": True,
                    "headers": {"Subject": '{{ template "xinshao.subject" . }}'},
                    "html": '{{ template "xinshao.html" . }}',
                    "text": '{{ template "xinshao.text" . }}',
                }
            )
        if contact.wecom:
            wecoms.append(
                {
                    "to_user": contact.wecom,
                    "agent_id": channels.wecom_agent,
                    "send_resolved": True,
                    "message": '{{ template "xinshao.wecom" . }}',
                }
            )
        if contact.webhook:
            token = f"{channels.secrets}/webhook-{urlsplit(contact.webhook).hostname}"
            webhooks.append(
                {
                    "url": contact.webhook,
                    "send_resolved": True,
                    "http_config": {"authorization": {"credentials_file": token}},
                }
            )
    configs = {"email_configs": emails, "wechat_configs": wecoms, "webhook_configs": webhooks}
    return {name: each for name, each in configs.items() if each}


# --- times ----------------------------------------------------------------------------------


def _days_off(calendar: Calendar) -> Iterator[dict[str, Any]]:
    """Each month's days that are not working days, as runs of days."""
    for (year, month), days in groupby(_days(), lambda day: (day.year, day.month)):
        runs = [
            [day.day for day in run]
            for works, run in groupby(days, calendar.is_working_day)
            if not works
        ]
        yield {
            "years": [str(year)],
            "months": [str(month)],
            "days_of_month": [f"{run[0]}:{run[-1]}" for run in runs],
            "location": "Asia/Shanghai",
        }


def _days() -> Iterator[date]:
    day, end = date(YEARS[0], 1, 1), date(YEARS[-1], 12, 31)
    while day <= end:
        yield day
        day += timedelta(days=1)


def _after_hours(channels: Channels) -> list[dict[str, Any]]:
    times = (("00:00", channels.office_opens), (channels.office_closes, "24:00"))
    return [
        {"times": [{"start_time": start, "end_time": end}], "location": "Asia/Shanghai"}
        for start, end in times
        if start < end
    ]
