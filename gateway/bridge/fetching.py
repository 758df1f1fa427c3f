"""What others publish over HTTP, read with bounds: so much, so long, and never from somewhere else."""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

LONGEST_WAIT_S = 3600.0


def wait_s(retry_after: str | None, date: str | None) -> float | None:
    """What Retry-After means: seconds, or until a time, which is that of the server's clock where it says it. None: it
    names none."""
    try:
        found = float(retry_after or "nan")
    except ValueError:
        found = _until(retry_after or "", date)
    return min(LONGEST_WAIT_S, max(0.0, found)) if math.isfinite(found) else None


def _until(text: str, date: str | None) -> float:
    try:
        at = parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return math.nan
    try:
        return at - parsedate_to_datetime(date or "").timestamp()
    except (ValueError, OverflowError):
        return at - time.time()


def bounded(r: BaseHTTPResponse, most: int, timeout_s: float) -> bytes | None:
    """The body; None where it is too long, or comes drop by drop: each read alone stays within the time-out."""
    text, end_s = bytearray(), time.monotonic() + timeout_s
    while chunk := r.read1(65_536):
        text += chunk
        if len(text) > most or time.monotonic() > end_s:
            r.close()
            return None
    r.release_conn()
    return bytes(text)


@dataclass(frozen=True, slots=True)
class Got:
    """An answer. `status` 0: none came, or it was no whole one. `reason` says what it was, for people."""

    status: int
    reason: str = ""
    body: bytes = field(default=b"", repr=False)
    etag: str = ""
    modified: str = ""
    wait_s: float | None = None


class Fetcher:
    """Never raises for an answer or a missing one; follows no redirection."""

    def __init__(self, timeout_s: float) -> None:
        import urllib3

        self._errors = (urllib3.exceptions.HTTPError, OSError, UnicodeError, ValueError)
        self._http = urllib3.PoolManager(maxsize=1, retries=False, timeout=urllib3.Timeout(total=timeout_s))
        self._timeout_s = timeout_s

    def get(self, url: str, most: int, headers: Mapping[str, str] | None = None) -> Got:
        """At most so many bytes, unpacked."""
        asked = {"Accept-Encoding": "gzip", "User-Agent": "suimon", **(headers or {})}
        try:
            r = self._http.request(
                "GET", url, headers=asked, redirect=False, preload_content=False, decode_content=False
            )
            packed = bounded(r, most, self._timeout_s)
        except self._errors as e:
            return Got(0, f"no answer ({type(e).__name__})")
        body = packed
        if packed and r.headers.get("Content-Encoding", "").lower() in ("gzip", "x-gzip"):
            body = _unpacked(packed, most)
        if body is None:
            return Got(0, "an answer without an end, too large, or cut off")
        reason = "" if r.status in (200, 304) else f"answer {r.status}"
        wait = wait_s(r.headers.get("Retry-After"), r.headers.get("Date"))
        return Got(r.status, reason, body, r.headers.get("ETag", ""), r.headers.get("Last-Modified", ""), wait)


def _unpacked(packed: bytes, most: int) -> bytes | None:
    """None where it is no gzip, cut off, or larger than it may be."""
    inflating = zlib.decompressobj(31)
    try:
        found = inflating.decompress(packed, most + 1)
    except zlib.error:
        return None
    return found if inflating.eof and len(found) <= most else None
