"""`xinshao judge --json` on a month's submissions, beside the same at an earlier commit."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.ground import BASELINE, BenchError

GOAL: Final = 2.5
AIM: Final = 4.0
_FINDINGS: Final = 1
"""What the program exits with where a record is not compliant."""


class Judged(NamedTuple):
    """How fast a file was judged, the start of the program with it."""

    per_second: float
    cpu_us: float
    """Processor time for a record."""


def measure(file: Path, records: int, earlier: Path | None, rounds: int) -> dict[str, list[Judged]]:
    """Judge the file in turns; `earlier` is the project as it was at `BASELINE`.

    Raises:
        BenchError: one of them failed, or has not answered for every record.
    """
    projects: dict[str, Path | None] = {"xinshao": None}
    if earlier is not None:
        projects[BASELINE] = earlier
    found: dict[str, list[Judged]] = {name: [] for name in projects}
    for _ in range(rounds):
        for name, project in projects.items():
            found[name].append(_judge(file, records, project))
    return found


def _judge(file: Path, records: int, project: Path | None) -> Judged:
    program = ("-c", "from streams.cli import main; main()", "judge", str(file), "--json")
    with tempfile.TemporaryFile() as answers, tempfile.TemporaryFile() as errors:
        begin = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *program],
            stdin=subprocess.DEVNULL,
            stdout=answers,
            stderr=errors,
            cwd=project,
            start_new_session=True,
        )
        try:
            _, status, used = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        answers.seek(0)
        answered = sum(1 for _ in answers)
        if process.returncode not in {0, _FINDINGS} or answered != records:
            errors.seek(0)
            told = errors.read().decode(errors="replace")[-3000:]
            raise BenchError(
                f"judge: exit {process.returncode}, {answered:,} of {records:,} judged: {told}"
            )
    return Judged(records / seconds, (used.ru_utime + used.ru_stime) / records * 1e6)
