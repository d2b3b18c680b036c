"""Grafana's dashboards, written in Python and rendered by `xinshao dashboards render`.

Current figures come from Prometheus, the same ones that are alerted on; past ones, by day, from
ClickHouse. Thresholds are those of the registry.
"""
# ruff: noqa: S608 - queries are put together from this file's own texts

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from grafana_foundation_sdk.builders import (
    barchart,
    bargauge,
    common,
    dashboard,
    prometheus,
    stat,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.common import (
    BarGaugeDisplayMode,
    GraphDrawStyle,
    StackingMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    Dashboard,
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
    VariableOption,
    VariableRefresh,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from grafana_foundation_sdk.models.units import Percent

from models.rates import RateKind, rate_promql, rate_sql
from models.registry import Registry
from models.words import DOUBLE_PUBLICITY, IN_TOTAL, Category
from streams.meters import SOON

FOLDER: Final = "grafana/dashboards"
"""Where the dashboards are, in the deploy folder."""

PROMETHEUS: Final = DataSourceRef("prometheus", "prometheus")
CLICKHOUSE: Final = DataSourceRef("grafana-clickhouse-datasource", "clickhouse")

GREEN: Final = "green"
YELLOW: Final = "yellow"
RED: Final = "red"

CHOSEN: Final = 'unit=~"$unit",category=~"$category"'
TOTAL: Final = f'{CHOSEN},category=~"{"|".join(sorted(IN_TOTAL))}"'
"""What counts in the total reported (总报送量)."""
SQL_CHOSEN: Final = "unit IN (${unit:singlequote}) AND category IN (${category:singlequote})"
SQL_DAYS: Final = (
    "day BETWEEN toDate($__fromTime, 'Asia/Shanghai') AND toDate($__toTime, 'Asia/Shanghai')"
)
SQL_CATEGORY: Final = (
    f"transform(toString(category), {[each.value for each in Category]}, "
    f"{[each.zh for each in Category]})"
)

CATEGORIES: Final = {each.value: ValueMappingResult(text=each.zh) for each in Category}
"""Categories in the office's words."""
LABELS: Final = {
    "severity": "级别",
    "alertname": "告警",
    "unit": "机构",
    "category": "类别",
    "platform": "平台",
}
"""Labels in the office's words."""
ALERTS: Final = {
    "UnitComplianceLow": "合规率低",
    "UnitTimelinessLow": "及时率低",
    "UnitDueSoon": "即将到期",
    "UnitOverdue": "已逾期",
    "UnitSilent": "久未报送",
    "UnitVolumeDrop": "报送量骤降",
    "PlatformSilent": "平台久未报送",
    "PipelineGone": "研判中断",
    "PipelineBehind": "研判落后",
    "PipelineStuck": "研判停滞",
    "PipelineRestoring": "重建状态过久",
    "RejectsRising": "拒收增多",
    "StoreNotWriting": "数据库没有写入",
    "StoreRefusing": "数据库拒收",
}
"""Alerts in the office's words."""


def dashboards(registry: Registry) -> dict[str, str]:
    """The dashboards, by the names of their files; the same registry gives the same bytes."""
    return {"city.json": _written(_city(registry).build())}


def _written(board: Dashboard) -> str:
    for number, panel in enumerate(board.panels or (), start=1):
        panel.id_val = number
    return json.dumps(board, cls=JSONEncoder, ensure_ascii=False, indent=2) + "\n"


# --- 全市总览 --------------------------------------------------------------------------------


def _city(registry: Registry) -> dashboard.Dashboard:
    board = (
        dashboard.Dashboard("全市总览")
        .uid("xinshao-city")
        .tags(["信哨"])
        .timezone("Asia/Shanghai")
        .time("now/M", "now")
        .refresh("1m")
        .readonly()
        .with_variable(_units())
        .with_variable(_categories())
    )
    board.with_row(dashboard.Row("本月至今（总报送量所含各类）"))
    for title, expression, colour in (
        ("报送量", f"sum({_month('reported', TOTAL)})", None),
        *((kind.zh, _of_all(kind), None) for kind in RateKind),
        ("待补正", f"sum({_pending(TOTAL)})", None),
        (f"{SOON}个工作日内到期", f"sum({_pending(TOTAL, 'soon')})", YELLOW),
        ("已逾期未补正", f"sum({_pending(TOTAL, 'overdue')})", RED),
    ):
        board.with_panel(_figure(title, expression, colour))

    board.with_row(dashboard.Row("双公示：各机构本月至今，对照告警阈值，差者在前"))
    for category in DOUBLE_PUBLICITY:
        for kind in RateKind:
            board.with_panel(_against_lines(registry, category, kind))

    board.with_row(dashboard.Row("正在告警"))
    board.with_panel(_alerts())

    board.with_row(dashboard.Row("排名与明细"))
    board.with_panel(_ranking())
    board.with_panel(_cells())

    board.with_row(dashboard.Row("待补正"))
    board.with_panel(_by_deadline())
    board.with_panel(_by_urgency())

    board.with_row(dashboard.Row("趋势"))
    board.with_panel(_volumes())
    for kind in RateKind:
        board.with_panel(_trend(kind))
    return board


def _units() -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable("unit")
        .label("报送机构")
        .datasource(PROMETHEUS)
        .query("label_values(unit_category:xinshao_reported_records:month, unit)")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(multi=True)
        .include_all(include_all=True)
        .current(VariableOption(text=["全部"], value=["$__all"]))
    )


def _categories() -> dashboard.CustomVariable:
    return (
        dashboard.CustomVariable("category")
        .label("信息类别")
        .values(", ".join(f"{each.zh} : {each.value}" for each in Category))
        .multi(multi=True)
        .include_all(include_all=True)
        .current(VariableOption(text=["全部"], value=["$__all"]))
    )


def _figure(title: str, expression: str, colour: str | None) -> stat.Panel:
    panel = (
        stat.Panel()
        .title(title)
        .datasource(PROMETHEUS)
        .span(4)
        .height(4)
        .with_target(_now("A", expression))
        .thresholds(_steps([(None, GREEN), *([(1.0, colour)] if colour else [])]))
    )
    return panel.unit(Percent).decimals(2) if title.endswith("率") else panel


def _against_lines(registry: Registry, category: Category, kind: RateKind) -> bargauge.Panel:
    chosen = f'unit=~"$unit",category="{category.value}"'
    panel = (
        bargauge.Panel()
        .title(f"{category.zh}{kind.zh}")
        .description("黄色：低于预警线；红色：低于严重线。报送太少（见 thresholds.yaml）的不告警。")
        .datasource(PROMETHEUS)
        .span(6)
        .height(20)
        .with_target(_now("A", f"sort({_rate(kind, chosen)})").legend_format("{{unit}}"))
        .orientation(VizOrientation.HORIZONTAL)
        .display_mode(BarGaugeDisplayMode.BASIC)
        .unit(Percent)
        .decimals(2)
        .min(0)
        .max(100)
    )
    for entry in registry.thresholds:
        lines = entry.lines(kind)
        if entry.category is not category or lines is None:
            continue
        steps = _steps(
            [(None, RED), (float(lines.critical), YELLOW), (float(lines.warning), GREEN)]
        )
        if entry.unit is None:
            panel.thresholds(steps)
        else:
            panel.override_by_name(entry.unit, [DynamicConfigValue("thresholds", steps.build())])
    return panel


def _alerts() -> table.Panel:
    names = {name: ValueMappingResult(text=text) for name, text in ALERTS.items()}
    severities = {
        "critical": ValueMappingResult(text="严重", color=RED),
        "warning": ValueMappingResult(text="预警", color=YELLOW),
    }
    labels = ("severity", "alertname", "unit", "category", "platform")
    return (
        _merged(
            table.Panel().title("正在告警").span(24).height(10),
            labels,
            {"数": f'max by ({", ".join(labels)}) (ALERTS{{alertstate="firing",unit=~"$unit|"}})'},
        )
        .override_by_name("级别", _shown_as(severities))
        .override_by_name("告警", _shown_as(names))
        .override_by_name("类别", _shown_as(CATEGORIES))
    )


def _ranking() -> table.Panel:
    return _percents(
        table.Panel()
        .title("排名：时间范围末日所在月，至该日")
        .datasource(CLICKHOUSE)
        .span(10)
        .height(16)
        .with_target(
            _sql(
                "A",
                "SELECT rank() OVER (ORDER BY reported DESC) AS `名次`, unit AS `机构`,"
                " reported AS `总报送量`, "
                + ", ".join(f"{kind}_rate AS `{kind.zh}`" for kind in RateKind)
                + " FROM rolling_units(as_of = toDate($__toTime, 'Asia/Shanghai'),"
                f" categories = {[each.value for each in Category if each in IN_TOTAL]})"
                " WHERE period = 'month' AND unit IN (${unit:singlequote})"
                " ORDER BY reported DESC, unit",
            )
        )
    )


def _cells() -> table.Panel:
    return _percents(
        _merged(
            table.Panel().title("各机构各类别：本月至今").span(14).height(16),
            ("unit", "category"),
            {
                "报送量": f"{_month('reported', CHOSEN)} > 0",
                **{kind.zh: _rate(kind) for kind in RateKind},
            },
        ).override_by_name("类别", _shown_as(CATEGORIES))
    )


def _by_deadline() -> barchart.Panel:
    return (
        barchart.Panel()
        .title("待补正：按报送期限")
        .datasource(CLICKHOUSE)
        .span(12)
        .height(10)
        .with_target(
            _sql(
                "A",
                "SELECT toString(deadline) AS `报送期限`, sum(records) AS `待补正`"
                f" FROM pending_by_deadline WHERE deadline IS NOT NULL AND {SQL_CHOSEN}"
                " GROUP BY deadline HAVING sum(records) > 0 ORDER BY deadline",
            )
        )
        .x_tick_label_rotation(-45)
    )


def _by_urgency() -> table.Panel:
    urgencies = {"已逾期": "overdue", f"{SOON}个工作日内到期": "soon", "更晚到期": "later"}
    return _merged(
        table.Panel().title("待补正：按机构").span(12).height(10),
        ("unit",),
        {name: f"sum by (unit) ({_pending(CHOSEN, due)})" for name, due in urgencies.items()},
    ).sort_by([common.TableSortByFieldState().display_name("已逾期").desc(desc=True)])


def _volumes() -> timeseries.Panel:
    return (
        timeseries.Panel()
        .title("每日报送量")
        .datasource(CLICKHOUSE)
        .span(8)
        .height(10)
        .with_target(
            _sql(
                "A",
                f"SELECT toDateTime(day, 'Asia/Shanghai') AS time, {SQL_CATEGORY} AS `类别`,"
                " sum(reported) AS `报送量`"
                f" FROM tallies_daily WHERE {SQL_DAYS} AND {SQL_CHOSEN}"
                " GROUP BY time, category ORDER BY time",
                series=True,
            )
        )
        .display_name("${__field.labels.类别}")
        .draw_style(GraphDrawStyle.BARS)
        .stacking(common.StackingConfig().mode(StackingMode.NORMAL))
        .fill_opacity(80)
    )


def _trend(kind: RateKind) -> timeseries.Panel:
    part, whole = (f"sum({count})" for count in (kind.part, kind.whole))
    categories = ", ".join(f"'{each.value}'" for each in DOUBLE_PUBLICITY)
    return (
        timeseries.Panel()
        .title(f"双公示{kind.zh}：按首次收到之日")
        .datasource(CLICKHOUSE)
        .span(8)
        .height(10)
        .with_target(
            _sql(
                "A",
                f"SELECT toDateTime(day, 'Asia/Shanghai') AS time, {SQL_CATEGORY} AS `类别`,"
                f" {rate_sql(part, whole)} AS `{kind.zh}`"
                f" FROM tallies_daily WHERE {SQL_DAYS} AND {SQL_CHOSEN}"
                f" AND category IN ({categories})"
                f" GROUP BY time, category HAVING {whole} > 0 ORDER BY time",
                series=True,
            )
        )
        .display_name("${__field.labels.类别}")
        .unit(Percent)
        .decimals(2)
        .max(100)
    )


# --- what panels are made of ----------------------------------------------------------------


def _month(count: str, chosen: str) -> str:
    return f"unit_category:xinshao_{count}_records:month{{{chosen}}}"


def _pending(chosen: str, due: str = ".+") -> str:
    return f'unit_category:xinshao_pending_records:now{{{chosen},due=~"{due}"}}'


def _rate(kind: RateKind, chosen: str = CHOSEN) -> str:
    """A rate of each unit and category, month to date, in percent."""
    return f"unit_category:xinshao_{kind}:percent{{{chosen}}}"


def _of_all(kind: RateKind) -> str:
    """The same of all together."""
    return rate_promql(*(f"sum({_month(count, TOTAL)})" for count in (kind.part, kind.whole)))


def _now(ref: str, expression: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().ref_id(ref).expr(expression).instant()


@dataclass
class SqlQuery(Dataquery):
    """A query as the plugin grafana-clickhouse-datasource 4 takes it."""

    ref_id: str
    sql: str
    series: bool

    def to_json(self) -> dict[str, object]:
        """The query as the dashboard holds it; format 0 is a time series, 1 a table."""
        return {
            "refId": self.ref_id,
            "datasource": CLICKHOUSE,
            "editorType": "sql",
            "queryType": "timeseries" if self.series else "table",
            "format": 0 if self.series else 1,
            "rawSql": self.sql,
        }


@dataclass
class _Sql(Builder[Dataquery]):
    query: SqlQuery

    def build(self) -> Dataquery:
        return self.query


def _sql(ref: str, sql: str, *, series: bool = False) -> _Sql:
    return _Sql(SqlQuery(ref, sql, series))


def _merged(panel: table.Panel, by: Iterable[str], columns: Mapping[str, str]) -> table.Panel:
    """A table of what holds now: labels first, then a column for each expression."""
    renamed = {label: LABELS[label] for label in by}
    for ref, (name, expression) in zip("ABC", columns.items(), strict=False):
        panel.with_target(_now(ref, expression).format(PromQueryFormat.TABLE))
        renamed[f"Value #{ref}"] = name
    options = {
        "excludeByName": {"Time": True},
        "indexByName": {field: place for place, field in enumerate(renamed)},
        "renameByName": renamed,
    }
    return (
        panel.datasource(PROMETHEUS)
        .with_transformation(DataTransformerConfig("merge", options={}))
        .with_transformation(DataTransformerConfig("organize", options=options))
    )


def _percents(panel: table.Panel) -> table.Panel:
    properties = [DynamicConfigValue("unit", Percent), DynamicConfigValue("decimals", 2)]
    return panel.override_by_regexp(".+率", properties)


def _shown_as(words: dict[str, ValueMappingResult]) -> list[DynamicConfigValue]:
    return [DynamicConfigValue("mappings", [ValueMap(words)])]


def _steps(steps: Iterable[tuple[float | None, str]]) -> dashboard.ThresholdsConfig:
    """Colours from a value upwards."""
    return (
        dashboard.ThresholdsConfig()
        .mode(ThresholdsMode.ABSOLUTE)
        .steps([Threshold(value, colour) for value, colour in steps])
    )
