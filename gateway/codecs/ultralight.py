"""UltraLight 2.0 (FIWARE IoT Agent for UltraLight, User's & Programmer's Manual, measures): `t|15|c|open#t|16`, groups
of names and values, each perhaps with its time before it. Each group becomes a JSON document, for a profile to read.
"""

from __future__ import annotations

import json
import re

from gateway.codecs import MAX_READINGS, Told, Unreadable, jsontext

_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15})")


def read(payload: bytes) -> tuple[Told, ...]:
    try:
        said = payload.decode().strip()
    except UnicodeDecodeError:
        raise Unreadable("no text") from None
    groups = said.split("#")
    if len(groups) > MAX_READINGS:
        raise Unreadable(f"more than {MAX_READINGS} groups")
    return tuple(_group(group) for group in groups)


def _group(said: str) -> Told:
    words = said.split("|")
    at_ms = jsontext.instant(words.pop(0).strip()) if len(words) % 2 else None
    names = [name.strip() for name in words[::2]]
    if not names or not all(names) or len(set(names)) < len(names):
        raise Unreadable("no pairs of names and values")
    found = {name: _value(value.strip()) for name, value in zip(names, words[1::2], strict=True)}
    return Told(document=json.dumps(found).encode(), at_ms=at_ms)


def _value(said: str) -> float | str:
    return float(said) if _NUMBER.fullmatch(said) else said
