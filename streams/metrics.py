"""Metrics: every name and its help text, once, and how its value is come by.

Base units (seconds, bytes, records). Labels are bounded by the registry: units, categories and
platforms. Nothing personal. What a worker knows of a partition is gone with the partition.
"""

import bisect
import platform
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from importlib.metadata import version
from typing import Final

import prometheus_client as prometheus
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from models.calendar import Calendar, OutsideCalendar
from models.words import SHANGHAI
from streams.clock import Clock
from streams.rollup import Rollup
from streams.source import RecordSource
from streams.state import StateStore

WINDOWS: Final = ("month", "7d", "30d")
"""month: the month to date; 7d and 30d: so many days up to today. By day of first receipt."""

SILENCE_WINDOW: Final = 90
"""Days before a unit's last receipt in which its longest silence is looked for."""

SOON: Final = 3
"""Working days: a pending record due within so many of them is due soon."""

UNIT_COUNTS: Final = {
    "reported": "报送量：记录数，不含已撤回的",
    "compliant": "合规量：最新版本合规的记录数",
    "timely": "及时量：合规，且首个合规版本在期限内收到的记录数",
    "late": "逾期量：合规，但首个合规版本晚于期限收到的记录数",
    "corrections": "更正次数",
    "duplicates": "重复报送次数",
    "withdrawn": "已撤回的记录数",
}
"""What `xinshao_unit_<name>_records` counts, for each unit, category and window."""

LATENCY_BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
"""Upper bounds of the latency histogram, in seconds."""


class WorkerMetrics:
    """The metrics of one worker, in a registry of their own."""

    def __init__(self, reject_limit: int, reject_window: float) -> None:
        self.registry = CollectorRegistry()
        self.latency = LatencyHistogram()
        self.registry.register(self.latency)
        self._submissions = prometheus.Counter(
            "xinshao_submissions",
            "处理过的报送数，按效果分；repeated 是重放中早已生效、不再计入的",
            ["effect"],
            registry=self.registry,
        )
        self._rejects = prometheus.Counter(
            "xinshao_rejects", "无法读取而拒收的报送数，按规则分", ["rule"], registry=self.registry
        )
        self._reject_window = reject_window
        self._recent_rejects: deque[float] = deque()
        prometheus.Gauge(
            "xinshao_rejects_recent", "最近一段时间内的拒收数", registry=self.registry
        ).set_function(self.recent_rejects)
        prometheus.Gauge(
            "xinshao_rejects_limit", "最近拒收数的上限，超过即应告警", registry=self.registry
        ).set(reject_limit)
        prometheus.Info("xinshao_build", "程序版本", registry=self.registry).info(_build())

    def judged(self, effects: Iterable[str], repeated: int) -> None:
        """Count what a batch's submissions did."""
        for effect, count in Counter(effects).items():
            self._submissions.labels(effect).inc(count)
        if repeated:
            self._submissions.labels("repeated").inc(repeated)

    def rejected(self, rule: str) -> None:
        """Count a reject that has come up in the topic of rejects."""
        self._rejects.labels(rule).inc()
        self._recent_rejects.append(time.monotonic())

    def recent_rejects(self) -> int:
        """How many rejects came up within the window that ends now."""
        begin = time.monotonic() - self._reject_window
        while self._recent_rejects and self._recent_rejects[0] < begin:
            self._recent_rejects.popleft()
        return len(self._recent_rejects)


class LatencyHistogram(Collector):
    """From the broker's timestamp of a submission to its durable verdict.

    prometheus-client's own histogram takes one observation a call; this one takes a batch.
    """

    def __init__(self) -> None:
        self._counts = [0] * (len(LATENCY_BOUNDS) + 1)
        self._sum = 0.0

    def observe(self, sent_ms: Iterable[int], now: float) -> None:
        """Count submissions sent at those times (milliseconds) and judged now (seconds)."""
        for sent in sent_ms:
            seconds = max(0.0, now - sent / 1000)
            self._counts[bisect.bisect_left(LATENCY_BOUNDS, seconds)] += 1
            self._sum += seconds

    def collect(self) -> Iterator[Metric]:
        """The histogram since the worker started."""
        family = HistogramMetricFamily(
            "xinshao_verdict_latency_seconds", "从报送写入消息服务到研判结果落盘的时间"
        )
        total = 0
        buckets = []
        for bound, count in zip((*map(str, LATENCY_BOUNDS), "+Inf"), self._counts, strict=True):
            total += count
            buckets.append((bound, float(total)))
        family.add_metric((), buckets, self._sum)
        yield family


class UnitCollector(Collector):
    """What the units reported, from the tallies that this worker rolls up."""

    def __init__(self, rollup: Rollup, calendar: Calendar, clock: Clock) -> None:
        self._rollup = rollup
        self._calendar = calendar
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        """The counts as of today."""
        today = self._clock.today()
        families = {
            name: GaugeMetricFamily(
                f"xinshao_unit_{name}_records", text, labels=("unit", "category", "window")
            )
            for name, text in UNIT_COUNTS.items()
        }
        for window in WINDOWS:
            for duty, tally in self._rollup.between(window_start(today, window), today).items():
                for name, family in families.items():
                    family.add_metric((*duty, window), getattr(tally, name))
        yield from families.values()
        yield self._pending(today)
        platforms = self._rollup.platforms()
        seen = GaugeMetricFamily(
            "xinshao_platform_last_submission_timestamp_seconds",
            "平台最近一次报送的接收时间",
            labels=("platform",),
        )
        for name, at in platforms.items():
            seen.add_metric((name,), at)
        yield seen
        yield from self._silence(today, platforms)

    def _silence(self, today: date, seen: Mapping[str, float]) -> Iterator[Metric]:
        """How long nothing came, in working days: a holiday is no silence."""
        silent = GaugeMetricFamily(
            "xinshao_unit_silent_working_days",
            "机构最近一次报送以来的工作日数",
            labels=("unit",),
        )
        usual = GaugeMetricFamily(
            "xinshao_unit_usual_silence_working_days",
            f"机构此前{SILENCE_WINDOW}天内两次报送之间最长的工作日数",
            labels=("unit",),
        )
        for unit, days in self._rollup.receipt_days().items():
            silent.add_metric((unit,), self._working_days(days[-1], today))
            recent = [day for day in days if (days[-1] - day).days <= SILENCE_WINDOW]
            if len(recent) > 1:
                usual.add_metric((unit,), max(map(self._working_days, recent, recent[1:])))
        yield silent
        yield usual
        platforms = GaugeMetricFamily(
            "xinshao_platform_silent_working_days",
            "平台最近一次报送以来的工作日数",
            labels=("platform",),
        )
        for name, at in seen.items():
            day = datetime.fromtimestamp(at, SHANGHAI).date()
            platforms.add_metric((name,), self._working_days(day, today))
        yield platforms
        windows = GaugeMetricFamily(
            "xinshao_window_working_days", "统计期内截至今日的工作日数", labels=("window",)
        )
        for window in WINDOWS:
            # Where its first day works, it counts too.
            first = window_start(today, window)
            before = first - timedelta(days=1) if first > date.min else first
            windows.add_metric((window,), self._working_days(before, today))
        yield windows

    def _working_days(self, after: date, through: date) -> int:
        try:
            return self._calendar.working_days_between(after, through)
        except OutsideCalendar:
            return 0

    def _pending(self, today: date) -> Metric:
        family = GaugeMetricFamily(
            "xinshao_unit_pending_records",
            "待补正量：已报送但尚不合规的记录数，按报送期限分：overdue 已逾期，"
            f"soon {SOON}个工作日内到期，later 更晚到期，unknown 期限未知",
            labels=("unit", "category", "due"),
        )
        for duty, by_deadline in self._rollup.pending().items():
            counts: Counter[str] = Counter()
            for deadline, count in by_deadline.items():
                counts[due_class(self._calendar, deadline, today)] += count
            for due in ("overdue", "soon", "later", "unknown"):
                family.add_metric((*duty, due), counts[due])
        return family


def window_start(today: date, window: str) -> date:
    """The first day of the window (one of `WINDOWS`) that ends today."""
    if window == "month":
        return today.replace(day=1)
    days = int(window.removesuffix("d")) - 1
    return today - timedelta(days=min(days, (today - date.min).days))


def due_class(calendar: Calendar, deadline: date | None, today: date) -> str:
    """Whether a deadline is unknown, overdue, soon (within `SOON` working days) or later."""
    if deadline is None:
        return "unknown"
    if deadline < today:
        return "overdue"
    return "soon" if calendar.working_days_between(today, deadline) <= SOON else "later"


class SourceCollector(Collector):
    """How far the sources of this worker are, in the partitions that it holds."""

    def __init__(
        self, sources: Iterable[RecordSource], now: Callable[[], float] = time.time
    ) -> None:
        self._sources = tuple(sources)
        self._now = now

    def collect(self) -> Iterator[Metric]:
        """One sample for each partition held."""
        # The sink reads a topic that others read too: only the group tells them apart.
        labels = ("group", "topic", "partition")
        records = GaugeMetricFamily("xinshao_lag_records", "尚未处理的消息数", labels=labels)
        seconds = GaugeMetricFamily(
            "xinshao_lag_seconds", "落后的时间：最近取到的消息距今，无积压时为0", labels=labels
        )
        committed = GaugeMetricFamily("xinshao_committed_offset", "已提交的位点", labels=labels)
        stuck = GaugeMetricFamily(
            "xinshao_stuck_seconds", "有工作在等而没有进展的时间", labels=labels
        )
        restoring = GaugeMetricFamily("xinshao_restoring", "分区是否正在重建状态", labels=labels)
        for source in self._sources:
            for progress in source.progress():
                label = (source.group, source.topic, str(progress.partition))
                lag = max(0, (progress.highwater or 0) - (progress.done or 0))
                records.add_metric(label, lag)
                behind = 0.0
                if lag and progress.timestamp_ms is not None:
                    behind = max(0.0, self._now() - progress.timestamp_ms / 1000)
                seconds.add_metric(label, behind)
                committed.add_metric(label, progress.committed or 0)
                stuck.add_metric(label, progress.stuck_seconds)
                restoring.add_metric(label, progress.restoring)
        yield from (records, seconds, committed, stuck, restoring)


class StateCollector(Collector):
    """How large the record state of this worker is."""

    def __init__(self, store: StateStore) -> None:
        self._store = store

    def collect(self) -> Iterator[Metric]:
        """Sizes as RocksDB estimates them."""
        yield GaugeMetricFamily(
            "xinshao_state_records", "本机保存状态的信息条数（估计）", value=self._store.records
        )
        yield GaugeMetricFamily(
            "xinshao_state_disk_bytes", "本机状态占用的磁盘", value=self._store.disk_bytes
        )


class GatewayMetrics:
    """The metrics of one gateway, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = prometheus.Counter(
            "xinshao_gateway_requests",
            "网关答复的请求数，按接口和状态分",
            ["route", "status"],
            registry=self.registry,
        )
        self._seconds = prometheus.Histogram(
            "xinshao_gateway_request_seconds",
            "网关从收到请求头到答复的时间",
            ["route"],
            registry=self.registry,
        )
        self._records = prometheus.Counter(
            "xinshao_gateway_records",
            "网关处理的信息条数：accepted 已写入，refused 没有接收",
            ["outcome"],
            registry=self.registry,
        )
        self._keys = prometheus.Counter(
            "xinshao_gateway_refused_keys",
            "没有通过的密钥数，按原因分",
            ["reason"],
            registry=self.registry,
        )
        prometheus.Info("xinshao_build", "程序版本", registry=self.registry).info(_build())

    def holds(self, held: Callable[[], int]) -> None:
        """Tell how many bytes of bodies are at hand."""
        prometheus.Gauge(
            "xinshao_gateway_held_bytes", "正在处理的请求体的字节数", registry=self.registry
        ).set_function(held)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._requests.labels(route, status).inc()
        self._seconds.labels(route).observe(seconds)

    def received(self, outcomes: Mapping[str, int]) -> None:
        """Count what became of a request's records."""
        for outcome, count in outcomes.items():
            self._records.labels(outcome).inc(count)

    def refused_key(self, reason: str) -> None:
        """Count a key that did not open."""
        self._keys.labels(reason).inc()


def _build() -> dict[str, str]:
    return {"version": version("xinshao"), "python": platform.python_version()}
