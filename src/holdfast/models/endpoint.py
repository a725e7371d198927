"""One OpenAI-compatible endpoint: requests with retries, pacing and plain reasons for failure."""

from __future__ import annotations

import asyncio
import email.utils
import random
import time
import urllib.request
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson

from holdfast.files import to_json
from holdfast.models.http_options import Limits

_FIRST_WAIT = 0.2
_LONGEST_WAIT = 30.0
_LONGEST_ORDERED_WAIT = 300.0
_TIMEOUT_TRIES = 3
_JSON = {"content-type": "application/json"}
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
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._flights = asyncio.Semaphore(limits.concurrency)
        self._next_slot = 0.0
        self._resume = 0.0

    async def __aenter__(self) -> Endpoint:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._limits.concurrency),
            timeout=aiohttp.ClientTimeout(total=self._limits.timeout),
            headers=self._headers,
            proxy=_proxy(self.url),
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._session.close()

    async def post(self, body: dict[str, Any]) -> dict[str, Any]:
        """Send `body`, again where that may help, and give the answer's JSON object.

        Waits between tries grow from a tenth of a second to half a minute, with jitter; a `Retry-After`
        is honoured, and after a 429 by every request of this endpoint.

        Raises:
            EndpointError: It failed for good.
        """
        timeouts = 0
        for attempt in range(self._limits.retries + 1):
            try:
                async with self._flights:  # a request that waits for its next try holds no place
                    await self._pace()
                    return await self._once(body)
            except _PassingError as error:
                failure = error
            timeouts += isinstance(failure, _TimeoutError)
            if attempt == self._limits.retries or timeouts == _TIMEOUT_TRIES:
                raise EndpointError(f"{failure.reason} (tried {attempt + 1} times)", failure.status) from None
            await self._wait(failure, attempt)
        raise AssertionError("unreachable")

    async def _once(self, body: dict[str, Any]) -> dict[str, Any]:
        try:
            # A redirect would carry the prompts (and the key) to a place that nobody named.
            async with self._session.post(
                self.url, data=to_json(body), headers=_JSON, allow_redirects=False
            ) as response:
                raw = await response.read()
        except TimeoutError:
            raise _TimeoutError(f"no answer within {self._limits.timeout:g} s") from None
        except aiohttp.InvalidURL as error:
            raise EndpointError(f"not a usable URL: {error}") from None
        except (aiohttp.ClientError, OSError) as error:
            raise _PassingError(f"connection failed: {error or type(error).__name__}") from None
        return _read(response.status, response.headers.get("retry-after"), raw)

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


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for this URL (`HTTPS_PROXY`, `NO_PROXY` ...).

    Looked up once: aiohttp's own `trust_env` reads the environment and `.netrc` in two threads
    for every request.
    """
    parts = urlsplit(url)
    if urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    return urllib.request.getproxies().get(parts.scheme)


def _read(status: int, retry_after: str | None, raw: bytes) -> dict[str, Any]:
    if status in _RETRIED or status >= 500:
        raise _PassingError(_reason(status, raw), status, wait=_seconds(retry_after))
    if status >= 300:
        raise EndpointError(_reason(status, raw), status)
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise _PassingError(f"the answer is not JSON: {_begin(_text(raw))}", status) from None
    if not isinstance(value, dict):
        raise _PassingError(f"the answer is not a JSON object: {_begin(_text(raw))}", status)
    return value


def _reason(status: int, raw: bytes) -> str:
    try:
        error = orjson.loads(raw)["error"]
        text = error["message"] if isinstance(error, dict) else str(error)
    except (ValueError, KeyError, TypeError):
        text = _text(raw)
    return f"HTTP {status}: {_begin(str(text))}"


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _begin(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 160 else line[:160] + " ..."


def _seconds(value: str | None) -> float | None:
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
