"""Delivery: batches to the gateway over HTTP, again and again until it has answered for them."""

import re
from collections.abc import Callable
from math import ceil
from types import TracebackType
from typing import Any, Final, Self

import httpx
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from streams.client.batches import FileBatch
from streams.client.outcome import Outcome
from streams.errors import InputError, LaterError

ATTEMPTS: Final = 12
"""How often a batch is sent: for some eight minutes, longer where the gateway asks to wait."""

LONGEST_WAIT: Final = 60.0
"""Seconds between two attempts, unless the gateway asks for more."""

LONGEST_ASKED: Final = 600.0
"""Seconds that the gateway may ask to wait."""

TIMEOUT: Final = httpx.Timeout(60.0, connect=10.0)

_PASSING: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
"""Answers that the same request, repeated, may not get. 409: its first attempt is still running."""

_REFUSED_WHOLE: Final = {
    401: "密钥无效、已到期或已吊销，请核对；仍不行请联系市信用办重新签发",
    403: "密钥没有这个权限，请联系市信用办",
    404: "地址不对：请核对网关地址（--to），不要带 /v1",
    413: "这一批太大，网关不收",
}


class SubmitError(InputError):
    """What was to be submitted is refused as a whole, or cannot be sent so."""


class GatewayUnavailableError(LaterError):
    """The gateway does not answer, or not now. `wait`: the seconds that it asks for."""

    def __init__(self, why: str, wait: float = 0.0) -> None:
        super().__init__(why)
        self.wait = wait


class Client:
    """A connection to a gateway, for one platform's key.

    `told` is called, in Chinese, with each attempt that did not succeed. Certificates are verified;
    SSL_CERT_FILE names those of an authority of one's own, HTTPS_PROXY a proxy.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        told: Callable[[str], None] = lambda _said: None,
    ) -> None:
        """Check the address; nothing is sent yet.

        Raises:
            SubmitError: it is no address of a gateway, or the key cannot be one.
        """
        self.url = url.rstrip("/")
        if not re.fullmatch(r"https?://[^/\s@:]+(:\d{1,5})?(/[^\s?#]*)?", self.url):
            raise SubmitError(f"网关地址“{url}”有误：应形如 https://xinshao.example.gov.cn")
        if not re.fullmatch(r"[!-~]+", key):
            raise SubmitError("密钥有误：应形如 xs_…，请完整复制，不要带空格和引号")
        self._http = httpx.Client(
            headers={
                "Authorization": f"Bearer {key}",
                "Content-Type": "application/x-ndjson",
                "Accept": "application/json, application/problem+json",
            },
            timeout=TIMEOUT,
        )
        self._told = told
        self._retrying = Retrying(
            retry=retry_if_exception_type(GatewayUnavailableError),
            stop=stop_after_attempt(ATTEMPTS),
            wait=_wait,
            before_sleep=self._tell,
            reraise=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def deliver(self, batch: FileBatch, idempotency_key: str) -> list[Outcome]:
        """Submit a batch. The same batch under the same key is submitted once, however often sent.

        Returns:
            What became of each of its rows, in the file's order.

        Raises:
            SubmitError: the gateway refuses the batch as a whole.
            GatewayUnavailableError: it did not answer for it, however often it was asked.
        """
        outcomes = [Outcome.unreadable(row, fault) for row, fault in batch.unreadable]
        if batch.rows:
            try:
                answer = self._retrying(self._post, batch.body, idempotency_key)
            except GatewayUnavailableError as error:
                raise GatewayUnavailableError(
                    f"{error}；已试 {ATTEMPTS} 次，请稍后再运行同一命令"
                ) from error
            outcomes += _outcomes(batch, answer)
        return sorted(outcomes, key=lambda outcome: outcome.row)

    def _post(self, body: bytes, idempotency_key: str) -> httpx.Response:
        try:
            answer = self._http.post(
                f"{self.url}/v1/batches",
                content=body,
                headers={"Idempotency-Key": idempotency_key},
            )
        except httpx.RequestError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise SubmitError(
                    "网关的证书不受信任：请核对地址；自建证书机构请用 SSL_CERT_FILE 指定其根证书"
                ) from error
            raise GatewayUnavailableError(
                f"连不上网关 {self.url}（{type(error).__name__}）"
            ) from error
        if answer.status_code in _PASSING:
            raise GatewayUnavailableError(_said(answer), _asked(answer))
        if not answer.is_success:
            raise SubmitError(_said(answer))
        return answer

    def _tell(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        self._told(
            f"{error}；{ceil(state.upcoming_sleep)} 秒后重试"
            f"（第 {state.attempt_number} 次，共 {ATTEMPTS - 1} 次）"
        )


_backoff: Final = wait_random_exponential(multiplier=1, max=LONGEST_WAIT)


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return max(_backoff(state), error.wait if isinstance(error, GatewayUnavailableError) else 0.0)


def _asked(answer: httpx.Response) -> float:
    """What Retry-After asks for, where it is in seconds, as the gateway writes it."""
    given = answer.headers.get("Retry-After", "")
    return min(float(given), LONGEST_ASKED) if given.isascii() and given.isdigit() else 0.0


def _said(answer: httpx.Response) -> str:
    """Why a request did not succeed."""
    problem = _json(answer)
    detail = problem.get("detail") or problem.get("title")
    # What a gateway says of a path that it does not have is for programmers.
    if answer.status_code == httpx.codes.NOT_FOUND or not isinstance(detail, str):
        detail = _REFUSED_WHOLE.get(answer.status_code, "")
    return f"网关答复 {answer.status_code}" + (f"：{detail}" if detail else "")


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        given = answer.json()
    except ValueError:
        return {}
    return given if isinstance(given, dict) else {}


def _outcomes(batch: FileBatch, answer: httpx.Response) -> list[Outcome]:
    results = _json(answer).get("results")
    if not isinstance(results, list) or len(results) != len(batch.rows):
        raise SubmitError("收到的不是信哨网关的答复：请核对网关地址（--to）和中间的代理")
    return [Outcome.of_answer(batch.rows[result["index"]], result) for result in results]
