"""What `deploy/registry` says, read once for all tests of a process: to compute 140 years of
working days takes longer than most tests.
"""

from typing import Final

from streams.registry import load_calendar, load_registry
from streams.settings import DEPLOY

REGISTRY: Final = load_registry(DEPLOY / "registry", identity_key=b"test")
CALENDAR: Final = load_calendar(DEPLOY / "registry")
