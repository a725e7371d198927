"""One OpenAI-compatible endpoint: requests with retries, pacing and plain reasons for failure."""

from __future__ import annotations

import asyncio
import email.utils
import random
import time
from typing import Any

import httpx

from holdfast.models.http_options import Limits

_FIRST_WAIT = 0.5
_LONGEST_WAIT = 30.0
_LONGEST_ORDERED_WAIT = 300.0
_TIMEOUT_TRIES = 3
_RETRIED = frozenset({408, 409, 425, 429})


class EndpointError(Exception):
    """A request that failed for good.

    Attributes:
        reason: For people, one line.
        status: HTTP status, or 0 where there was no answer.
    """

    def __init__(self, reason: str, status: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


class _PassingError(EndpointError):
    """A failure worth another try, after `wait` seconds where the endpoint named them."""

    def __init__(self, reason: str, status: int = 0, *, wait: float | None = None) -> None:
        super().__init__(reason, status)
        self.wait = wait


class _TimeoutError(_PassingError):
    """No answer in time."""


class Endpoint:
    """Posts JSON to one URL. Use it inside one event loop, as an async context manager."""

    def __init__(self, url: str, key: str | None, limits: Limits) -> None:
        self.url = url
        self._limits = limits
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        pool = httpx.Limits(max_connections=limits.concurrency, max_keepalive_connections=limits.concurrency)
        self._client = httpx.AsyncClient(
            headers=headers, limits=pool, timeout=httpx.Timeout(limits.timeout, pool=None)
        )
        self._next_slot = 0.0
        self._resume = 0.0

    async def __aenter__(self) -> Endpoint:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._client.aclose()

    async def post(self, body: dict[str, Any]) -> dict[str, Any]:
        """Send `body`, again where that may help, and give the answer's JSON object.

        Waits between tries grow from half a second to half a minute, with jitter; a `Retry-After`
        is honoured, and after a 429 by every request of this endpoint.

        Raises:
            EndpointError: It failed for good.
        """
        timeouts = 0
        for attempt in range(self._limits.retries + 1):
            await self._pace()
            try:
                return await self._once(body)
            except _PassingError as error:
                timeouts += isinstance(error, _TimeoutError)
                if attempt == self._limits.retries or timeouts == _TIMEOUT_TRIES:
                    raise EndpointError(f"{error.reason} (tried {attempt + 1} times)", error.status) from None
                await self._wait(error, attempt)
        raise AssertionError("unreachable")

    async def _once(self, body: dict[str, Any]) -> dict[str, Any]:
        try:
            async with asyncio.timeout(self._limits.timeout):
                response = await self._client.post(self.url, json=body)
        except (TimeoutError, httpx.TimeoutException):
            raise _TimeoutError(f"no answer within {self._limits.timeout:g} s") from None
        except httpx.HTTPError as error:
            raise _PassingError(f"connection failed: {error or type(error).__name__}") from None
        except httpx.InvalidURL as error:
            raise EndpointError(f"not a usable URL: {error}") from None
        return _read(response)

    async def _pace(self) -> None:
        now = time.monotonic()
        start = max(now, self._resume)
        if self._limits.rpm:
            start = max(start, self._next_slot)
            self._next_slot = start + 60.0 / self._limits.rpm
        if start > now:
            await asyncio.sleep(start - now)

    async def _wait(self, error: _PassingError, attempt: int) -> None:
        jitter = random.random()
        if error.wait is None:
            await asyncio.sleep(min(_LONGEST_WAIT, _FIRST_WAIT * 2**attempt) * (0.5 + jitter / 2))
            return
        wait = min(error.wait, _LONGEST_ORDERED_WAIT)
        if error.status == 429:
            self._resume = max(self._resume, time.monotonic() + wait)
        await asyncio.sleep(wait * (1 + 0.1 * jitter))


def _read(response: httpx.Response) -> dict[str, Any]:
    status = response.status_code
    if status in _RETRIED or status >= 500:
        wait = _retry_after(response.headers.get("retry-after"))
        raise _PassingError(_reason(response), status, wait=wait)
    if status >= 300:
        raise EndpointError(_reason(response), status)
    try:
        value = response.json()
    except ValueError:
        raise _PassingError(f"the answer is not JSON: {_begin(response.text)}", status) from None
    if not isinstance(value, dict):
        raise _PassingError(f"the answer is not a JSON object: {_begin(response.text)}", status)
    return value


def _reason(response: httpx.Response) -> str:
    try:
        error = response.json()["error"]
        text = error["message"] if isinstance(error, dict) else str(error)
    except (ValueError, KeyError, TypeError):
        text = response.text
    return f"HTTP {response.status_code}: {_begin(text)}"


def _begin(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 160 else line[:160] + " ..."


def _retry_after(value: str | None) -> float | None:
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError):
        return None
