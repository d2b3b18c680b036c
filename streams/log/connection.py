"""How every Kafka client of this program connects, and why it could not, in plain words.

What aiokafka raises goes no further: `answering` turns it into this program's errors.
"""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaClient, ConsumerRecord
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import KafkaError, SaslAuthenticationFailed

from streams.errors import LaterError, OperatorError
from streams.settings import Settings

KafkaRecord = ConsumerRecord[bytes, bytes]
"""A message as it comes out of the log."""

MECHANISM: Final = "SCRAM-SHA-512"
"""How users prove who they are: the password itself is never sent (RFC 5802)."""

_ANSWER_MS: Final = 10_000


class LogError(OperatorError):
    """The broker refuses this program or its request; waiting will not help."""


class LogUnavailableError(LaterError):
    """The broker cannot be reached."""


def connection(settings: Settings) -> dict[str, Any]:
    """What every client of aiokafka is given to connect: where to, how, and as whom."""
    security = settings.kafka_security
    given: dict[str, Any] = {"bootstrap_servers": settings.brokers}
    if security == "plaintext":
        return given
    given |= {
        "security_protocol": security.upper(),
        "sasl_mechanism": MECHANISM,
        "sasl_plain_username": settings.kafka_user,
        "sasl_plain_password": settings.kafka_password.get_secret_value(),
    }
    if security == "sasl_ssl":
        given["ssl_context"] = ssl.create_default_context(cafile=settings.kafka_ca)
    return given


@asynccontextmanager
async def answering(settings: Settings) -> AsyncIterator[None]:
    """Talk to the broker; what aiokafka raises inside becomes an error that says why.

    Raises:
        LogUnavailableError: the broker cannot be reached.
        LogError: it refuses this program, or what was asked of it.
    """
    try:
        yield
    except KafkaError as error:
        raise await _why(settings, error) from error


async def fault(settings: Settings) -> LogError | LogUnavailableError | None:
    """Why the broker does not serve this program; None where it does."""
    client = AIOKafkaClient(**connection(settings))
    try:
        await client.bootstrap()
    except KafkaError:
        return await _reason(settings)
    finally:
        await client.close()
    return None


async def _why(settings: Settings, error: KafkaError) -> LogError | LogUnavailableError:
    return await fault(settings) or LogError(
        f"消息服务 {settings.brokers} 不接受请求（{type(error).__name__}）："
        "请检查 XINSHAO_KAFKA_USER 的权限，见 docs/kafka.md"
    )


async def _reason(settings: Settings) -> LogError | LogUnavailableError:
    """Ask each broker by itself: a client of several only says that none of them answered."""
    given = connection(settings)
    for host, port, _family in collect_hosts(given.pop("bootstrap_servers")):
        try:
            asked = await create_conn(host, port, request_timeout_ms=_ANSWER_MS, **given)
        except SaslAuthenticationFailed:
            return LogError(
                f"消息服务 {settings.brokers} 不认用户“{settings.kafka_user}”：用户不存在、已停用，"
                "或密码不对，请检查 XINSHAO_KAFKA_USER 和 XINSHAO_KAFKA_PASSWORD"
            )
        except ssl.SSLCertVerificationError as error:
            return LogError(
                f"消息服务 {settings.brokers} 的证书不可信（{error.verify_message}）："
                "请检查 XINSHAO_KAFKA_CA，以及证书上的主机名"
            )
        except (ssl.SSLError, ConnectionResetError, KafkaError):
            return _otherwise_secured(settings)  # it closed the connection at once
        except (OSError, TimeoutError):
            continue
        asked.close()
        return _otherwise_secured(settings)
    return LogUnavailableError(
        f"连不上消息服务 {settings.brokers}：请检查它是否已启动，XINSHAO_BROKERS 是否正确"
    )


def _otherwise_secured(settings: Settings) -> LogError:
    return LogError(
        f"消息服务 {settings.brokers} 不接受 {settings.kafka_security} 方式的连接："
        "请检查 XINSHAO_KAFKA_SECURITY 和端口号"
    )
