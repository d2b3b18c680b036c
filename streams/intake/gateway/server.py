"""The gateway, assembled: routes, pages, and the server that speaks HTTP."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.metadata import version
from typing import Final

import h11
import orjson
import uvicorn
from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from uvicorn.protocols.http.h11_impl import H11Protocol

from streams.clock import Clock, DataClock, SystemClock
from streams.errors import OperatorError
from streams.intake.audit import Audit
from streams.intake.gateway import questions, submissions
from streams.intake.gateway.asking import Desk
from streams.intake.gateway.middleware import Watch
from streams.intake.gateway.problems import MEDIA_TYPE, Problem, ProblemBody, add_problems
from streams.intake.gateway.services import Services
from streams.intake.keys import KeyRing
from streams.log.topics import SUBMISSIONS
from streams.log.writer import LogWriter
from streams.registry import load_calendar, load_registry
from streams.settings import Settings

log = logging.getLogger(__name__)

_HEAD_SECONDS: Final = 10.0
"""How long a request's head may take to arrive."""
_IDLE_SECONDS: Final = 75
"""How long a connection is kept without a request; proxies keep theirs for a minute."""
_STOP_SECONDS: Final = 25
"""How long requests in flight may take when the gateway stops."""
_READY_SECONDS: Final = 3.0


class GatewayError(OperatorError):
    """The gateway cannot start or go on; the message says why, in Chinese."""


def create_app(services: Services) -> FastAPI:
    """The gateway as an ASGI app. Its pages need nothing from outside, so it has none of docs."""
    app = FastAPI(
        title="信哨网关",
        summary="公共信用信息报送",
        description="用法见 docs/integrate.md；错误一律为 application/problem+json。",
        version=version("xinshao"),
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        separate_input_output_schemas=False,
    )
    app.state.services = services
    app.add_middleware(Watch, services=services)
    add_problems(app)
    app.include_router(submissions.router)
    app.include_router(questions.router)

    @app.get("/health/alive", include_in_schema=False)
    async def alive() -> dict[str, bool]:
        return {"ok": True}

    @app.get("/health/ready", include_in_schema=False)
    async def ready() -> JSONResponse:
        try:
            async with asyncio.timeout(_READY_SECONDS):
                ok = await services.writer.reachable()
        except TimeoutError:
            ok = False
        return JSONResponse({"ok": ok}, 200 if ok else 503)

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(
            generate_latest(services.metrics.registry),
            headers={"Content-Type": CONTENT_TYPE_LATEST},
        )

    described = app.openapi

    def openapi() -> dict[str, object]:
        """Every problem is of one form, which no route returns by itself."""
        schema = described()
        schema["components"]["schemas"]["ProblemBody"] = ProblemBody.model_json_schema()
        return schema

    app.openapi = openapi  # type: ignore[method-assign]
    return app


class Gateway:
    """A running gateway."""

    def __init__(self, address: str, server: "_Server", failed: asyncio.Event) -> None:
        self.address: Final = address
        self._server = server
        self._failed = failed

    async def during(self, stop: asyncio.Event) -> None:
        """Serve until asked to stop.

        Raises:
            GatewayError: the broker refuses for a reason that waiting will not fix.
        """
        told = [asyncio.ensure_future(each.wait()) for each in (stop, self._failed)]
        await asyncio.wait(told, return_when=asyncio.FIRST_COMPLETED)
        for each in told:
            each.cancel()
        if self._failed.is_set():
            raise GatewayError("消息服务拒绝写入，原因见日志：请检查主题、权限和消息大小的设置")


@asynccontextmanager
async def serving(settings: Settings, clock: Clock | None = None) -> AsyncIterator[Gateway]:
    """Run a gateway; what is in flight at the end is finished.

    Args:
        settings: All of them.
        clock: Says what day it is for questions, where another part of the process knows.

    Raises:
        GatewayError: the broker lacks the topic, or the port is taken.
        LogUnavailableError, LogError: the broker cannot be reached, or refuses.
        RegistryError: the registry or the calendar cannot be read.
        KeysError: the key file cannot be used.
    """
    async with _opened(settings, clock) as services:
        listening = _listen(settings)
        server = _Server(
            uvicorn.Config(
                create_app(services),
                http=_Protocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=_IDLE_SECONDS,
                timeout_graceful_shutdown=_STOP_SECONDS,
            )
        )
        task = asyncio.create_task(server.serve([listening]))
        try:
            await server.ready.wait()
            host, port = listening.getsockname()[:2]
            yield Gateway(f"http://{host}:{port}", server, services.failed)
        finally:
            server.should_exit = True
            await task
            listening.close()


@asynccontextmanager
async def _opened(settings: Settings, clock: Clock | None) -> AsyncIterator[Services]:
    registry = load_registry(settings.registry, settings.identity_key.get_secret_value().encode())
    calendar = load_calendar(settings.registry)
    keys = KeyRing(settings.keys, registry)
    settings.audit.parent.mkdir(parents=True, exist_ok=True)
    writer = LogWriter(settings, settings.gateway_write_timeout)
    await writer.start()
    try:
        await _require_topic(settings, writer)
    except BaseException:
        await writer.stop()
        raise
    desk = Desk(settings, registry, calendar) if settings.clickhouse else None
    try:
        yield Services(
            settings,
            registry,
            calendar,
            clock or (DataClock() if settings.clock == "data" else SystemClock()),
            writer,
            keys,
            Audit(settings.audit),
            desk,
        )
    finally:
        if desk is not None:
            await asyncio.to_thread(desk.close)
        await writer.stop()


async def _require_topic(settings: Settings, writer: LogWriter) -> None:
    """A key decides its partition: with another number of them its versions would not meet."""
    topic = settings.topic(SUBMISSIONS)
    found = await writer.partitions(topic)
    if not found:
        raise GatewayError(f"主题 {topic} 还没有：请先启动 xinshao worker，它会建立")
    if found != settings.partitions:
        raise GatewayError(
            f"主题 {topic} 有 {found} 个分区，XINSHAO_PARTITIONS 是 {settings.partitions}："
            "请改成与 xinshao worker 相同的值"
        )


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.gateway_host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.gateway_host, settings.gateway_port))
    except OSError as error:
        listening.close()
        raise GatewayError(
            f"网关端口 {settings.gateway_host}:{settings.gateway_port} 不能用（{error.strerror}）："
            "请停掉占用它的程序，或换一个 XINSHAO_GATEWAY_PORT"
        ) from error
    return listening


class _Server(uvicorn.Server):
    """uvicorn that leaves the signals to the program, and says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen."""
        await super().startup(sockets)
        self.ready.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


_NO_HTTP: Final = Problem(
    "http",
    400,
    "不是有效的 HTTP 请求",
    "请求行或请求头不合规：地址中的中文须按 URL 编码（curl 用 --url-query），请求头只能用 ASCII",
    "Not valid HTTP: percent-encode the address, keep headers in ASCII.",
)


class _Protocol(H11Protocol):
    """HTTP/1.1 that disconnects clients that never finish a request's head.

    uvicorn has a limit only for connections that are idle between two requests.
    """

    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The first head is awaited."""
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Another piece; it does not restart the time for a head."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            self._await_head()
        else:
            self._head_came()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more is awaited."""
        self._head_came()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP as everything else is answered."""
        body = orjson.dumps(_NO_HTTP.body())
        headers = [
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        for event in (
            h11.Response(status_code=_NO_HTTP.status, headers=headers),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _await_head(self) -> None:
        if self._patience is None:
            self._patience = self.loop.call_later(_HEAD_SECONDS, self.transport.close)

    def _head_came(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
