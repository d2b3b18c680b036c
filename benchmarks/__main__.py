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
from rich.status import Status
from rich.table import Table

from benchmarks import judging, latency, offline, restoring, steps, streaming
from benchmarks.contestants import PARTITIONS
from benchmarks.ground import (
    BASELINE,
    BenchError,
    BenchSettings,
    baseline,
    fill,
    idempotence,
    licences_of,
    serving,
    write_licences,
    write_month,
)
from benchmarks.race import PEERS_PYTHON, Course, Speed
from streams.log.topics import SUBMISSIONS
from tests.support.brokers import Broker

PARTS: Final = ("judging", "offline", "streaming", "steps", "latency", "restoring")
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

    def judging(self, taken: dict[str, list[float]]) -> None:
        """Show what judging in memory costs."""
        medians = {name: statistics.median(each) for name, each in taken.items()}
        table = Table(
            *("", "CPU µs/record", "records/s", "over clean", "goal", ""),
            title="judging on bytes, in memory",
        )
        for name, us in medians.items():
            row = [name, f"{us:.1f}", f"{1e6 / us:,.0f}"]
            if name in judging.KINDS:
                over = us / medians["clean"]
                row += [f"{over:.2f}", f"≤ {judging.GOAL:g}", verdict(over <= judging.GOAL)]
            table.add_row(*row)
        self._console.print(table)
        self.found["judging"] = {"cpu_us": taken, "medians": medians}

    def offline(self, found: dict[str, list[offline.Judged]], records: int) -> None:
        """Show how fast a file is judged."""
        table = Table(
            *("", "records/s", "CPU µs/record"),
            title=f"xinshao judge --json, {records:,} records of June",
        )
        for name, each in found.items():
            table.add_row(
                name,
                f"{statistics.median(run.per_second for run in each):,.0f}",
                f"{statistics.median(run.cpu_us for run in each):.0f}",
            )
        self._console.print(table)
        self.found["offline"] = {
            "rounds": {name: [run._asdict() for run in each] for name, each in found.items()}
        }
        if BASELINE in found:
            now, then = (
                statistics.median(run.per_second for run in found[name])
                for name in ("xinshao", BASELINE)
            )
            met = verdict(now / then >= offline.GOAL)
            self._console.print(
                f"over {BASELINE}: {now / then:.2f} (≥ {offline.GOAL:g}, aim {offline.AIM:g}) {met}"
            )
            self.found["offline"]["ratio"] = now / then

    def streaming(self, speeds: dict[streaming.Entry, list[Speed]], broker: str) -> None:
        """Show the contestants, and the ratios beside their goals."""
        table = Table(
            *("", "records/s", "slowest", "fastest", "CPU µs/record", "peak MiB"),
            title=f"a whole worker and others ({broker})",
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
        goals = Table("", "ratio", "by CPU", "goal", "aim", "", title="ratios of medians")
        ratios = []
        for goal, speed, cpu in streaming.ratios(speeds):
            wanted = goal.at_least
            goals.add_row(
                f"{goal.entry} over {goal.over}",
                f"{speed:.2f}",
                f"{cpu:.2f}",
                "" if wanted is None else f"≥ {wanted:g}",
                "" if goal.aim is None else f"{goal.aim:g}",
                "" if wanted is None else verdict(speed >= wanted),
            )
            ratios.append(
                {"of": str(goal.entry), "over": str(goal.over), "ratio": speed, "by_cpu": cpu}
                | {"goal": wanted, "aim": goal.aim}
            )
        self._console.print(goals)
        self.found["streaming"] = {
            "broker": broker,
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

    def latency(self, found: latency.Latency, broker: str) -> None:
        """Show the latency."""
        table = Table(
            *("events", "p50 ms", "p99 ms", "worst ms", "goal p99", ""),
            title=f"submission to verdict at {PACE:,} events/s ({broker})",
        )
        table.add_row(
            f"{found.events:,}",
            f"{found.p50_ms:.0f}",
            f"{found.p99_ms:.0f}",
            f"{found.worst_ms:.0f}",
            f"< {latency.GOAL_P99_MS} ms",
            verdict(found.p99_ms < latency.GOAL_P99_MS),
        )
        self._console.print(table)
        self.found["latency"] = {"broker": broker, **found._asdict()}

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
        earlier = None
        if not {"streaming", "offline"}.isdisjoint(given.only):
            try:
                earlier = stack.enter_context(baseline())
            except BenchError as missing:
                console.print(f"without {BASELINE}: {missing}", markup=False)
        if "offline" in given.only:
            status.update("offline: simulating the month")
            june = folder / "june.ndjson"
            records = write_month(june, given.scale)
            status.update("offline")
            report.offline(offline.measure(june, records, earlier, given.rounds), records)
        if not {"streaming", "steps", "latency", "restoring"}.isdisjoint(given.only):
            name, broker = _broker(stack, given.broker, console)
            status.update(f"{name}: writing the topic")
            course = _course(broker, file, earlier)
            _on_course(given, console, report, course, name, file, status)


def _broker(stack: ExitStack, name: str, console: Console) -> tuple[str, Broker]:
    """The broker of that name, or Tansu where this machine cannot run it."""
    try:
        return name, stack.enter_context(serving(name))
    except BenchError as missing:
        console.print(f"without {name}: {missing}", markup=False)
    return "tansu", stack.enter_context(serving("tansu"))


def _on_course(
    given: argparse.Namespace,
    console: Console,
    report: Report,
    course: Course,
    broker: str,
    file: Path,
    status: Status,
) -> None:
    """Make those of the measurements that need a broker."""
    if "streaming" in given.only:
        if not PEERS_PYTHON.exists():
            console.print("without Quix Streams and Bytewax: `make peers` gets them", markup=False)
        speeds, failed = streaming.compare(course, given.rounds, given.seconds, status.update)
        for entry, why in failed.items():
            console.print(f"without {entry}: {why}", markup=False)
        report.streaming(speeds, broker)
    if "steps" in given.only:
        status.update("steps")
        report.steps(steps.measure(course, f"s{uuid.uuid4().hex[:12]}", file.parent))
    if "latency" in given.only:
        status.update("latency")
        found = latency.measure(course.broker, licences_of(file), PACE, given.paced)
        report.latency(found, broker)
    if "restoring" in given.only:
        status.update(f"restoring {given.states:,} records")
        report.restoring(restoring.measure(course.broker, licences_of(file), given.states))


def _course(broker: Broker, file: Path, earlier: Path | None) -> Course:
    settings = BenchSettings(
        brokers=broker.address,
        namespace="course",
        partitions=PARTITIONS,
        idempotence=idempotence(broker),
    )
    total = asyncio.run(fill(settings, file))
    return Course(broker, settings.topic(SUBMISSIONS), total, earlier)


def _terminated(*_: object) -> NoReturn:
    sys.exit(143)  # so that every `finally` runs: no process is left behind


def main() -> None:
    """Measure, show, and write the JSON file if one was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--records", type=int, default=450_000, help="submissions in the topic")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each contestant's round")
    parser.add_argument("--judged", type=int, default=20_000, help="records of `judging`")
    parser.add_argument("--scale", type=float, default=0.1, help="of June, for `offline`")
    parser.add_argument("--paced", type=float, default=20.0, help="seconds of `latency`")
    parser.add_argument("--states", type=int, default=1_000_000, help="records of `restoring`")
    parser.add_argument("--broker", choices=("kafka", "tansu"), default="kafka")
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
        console.print(str(error), style="red", markup=False)
        sys.exit(2)
    finally:
        if given.json is not None:
            given.json.write_text(json.dumps(report.found, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
