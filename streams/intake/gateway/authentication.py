"""Who is calling: the key of a request."""

from typing import Annotated, Final

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from streams.intake.gateway.problems import Problem
from streams.intake.gateway.services import Services
from streams.intake.keys import Key, KeyRefused


def services(request: Request) -> Services:
    """What the gateway that serves the request works with."""
    gateway: Services = request.app.state.services
    return gateway


Gateway = Annotated[Services, Depends(services)]


_BEARER: Final = HTTPBearer(
    scheme_name="key", description="市信用办签发的密钥（xs_…）", auto_error=False
)


async def caller(
    request: Request,
    gateway: Gateway,
    presented: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
) -> Key:
    """The caller's key.

    Raises:
        Problem: it does not open.
    """
    try:
        key = await gateway.keys.verified(
            presented.credentials if presented else None, gateway.now()
        )
    except KeyRefused as refused:
        request.state.refused = refused
        if refused.code == "busy":
            raise Problem(
                "busy",
                503,
                "网关正忙",
                "等待核对的密钥过多，请按 Retry-After 等待后重试",
                "Too many keys are being looked at. Retry later.",
                retry_after=1,
            ) from None
        # Which of the reasons it was is for the audit only.
        raise Problem(
            "key",
            401,
            "密钥无效",
            "没带密钥，或密钥有误、已到期、已吊销：请用 Authorization: Bearer xs_…，"
            "仍不行请联系市信用办",
            "The key is missing or does not open.",
            headers={"WWW-Authenticate": "Bearer"},
        ) from None
    request.state.key = key
    return key


Caller = Annotated[Key, Depends(caller)]
