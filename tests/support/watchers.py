"""The real watchers of the tests: Prometheus, Alertmanager, and those who get the alerts.

Prometheus and Alertmanager are Debian's; mail arrives at a real SMTP server, WeCom and webhook
messages at an HTTP one, all on loopback.
"""

import json
import shutil
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from signal import Signals
from typing import Any, NamedTuple, Self

import httpx
import yaml
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from streams.demo.tansu import HOST
from streams.demo.watchers import ALERTMANAGER, PROMETHEUS
from tests.support.house import free_port
from tests.support.needs import require
from tests.support.processes import until


class Program:
    """A child process that serves HTTP at `address`; what it logs is kept in `folder`."""

    def __init__(self, folder: Path, *command: str) -> None:
        self.port = free_port()
        self.address = f"http://{HOST}:{self.port}"
        self._log = folder / "log"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, f"--web.listen-address={HOST}:{self.port}"],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def log(self) -> str:
        return self._log.read_text("utf-8", "replace")

    def signal(self, number: Signals) -> None:
        self._process.send_signal(number)

    async def ready(self) -> Self:
        """Wait until it answers that it is."""

        async def answers() -> bool:
            assert self._process.poll() is None, self.log()
            try:
                async with httpx.AsyncClient() as client:
                    answer = await client.get(f"{self.address}/-/ready")
            except httpx.TransportError:
                return False
            return answer.status_code == httpx.codes.OK

        await until(answers)
        return self

    async def get(self, path: str, **query: str) -> Any:
        async with httpx.AsyncClient(base_url=self.address) as client:
            return (await client.get(path, params=query)).raise_for_status().json()

    async def post(self, path: str, content: object = None) -> None:
        async with httpx.AsyncClient(base_url=self.address) as client:
            (await client.post(path, json=content)).raise_for_status()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


@asynccontextmanager
async def alertmanager(folder: Path, files: Mapping[str, str]) -> AsyncIterator[Program]:
    """An Alertmanager of these files; `reload` has it read others."""
    program = next(filter(shutil.which, ALERTMANAGER), ALERTMANAGER[0])
    require(program)
    write(folder, files)
    running = Program(
        folder,
        program,
        "--config.file=alertmanager.yml",
        "--storage.path=data",
        "--cluster.listen-address=",
    )
    try:
        yield await running.ready()
    finally:
        running.close()


def write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


class Prometheus(Program):
    """A Prometheus; it scrapes and evaluates every second."""

    async def firing(self, *names: str) -> dict[tuple[str, ...], dict[str, Any]]:
        """The alerts of those names that fire: name, unit and category to the alert."""
        alerts = (await self.get("/api/v1/alerts"))["data"]["alerts"]
        return {
            (labels["alertname"], labels.get("unit", ""), labels.get("category", "")): alert
            for alert in alerts
            for labels in [alert["labels"]]
            if alert["state"] == "firing" and (not names or labels["alertname"] in names)
        }

    async def evaluated(self) -> None:
        """Wait until every rule has been evaluated, over a scrape, from now on."""

        async def scraped(since: datetime) -> bool:
            targets = (await self.get("/api/v1/targets"))["data"]["activeTargets"]
            return all(_after(target["lastScrape"], since) for target in targets)

        async def looked_at(since: datetime) -> bool:
            groups = (await self.get("/api/v1/rules"))["data"]["groups"]
            return all(_after(group["lastEvaluation"], since) for group in groups)

        for step in (scraped, looked_at):
            await until(partial(step, datetime.now(UTC)))

    async def says(self, query: str, value: float) -> bool:
        """Whether an expression has one value, and this one."""
        found = (await self.get("/api/v1/query", query=query))["data"]["result"]
        return [float(each["value"][1]) for each in found] == [value]


def _after(time: str, since: datetime) -> bool:
    return datetime.fromisoformat(time) > since


@asynccontextmanager
async def prometheus(
    folder: Path, rules: Mapping[str, str], target: int, told: Program | None = None
) -> AsyncIterator[Prometheus]:
    """A Prometheus with these rules that scrapes a worker's port and notifies an Alertmanager."""
    require(*PROMETHEUS)
    managers = [{"static_configs": [{"targets": [f"{HOST}:{told.port}"]}]}] if told else []
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [*rules],
        "scrape_configs": [
            {
                "job_name": "xinshao-worker",
                "static_configs": [{"targets": [f"{HOST}:{target}"]}],
            }
        ],
        "alerting": {"alertmanagers": managers},
    }
    write(folder, {**rules, "prometheus.yml": yaml.safe_dump(config)})
    running = Prometheus(
        folder,
        *PROMETHEUS,
        "--config.file=prometheus.yml",
        "--storage.tsdb.path=data",
        "--log.level=warn",
    )
    try:
        await running.ready()
        yield running
    finally:
        running.close()


class Mail(NamedTuple):
    """A mail as its reader has it."""

    to: tuple[str, ...]
    subject: str
    text: str
    html: str


@dataclass
class Mailbox:
    """An SMTP server and all that it took."""

    port: int
    mails: list[Mail] = field(default_factory=list)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        message = message_from_bytes(envelope.original_content or b"", policy=default)
        assert isinstance(message, EmailMessage)
        parts = [message.get_body((kind,)) for kind in ("plain", "html")]
        text, html = (part.get_content() if part else "" for part in parts)
        self.mails.append(Mail(tuple(envelope.rcpt_tos), str(message["Subject"]), text, html))
        return "250 OK"

    def of(self, address: str) -> list[Mail]:
        """What came for an address, in order."""
        return [mail for mail in self.mails if address in mail.to]


@contextmanager
def mail_server() -> Iterator[Mailbox]:
    """An SMTP server on loopback."""
    box = Mailbox(free_port())
    controller = Controller(box, hostname=HOST, port=box.port)
    controller.start()
    try:
        yield box
    finally:
        controller.stop()


class Request(NamedTuple):
    """What was posted or asked, and by whom."""

    path: str
    authorization: str | None
    body: Any


@dataclass
class Receiver:
    """An HTTP server that takes webhooks, and answers as WeCom's interface does."""

    address: str
    requests: list[Request] = field(default_factory=list)

    def to(self, path: str) -> list[Request]:
        """What came under a path, in order."""
        return [request for request in self.requests if request.path.startswith(path)]


@contextmanager
def http_receiver() -> Iterator[Receiver]:
    """An HTTP server on loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._take(None)

        def do_POST(self) -> None:
            self._take(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _take(self, body: object) -> None:
            receiver.requests.append(Request(self.path, self.headers["Authorization"], body))
            answer = json.dumps({"errcode": 0, "access_token": "token"}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Nothing: what came is kept."""

    server = ThreadingHTTPServer((HOST, 0), Handler)
    receiver = Receiver(f"http://{HOST}:{server.server_port}")
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        serving.join()
        server.server_close()
