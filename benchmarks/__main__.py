"""`make bench`: every measurement in one run, as ratios of medians (docs/benchmarks.md).

python -m benchmarks [--records N] [--rounds N] [--seconds S] [--json FILE] [--only PART ...]
"""

import argparse
import asyncio
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import uuid
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, NoReturn

import pydantic
from rich.console import Console
from rich.table import Table

from benchmarks import judging, latency, restoring, steps, streaming
from benchmarks.contestants import PARTITIONS
from benchmarks.ground import (
    BenchError,
    BenchSettings,
    fill,
    idempotence,
    licences_of,
    serving,
    write_licences,
)
from benchmarks.race import PEERS_PYTHON, Course, Speed
from streams.log.topics import SUBMISSIONS

PARTS: Final = ("judging", "streaming", "steps", "latency", "restoring")
JUDGED_AT_LEAST: Final = 40_000
JUDGED_RATIO: Final = 0.5
PACE: Final = 1000
"""Submissions a second while latency is measured."""


def verdict(met: bool) -> str:
    """Met or missed, for people."""
    return "[green]met[/]" if met else "[red]missed[/]"


class Report:
    """What was measured: shown as it comes, and kept for the JSON file."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.found: dict[str, Any] = {
            "cores": os.cpu_count(),
            "load_before": os.getloadavg()[0],
            "python": platform.python_version(),
            "pydantic": pydantic.VERSION,
        }

    def judging(self, speeds: dict[str, list[float]]) -> None:
        """Show how fast judging alone is."""
        medians = {name: statistics.median(each) for name, each in speeds.items()}
        ratio = medians["judge"] / medians["model"]
        table = Table("", "records/s", "goal", "", title="judge() on bytes, one process")
        table.add_row(
            "judge",
            f"{medians['judge']:,.0f}",
            f"≥ {JUDGED_AT_LEAST:,}",
            verdict(medians["judge"] >= JUDGED_AT_LEAST),
        )
        table.add_row("bare pydantic model", f"{medians['model']:,.0f}", "", "")
        table.add_row("ratio", f"{ratio:.2f}", f"≥ {JUDGED_RATIO}", verdict(ratio >= JUDGED_RATIO))
        self._console.print(table)
        self.found["judging"] = {"rounds": speeds, "ratio": ratio}

    def streaming(self, speeds: dict[streaming.Entry, list[Speed]]) -> None:
        """Show the contestants, and the ratios beside their goals."""
        table = Table(
            *("", "records/s", "slowest", "fastest", "CPU µs/record", "peak MiB"),
            title="a whole worker, and other ways to read the topic",
        )
        for entry, found in speeds.items():
            rates = [speed.per_second for speed in found]
            table.add_row(
                str(entry),
                f"{statistics.median(rates):,.0f}",
                f"{min(rates):,.0f}",
                f"{max(rates):,.0f}",
                f"{statistics.median(speed.cpu_us for speed in found):.0f}",
                f"{max(speed.peak_mib for speed in found):.0f}",
            )
        self._console.print(table)
        goals = Table("ours over", "on", "ratio", "goal", "", title="ratios of medians")
        ratios = []
        for goal, ratio in streaming.ratios(speeds):
            wanted = goal.at_least
            goals.add_row(
                goal.name,
                goal.entry.broker,
                f"{ratio:.2f}",
                "" if wanted is None else f"≥ {wanted:g}",
                "" if wanted is None else verdict(ratio >= wanted),
            )
            ratios.append(
                {"name": goal.name, "broker": goal.entry.broker, "ratio": ratio, "goal": wanted}
            )
        self._console.print(goals)
        self.found["streaming"] = {
            "rounds": {
                str(entry): [speed.__dict__ for speed in each] for entry, each in speeds.items()
            },
            "ratios": ratios,
        }

    def steps(self, found: steps.Steps) -> None:
        """Show where the time goes."""
        table = Table(
            "step", "µs/record", title="where a record's time goes (medians over batches)"
        )
        for step, us in found.items():
            table.add_row(step, f"{us:.1f}")
        self._console.print(table)
        self.found["steps"] = found

    def latency(self, found: dict[str, latency.Latency]) -> None:
        """Show the latencies."""
        table = Table(
            *("broker", "events", "p50 ms", "p99 ms", "worst ms", "goal p99", ""),
            title=f"submission to verdict at {PACE:,} events/s",
        )
        for broker, each in found.items():
            table.add_row(
                broker,
                f"{each.events:,}",
                f"{each.p50_ms:.0f}",
                f"{each.p99_ms:.0f}",
                f"{each.worst_ms:.0f}",
                f"< {latency.GOAL_P99_MS} ms",
                verdict(each.p99_ms < latency.GOAL_P99_MS),
            )
        self._console.print(table)
        self.found["latency"] = {broker: each._asdict() for broker, each in found.items()}

    def restoring(self, found: restoring.Restore) -> None:
        """Show the restarts."""
        table = Table(
            *("start", "records", "s", "s per million", "memory MiB", "of it state", "disk MiB"),
            title="restart of a worker with all partitions",
        )
        for name, start in found._asdict().items():
            table.add_row(
                {"full": "without checkpoint", "checkpoint": "with checkpoint"}[name],
                f"{start.records:,}",
                f"{start.seconds:.1f}",
                f"{start.seconds / start.records * 1e6:.1f}",
                f"{start.after_mib:,.0f}",
                f"{start.after_mib - start.before_mib:,.0f}",
                f"{start.disk_mib:,.0f}",
            )
        self._console.print(table)
        self.found["restoring"] = {name: s._asdict() for name, s in found._asdict().items()}


def measure(given: argparse.Namespace, console: Console, report: Report) -> None:
    """Make the measurements that were asked for."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="xinshao-bench-")))
        file = folder / "licences.ndjson"
        status = stack.enter_context(console.status("simulating licences"))
        write_licences(file, given.records)
        if "judging" in given.only:
            status.update("judging")
            sample = folder / "judging.ndjson"
            sample.write_bytes(b"\n".join(licences_of(file)[: given.judged]))
            report.judging(judging.measure(sample, given.rounds))
        courses: dict[str, Course] = {}
        if set(given.only) != {"judging"}:
            for name in given.brokers:
                status.update(f"{name}: starting, writing the topic")
                try:
                    courses[name] = _course(stack, name, file)
                except BenchError as missing:
                    console.print(f"without {name}: {missing}")
        if "streaming" in given.only:
            if not PEERS_PYTHON.exists():
                console.print(
                    "without Quix Streams and Bytewax: benchmarks/peers.txt says how to get them"
                )
            report.streaming(streaming.compare(courses, given.rounds, given.seconds, status.update))
        first = next(iter(courses.values()), None)
        if "steps" in given.only and first is not None:
            status.update("steps")
            report.steps(steps.measure(first, f"s{uuid.uuid4().hex[:12]}", folder))
        if "latency" in given.only and courses:
            lines = licences_of(file)
            found = {}
            for name, course in courses.items():
                status.update(f"latency ({name})")
                found[name] = latency.measure(course.broker, lines, PACE, given.paced)
            report.latency(found)
        if "restoring" in given.only and first is not None:
            status.update(f"restoring {given.states:,} records")
            report.restoring(restoring.measure(first.broker, licences_of(file), given.states))


def _course(stack: ExitStack, name: str, file: Path) -> Course:
    broker = stack.enter_context(serving(name))
    settings = BenchSettings(
        brokers=broker.address,
        namespace="course",
        partitions=PARTITIONS,
        idempotence=idempotence(broker),
    )
    return Course(broker, settings.topic(SUBMISSIONS), asyncio.run(fill(settings, file)))


def _terminated(*_: object) -> NoReturn:
    sys.exit(143)  # by way of every `finally`: no process is left behind


def main() -> None:
    """Measure, show, and write the JSON file if one was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--records", type=int, default=450_000, help="submissions in the topic")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each contestant's round")
    parser.add_argument("--judged", type=int, default=50_000, help="records of `judging`")
    parser.add_argument("--paced", type=float, default=20.0, help="seconds of `latency`")
    parser.add_argument("--states", type=int, default=1_000_000, help="records of `restoring`")
    parser.add_argument(
        "--brokers", nargs="+", choices=("kafka", "tansu"), default=("kafka", "tansu")
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument(
        "--state-candidates",
        action="store_true",
        help="first compare what could hold the state (benchmarks/state.py, long)",
    )
    parser.add_argument("--json", type=Path, help="write everything measured to this file")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, _terminated)
    console = Console()
    report = Report(console)
    if given.state_candidates:
        subprocess.run(
            [sys.executable, "-m", "benchmarks.state", "--records", str(given.states)], check=True
        )
    try:
        measure(given, console, report)
    except BenchError as error:
        console.print(f"[red]{error}[/]")
        sys.exit(2)
    finally:
        if given.json is not None:
            given.json.write_text(json.dumps(report.found, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
