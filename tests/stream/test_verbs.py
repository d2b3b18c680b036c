"""The long-running verb and those that look at it, as processes, the way an operator runs them."""

import asyncio
import json
import os
import signal
import subprocess
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from streams.demo.tansu import Tansu
from tests.support.brokers import produce
from tests.support.house import free_port
from tests.support.processes import XINSHAO
from tests.support.samples import RESIDENT_ID, delivery

ROOT = Path(__file__).parents[2]

Environment = dict[str, str]


@pytest.fixture
def environment(tansu: Tansu, tmp_path: Path) -> Environment:
    return {
        **os.environ,
        "XINSHAO_BROKERS": tansu.address,
        "XINSHAO_IDEMPOTENCE": "false",
        "XINSHAO_NAMESPACE": f"t{uuid.uuid4().hex[:8]}",
        "XINSHAO_PARTITIONS": "2",
        "XINSHAO_SESSION_TIMEOUT": "2",
        "XINSHAO_IDENTITY_KEY": "test",
        "XINSHAO_DATA": str(tmp_path),
        "XINSHAO_PORT": str(free_port()),
    }


def run(environment: Environment, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*XINSHAO, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def page(environment: Environment, path: str) -> str:
    url = f"http://127.0.0.1:{environment['XINSHAO_PORT']}{path}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())


def wait_for(environment: Environment, path: str, text: str) -> None:
    """Wait until a page answers and holds a text; the limit only ends a test that has failed."""
    deadline = time.monotonic() + 90
    while True:
        with suppress(OSError):  # not up yet, or not ready
            if text in page(environment, path):
                return
        assert time.monotonic() < deadline, f"{text} never came up on {path}"
        time.sleep(0.2)


@pytest.fixture
def worker(environment: Environment) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([*XINSHAO, "worker"], cwd=ROOT, env=environment) as running:
        try:
            wait_for(environment, "/metrics", f'topic="{environment["XINSHAO_NAMESPACE"]}.sub')
            wait_for(environment, "/health/ready", '"ok":true')
            yield running
        finally:
            running.kill()


def test_a_worker_is_watched_and_what_it_rejects_is_put_back(
    environment: Environment, worker: subprocess.Popen[bytes]
) -> None:
    findings = run(environment, "doctor", "--json")
    assert findings.returncode == 0, findings.stdout
    checks = [json.loads(line) for line in findings.stdout.splitlines()]
    assert {check["check"] for check in checks} >= {"登记册", "身份密钥", "消息服务", "主题"}
    assert all(check["fine"] for check in checks)

    poison = delivery(unit="黄浦区", XK_FR_ZJHM=RESIDENT_ID)
    topic = f"{environment['XINSHAO_NAMESPACE']}.submissions"
    asyncio.run(produce(environment["XINSHAO_BROKERS"], topic, 0, [poison]))
    wait_for(environment, "/metrics", 'xinshao_rejects_total{rule="key"} 1.0')

    listed = run(environment, "rejects", "ls", "--json")
    (reject,) = [json.loads(line) for line in listed.stdout.splitlines()]
    assert (reject["id"], reject["rule"]) == (f"{topic}/0/0", "key")
    shown = run(environment, "rejects", "show", reject["id"])
    assert "黄浦区" in shown.stdout
    assert RESIDENT_ID not in shown.stdout
    raw = run(environment, "rejects", "show", reject["id"], "--raw")
    assert raw.stdout.encode() == poison

    assert "共 0 条" in run(environment, "rejects", "redrive", "--rule", "json").stdout
    assert "没有放回任何一条" in run(environment, "rejects", "redrive", "--dry-run").stdout
    assert "共 1 条" in run(environment, "rejects", "redrive").stdout
    wait_for(environment, "/metrics", 'xinshao_rejects_total{rule="key"} 2.0')
    listed = run(environment, "rejects", "ls", "--json")
    again = [json.loads(line) for line in listed.stdout.splitlines()]
    assert [each["redriven"] for each in again] == [True, False]

    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=60) == 0


def test_without_a_broker_everyone_says_so_plainly(environment: Environment) -> None:
    environment["XINSHAO_BROKERS"] = f"127.0.0.1:{free_port()}"
    for verb in (("worker",), ("rejects", "ls")):
        ended = run(environment, *verb)
        assert ended.returncode == 2
        assert "连不上消息服务" in ended.stderr
        assert "Traceback" not in ended.stderr
    findings = run(environment, "doctor")
    assert findings.returncode == 1
    assert "✗ 消息服务：连不上" in findings.stdout


def test_a_port_in_use_is_named(environment: Environment, tansu: Tansu) -> None:
    environment["XINSHAO_PORT"] = str(tansu.port)
    ended = run(environment, "worker")
    assert ended.returncode == 2
    assert f"127.0.0.1:{tansu.port} 不能用" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_wrong_setting_is_named(environment: Environment) -> None:
    environment["XINSHAO_PARTITIONS"] = "many"
    for verb in ("worker", "doctor"):
        ended = run(environment, verb)
        assert ended.returncode == 2
        assert "XINSHAO_PARTITIONS" in ended.stderr
