"""Settings: each from the environment (XINSHAO_…), a file of its own, or one file for all.

The folder that XINSHAO_SECRETS names has a file for each setting kept there, named as the setting
in lower case, as Docker and Kubernetes pass secrets. The file that XINSHAO_FILE names is TOML
with the same names. The environment wins over the folder, the folder over the file.
"""

import os
import ssl
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import AfterValidator, Field, SecretStr, ValidationError, ValidationInfo
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from streams.errors import InputError

DEPLOY: Final = Path(__file__).resolve().parents[1] / "deploy"
"""The deploy folder that came with this program."""

LONGEST_KEY: Final = 64
"""Bytes of an identity key: BLAKE2b takes no more (RFC 7693)."""

_ENV: Final = "XINSHAO_"


class SettingsError(InputError):
    """A setting is missing or wrong; the message says which, in Chinese, without its value."""


def _fits_digest(key: SecretStr) -> SecretStr:
    if len(key.get_secret_value().encode()) > LONGEST_KEY:
        raise ValueError(f"最长 {LONGEST_KEY} 字节")
    return key


Given = TypeVar("Given", str, SecretStr)


def _given_for_sasl(value: Given, info: ValidationInfo) -> Given:
    if info.data.get("kafka_security", "plaintext") != "plaintext" and not value:
        raise ValueError("XINSHAO_KAFKA_SECURITY 不是 plaintext 时必须设置")
    return value


def _certificates(file: Path) -> Path:
    try:
        ssl.create_default_context(cafile=file)
    except OSError:
        raise ValueError("读不了，或不是 PEM 格式的证书") from None
    return file


class Settings(BaseSettings):
    """Settings of the long-running parts. Times are in seconds unless the name says otherwise."""

    model_config = SettingsConfigDict(env_prefix=_ENV, extra="forbid", hide_input_in_errors=True)

    # --- the log -----------------------------------------------------------------------------
    brokers: str = "127.0.0.1:9092"
    """Kafka bootstrap servers, host:port, comma separated."""
    kafka_security: Literal["plaintext", "sasl_plaintext", "sasl_ssl"] = "plaintext"
    """How to connect: sasl_ssl across a network, plaintext only to a broker of one's own."""
    kafka_user: Annotated[str, Field(validate_default=True), AfterValidator(_given_for_sasl)] = ""
    """The SCRAM-SHA-512 user; `xinshao kafka render` lists what each may do."""
    kafka_password: Annotated[
        SecretStr, Field(validate_default=True), AfterValidator(_given_for_sasl)
    ] = SecretStr("")
    """That user's password."""
    kafka_ca: Annotated[Path, AfterValidator(_certificates)] | None = None
    """PEM file of the authority that signed the brokers' certificates; else the system's."""
    namespace: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,40}$")] = "credit"
    """First part of every topic and group name; two cities may share one cluster."""
    partitions: Annotated[int, Field(ge=1, le=512)] = 8
    """Partitions of submissions and verdicts. Fixed for ever: a key must keep its partition."""
    replication: Annotated[int, Field(ge=1, le=9)] = 1
    """Replicas of every topic; 3 on a cluster of three or more."""
    idempotence: bool = True
    """Idempotent producers. Off only for Tansu, which has none."""
    submissions_retention_days: Annotated[int, Field(ge=1)] = 14
    """How long submissions can be replayed from the log."""
    rejects_retention_days: Annotated[int, Field(ge=1)] = 90
    """How long rejects can be looked at and redriven."""
    session_timeout: Annotated[float, Field(gt=0)] = 10.0
    """After this long without a heartbeat a worker's partitions go to the others."""

    # --- judging -----------------------------------------------------------------------------
    batch_records: Annotated[int, Field(ge=1, le=5000)] = 500
    """Submissions judged in one go: more is faster, and holds the event loop longer."""
    commit_every: Annotated[float, Field(ge=0)] = 2.0
    """How often tallies are published and offsets committed."""
    keep_months: Annotated[int, Field(ge=2)] = 25
    """Record state older than this many months is forgotten; a later version would look new."""
    identity_key: Annotated[SecretStr, AfterValidator(_fits_digest)] = SecretStr("")
    """Secret of the keyed digests (record keys, content); must never change once data is in."""
    registry: Path = DEPLOY / "registry"
    """Folder of units, platforms, contacts, thresholds, windows and calendar overrides."""
    data: Path = Path("data")
    """Folder of this worker's local checkpoints; may be lost, costs a full restore then."""

    # --- the store ---------------------------------------------------------------------------
    clickhouse: Annotated[str, Field(pattern=r"^(|https?://[^/@]+|chdb:.+)$")] = ""
    """Where everything judged is kept: http://host:8123, https://host:8443, or chdb:FOLDER for the
    engine inside the process. Empty: nowhere."""
    clickhouse_database: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,40}$")] = "xinshao"
    """The database; `xinshao migrate` makes it where it is missing."""
    clickhouse_user: str = "default"
    """The server's user. It needs to select in the database; a worker's also to insert; that of
    `xinshao migrate` also to create and alter."""
    clickhouse_password: SecretStr = SecretStr("")
    """That user's password."""
    clickhouse_replicated: bool = False
    """Replicated tables, in a Replicated database: for a cluster with Keeper."""
    clickhouse_timeout: Annotated[float, Field(ge=1)] = 30.0
    """How long a server may take to answer."""
    migrate: bool = False
    """Whether a worker brings the schema up to date when it starts; else `xinshao migrate` does."""
    sink_rows: Annotated[int, Field(ge=1, le=100_000)] = 10_000
    """This many rows of a table begin an insert at once; it holds at most as many a partition."""
    sink_seconds: Annotated[float, Field(ge=0)] = 1.0
    """Fewer rows are inserted this long after the first of them came."""
    store_months: Annotated[int, Field(ge=0)] = 0
    """Records and tallies are deleted from the store after this many months; 0: never."""
    audit_months: Annotated[int, Field(ge=0)] = 0
    """The audit of submissions and the rejects are deleted after this many months; 0: never."""

    # --- the way in --------------------------------------------------------------------------
    keys: Annotated[Path, Field(default_factory=lambda given: given["data"] / "keys.json")]
    """The file of the platforms' keys (`xinshao keys`); hashes only, yet for its owner alone."""
    audit: Annotated[Path, Field(default_factory=lambda given: given["data"] / "audit.ndjson")]
    """Where the use of keys is written down; a file a day, the day put before the ending."""
    gateway_host: str = "127.0.0.1"
    """Address the gateway listens on."""
    gateway_port: Annotated[int, Field(ge=0, le=65535)] = 6067
    """Port of the gateway."""
    gateway_body_bytes: Annotated[int, Field(ge=1 << 10)] = 16 << 20
    """The largest body of a request, unpacked."""
    gateway_held_bytes: Annotated[int, Field(ge=1 << 10)] = 64 << 20
    """All bodies held at a time; further requests are asked to come back later."""
    gateway_records: Annotated[int, Field(ge=1)] = 10_000
    """The most records of one request."""
    gateway_rate: Annotated[float, Field(gt=0)] = 2000.0
    """Records a second that a key may deliver over time."""
    gateway_burst: Annotated[float, Field(ge=1)] = 20_000.0
    """Records that a key may deliver at once."""
    gateway_body_timeout: Annotated[float, Field(gt=0)] = 60.0
    """How long a body may take to arrive."""
    gateway_write_timeout: Annotated[float, Field(gt=0)] = 10.0
    """How long the broker may take to acknowledge, before a request is asked to come back later."""

    # --- watching ----------------------------------------------------------------------------
    host: str = "127.0.0.1"
    """Address the worker's pages (metrics, health, console) listen on."""
    port: Annotated[int, Field(ge=0, le=65535)] = 6066
    """Port of the worker's pages."""
    clock: Annotated[str, Field(pattern=r"^(system|data)$")] = "system"
    """system: today is today. data: today is the latest day of receipt seen, for replays."""
    stuck_after: Annotated[float, Field(gt=0)] = 60.0
    """Behind, and no commit for this long: the worker says it is stuck."""
    reject_limit: Annotated[int, Field(ge=1)] = 100
    """Rejects within `reject_window` above which the flood metric is raised."""
    reject_window: Annotated[float, Field(gt=0)] = 300.0
    """Length of the window of `reject_limit`."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """How much is logged."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then the secrets, then the file."""
        sources: list[PydanticBaseSettingsSource] = [init_settings, env_settings]
        if folder := os.environ.get(f"{_ENV}SECRETS"):
            # Of a missing folder pydantic only warns.
            there = Path(folder).resolve(strict=True)
            sources.append(SecretsSettingsSource(settings_cls, there, env_prefix=""))
        if file := os.environ.get(f"{_ENV}FILE"):
            sources.append(TomlConfigSettingsSource(settings_cls, file))
        return tuple(sources)

    def topic(self, name: str) -> str:
        """The full name of a topic."""
        return f"{self.namespace}.{name}"

    def group(self, name: str) -> str:
        """The full name of a consumer group."""
        return f"{self.namespace}-{name}"


def load_settings(**given: Any) -> Settings:
    """Read the settings; arguments win over the environment, then secrets, then the file.

    Raises:
        SettingsError: one line of Chinese for every setting that is wrong.
    """
    try:
        return Settings(**given)
    except ValidationError as error:
        lines = [
            f"配置项 {_ENV}{'_'.join(map(str, fault['loc'])).upper()} 有误：{fault['msg']}"
            for fault in error.errors(include_input=False, include_url=False, include_context=False)
            if fault["type"] != "default_factory_not_called"  # follows from another error
        ]
        raise SettingsError("\n".join(lines)) from None
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"读不了 {_ENV}FILE 指定的配置文件或 {_ENV}SECRETS 指定的密钥文件夹"
            f"（{type(error).__name__}），请检查路径、权限和 TOML 格式"
        ) from None
