"""What a machine may lack: there its tests are skipped with a line, and on CI they fail."""

import os
import shutil
from typing import NoReturn

import pytest


def lacking(*programs: str) -> str | None:
    """Say which of these programs are not installed; None where all are."""
    missing = [program for program in programs if shutil.which(program) is None]
    return f"needs {' and '.join(missing)}" if missing else None


def require(*programs: str) -> None:
    """Continue only where all of these programs are installed."""
    if reason := lacking(*programs):
        cannot(reason)


def cannot(reason: str) -> NoReturn:
    """Stop here: this machine lacks something."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
