"""One POST or GET, and what its outcome means: 2xx taken; 408, 425, 429 and 5xx come again; the rest is refused."""

from __future__ import annotations

import http.client
import socket
import urllib.error
import urllib.request
from collections.abc import Mapping

from gateway.bridge.media.answer import Refused, Unreached
from gateway.errors import MediumReason

LONGEST_WAIT_S = 900.0  # whatever a server asks for
ANSWER = 2000  # bytes of an answer that are looked at
_UNSENDABLE = Refused(MediumReason.UNSENDABLE, "its URL or token cannot be sent")  # Python's own words would show it


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected POST would arrive as a GET without the notification, and the token with it at another host."""

    def redirect_request(self, *_: object) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirect)


class Answered(Exception):
    """The server answered with an error: its status and the beginning of what it said."""

    def __init__(self, status: int, phrase: str, said: str, wait_s: float) -> None:
        self.status, self.said, self.wait_s = status, said, wait_s
        super().__init__(f"answered {status} {phrase}".rstrip())


def call(url: str, body: bytes | None, headers: Mapping[str, str], timeout_s: float, method: str = "POST") -> None:
    """Returns when it was taken. Raises Answered, Unreached or Refused."""
    try:
        request = urllib.request.Request(url, body, dict(headers), method=method)  # noqa: S310
        with _opener.open(request, timeout=timeout_s):  # http(s) by configuration
            return
    except urllib.error.HTTPError as e:
        raise Answered(e.code, e.reason, _said(e), _wait_s(e)) from None
    except http.client.InvalidURL:
        raise _UNSENDABLE from None
    except TimeoutError as e:
        raise Unreached(MediumReason.TIMED_OUT, str(e)) from None
    except (OSError, http.client.HTTPException) as e:
        cause = getattr(e, "reason", e)
        late = isinstance(cause, TimeoutError | socket.timeout)
        reason = MediumReason.TIMED_OUT if late else MediumReason.UNREACHABLE
        raise Unreached(reason, str(cause) or type(cause).__name__) from None
    except ValueError:
        raise _UNSENDABLE from None


def judged(e: Answered) -> Refused | Unreached:
    """What a status means, where a medium knows no better."""
    if e.status in (408, 425, 429):
        return Unreached(MediumReason.BUSY, str(e), e.wait_s)
    if e.status >= 500:
        return Unreached(MediumReason.FAILED, str(e), e.wait_s)
    if e.status in (401, 403, 407):
        return Refused(MediumReason.AUTHENTICATION, str(e))
    if e.status in (404, 410):
        return Refused(MediumReason.REFUSED_ADDRESS, str(e))
    return Refused(MediumReason.REFUSED_CONTENT, str(e))


def _said(e: urllib.error.HTTPError) -> str:
    try:
        return e.read(ANSWER).decode(errors="replace")
    except (OSError, http.client.HTTPException, ValueError):
        return ""
    finally:
        e.close()


def _wait_s(e: urllib.error.HTTPError) -> float:
    asked = e.headers.get("Retry-After", "") if e.headers else ""
    return min(float(asked), LONGEST_WAIT_S) if asked.isdecimal() else 0.0
