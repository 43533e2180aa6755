"""The requests to Jaeger's query API, and what its answers are.

The ``/api`` routes are the same in 1.35, 1.76 and 2.20, and on v1 the only HTTP routes that search
by tag. Null data, and 404 with Jaeger's own error, are read as "nothing yet"; a refused connection,
anything that is not JSON and another server's 404 are a JaegerError.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, TypeVar

from ktrace.addresses import reached, without_login
from ktrace.clock import time
from ktrace.jaeger import model
from ktrace.jaeger.model import Trace
from ktrace.text import clean
from runtime_observability.core import store_faults

_LONGEST_REASON = 400
"""Characters of a message: OpenSearch's may name an index for each day since 1970."""
_PAUSES = (0.25, 0.5, 1.0, 2.0)
"""Seconds before a request is repeated that failed because an index was being created."""
_KEPT = 4
"""Answers: the searches of one look may find the same trace, and so may those of the next."""
_UNTRUSTED = re.compile("unable to get (local )?issuer certificate|self.signed certificate")
"""In the words of OpenSSL."""
_REFUSALS = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)

T = TypeVar("T")


_IS_IT_JAEGER = "is that Jaeger? --jaeger names its address"
OR_ANOTHER = ", or name another one with --jaeger"
"""Ends the error of a Jaeger that cannot be reached, for commands that take another."""


class JaegerError(Exception):
    """Jaeger cannot be reached, or what answers is not Jaeger."""


class RefusalError(JaegerError):
    """Jaeger cannot answer a request, for ``reason``: ``seen`` is that in short."""

    def __init__(self, status: int, reason: str) -> None:
        told = reason if len(reason) <= _LONGEST_REASON else f"{reason[:_LONGEST_REASON]}…"
        self.reason = reason
        self.seen = f"Jaeger answers {status}: {told}"
        self.cure = store_faults.cure(reason) or "Its log says more"
        super().__init__(f"{self.seen}. {self.cure}")


class Api:
    """The API of the Jaeger at ``url``; ``timeout`` in seconds applies to each request.

    A user and a password in ``url`` are sent, and shown nowhere.
    """

    def __init__(
        self, url: str, timeout: float, http: Mapping[str, Any], why_down: Callable[[], str] = str
    ) -> None:
        """``http`` are further settings of the HTTP client; ``why_down`` says why Jaeger does not
        run, with the cure, if anything is known of it."""
        from runtime_observability.host.http import httpx  # noqa: PLC0415  --help and completion would wait 0.1 s for it

        address = url.rstrip("/")
        self.url = without_login(address)
        self._why_down = why_down
        self._has_login = self.url != address
        self._read_before: dict[tuple[int, bytes], list[Trace]] = {}
        """The last answers by their status and digest; the newest is the last one."""
        self._failures = (httpx.HTTPError,)
        try:
            self._http = httpx.Client(base_url=address, timeout=timeout, **reached(address), **http)
        except (httpx.InvalidURL, UnicodeError) as error:
            told = clean(f"{self.url} is not Jaeger's address: {without_login(str(error))}")
            raise JaegerError(told) from None

    def close(self) -> None:
        self._http.close()

    def names(self, path: str) -> list[str]:
        answer = self._answer(path, {})
        return self._read(path, answer, lambda data: sorted(clean(name) for name in data))

    def traces(self, path: str, query: Mapping[str, str | int]) -> list[Trace]:
        """An answer that is the same as one of the last is not read again."""
        status, text = self._answer(path, query)
        key = status, hashlib.blake2b(text).digest()
        found = self._read_before.pop(key, None)
        if found is None:
            found = self._read(path, (status, text), lambda data: list(map(model.trace_of, data)))
        if found:
            self._read_before[key] = found
        if len(self._read_before) > _KEPT:
            del self._read_before[next(iter(self._read_before))]
        return found

    def _read(
        self, path: str, answer: tuple[int, bytearray], parse: Callable[[Any], list[T]]
    ) -> list[T]:
        """What ``parse`` makes of the data in ``answer``; empty where there is none."""
        try:
            return parse(self._data(path, *answer) or [])
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise JaegerError(
                f"{self.url}{path} answers with data that is not Jaeger's "
                f"({type(error).__name__}: {clean(str(error))}): is that Jaeger?"
            ) from None

    def _answer(self, path: str, query: Mapping[str, str | int]) -> tuple[int, bytearray]:
        """Like ``_get``, repeated while an index is being created."""
        for pause in _PAUSES:
            status, text = self._get(path, query)
            if status < HTTPStatus.INTERNAL_SERVER_ERROR or not _is_transient(text):
                return status, text
            time.sleep(pause)
        return self._get(path, query)

    def _data(self, path: str, status: int, text: bytearray) -> Any:
        told = f"{self.url}{path} answers {status}"
        if status in _REFUSALS:
            if self._has_login:
                raise JaegerError(f"{told}: it refuses the user and the password of the address")
            raise JaegerError(
                f"{told}: it wants a login. Put a user and a password into the address "
                "(--jaeger https://USER:PASSWORD@HOST); where it wants anything else, let a proxy "
                "on this machine add it, and name that proxy as the address"
            )
        document = None
        try:
            document = model.read(text)
        except json.JSONDecodeError:
            if text.lstrip().startswith(b"{"):
                raise JaegerError(f"{told} with JSON that is not complete: try again") from None
        except (ValueError, TypeError, RecursionError):
            pass
        if not isinstance(document, dict):
            raise JaegerError(f"{told} without a JSON object: {_IS_IT_JAEGER}")
        if status == HTTPStatus.NOT_FOUND:
            if not document.get("errors"):
                raise JaegerError(f"{told} without an error of Jaeger's: {_IS_IT_JAEGER}")
            return None
        if status >= HTTPStatus.BAD_REQUEST:
            raise RefusalError(status, clean(store_faults.reason(document.get("errors"))))
        return document.get("data")

    def _get(self, path: str, query: Mapping[str, str | int]) -> tuple[int, bytearray]:
        """The status and the body, which is in memory once: httpx itself has it twice."""
        text = bytearray()
        try:
            with self._http.stream("GET", path, params=dict(query)) as response:
                for chunk in response.iter_bytes():
                    text += chunk
        except self._failures as error:
            reason = clean(str(error)) or type(error).__name__
            cure = self._why_down() or (
                "Name the authority that signed its certificate in SSL_CERT_FILE"
                if _UNTRUSTED.search(reason)
                else f"Start it{OR_ANOTHER}"
            )
            told = f"Jaeger at {self.url} cannot be reached: {reason}. {cure}"
            raise JaegerError(told) from error
        return response.status_code, text


def _is_transient(text: bytearray) -> bool:
    """Whether an error is one of OpenSearch while it creates the first index of a day."""
    return b"all shards failed" in text and b"Error 400" not in text
