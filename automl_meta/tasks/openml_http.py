"""HTTP for the OpenML client, which has no time limits of its own."""

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import requests

#: Seconds to connect, seconds without a byte, seconds for one whole answer.
CONNECT_SECONDS, SILENT_SECONDS, ANSWER_SECONDS = 10.0, 30.0, 600.0


class NetworkForbiddenError(Exception):
    """The client asked for the network where only the cache may be used."""


class TooSlowError(Exception):
    """The server did not answer in time; not one of requests' errors, so the client does not retry."""


class ServerStatusError(requests.ConnectionError):
    """The server answered 5xx without an OpenML document; a connection error, so the client retries."""


class TimedSession(requests.Session):
    """A session whose requests end: silence, endless answers and 5xx pages become errors."""

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> Any:
        """Send a request and read the whole answer within the limits.

        Args:
            method: HTTP method.
            url: The URL.
            args: As for ``requests.Session.request``.
            kwargs: As for ``requests.Session.request``.

        Raises:
            TooSlowError: If a limit is passed.
            ServerStatusError: If the server answers 5xx without an OpenML error document.
        """
        kwargs.update(timeout=(CONNECT_SECONDS, SILENT_SECONDS), stream=True)
        started = time.monotonic()
        try:
            response = super().request(method, url, *args, **kwargs)
            body = _read(response, started + ANSWER_SECONDS)
        except requests.Timeout as error:
            msg = f"no answer within {SILENT_SECONDS:g} s"
            raise TooSlowError(msg) from error
        except requests.ConnectionError as error:
            if "timed out" in str(error).lower():
                msg = f"silent for {SILENT_SECONDS:g} s"
                raise TooSlowError(msg) from error
            raise
        if response.status_code >= 500 and b"oml:error" not in body:
            msg = f"HTTP {response.status_code} {response.reason}"
            raise ServerStatusError(msg)
        response._content = body  # noqa: SLF001 - the client reads it as if it had not been streamed
        return response


class ForbiddenSession(requests.Session):
    """A session that never touches the network."""

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> Any:  # noqa: ARG002
        """Refuse.

        Args:
            method: Ignored.
            url: What was asked for.
            args: Ignored.
            kwargs: Ignored.

        Raises:
            NetworkForbiddenError: Always.
        """
        raise NetworkForbiddenError(str(url))


def requests_with(session: Callable[[], requests.Session]) -> Any:
    """Return a stand-in for the module ``requests`` whose sessions are of another class.

    Args:
        session: The class.
    """
    return SimpleNamespace(**{**vars(requests), "Session": session})


def _read(response: requests.Response, deadline: float) -> bytes:
    body = bytearray()
    for chunk in response.iter_content(65536):
        body += chunk
        if time.monotonic() > deadline:
            response.close()
            msg = f"the answer took more than {ANSWER_SECONDS:g} s"
            raise TooSlowError(msg)
    return bytes(body)
