"""JSON as foreign servers send it: what can be asked of it without a surprise."""

from __future__ import annotations

import base64
import binascii
import json
import re
from datetime import UTC, datetime
from typing import Any

from gateway.codecs import Unreadable

MAX_SESSION = 40  # characters of what is kept of each session: an address has 8, a key of The Things Stack 24
_TIME = re.compile(r"(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


def document(payload: bytes) -> dict[str, Any]:
    """The object that the text is. Raises Unreadable."""
    try:
        found = json.loads(payload)
    except (ValueError, RecursionError):
        raise Unreadable("no JSON text") from None
    if not isinstance(found, dict):
        raise Unreadable("no JSON object")
    return found


def part(of: dict[str, Any], key: str) -> dict[str, Any]:
    """An object within it; empty where it is not there (protobuf leaves out what is empty)."""
    found = of.get(key)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise Unreadable(f"{key} is no object")
    return found


def text(of: dict[str, Any], key: str) -> str:
    found = of.get(key, "")
    if not isinstance(found, str):
        raise Unreadable(f"{key} is no text")
    return found


def counter(of: dict[str, Any], key: str) -> int:
    """A count; 0 where it is left out, as protobuf's JSON leaves out zeros."""
    found = of.get(key, 0)
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found < 2**32:
        raise Unreadable(f"{key} is no count")
    return found


def session(said: str) -> str:
    """What names a session: its letters and digits, for the rest has a meaning in the names of logs."""
    found = re.sub(r"[^0-9A-Za-z]", "", said)
    if len(found) > MAX_SESSION:
        raise Unreadable(f"a session's name is longer than {MAX_SESSION} characters")
    return found


def base64_of(of: dict[str, Any], key: str) -> bytes | None:
    found = of.get(key)
    if found is None:
        return None
    try:
        return base64.b64decode(found, validate=True) if isinstance(found, str) else _no(key)
    except (binascii.Error, ValueError):
        return _no(key)


def _no(key: str) -> bytes:
    raise Unreadable(f"{key} is no base64")


def instant(said: str) -> int:
    """RFC 3339, with as many digits of a second as one likes, in milliseconds since 1970. Raises Unreadable."""
    found = _TIME.fullmatch(said)
    try:
        if found is None:
            raise Unreadable("a time is not written as in RFC 3339")
        whole = datetime.fromisoformat(found[1].upper() + found[3].upper().replace("Z", "+00:00"))
        return round(whole.astimezone(UTC).timestamp() * 1000) + int(float(found[2] or 0) * 1000)
    except (ValueError, OverflowError) as e:
        raise Unreadable("a time is not written as in RFC 3339") from e


def again(found: Any) -> bytes | None:
    """A part of a document as a text of its own."""
    return None if found is None else json.dumps(found).encode()
