"""June 2022 as a user would see it: simulated and judged from a pipe, and through the demo."""

import json
import os
import subprocess
from decimal import Decimal
from pathlib import Path

from models.month import Month
from models.rates import rate
from models.tally import NOTHING, Duty, Tally
from models.words import Category
from streams.demo.simulate import Plan
from tests.support.house import free_port
from tests.support.processes import XINSHAO

SCALE = os.environ.get("XINSHAO_TEST_SCALE", "0.02")
"""1 is the whole month: some two minutes for each of the two."""

ROOT = Path(__file__).parents[2]


def test_simulate_piped_into_judge_equals_the_published_tables() -> None:
    plan = Plan.of_month(Month(2022, 6), Decimal(SCALE))
    with (
        subprocess.Popen(
            [*XINSHAO, "simulate", "2022-06", "--scale", SCALE, "--out", "-"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as simulate,
        subprocess.Popen(
            [*XINSHAO, "judge", "-", "--json"],
            cwd=ROOT,
            stdin=simulate.stdout,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as judge,
    ):
        assert simulate.stdout is not None
        assert judge.stdout is not None
        simulate.stdout.close()
        latest = {}
        effects = set()
        for line in judge.stdout:
            verdict = json.loads(line)
            effects.add(verdict["effect"])
            latest[verdict["record_key"]] = verdict
    assert simulate.returncode == 0
    assert judge.returncode == 1  # the month has faults, as the real one had
    assert effects == {"new", "correction", "duplicate", "withdrawn"}

    tallies: dict[Duty, Tally] = {}
    for verdict in latest.values():
        if verdict["effect"] != "withdrawn":
            duty = Duty(verdict["unit"], Category(verdict["category"]))
            compliant = verdict["compliant"]
            timely = compliant and verdict["timely"]
            one = Tally(1, compliant, timely, compliant and not timely)
            tallies[duty] = tallies.get(duty, NOTHING).plus(one)
    assert {(duty.unit, duty.category): tally[:3] for duty, tally in tallies.items()} == {
        (cell.unit, cell.category): (cell.reported, cell.compliant, cell.timely)
        for cell in plan.cells
    }


def test_the_whole_month_prints_the_published_rates() -> None:
    for cell in Plan.of_month(Month(2022, 6)).cells:
        if cell.published_compliance_rate is not None and cell.compliance_fault is None:
            assert rate(cell.compliant, cell.reported) == cell.published_compliance_rate
        if cell.published_timeliness_rate is not None and cell.timeliness_fault is None:
            assert rate(cell.timely, cell.compliant) == cell.published_timeliness_rate


def xinshao(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program; it ends well, and without a traceback."""
    ended = subprocess.run(
        [*XINSHAO, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=500
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    return ended


def test_the_demo_ends_with_the_published_figures(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path))
    demo = ("demo", "--once", "--no-browser", "--scale", SCALE, *data, "--port", str(free_port()))
    told = xinshao(*demo).stdout
    assert "178 格" in told
    assert "江岸区 行政许可：合规率96.95%不可能" in told

    xinshao("reconcile", "2022-06", *data)
    xinshao("bulletin", "2022-06", "--out", str(tmp_path), *data)
    cells = {
        (cell["unit"], cell["category"]): (cell["reported"], cell["compliant"], cell["timely"])
        for cell in json.loads((tmp_path / "bulletin-2022-06.json").read_text("utf-8"))["cells"]
    }
    assert cells == {
        (cell.unit, cell.category): (cell.reported, cell.compliant, cell.timely)
        for cell in Plan.of_month(Month(2022, 6), Decimal(SCALE)).cells
    }
    # The broker kept nothing; the store did.
    assert "178 格" in xinshao(*demo, "--keep").stdout
