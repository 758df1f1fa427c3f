"""Numbers in a line of text: the nth of its fields, or what stands at fixed columns."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from gateway.encodings import frames
from gateway.encodings.frames import Frame

SIGN = "sign"
_NUMBER = re.compile(r"\s*([+-]?(?:[0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15}))\s*")
_SIGNED = re.compile(r"(?=[+-])")


@dataclass(frozen=True, slots=True)
class At:
    """`field` counts from 0 at what stands before the first separator; `columns` are the first and the last character
    of the content, from 0."""

    field: int | None = None
    columns: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """The content of a frame and its fields."""

    text: str
    fields: tuple[str, ...]


def opened(frame: Frame | None, raw: Any) -> Line | None:
    if not isinstance(raw, bytes):
        return None
    inner = frames.content(frame or Frame(), raw)
    if inner is None or not inner.isascii():
        return None
    text = inner.decode("ascii")
    separator = frame.separator if frame else ""
    if separator == SIGN:
        return Line(text, tuple(_SIGNED.split(text)))
    return Line(text, tuple(text.split(separator)) if separator else (text,))


def number(at: At, line: Line) -> float | str | None:
    """The number; where other text stands that text, which may mean a fault."""
    if at.columns is not None:
        part = line.text[at.columns[0] : at.columns[1] + 1]
        if len(part) <= at.columns[1] - at.columns[0]:
            return None
    elif at.field is None or at.field >= len(line.fields):
        return None
    else:
        part = line.fields[at.field]
    found = _NUMBER.fullmatch(part)
    return float(found[1]) if found else part.strip()


def _filled(number: float, width: int) -> str:
    """With as many decimals as there is room for, led by zeros."""
    decimals = max(0, width - len(f"{int(number):d}") - 1) if number != round(number) else 0
    return f"{number:0{width}.{decimals}f}"


def assembled(frame: Frame | None, found: Iterable[tuple[At, float | str]]) -> bytes:
    """Fields that no number fills are empty. Raises ValueError for a number that does not fit its columns."""
    frame = frame or Frame()
    fields: list[str] = []
    text = ""
    for at, value in found:
        said = value if isinstance(value, str) else f"{value:.6f}".rstrip("0").rstrip(".")
        if at.columns is not None:
            width = at.columns[1] - at.columns[0] + 1
            said = value if isinstance(value, str) else _filled(value, width)
            if len(said) != width:
                raise ValueError(f"{value} does not fit {width} characters")
            text = text.ljust(at.columns[1] + 1, "0")
            text = text[: at.columns[0]] + said + text[at.columns[1] + 1 :]
        else:
            place = at.field or 0
            fields += [""] * (place + 1 - len(fields))
            fields[place] = said
    if frame.separator == SIGN:
        fields = [fields[0] if fields else "", *(x if x[:1] in ("+", "-") else f"+{x or 0}" for x in fields[1:])]
    inner = text or ("" if frame.separator == SIGN else frame.separator).join(fields)
    return frames.sealed(frame, inner.encode("ascii"))
