"""Answers of the store, asked off the event loop."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from models.calendar import Calendar
from models.registry import Registry
from streams.settings import Settings
from streams.store.answers import Answers
from streams.store.client import Store
from streams.store.errors import StoreUnavailableError

AT_ONCE: Final = 4
"""Questions answered at a time; each thread has a connection of its own."""

MOST_WAITING: Final = 100
"""Questions that may wait for a thread; further ones are refused, to be asked again later."""

T = TypeVar("T")


class Desk:
    """A few threads that answer from the store; a connection is opened on the first question."""

    def __init__(self, settings: Settings, registry: Registry, calendar: Calendar) -> None:
        self._settings = settings
        self._registry = registry
        self._calendar = calendar
        self._threads = ThreadPoolExecutor(AT_ONCE, "desk")
        self._own = threading.local()
        self._opened: list[Store] = []
        self._asked = 0

    async def ask(self, question: Callable[[Answers], T]) -> T:
        """The answer to a question.

        Raises:
            StoreUnavailableError: the store does not answer, or too many wait for it.
            StoreError: it cannot be used.
        """
        if self._asked >= AT_ONCE + MOST_WAITING:
            raise StoreUnavailableError("等待数据库应答的请求过多")
        self._asked += 1
        answering = asyncio.get_running_loop().run_in_executor(
            self._threads, self._answer, question
        )
        # The caller may go away; the thread is busy until it has answered.
        answering.add_done_callback(self._answered)
        return await asyncio.shield(answering)

    def close(self) -> None:
        """Answer what was asked, then close the connections."""
        self._threads.shutdown()
        for store in self._opened:
            store.close()

    def _answered(self, answering: "asyncio.Future[T]") -> None:
        self._asked -= 1
        if not answering.cancelled():
            answering.exception()  # retrieved, in case the caller is gone

    def _answer(self, question: Callable[[Answers], T]) -> T:
        answers: Answers | None = getattr(self._own, "answers", None)
        if answers is None:
            store = Store.open(self._settings)
            self._opened.append(store)
            answers = self._own.answers = Answers(store, self._registry, self._calendar)
        return question(answers)
