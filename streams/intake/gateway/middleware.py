"""What happens to every request: counted, audited where a key was shown, no traceback shown."""

import logging
import time
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streams.errors import places
from streams.intake.gateway.problems import internal
from streams.intake.gateway.services import Services
from streams.intake.keys import Key, KeyRefused

log = logging.getLogger(__name__)

_NO_ROUTE: Final = "none"


class Watch:
    """Goes around the whole app."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request; count and audit it."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        begun, status = time.monotonic(), 0
        state: dict[str, Any] = scope.setdefault("state", {})

        async def seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, seen)
        except Exception as error:  # noqa: BLE001 - logged without its text, which may be personal
            log.error("意外故障 %s：%s", type(error).__name__, places(error))  # noqa: TRY400
            if status:
                raise RuntimeError("the answer broke off") from None
            await internal().response()(scope, receive, seen)
        finally:
            route = getattr(scope.get("route"), "path", _NO_ROUTE)
            self._services.metrics.answered(route, status, time.monotonic() - begun)
            self._audit(scope, state, route, status)

    def _audit(self, scope: Scope, state: dict[str, Any], route: str, status: int) -> None:
        key: Key | None = state.get("key")
        refused: KeyRefused | None = state.get("refused")
        client = scope.get("client")
        address = client[0] if client else ""
        try:
            if key is not None:
                self._services.audit.write(
                    "used",
                    key=key.id,
                    platform=key.platform,
                    address=address,
                    route=route,
                    outcome=str(status),
                    **state.get("counts", {}),
                )
            elif refused is not None:
                self._services.metrics.refused_key(refused.code)
                self._services.audit.write(
                    "refused",
                    key=refused.key_id,
                    address=address,
                    route=route,
                    outcome=refused.code,
                )
        except OSError as error:
            # What was accepted is accepted; an audit that is full must not stop the reporting.
            log.error("审计写不进去（%s）", error.strerror)  # noqa: TRY400
