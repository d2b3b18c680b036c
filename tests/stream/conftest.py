"""A worker's settings with a store of its own, and that store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.demo.tansu import Tansu
from streams.settings import Settings
from streams.store.client import Store
from tests.support.clickhouse import migrated
from tests.support.oracle import settings_for


@pytest.fixture
def settings(tansu: Tansu, tmp_path: Path) -> Settings:
    return settings_for(tansu, tmp_path, clickhouse=f"chdb:{tmp_path / 'store'}", sink_seconds=0)


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with migrated(settings) as store:
        yield store
