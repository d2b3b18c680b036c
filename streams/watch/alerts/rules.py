"""Prometheus rules from the registry: the figures that are alerted on, and the alerts.

An alert must not fire, end or fire again because a worker restarts or hands a unit over.
So alerts use recorded figures. They are recorded from workers that have read all tallies of
their partitions, and each holds for `Timing.hold` after it was last recorded; a longer outage is
an alert of its own, which inhibits the others (`streams.watch.alerts.routes`).

Every alert carries `severity` (warning, critical) and `scope` (unit, platform, pipeline); summary
and action are Chinese, for the unit's contact; description is English, for operators.
"""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final, NamedTuple

from models.rates import RateKind, rate_promql
from models.registry import AlertLines, Platform, Registry, Threshold
from models.words import Category
from streams.watch.alerts.yaml import as_yaml

FIGURES: Final = "figures.yaml"
UNITS: Final = "units.yaml"
PLATFORMS: Final = "platforms.yaml"
PIPELINE: Final = "pipeline.yaml"

RUNBOOK: Final = "docs/runbook.md"
"""Where the runbook is; an alert's section is named after it."""


class Timing(NamedTuple):
    """How long things must last (Prometheus durations). The project's own."""

    hold: str = "10m"
    """How long a figure holds that no worker reports any more."""
    lasting: str = "15m"
    """How long a unit's fault lasts before it is alerted on, where the registry does not say."""
    outage: str = "3m"
    """How long the pipeline is at fault before it is alerted on."""


TIMING: Final = Timing()

SILENT_AT_LEAST: Final = 3
"""Working days without a report below which no unit is called silent."""
DROP: Final = Decimal("0.5")
"""A week's volume below this part of the usual is a drop."""
DROP_AT_LEAST: Final = 20
"""Usual records a week below which no drop is alerted on: small numbers vary."""
DROP_DAYS: Final = 3
"""Working days in the week, with today, below which no drop is alerted on: today is not over."""
BEHIND_SECONDS: Final = 300
STUCK_SECONDS: Final = 120
STORE_SECONDS: Final = 600

_JUDGING: Final = 'group=~".+-(judge|rollup|admit-.+)"'
_COMPLETE: Final = (
    'and on (instance) (sum by (instance) (xinshao_lag_records{group=~".+-rollup"}) == 0)'
)

_COUNT: Final = '{{ printf "%.0f" $value }}'
_CATEGORY_NAME: Final = "".join(
    f'{{{{ if eq $labels.category "{category.value}" }}}}{category.zh}{{{{ end }}}}'
    for category in Category
)


def render_rules(
    registry: Registry, timing: Timing = TIMING, runbook: str = RUNBOOK
) -> dict[str, str]:
    """The rule files by name; the same input gives the same bytes."""
    groups = {
        FIGURES: ("xinshao-figures", _figures()),
        UNITS: ("xinshao-units", _units(registry, timing)),
        PLATFORMS: (
            "xinshao-platforms",
            (_platform(platform, timing) for platform in registry.platforms),
        ),
        PIPELINE: ("xinshao-pipeline", _pipeline(timing)),
    }
    files = {}
    for file, (name, rules) in groups.items():
        told = [_linked(rule, runbook) for rule in rules]
        files[file] = _HEAD + as_yaml({"groups": [{"name": name, "rules": told}]})
    return files


_HEAD: Final = "# 由 xinshao alerts render 按 deploy/registry 生成，不要手改。\n"

Rule = dict[str, Any]


def _linked(rule: Rule, runbook: str) -> Rule:
    if "alert" in rule:
        rule["annotations"]["runbook_url"] = f"{runbook}#{rule['alert'].lower()}"
    return rule


def _alert(name: str, expr: str, lasting: str, labels: dict[str, str], **annotations: str) -> Rule:
    return {
        "alert": name,
        "expr": expr,
        "for": lasting,
        "labels": labels,
        "annotations": annotations,
    }


# --- figures ----------------------------------------------------------------------------------


def _figures() -> Iterator[Rule]:
    """What workers report that have read all tallies, whichever of them holds the unit."""
    for count in dict.fromkeys(each for kind in RateKind for each in (kind.whole, kind.part)):
        yield _record(
            _month(count),
            _told(f'xinshao_unit_{count}_records{{window="month"}}', "unit, category"),
        )
    for kind in RateKind:
        yield _record(_percent(kind), rate_promql(_month(kind.part), _month(kind.whole)))
    yield _record(
        "unit_category:xinshao_pending_records:now",
        _told("xinshao_unit_pending_records", "unit, category, due"),
    )
    week, month = (f"unit_category:xinshao_reported_records:{window}" for window in ("7d", "30d"))
    yield _record(month, _told('xinshao_unit_reported_records{window="30d"}', "unit, category"))
    yield _record(
        week,
        _told('xinshao_unit_reported_records{window="7d"}', "unit, category") + f"\nor 0 * {month}",
    )
    days, more = (
        f'max(xinshao_window_working_days{{window="{window}"}})' for window in ("7d", "30d")
    )
    yield _record(
        "unit_category:xinshao_usual_records:7d",
        f"({month} - {week})\n* on () group_left () (({days} >= {DROP_DAYS}) / ({more} - {days}))",
    )
    for what in ("silent", "usual_silence"):
        yield _record(
            f"unit:xinshao_{what}_working_days:now",
            _told(f"xinshao_unit_{what}_working_days", "unit"),
        )
    yield _record(
        "platform:xinshao_silent_working_days:now",
        _told("xinshao_platform_silent_working_days", "platform"),
    )


def _record(figure: str, expr: str) -> Rule:
    return {"record": figure, "expr": expr}


def _month(count: str) -> str:
    return f"unit_category:xinshao_{count}_records:month"


def _percent(kind: RateKind) -> str:
    return f"unit_category:xinshao_{kind}:percent"


def _held(figure: str, timing: Timing) -> str:
    """A figure as it was last recorded; `figure` may name its labels."""
    return f"last_over_time({figure}[{timing.hold}])"


def _told(metric: str, by: str) -> str:
    return f"max by ({by}) (\n  {metric}\n  {_COMPLETE}\n)"


# --- units ------------------------------------------------------------------------------------


def _units(registry: Registry, timing: Timing) -> Iterator[Rule]:
    for threshold in registry.thresholds:
        yield from _rates(registry, threshold, timing)
    yield from _pending(timing)
    yield _unit(
        "UnitSilent",
        f"{_held('unit:xinshao_silent_working_days:now', timing)}\n> on (unit) clamp_min("
        f"{_held('unit:xinshao_usual_silence_working_days:now', timing)}, {SILENT_AT_LEAST})",
        "1h",
        summary="{{ $labels.unit }}已有" + _COUNT + "个工作日没有报送任何信息，超过平时的间隔",
        action="请确认这几天是否确无应报信息；如系统或接口故障，请尽快修复并补报，"
        "报送期限仍从作出决定的次日起算。",
        description="The unit has been silent for longer than ever in the 90 days before.",
    )
    yield _unit(
        "UnitVolumeDrop",
        f"{_held('unit_category:xinshao_reported_records:7d', timing)}\n"
        f"< {DROP} * ({_held('unit_category:xinshao_usual_records:7d', timing)}"
        f" >= {DROP_AT_LEAST})",
        "1h",
        category_name=_CATEGORY_NAME,
        summary="{{ $labels.unit }}"
        + _CATEGORY_NAME
        + "近7天只报送"
        + _COUNT
        + "条，平时约"
        + _counted("unit_category:xinshao_usual_records:7d", timing)
        + "条",
        action="请核对业务系统近7天作出的决定是否都已报送；如有漏报，请在期限内补报。",
        description="Fewer than half of the usual records a working day came in seven days.",
    )


def _unit(name: str, expr: str, lasting: str, category_name: str = "", **annotations: str) -> Rule:
    named = {"category_name": category_name} if category_name else {}
    labels = {"severity": "warning", "scope": "unit", **named}
    return _alert(name, expr, lasting, labels, **annotations)


class _LowRate(NamedTuple):
    """The alert of a rate; what its text calls the two counts, and what it says is to be done."""

    name: str
    part_zh: str
    whole_zh: str
    action: str


_LOW_RATES: Final = {
    RateKind.COMPLIANCE: _LowRate(
        *("UnitComplianceLow", "合规", "报送"),
        action="请在待补正清单中逐条更正不合规的信息；更正后合规率随即回升。",
    ),
    RateKind.TIMELINESS: _LowRate(
        *("UnitTimelinessLow", "及时", "合规"),
        action="请先报送期限将至的信息，并检查从作出决定到报送的各环节；"
        "期限为作出决定之日起14个工作日（另有规定的从其规定）。",
    ),
}


def _rates(registry: Registry, threshold: Threshold, timing: Timing) -> Iterator[Rule]:
    for kind in RateKind:
        lines = threshold.lines(kind)
        if lines is not None:
            yield from _rate(registry, threshold, kind, lines, timing)


def _rate(
    registry: Registry, threshold: Threshold, kind: RateKind, lines: AlertLines, timing: Timing
) -> Iterator[Rule]:
    low, category = _LOW_RATES[kind], threshold.category
    of = f'category="{category.value}"'
    if threshold.unit is not None:
        of += f",unit={_quoted(threshold.unit)}"
    else:
        for other in registry.thresholds:
            if other.category is category and other.unit is not None:
                of += f",unit!={_quoted(other.unit)}"
    percent, reported = (
        _held(f"{figure}{{{of}}}", timing) for figure in (_percent(kind), _month("reported"))
    )
    part, whole = (_counted(_month(each), timing) for each in (kind.part, kind.whole))
    for severity, line, limit in (
        ("warning", "预警线", lines.warning),
        ("critical", "严重线", lines.critical),
    ):
        yield _alert(
            low.name,
            f"{percent} < {limit}\nand on (unit, category) {reported} >= {threshold.min_count}",
            threshold.for_,
            {"severity": severity, "scope": "unit", "category_name": category.zh},
            summary=f"{{{{ $labels.unit }}}}{category.zh}本月{kind.zh}"
            f'{{{{ printf "%.2f" $value }}}}%，低于{line}{limit}%'
            f"（{low.whole_zh}{whole}条，其中{low.part_zh}{part}条）",
            action=low.action,
            description=f"{kind.capitalize()} of the month to date is below {limit} percent"
            f" ({severity}).",
        )


def _pending(timing: Timing) -> Iterator[Rule]:
    for name, due, told, action, description in (
        (
            "UnitDueSoon",
            "soon",
            "条信息尚不合规，报送期限在3个工作日之内",
            "请在期限之前更正：期限内更正合规的，仍算及时。",
            "Records are not compliant yet and due within three working days.",
        ),
        (
            "UnitOverdue",
            "overdue",
            "条信息已过报送期限，仍不合规",
            "请尽快更正：逾期才合规的计为不及时，但合规率仍可回升。",
            "Records are not compliant yet and past their deadline.",
        ),
    ):
        figure = f'unit_category:xinshao_pending_records:now{{due="{due}"}}'
        yield _unit(
            name,
            f"max without (due) ({_held(figure, timing)}) > 0",
            timing.lasting,
            category_name=_CATEGORY_NAME,
            summary=f"{{{{ $labels.unit }}}}{_CATEGORY_NAME}有{_COUNT}{told}",
            action=action,
            description=description,
        )


def _counted(figure: str, timing: Timing) -> str:
    """A template for a figure of the alert's unit and category."""
    return (
        f"{{{{ with printf `{_held(f'{figure}{{unit=%q,category=%q}}', timing)}`"
        " $labels.unit $labels.category | query }}"
        '{{ . | first | value | printf "%.0f" }}{{ end }}'
    )


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


# --- platforms --------------------------------------------------------------------------------


def _platform(platform: Platform, timing: Timing) -> Rule:
    silent = f'platform:xinshao_silent_working_days:now{{platform="{platform.id}"}}'
    return _alert(
        "PlatformSilent",
        f"{_held(silent, timing)} > {platform.rhythm}",
        "1h",
        {"severity": "warning", "scope": "platform", "platform": platform.id},
        summary=f"{platform.owner}的平台“{platform.name}”已有{_COUNT}个工作日没有报送，"
        f"登记的间隔为{platform.rhythm}个工作日",
        action="请平台运维检查接口、密钥和网络；修复后补报这几天的信息。",
        description="No submission came from the platform for longer than its rhythm.",
    )


# --- pipeline ---------------------------------------------------------------------------------


def _pipeline(timing: Timing) -> Iterator[Rule]:
    yield _fault(
        "PipelineGone",
        "absent(xinshao_verdict_latency_seconds_count)",
        timing.outage,
        "critical",
        summary="没有任何研判进程在运行：报送不再研判，告警和统计停在此前",
        action="请启动 xinshao worker，并查看其日志末尾说明的停止原因。已接收的报送不会丢失。",
        description="No worker is scraped: none runs, or Prometheus cannot reach it.",
    )
    yield _fault(
        "PipelineBehind",
        f"max by (group) (xinshao_lag_seconds{{{_JUDGING}}}) > {BEHIND_SECONDS}",
        timing.outage,
        "critical",
        summary="研判落后" + _COUNT + "秒（{{ $labels.group }}）：统计和告警不是最新的",
        action="请增加 xinshao worker 的数量，或检查消息服务和磁盘是否过慢。",
        description="A step of the pipeline reads messages that are older than five minutes.",
    )
    yield _fault(
        "PipelineStuck",
        # Restoring takes its time and has an alert of its own: a restart would begin it again.
        f"max by (group) (xinshao_stuck_seconds{{{_JUDGING}}} unless xinshao_restoring == 1)"
        f" > {STUCK_SECONDS}",
        timing.outage,
        "critical",
        summary="研判停滞" + _COUNT + "秒（{{ $labels.group }}）：有报送在等，没有进展",
        action="请查看 /health/progress 和日志；重启该进程是安全的，不会重复计数。",
        description="Work waits in a partition and nothing is committed.",
    )
    yield _fault(
        "PipelineRestoring",
        "max by (group) (xinshao_restoring) > 0",
        "15m",
        "warning",
        summary="研判进程重建状态已超过15分钟（{{ $labels.group }}）",
        action="请等待其完成；本地状态目录丢失时须全量重读。若反复发生，请检查磁盘空间和重启原因。",
        description="A partition's state has been restoring for a quarter of an hour.",
    )
    yield _fault(
        "RejectsRising",
        "sum(xinshao_rejects_recent) > max(xinshao_rejects_limit)",
        "0s",
        "warning",
        summary="短时间内有" + _COUNT + "条报送无法读取而被拒收",
        action="请用 xinshao rejects ls 查看原因和来源平台，联系平台改正后，"
        "用 xinshao rejects redrive 放回。",
        description="More messages than the limit could not be read within the window.",
    )
    yield _fault(
        "StoreNotWriting",
        '(max(xinshao_lag_records{group=~".+-sink-.+"}) > 0)\n'
        f"and (time() - max(xinshao_sink_last_success_timestamp_seconds) > {STORE_SECONDS})",
        timing.outage,
        "warning",
        summary="ClickHouse 已有10分钟以上没有写入，" + _COUNT + "条消息在等",
        action="请检查 ClickHouse 是否运行、磁盘是否已满；研判和告警不受影响，恢复后自动补写。",
        description="The sink waits for ClickHouse; judging and alerting go on.",
    )
    yield _fault(
        "StoreRefusing",
        "sum by (table) (increase(xinshao_sink_refused_rows_total[1h])) > 0",
        "0s",
        "warning",
        summary="ClickHouse 拒绝了表 {{ $labels.table }} 的行，已转入拒收",
        action="请用 xinshao rejects ls 查看；多为表结构与程序版本不符，请核对迁移。",
        description="ClickHouse refuses rows; they are in rejects with the reason.",
    )


def _fault(name: str, expr: str, lasting: str, severity: str, **annotations: str) -> Rule:
    return _alert(name, expr, lasting, {"severity": severity, "scope": "pipeline"}, **annotations)
