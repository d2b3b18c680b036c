"""The real brokers of the tests: Tansu everywhere, Apache Kafka wherever Java and Maven are.

A broker is bound to no event loop, so that a session's broker serves the tests of every loop.
"""

import asyncio
import os
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol
from xml.etree import ElementTree

from aiokafka import AIOKafkaClient, AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from streams.demo import tansu
from tests.support.house import DEVELOPERS, free_port

KAFKA_NEEDS = ("java", "mvn")
"""The programs that Apache Kafka needs."""

_BROKER = Path(__file__).parent / "kafka" / "pom.xml"
_TOOLS = Path(__file__).parent / "kafka" / "tools.xml"
_CACHE = Path(__file__).parents[2] / ".cache" / "kafka"
_MAVEN = "{http://maven.apache.org/POM/4.0.0}"


class Broker(Protocol):
    """What a test may ask of any broker."""

    @property
    def address(self) -> str: ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


def kafka_jars(pom: Path = _BROKER) -> Path:
    """Return the folder of a pom's jars, fetched by Maven the first time.

    Two test runs may fetch at once: each fetches to a folder of its own, one rename wins.
    """
    version = ElementTree.parse(pom).getroot().find(f".//{_MAVEN}dependency/{_MAVEN}version")
    assert version is not None
    jars = _CACHE / str(version.text)
    if jars.is_dir():
        return jars
    _CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_CACHE) as fetching:
        fetched = Path(fetching) / "jars"
        subprocess.run(
            [
                *("mvn", "-q", "-B", "-f", str(pom), "dependency:copy-dependencies"),
                f"-DoutputDirectory={fetched}",
            ],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=DEVELOPERS,  # with what Maven has already downloaded
        )
        try:
            fetched.rename(jars)
        except OSError:
            if not jars.is_dir():
                raise
    return jars


class Kafka:
    """Apache Kafka in KRaft mode: one process that is broker and controller, data in `directory`.

    Started again after `stop` or `kill`, it serves the same data on the same port.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._port = free_port()
        self._controller_port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"{tansu.HOST}:{self._port}"

    @property
    def log(self) -> Path:
        return self.directory / "kafka.log"

    def _java(self, main: str, *arguments: str) -> list[str]:
        return [
            *("java", "-Xms128m", "-Xmx384m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"),
            *("-XX:-UsePerfData", "-Xshare:auto", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"),
            *("-cp", f"{kafka_jars()}/*", main, *arguments),
        ]

    async def serves(self) -> bool:
        """Whether it answers."""
        return await tansu.serves(self.address)

    def _settings(self) -> dict[str, object]:
        return {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.bootstrap.servers": f"{tansu.HOST}:{self._controller_port}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://{self.address},"
            f"CONTROLLER://{tansu.HOST}:{self._controller_port}",
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "log.dirs": self.directory / "data",
            "auto.create.topics.enable": "false",
            "broker.heartbeat.interval.ms": 500,
            "broker.session.timeout.ms": 2000,  # a killed broker may be back after that long
            "group.initial.rebalance.delay.ms": 0,
            "group.min.session.timeout.ms": 1000,
            "offsets.topic.num.partitions": 4,
            "offsets.topic.replication.factor": 1,
            "transaction.state.log.num.partitions": 4,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "log.cleaner.dedupe.buffer.size": 16 * 2**20,
        }

    def _format(self, *arguments: str) -> Path:
        properties = self.directory / "server.properties"
        if properties.exists():
            return properties
        self.directory.mkdir(parents=True, exist_ok=True)
        lines = "\n".join(f"{name}={value}" for name, value in self._settings().items())
        unformatted = self.directory / "unformatted.properties"
        unformatted.write_text(lines, encoding="utf-8")
        subprocess.run(
            self._java(
                *("kafka.tools.StorageTool", "format", "--standalone"),
                *("--cluster-id", uuid.uuid4().hex[:22], "--config", str(unformatted)),
                *arguments,
            ),
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        return unformatted.rename(properties)

    async def start(self) -> None:
        properties = await asyncio.to_thread(self._format)
        with self.log.open("ab") as log:
            self._process = process = subprocess.Popen(  # noqa: ASYNC220 - bound to no loop
                self._java("kafka.Kafka", str(properties)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 90
        while not (tansu.listening(self._port) and await self.serves()):
            if process.poll() is not None or time.monotonic() > deadline:
                await self.kill()
                tail = self.log.read_text(encoding="utf-8", errors="replace")[-3000:]
                raise RuntimeError(f"Kafka did not start:\n{tail}")
            await asyncio.sleep(0.1)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def stop(self) -> None:
        await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """End it as a power cut does."""
        await self._end(signal.SIGKILL)

    async def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            await asyncio.to_thread(process.wait, 30)
        except subprocess.TimeoutExpired:
            process.kill()
            await asyncio.to_thread(process.wait)

    def freeze(self) -> None:
        """Freeze it: connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)


class SecureKafka(Kafka):
    """Apache Kafka that refuses whatever is not granted, and anyone who is not known.

    `address` takes SASL/SCRAM, `tls_address` the same over TLS, its certificate signed by `ca`.
    """

    ADMIN = "admin"
    PASSWORD = "admin-secret"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._tls_port = free_port()

    @property
    def tls_address(self) -> str:
        return f"{tansu.HOST}:{self._tls_port}"

    @property
    def ca(self) -> Path:
        return self.directory / "ca.pem"

    @property
    def as_admin(self) -> dict[str, str]:
        """What a client of aiokafka is given to be the administrator."""
        return {
            "bootstrap_servers": self.address,
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": self.ADMIN,
            "sasl_plain_password": self.PASSWORD,
        }

    async def serves(self) -> bool:
        client = AIOKafkaClient(**self.as_admin)
        try:
            await client.bootstrap()
        except KafkaError:
            return False
        finally:
            await client.close()
        return True

    def _settings(self) -> dict[str, object]:
        listeners = f"SASL_PLAINTEXT://{self.address},SASL_SSL://{self.tls_address}"
        return {
            **super()._settings(),
            "listeners": f"{listeners},CONTROLLER://{tansu.HOST}:{self._controller_port}",
            "advertised.listeners": listeners,
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,"
            "SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL",
            "inter.broker.listener.name": "SASL_PLAINTEXT",
            "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-512",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config": self._jaas,
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": self._jaas,
            "ssl.keystore.type": "PKCS12",
            "ssl.keystore.location": self._keystore,
            "ssl.keystore.password": self.PASSWORD,
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            # Only the listener of the controller, which is this process, knows anonymous users.
            "super.users": f"User:{self.ADMIN};User:ANONYMOUS",
        }

    @property
    def _jaas(self) -> str:
        module = "org.apache.kafka.common.security.scram.ScramLoginModule"
        return f'{module} required username="{self.ADMIN}" password="{self.PASSWORD}";'

    @property
    def _keystore(self) -> Path:
        return self.directory / "broker.p12"

    def _format(self, *arguments: str) -> Path:
        if not self._keystore.exists():
            self.directory.mkdir(parents=True, exist_ok=True)
            self._certify()
        credential = f"SCRAM-SHA-512=[name={self.ADMIN},password={self.PASSWORD}]"
        return super()._format(*arguments, "--add-scram", credential)

    def _certify(self) -> None:
        keytool = ("keytool", "-alias", "broker", "-storepass", self.PASSWORD)
        host = ("-dname", f"CN={tansu.HOST}", "-ext", f"san=ip:{tansu.HOST}")
        for arguments in (
            ("-genkeypair", "-keyalg", "EC", "-storetype", "PKCS12", *host),
            ("-exportcert", "-rfc", "-file", str(self.ca)),
        ):
            subprocess.run(
                [*keytool, *arguments, "-keystore", str(self._keystore)],
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

    def run_tool(self, *command: str) -> None:
        """Run a program that calls Kafka's own tools, which are on its path."""
        tools = self.directory / "bin"
        tools.mkdir(exist_ok=True)
        java = "exec java -Xshare:auto -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xmx256m"
        for name, main in (
            ("kafka-acls.sh", "org.apache.kafka.tools.AclCommand"),
            ("kafka-configs.sh", "kafka.admin.ConfigCommand"),
        ):
            script = tools / name
            script.write_text(f'#!/bin/sh\n{java} -cp "{kafka_jars(_TOOLS)}/*" {main} "$@"\n')
            script.chmod(0o755)
        subprocess.run(
            command,
            check=True,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"},
        )

    def admin_properties(self) -> Path:
        """Write the file with which Kafka's tools become the administrator."""
        file = self.directory / "admin.properties"
        file.write_text(
            "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=SCRAM-SHA-512\n"
            f"sasl.jaas.config={self._jaas}\n"
        )
        return file


async def create_topic(
    address: str, partitions: int, *, name: str = "t", configs: Mapping[str, str] | None = None
) -> str:
    """Create a topic under a random name, which it returns: tests never disturb each other."""
    topic = f"{name}-{uuid.uuid4().hex[:12]}"
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        await admin.create_topics(
            [NewTopic(topic, partitions, 1, topic_configs=dict(configs or {}))]
        )
    finally:
        await admin.close()
    return topic


@asynccontextmanager
async def producer(address: str) -> AsyncIterator[AIOKafkaProducer]:
    sender = AIOKafkaProducer(bootstrap_servers=address, acks="all", linger_ms=5)
    await sender.start()
    try:
        yield sender
    finally:
        await sender.stop()


async def produce(address: str, topic: str, partition: int, values: Iterable[bytes]) -> None:
    """Append values to one partition, in order, and wait until all are acknowledged."""
    async with producer(address) as sender:
        sent = [await sender.send(topic, value, partition=partition) for value in values]
        await asyncio.gather(*sent)


async def committed(address: str, group: str, topic: str, partition: int) -> int | None:
    """Read a group's committed offset as an outsider, without joining it."""
    reader = AIOKafkaConsumer(bootstrap_servers=address, group_id=group, enable_auto_commit=False)
    await reader.start()
    try:
        where = TopicPartition(topic, partition)
        reader.assign([where])
        offset = await reader.committed(where)
        return None if offset is None else int(offset)
    finally:
        await reader.stop()
