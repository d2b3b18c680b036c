"""Rates: one rule, and the same figures from Python, ClickHouse and Prometheus."""

import re
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from random import Random

import clickhouse_connect
import pytest
import yaml
from clickhouse_connect.driver.client import Client
from hypothesis import given
from hypothesis import strategies as st

from models.rates import RateKind, rate, rate_promql, rate_sql
from models.tally import Tally
from streams.store.migrations import MIGRATIONS
from tests.support.needs import require

MOST = 10**11


def counts() -> Iterator[tuple[int, int]]:
    """Random counts small and large, every half there may be between two figures, no whole."""
    random = Random(20220630)
    for limit in (9, 1000, 10**7, MOST):
        for _ in range(150):
            whole = random.randint(1, limit)
            yield random.choice((0, whole, random.randint(0, whole))), whole
    for _ in range(300):
        odd, times = random.randrange(1, 20_000, 2), random.randint(1, MOST // 20_000)
        yield odd * times, 20_000 * times
    yield from ((1, 32), (3, 32), (1, 160), (0, 0))


COUNTS = list(dict.fromkeys(counts()))
FIGURES = [rate(part, whole) for part, whole in COUNTS]


@pytest.mark.parametrize(
    ("part", "whole", "percent"),
    [
        (0, 0, None),
        (0, 5, "0.00"),
        (74, 109, "67.89"),
        (47, 57, "82.46"),
        (40, 47, "85.11"),
        (1, 8, "12.50"),
        (1, 32, "3.13"),
        (10, 10, "100.00"),
    ],
)
def test_rates_of_the_published_month(part: int, whole: int, percent: str | None) -> None:
    expected = None if percent is None else Decimal(percent)
    assert rate(part, whole) == expected


@given(st.integers(0, 10**7), st.integers(1, 10**7))
def test_a_rate_is_the_nearest_of_two_decimals_half_up(part: int, whole: int) -> None:
    found = rate(part, whole)
    assert found is not None
    error = Fraction(100 * part, whole) - Fraction(found)
    assert -Fraction(1, 200) <= error < Fraction(1, 200)


def test_the_counts_have_halves_that_are_rounded_up() -> None:
    halves = [
        (Fraction(figure), Fraction(100 * part, whole))
        for (part, whole), figure in zip(COUNTS, FIGURES, strict=True)
        if figure is not None and Fraction(20_000 * part, whole) % 2 == 1
    ]
    assert len(halves) > 250
    assert {figure - exact for figure, exact in halves} == {Fraction(1, 200)}


@pytest.fixture
def clickhouse(tmp_path: Path) -> Iterator[Client]:
    client = clickhouse_connect.get_client(interface="chdb", path=str(tmp_path))
    yield client
    client.close()


def test_clickhouse_comes_to_the_same(clickhouse: Client) -> None:
    listed = ", ".join(f"({index}, {part}, {whole})" for index, (part, whole) in enumerate(COUNTS))
    rows = clickhouse.query(
        f"SELECT {rate_sql('part', 'whole')} FROM values("
        f"'number UInt32, part UInt64, whole UInt64', {listed}) ORDER BY number"
    ).result_rows
    found = [None if row[0] is None else Decimal(str(row[0])) for row in rows]
    assert found == FIGURES


def test_prometheus_comes_to_the_same(tmp_path: Path) -> None:
    require("promtool")
    series = [
        {"series": f'{name}{{number="{number}"}}', "values": str(value)}
        for number, counted in enumerate(COUNTS)
        for name, value in zip(("part", "whole"), counted, strict=True)
    ]
    samples = [
        {"labels": f'{{number="{number}"}}', "value": float(figure)}
        for number, figure in enumerate(FIGURES)
        if figure is not None
    ]
    expected = {"expr": rate_promql("part", "whole"), "eval_time": "0m", "exp_samples": samples}
    tests = {"tests": [{"input_series": series, "promql_expr_test": [expected]}]}
    file = tmp_path / "rates.yaml"
    file.write_text(yaml.safe_dump(tests), "utf-8")
    told = subprocess.run(
        ["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, (told.stdout + told.stderr)[:2000]


def test_a_rate_divides_the_counts_that_it_names() -> None:
    tally = Tally(reported=8, compliant=6, timely=3, late=3)
    assert {kind.zh: kind.of(tally) for kind in RateKind} == {
        "合规率": Decimal("75.00"),
        "及时率": Decimal("50.00"),
    }
    assert (tally.compliance_rate, tally.timeliness_rate) == (Decimal(75), Decimal(50))


def test_the_views_compute_rates_by_this_rule() -> None:
    """A migration that was applied stays as it is, so its text is held against the rule."""
    found = [
        match.groups()
        for file in MIGRATIONS.glob("*.sql")
        for match in re.finditer(r"^ *(.+) AS (\w+)_rate,?$", file.read_text("utf-8"), re.MULTILINE)
    ]
    assert len(found) >= 6
    assert {(kind, sql) for sql, kind in found} == {
        (kind, rate_sql(kind.part, kind.whole)) for kind in RateKind
    }
