"""Apache Kafka with rights on: everyone does what was granted, and nothing else."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAuthorizationFailedError
from pydantic import SecretStr

from streams.log.connection import LogError, connection, fault
from streams.log.topics import (
    REJECTS,
    SUBMISSIONS,
    TALLIES,
    VERDICTS,
    TopicError,
    core_topics,
    ensure_topics,
    ingress_topic,
)
from streams.log.writer import Message
from streams.registry import load_registry
from streams.settings import DEPLOY, Settings
from streams.upkeep.access import FILE, grants, render
from streams.upkeep.rejects import Rejects
from streams.worker import working
from tests.support.brokers import SecureKafka
from tests.support.oracle import (
    PLATFORM,
    all_committed,
    another,
    assert_equal_to_oracle,
    read_log,
    settings_for,
    writing,
)
from tests.support.samples import delivery

OTHER = "huangpi-tong"
OTHERS = f"""
- {{id: {OTHER}, name: 黄陂一网通, owner: 黄陂区, since: 2022-06-01, via: kafka}}
"""


class City:
    """A city's settings, and its users on a broker with rights on."""

    def __init__(self, broker: SecureKafka, folder: Path) -> None:
        self.broker = broker
        self.folder = folder
        self.settings = settings_for(
            broker, folder, kafka_security="sasl_plaintext", kafka_user="-", kafka_password="-"
        )
        self.platforms = self.settings.registry / "platforms.yaml"
        self.alone = self.platforms.read_text("utf-8")
        self.platforms.write_text(self.alone + OTHERS, "utf-8")

    def apply(self) -> None:
        """Put the registry's rights into force, as an operator does."""
        registry = load_registry(self.settings.registry)
        acls, secrets = self.folder / FILE, self.folder / "secrets"
        acls.write_text(render(self.settings, registry), "utf-8")
        secrets.mkdir(exist_ok=True)
        for grant in grants(self.settings, registry):
            (secrets / grant.user).write_text(f"secret of {grant.user}\n")
        self.broker.run_tool(
            str(DEPLOY / "kafka" / "apply.sh"),
            *(self.broker.address, str(self.broker.admin_properties()), str(secrets), str(acls)),
        )

    def as_user(self, name: str) -> Settings:
        """The settings of a part of the program, or of a platform."""
        user = self.settings.topic(name)
        return another(
            self.settings, kafka_user=user, kafka_password=SecretStr(f"secret of {user}")
        )

    @property
    def worker(self) -> Settings:
        return self.as_user("worker")

    @property
    def tls(self) -> dict[str, Any]:
        """What changes when a client comes by TLS."""
        return {
            "brokers": self.broker.tls_address,
            "kafka_security": "sasl_ssl",
            "kafka_ca": self.broker.ca,
        }


@pytest.fixture(scope="module")
def city(secure_kafka: SecureKafka, tmp_path_factory: pytest.TempPathFactory) -> City:
    city = City(secure_kafka, tmp_path_factory.mktemp("city"))
    city.apply()
    return city


@pytest.fixture
async def topics(city: City) -> None:
    platforms = (ingress_topic(city.settings, each) for each in (PLATFORM, OTHER))
    await ensure_topics(city.worker, (*core_topics(city.settings), *platforms))


def ingress(platform: str) -> str:
    return f"ingress.{platform}"


async def write(settings: Settings, topic: str, *values: bytes, timestamp_ms: int = 1) -> None:
    """Write as any producer does, with a timestamp of its own making."""
    platform = AIOKafkaProducer(**connection(settings), acks="all", enable_idempotence=True)
    try:
        await platform.start()
        for value in values:
            await platform.send_and_wait(
                settings.topic(topic), value, partition=0, timestamp_ms=timestamp_ms
            )
    finally:
        await platform.stop()


async def read(settings: Settings, topic: str) -> None:
    reader = AIOKafkaConsumer(**connection(settings), auto_offset_reset="earliest")
    await reader.start()
    try:
        reader.assign([TopicPartition(settings.topic(topic), 0)])
        await reader.getmany(timeout_ms=5000)
    finally:
        await reader.stop()


@asynccontextmanager
async def administering(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**connection(settings))
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


# -- the pipeline


async def test_a_worker_admits_judges_and_stores_with_its_own_rights(
    city: City, tmp_path: Path
) -> None:
    store = {"clickhouse": f"chdb:{tmp_path / 'store'}"}
    worker = city.worker.model_copy(update=city.tls | store)
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    async with working(worker) as running:
        backdated = delivery(received_at=long_ago)
        await write(city.as_user(ingress(PLATFORM)), ingress(PLATFORM), backdated)
        await write(
            city.as_user(ingress(PLATFORM)), ingress(PLATFORM), delivery(unit="黄陂区"), b"{"
        )
        await write(city.as_user(ingress(OTHER)), ingress(OTHER), delivery(unit="黄陂区"))
        for platform in (PLATFORM, OTHER):
            await all_committed(worker, ingress(platform), f"admit-{platform}")
        await all_committed(worker)
        await running.stored()
        outcome = await assert_equal_to_oracle(worker)
        admitted = [each for log in (await read_log(worker, SUBMISSIONS)).values() for each in log]
        async with Rejects.opened(city.as_user("operator")) as rejects:
            found = await rejects.all()
            await rejects.redrive(found[0])
    assert {state.unit for state in outcome.states.values()} == {"江夏区", "黄陂区"}
    given = [orjson.loads(each.value or b"") for each in admitted]
    assert sorted(each["platform"] for each in given) == sorted((PLATFORM, OTHER))
    for each in given:
        assert abs(datetime.fromisoformat(each["received_at"]).timestamp() - time.time()) < 60
    assert [(each.topic, each.rule) for each in found] == [
        (worker.topic(ingress(PLATFORM)), "scope"),
        (worker.topic(ingress(PLATFORM)), "json"),
    ]


# -- what is refused


@pytest.mark.usefixtures("topics")
async def test_a_platform_writes_its_own_topic_and_no_other(city: City) -> None:
    platform = city.as_user(ingress(PLATFORM))
    await write(platform, ingress(PLATFORM), delivery())
    for topic in (ingress(OTHER), SUBMISSIONS, VERDICTS, TALLIES, REJECTS):
        with pytest.raises(TopicAuthorizationFailedError):
            await write(platform, topic, delivery())
    with pytest.raises(TopicAuthorizationFailedError):
        await read(platform, ingress(PLATFORM))


@pytest.mark.usefixtures("topics")
async def test_a_platform_sees_makes_and_changes_no_topic(city: City) -> None:
    own = city.settings.topic(ingress(PLATFORM))
    async with administering(city.as_user(ingress(PLATFORM))) as admin:
        # Who may read or write a topic is told of it: this is the only one.
        assert set(await admin.list_topics()) == {own}
        made: Any = await admin.create_topics([NewTopic(city.settings.topic("more"), 1, 1)])
        assert [code for _name, code, *_ in made.topic_errors] == [29]
        deleted: Any = await admin.delete_topics([own])
        assert [code for _name, code, *_ in deleted.topic_error_codes] == [29]
    # The broker's clock would be the platform's own word, could it change this.
    with pytest.raises(TopicError, match="TopicAuthorizationFailedError"):
        await ensure_topics(
            city.as_user(ingress(PLATFORM)), (ingress_topic(city.settings, PLATFORM),)
        )


@pytest.mark.usefixtures("topics")
async def test_the_parts_of_the_program_do_not_stand_in_for_each_other(city: City) -> None:
    gateway = city.as_user("gateway")
    async with writing(gateway) as writer:
        await writer.write(gateway.topic(SUBMISSIONS), 0, [Message(b"k", b"v")])
        for topic in (VERDICTS, TALLIES, REJECTS, ingress(PLATFORM)):
            with pytest.raises(LogError, match="TopicAuthorizationFailedError"):
                await writer.write(gateway.topic(topic), 0, [Message(b"k", b"v")])
    with pytest.raises(TopicAuthorizationFailedError):
        await read(gateway, SUBMISSIONS)
    with pytest.raises(TopicAuthorizationFailedError):
        await write(city.worker, ingress(PLATFORM), delivery())
    with pytest.raises(TopicAuthorizationFailedError):
        await read(city.as_user("operator"), ingress(PLATFORM))


# -- in plain words


async def test_a_refused_worker_says_why(city: City) -> None:
    wrong = city.worker.model_copy(update={"kafka_password": SecretStr("wr0ng")})
    unknown = city.worker.model_copy(update={"kafka_user": "nobody"})
    without = city.worker.model_copy(update={"kafka_security": "plaintext"})
    tls = city.worker.model_copy(update={"kafka_security": "sasl_ssl"})
    groupless = city.as_user("operator").model_copy(update={"registry": DEPLOY / "registry"})
    for settings, told in (
        (wrong, f"不认用户“{wrong.kafka_user}”"),
        (unknown, "不认用户“nobody”"),
        (without, "不接受 plaintext 方式的连接"),
        (tls, "不接受 sasl_ssl 方式的连接"),
        (city.as_user("gateway"), "TopicAuthorizationFailedError"),
        (groupless, "GroupAuthorizationFailedError）：请检查 XINSHAO_KAFKA_USER 的权限"),
    ):
        with pytest.raises((LogError, TopicError)) as refusal:
            async with working(settings):
                pass
        assert told in str(refusal.value)
        assert "wr0ng" not in str(refusal.value)


async def test_a_broker_is_believed_by_its_certificate(city: City) -> None:
    known = city.worker.model_copy(update=city.tls)
    assert await fault(known) is None
    assert "证书不可信" in str(await fault(known.model_copy(update={"kafka_ca": None})))


# -- taken away


@pytest.mark.usefixtures("topics")
async def test_a_platform_that_left_the_registry_is_shut_out(city: City) -> None:
    left, stays = city.as_user(ingress(OTHER)), city.as_user(ingress(PLATFORM))
    topic = left.topic(ingress(OTHER))
    async with writing(left) as connected:
        await connected.write(topic, 0, [Message(None, delivery())])
        city.platforms.write_text(city.alone, "utf-8")
        await asyncio.to_thread(city.apply)
        with pytest.raises(LogError, match="TopicAuthorizationFailedError"):
            await connected.write(topic, 0, [Message(None, delivery())])
    assert "不认用户" in str(await fault(left))
    assert await fault(stays) is None
