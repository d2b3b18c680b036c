"""For every test a home of its own; brokers as fixtures."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TypeVar

import hypothesis
import pytest

from streams.demo.tansu import Tansu
from tests.support.brokers import KAFKA_NEEDS, Broker, Kafka, SecureKafka
from tests.support.house import at_home, free_port, own_house
from tests.support.needs import require

# Timing never decides a test. A save looks at a few examples, `make test` at many.
hypothesis.settings.register_profile("quick", deadline=None, max_examples=20)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=150)
hypothesis.settings.load_profile("quick")


@pytest.fixture(scope="session", autouse=True)
def house() -> Iterator[Path]:
    """The folder of all homes: one of the session's fixtures, and one a test."""
    with own_house() as house, at_home(house / "session"):
        yield house


@pytest.fixture(autouse=True)
def home(house: Path) -> Iterator[Path]:
    """A HOME and XDG folders of the test's own, and no setting of the developer's shell."""
    home = Path(tempfile.mkdtemp(dir=house))
    with at_home(home):
        yield home


B = TypeVar("B", bound=Broker)


def running(broker: B) -> Iterator[B]:
    """A broker for the whole session; keep apart by topic and group names."""
    asyncio.run(broker.start())
    yield broker
    asyncio.run(broker.stop())


@pytest.fixture(scope="session")
def tansu() -> Iterator[Tansu]:
    """A Tansu."""
    yield from running(Tansu(free_port()))


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """An Apache Kafka."""
    require(*KAFKA_NEEDS)
    yield from running(Kafka(tmp_path_factory.mktemp("kafka")))


@pytest.fixture(scope="session")
def secure_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    """An Apache Kafka with users and rights."""
    require(*KAFKA_NEEDS)
    yield from running(SecureKafka(tmp_path_factory.mktemp("secure-kafka")))


@pytest.fixture
async def own_kafka(tmp_path: Path) -> AsyncIterator[Kafka]:
    """An Apache Kafka that the test may kill, freeze and restart."""
    require(*KAFKA_NEEDS)
    broker = Kafka(tmp_path / "kafka")
    await broker.start()
    yield broker
    await broker.kill()


@pytest.fixture(params=["tansu", "kafka"])
def broker(request: pytest.FixtureRequest) -> Broker:
    """Each of the two brokers in turn."""
    chosen: Broker = request.getfixturevalue(request.param)
    return chosen
