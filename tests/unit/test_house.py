"""The tests have a house of their own: they see no other, and leave nothing behind."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import typer

from tests.support.house import DEVELOPERS, at_home, free_port, living, own_house

LINGERING = [sys.executable, "-c", "import time; time.sleep(600)"]

ASKING = """
import os, pathlib, typer
print(pathlib.Path.home(), typer.get_app_dir("xinshao"))
print(*[name for name in os.environ if name.startswith("XINSHAO_")])
"""


@pytest.mark.parametrize("_time", ["first", "second"])
def test_every_test_has_an_empty_home_and_its_processes_too(_time: str) -> None:
    home = Path.home()
    assert [*home.iterdir()] == []
    (home / "left by the test before").touch()
    assert str(home) != DEVELOPERS.get("HOME")
    told = subprocess.run(
        [sys.executable, "-c", ASKING], capture_output=True, text=True, check=True
    )
    folders, settings = told.stdout.splitlines()
    assert all(Path(folder).is_relative_to(home) for folder in folders.split())
    assert Path(typer.get_app_dir("xinshao")).is_relative_to(home)
    assert settings == ""


def test_what_the_developer_has_set_is_not_seen_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XINSHAO_CLICKHOUSE", "chdb:/the/developers")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/the/developers")
    before = dict(os.environ)
    with at_home(tmp_path):
        assert "XINSHAO_CLICKHOUSE" not in os.environ
        assert "/the/developers" not in os.environ.values()
    assert dict(os.environ) == before


def leave_a_process() -> None:
    with own_house(patience=0.1) as house, at_home(house / "test"):
        process = subprocess.Popen(LINGERING)
        assert [each.pid for each in living(house)] == [process.pid]


def test_a_process_that_outlives_its_test_is_reported_and_ended() -> None:
    with pytest.raises(AssertionError, match=r"outlive.*time\.sleep") as reported:
        leave_a_process()
    (pid,) = re.findall(r"(\d+): ", str(reported.value))
    assert not psutil.pid_exists(int(pid))


KILLED = f"""
import os, signal, subprocess
from tests.support.house import at_home, own_house
with own_house() as house, at_home(house / "test"):
    print(subprocess.Popen({LINGERING!r}, stdout=subprocess.DEVNULL).pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_run_that_is_killed_leaves_nothing() -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    pid = int(killed.stdout)
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(pid).wait(30)
    assert not psutil.pid_exists(pid)


def test_two_runs_are_never_given_the_same_port() -> None:
    asking = "from tests.support.house import free_port\nfor _ in range(200): print(free_port())"
    with subprocess.Popen(
        [sys.executable, "-c", f"{asking}\ninput()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        theirs = {int(next(other.stdout)) for _ in range(200)}
        ours = {free_port() for _ in range(200)}
        other.communicate("")
    assert len(theirs) == len(ours) == 200
    assert not theirs & ours
