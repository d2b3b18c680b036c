"""The gateway as a running program: how it starts and stops, bad clients, a broker that is lost."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from streams.demo.tansu import Tansu
from streams.intake.gateway import GatewayError, server, serving
from streams.log.connection import LogUnavailableError
from streams.log.topics import SUBMISSIONS
from tests.support.brokers import Kafka
from tests.support.house import free_port
from tests.support.oracle import gateway_settings, read_log, settings_for
from tests.support.processes import XINSHAO, environment, until
from tests.support.samples import delivery


@pytest.fixture
async def own_tansu() -> AsyncIterator[Tansu]:
    broker = Tansu(free_port())
    await broker.start()
    yield broker
    await broker.stop()


def head(key: str, length: int) -> bytes:
    lines = (
        "POST /v1/batches HTTP/1.1",
        "Host: gateway",
        f"Authorization: Bearer {key}",
        "Content-Type: application/x-ndjson",
        f"Content-Length: {length}",
    )
    return "\r\n".join((*lines, "", "")).encode()


async def test_told_to_stop_it_finishes_what_is_in_flight(tansu: Tansu, tmp_path: Path) -> None:
    settings, key = await gateway_settings(tansu, tmp_path)
    process = await asyncio.create_subprocess_exec(
        *(*XINSHAO, "gateway"),
        env={**os.environ, **environment(settings)},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        address = f"http://127.0.0.1:{settings.gateway_port}"

        async def ready() -> bool:
            assert process.returncode is None
            try:
                async with httpx.AsyncClient() as http:
                    return (await http.get(f"{address}/health/ready")).is_success
            except httpx.TransportError:
                return False

        await until(ready)
        body = delivery()
        reader, writer = await asyncio.open_connection("127.0.0.1", settings.gateway_port)
        writer.write(head(key, len(body)) + body[:100])
        await writer.drain()
        async with httpx.AsyncClient() as http:
            await until(lambda: held(http, address))
        process.send_signal(signal.SIGTERM)
        await until(lambda: refuses(settings.gateway_port))
        writer.write(body[100:])
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 202")
        assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
    records = [each for log in (await read_log(settings, SUBMISSIONS)).values() for each in log]
    assert len(records) == 1


async def held(http: httpx.AsyncClient, address: str) -> bool:
    """Whether a body is on its way in."""
    metrics = (await http.get(f"{address}/metrics")).text
    return "\nxinshao_gateway_held_bytes 100.0" in metrics


async def refuses(port: int) -> bool:
    """Whether nobody listens there any more."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return True
    writer.close()
    return False


async def test_who_never_finishes_a_head_is_hung_up_on(
    tansu: Tansu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_HEAD_SECONDS", 0.3)
    settings, key = await gateway_settings(tansu, tmp_path)
    async with serving(settings):
        body = delivery()
        port = settings.gateway_port
        kept, patient = await asyncio.open_connection("127.0.0.1", port)
        patient.write(head(key, len(body)) + body)
        assert (await kept.readuntil(b"\r\n")).startswith(b"HTTP/1.1 202")
        for begun in (b"", b"POST /v1/batches HT"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(begun)
            assert await asyncio.wait_for(reader.read(), 30) == b""
            writer.close()
        # Who has asked before may think, once a head is begun no longer.
        length = 0
        while (line := await kept.readuntil(b"\r\n")) != b"\r\n":
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        await kept.readexactly(length)
        patient.write(b"GET /health/ali")
        assert await asyncio.wait_for(kept.read(), 30) == b""
        patient.close()


async def test_what_is_no_http_is_answered_as_everything_else(tansu: Tansu, tmp_path: Path) -> None:
    settings, _key = await gateway_settings(tansu, tmp_path)
    async with serving(settings):
        for sent in ("GET /v1/files?unit=蔡甸区 HTTP/1.1\r\nHost: g\r\n\r\n", "你好\r\n\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", settings.gateway_port)
            writer.write(sent.encode())
            answer = await asyncio.wait_for(reader.read(), 30)
            writer.close()
            top, _, body = answer.partition(b"\r\n\r\n")
            assert top.startswith(b"HTTP/1.1 400")
            assert b"application/problem+json" in top
            assert json.loads(body)["code"] == "http"
            assert "蔡甸" not in body.decode()


async def test_without_a_broker_it_says_come_back_later(own_tansu: Tansu, tmp_path: Path) -> None:
    settings, key = await gateway_settings(own_tansu, tmp_path, gateway_write_timeout=2)
    async with (
        serving(settings) as gateway,
        httpx.AsyncClient(
            base_url=gateway.address, headers={"Authorization": f"Bearer {key}"}, timeout=60
        ) as http,
    ):
        ready = await http.get("/health/ready")
        assert ready.status_code == 200
        await own_tansu.stop()
        answer = await http.post(
            "/v1/submissions", content=delivery(), headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == 503
        assert answer.json()["code"] == "broker-away"
        assert int(answer.headers["Retry-After"]) > 0
        ready = await http.get("/health/ready")
        assert ready.status_code == 503
        assert (await http.get("/health/alive")).status_code == 200


async def test_it_does_not_start_where_it_would_break_the_promise(
    tansu: Tansu, tmp_path: Path
) -> None:
    settings, _ = await gateway_settings(tansu, tmp_path)
    other = settings.model_copy(update={"partitions": settings.partitions + 1})
    with pytest.raises(GatewayError, match="XINSHAO_PARTITIONS"):
        async with serving(other):
            pass
    gone = settings.model_copy(update={"brokers": f"127.0.0.1:{free_port()}"})
    with pytest.raises(LogUnavailableError, match="连不上消息服务"):
        async with serving(gone):
            pass
    async with serving(settings):
        with pytest.raises(GatewayError, match="XINSHAO_GATEWAY_PORT"):
            async with serving(settings):
                pass


async def test_it_waits_for_no_topic_that_is_not_there(kafka: Kafka, tmp_path: Path) -> None:
    settings = settings_for(kafka, tmp_path, gateway_write_timeout=2)  # Tansu would make it
    with pytest.raises(GatewayError, match="xinshao worker"):
        async with serving(settings):
            pass
