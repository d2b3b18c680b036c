"""Metrics: every one declared once, with its name, its help and its labels.

Base units (seconds, bytes, records). Labels are bounded by the registry: units, categories,
platforms, routes and rules. Nothing personal. The declarations come first; then the instruments
that a worker, a sink and a gateway move as they work. What is computed only when it is asked for
is in `streams.watch.collectors`.
"""

import bisect
import platform
import time
from collections import Counter as Counting
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import ClassVar, Final

import prometheus_client as prometheus
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

SOON: Final = 3
"""Working days: a pending record due within this many of them is due soon."""

SILENCE_WINDOW: Final = 90
"""Days before a unit's last receipt in which its longest silence is looked for."""

LATENCY_BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
"""Upper bounds of the latency histogram, in seconds."""


@dataclass(frozen=True, slots=True)
class Meter:
    """A metric's declaration: what Prometheus knows of it."""

    name: str
    help: str
    labels: tuple[str, ...] = ()

    endings: ClassVar[tuple[str, ...]] = ("",)
    """What Prometheus puts after the name for its samples."""

    @property
    def exported(self) -> tuple[str, ...]:
        """The names under which its samples are stored, and can be asked for."""
        return tuple(f"{self.name}{ending}" for ending in self.endings)


class Counter(Meter):
    """Only rises, from the start of the process."""

    endings = ("_total", "_created")

    def on(self, registry: CollectorRegistry) -> prometheus.Counter:
        """The counter in a registry."""
        return prometheus.Counter(self.name, self.help, self.labels, registry=registry)


class Gauge(Meter):
    """Goes up and down."""

    def on(self, registry: CollectorRegistry) -> prometheus.Gauge:
        """The gauge in a registry."""
        return prometheus.Gauge(self.name, self.help, self.labels, registry=registry)

    def family(self, value: float | None = None) -> GaugeMetricFamily:
        """The gauge as a collector gives it out; with a value only where it has no labels."""
        if value is not None:
            return GaugeMetricFamily(self.name, self.help, value=value)
        return GaugeMetricFamily(self.name, self.help, labels=self.labels)


class Histogram(Meter):
    """How often which size occurred."""

    endings = ("_bucket", "_sum", "_count", "_created")

    def on(self, registry: CollectorRegistry) -> prometheus.Histogram:
        """The histogram in a registry, with prometheus-client's bounds."""
        return prometheus.Histogram(self.name, self.help, self.labels, registry=registry)

    def family(self) -> HistogramMetricFamily:
        """The histogram as a collector gives it out."""
        return HistogramMetricFamily(self.name, self.help, labels=self.labels)


class Info(Meter):
    """Always 1; its labels say what there is to know."""

    endings = ("_info",)

    def on(self, registry: CollectorRegistry) -> prometheus.Info:
        """The info in a registry."""
        return prometheus.Info(self.name, self.help, registry=registry)


# --- units: what they reported ------------------------------------------------------------------

_OF_UNIT: Final = ("unit", "category", "window")

UNIT_COUNTS: Final = {
    "reported": Gauge("xinshao_unit_reported_records", "报送量：记录数，不含已撤回的", _OF_UNIT),
    "compliant": Gauge("xinshao_unit_compliant_records", "合规量：最新版本合规的记录数", _OF_UNIT),
    "timely": Gauge(
        "xinshao_unit_timely_records", "及时量：合规，且首个合规版本在期限内收到的记录数", _OF_UNIT
    ),
    "late": Gauge(
        "xinshao_unit_late_records", "逾期量：合规，但首个合规版本晚于期限收到的记录数", _OF_UNIT
    ),
    "corrections": Gauge("xinshao_unit_corrections_records", "更正次数", _OF_UNIT),
    "duplicates": Gauge("xinshao_unit_duplicates_records", "重复报送次数", _OF_UNIT),
    "withdrawn": Gauge("xinshao_unit_withdrawn_records", "已撤回的记录数", _OF_UNIT),
}
"""The counts of a tally, by their name in it; each for a unit, category and window."""

UNIT_PENDING: Final = Gauge(
    "xinshao_unit_pending_records",
    "待补正量：已报送但尚不合规的记录数，按报送期限分：overdue 已逾期，"
    f"soon {SOON}个工作日内到期，later 更晚到期，unknown 期限未知",
    ("unit", "category", "due"),
)
UNIT_SILENT: Final = Gauge(
    "xinshao_unit_silent_working_days", "机构最近一次报送以来的工作日数", ("unit",)
)
UNIT_USUAL_SILENCE: Final = Gauge(
    "xinshao_unit_usual_silence_working_days",
    f"机构此前{SILENCE_WINDOW}天内两次报送之间最长的工作日数",
    ("unit",),
)
PLATFORM_LAST_SUBMISSION: Final = Gauge(
    "xinshao_platform_last_submission_timestamp_seconds",
    "平台最近一次报送的接收时间",
    ("platform",),
)
PLATFORM_SILENT: Final = Gauge(
    "xinshao_platform_silent_working_days", "平台最近一次报送以来的工作日数", ("platform",)
)
WINDOW_WORKING_DAYS: Final = Gauge(
    "xinshao_window_working_days", "统计期内截至今日的工作日数", ("window",)
)

# --- the way of a record ------------------------------------------------------------------------

SUBMISSIONS: Final = Counter(
    "xinshao_submissions",
    "处理过的报送数，按效果分；repeated 是重放中早已生效、不再计入的",
    ("effect",),
)
VERDICT_LATENCY: Final = Histogram(
    "xinshao_verdict_latency_seconds", "从报送写入消息服务到研判结果落盘的时间"
)
REJECTS: Final = Counter("xinshao_rejects", "无法读取而拒收的报送数，按规则分", ("rule",))
REJECTS_RECENT: Final = Gauge("xinshao_rejects_recent", "最近一段时间内的拒收数")
REJECTS_LIMIT: Final = Gauge("xinshao_rejects_limit", "最近拒收数的上限，超过即应告警")

# The sink reads a topic that others read too: only the group distinguishes them.
_OF_PARTITION: Final = ("group", "topic", "partition")

LAG_RECORDS: Final = Gauge("xinshao_lag_records", "尚未处理的消息数", _OF_PARTITION)
LAG_SECONDS: Final = Gauge(
    "xinshao_lag_seconds", "落后的时间：最近取到的消息距今，无积压时为0", _OF_PARTITION
)
COMMITTED_OFFSET: Final = Gauge("xinshao_committed_offset", "已提交的位点", _OF_PARTITION)
STUCK_SECONDS: Final = Gauge("xinshao_stuck_seconds", "有工作在等而没有进展的时间", _OF_PARTITION)
RESTORING: Final = Gauge("xinshao_restoring", "分区是否正在重建状态", _OF_PARTITION)

STATE_RECORDS: Final = Gauge("xinshao_state_records", "本机保存状态的信息条数（估计）")
STATE_DISK_BYTES: Final = Gauge("xinshao_state_disk_bytes", "本机状态占用的磁盘")

SINK_ROWS: Final = Counter("xinshao_sink_rows", "写入数据库的行数，按表分", ("table",))
SINK_REFUSED_ROWS: Final = Counter(
    "xinshao_sink_refused_rows", "数据库不接受的行数，按表分", ("table",)
)
SINK_FAILURES: Final = Counter("xinshao_sink_failures", "写入数据库未成功、稍后重试的次数")
SINK_LAST_SUCCESS: Final = Gauge(
    "xinshao_sink_last_success_timestamp_seconds", "最近一次成功写入数据库的时间"
)

# --- the gateway --------------------------------------------------------------------------------

GATEWAY_REQUESTS: Final = Counter(
    "xinshao_gateway_requests", "网关答复的请求数，按接口和状态分", ("route", "status")
)
GATEWAY_REQUEST_SECONDS: Final = Histogram(
    "xinshao_gateway_request_seconds", "网关从收到请求头到答复的时间", ("route",)
)
GATEWAY_RECORDS: Final = Counter(
    "xinshao_gateway_records",
    "网关处理的信息条数：accepted 已写入，refused 没有接收",
    ("outcome",),
)
GATEWAY_REFUSED_KEYS: Final = Counter(
    "xinshao_gateway_refused_keys", "没有通过的密钥数，按原因分", ("reason",)
)
GATEWAY_HELD_BYTES: Final = Gauge("xinshao_gateway_held_bytes", "正在处理的请求体的字节数")

# --- every process ------------------------------------------------------------------------------

BUILD: Final = Info("xinshao_build", "程序版本", ("version", "python"))

METERS: Final[tuple[Meter, ...]] = (
    *UNIT_COUNTS.values(),
    *(declared for declared in list(globals().values()) if isinstance(declared, Meter)),
)
"""Every metric there is."""


# --- instruments --------------------------------------------------------------------------------


class WorkerMetrics:
    """What a worker counts as it judges, in a registry of its own."""

    def __init__(self, reject_limit: int, reject_window: float) -> None:
        self.registry = CollectorRegistry()
        self.latency = LatencyHistogram()
        self.registry.register(self.latency)
        self._submissions = SUBMISSIONS.on(self.registry)
        self._rejects = REJECTS.on(self.registry)
        self._reject_window = reject_window
        self._recent_rejects: deque[float] = deque()
        REJECTS_RECENT.on(self.registry).set_function(self.recent_rejects)
        REJECTS_LIMIT.on(self.registry).set(reject_limit)
        BUILD.on(self.registry).info(_build())

    def judged(self, effects: Iterable[str], repeated: int) -> None:
        """Count what a batch's submissions did."""
        for effect, count in Counting(effects).items():
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
        family = VERDICT_LATENCY.family()
        total = 0
        buckets = []
        for bound, count in zip((*map(str, LATENCY_BOUNDS), "+Inf"), self._counts, strict=True):
            total += count
            buckets.append((bound, float(total)))
        family.add_metric((), buckets, self._sum)
        yield family


class SinkMetrics:
    """What came of the inserts; how far behind the sink is, its sources say."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.rows = SINK_ROWS.on(registry)
        self.refused = SINK_REFUSED_ROWS.on(registry)
        self.failures = SINK_FAILURES.on(registry)
        self.success = SINK_LAST_SUCCESS.on(registry)


class GatewayMetrics:
    """What a gateway counts as it answers, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = GATEWAY_REQUESTS.on(self.registry)
        self._seconds = GATEWAY_REQUEST_SECONDS.on(self.registry)
        self._records = GATEWAY_RECORDS.on(self.registry)
        self._keys = GATEWAY_REFUSED_KEYS.on(self.registry)
        BUILD.on(self.registry).info(_build())

    def holds(self, held: Callable[[], int]) -> None:
        """Export how many bytes of bodies are at hand."""
        GATEWAY_HELD_BYTES.on(self.registry).set_function(held)

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
