"""Numbers in a line of text: the nth of its fields, the field that begins with a key, or what stands at columns."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from gateway.encodings import frames
from gateway.encodings.frames import Frame

SIGN = "sign"
_NUMBER = re.compile(r"\s*([+-]?(?:[0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15}))\s*")
_SIGNED = re.compile(r"(?=[+-])")
_ANGLE = re.compile(r"([0-9]{1,3})([0-9]{2}(?:\.[0-9]{1,8})?)")  # degrees, then minutes of two digits
_SIGNS = {"latitude": {"N": 1, "S": -1}, "longitude": {"E": 1, "W": -1}}
TYPES = list(_SIGNS)


@dataclass(frozen=True, slots=True)
class At:
    """`field` counts from 0 at what stands before the first separator; `key` is what a field begins with, before its
    number ('Dm=283D', 'Acc 0.20 mm'); `columns` are the first and the last character of the content, from 0. `after`
    is what must follow the number: the unit that the sensor says. `type`: degrees and minutes with the letter of the
    hemisphere in the field behind them (NMEA 0183). `holds`: 1 where that text stands anywhere in the line, else 0."""

    field: int | None = None
    columns: tuple[int, int] | None = None
    key: str = ""
    after: str = ""
    type: Literal["", "latitude", "longitude"] = ""
    holds: str = ""


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
    """The number; where other text stands that text, which may mean a fault: also what stands behind a number instead
    of `after`, as some sensors mark a value that is no good."""
    if at.holds:
        return float(at.holds in line.text)
    part = _part(at, line)
    if part is None:
        return None
    if at.type:
        return _angle(at, part.strip(), line)
    found = _NUMBER.match(part)
    if found is None:
        return part.strip()
    behind = part[found.end() :].strip()
    if behind == at.after:
        return float(found[1])
    return behind if at.after else part.strip()


def _part(at: At, line: Line) -> str | None:
    if at.columns is not None:
        part = line.text[at.columns[0] : at.columns[1] + 1]
        return part if len(part) > at.columns[1] - at.columns[0] else None
    if at.key:
        fields = (field.strip() for field in line.fields)
        return next((field[len(at.key) :] for field in fields if field.startswith(at.key)), None)
    return line.fields[at.field] if at.field is not None and at.field < len(line.fields) else None


def _angle(at: At, part: str, line: Line) -> float | str | None:
    found = _ANGLE.fullmatch(part)
    behind = (at.field or 0) + 1
    sign = _SIGNS[at.type].get(line.fields[behind].strip()) if behind < len(line.fields) else None
    if found is None or sign is None or float(found[2]) >= 60:
        return part if found is None else None
    return sign * round(int(found[1]) + float(found[2]) / 60, 9)


def _filled(number: float, width: int) -> str:
    """With as many decimals as there is room for, led by zeros."""
    decimals = max(0, width - len(f"{int(number):d}") - 1) if number != round(number) else 0
    return f"{number:0{width}.{decimals}f}"


def _angle_said(at: At, angle: float) -> tuple[str, str]:
    """NMEA's degrees and minutes, and the letter of the hemisphere."""
    minutes = round(abs(angle) * 60, 6)
    degrees = int(minutes // 60)
    letters = list(_SIGNS[at.type])
    return f"{degrees:0{2 if at.type == 'latitude' else 3}d}{minutes - degrees * 60:09.6f}", letters[angle < 0]


def assembled(frame: Frame | None, found: Iterable[tuple[At, float | str]]) -> bytes:
    """Fields that no number fills are empty. Raises ValueError for a number that does not fit its columns."""
    frame = frame or Frame()
    fields: list[str] = []
    keyed: list[str] = []
    text = ""
    for at, value in found:
        said = value if isinstance(value, str) else f"{value:.6f}".rstrip("0").rstrip(".")
        if at.holds:
            keyed += [at.holds] * (value == 1)
        elif at.columns is not None:
            text = _in_columns(text, at.columns, value)
        elif at.key:
            keyed.append(at.key + (said + at.after if not isinstance(value, str) else "0" * bool(at.after) + said))
        else:
            place = at.field or 0
            behind = "" if isinstance(value, str) else at.after
            both = [said + behind] if isinstance(value, str) or not at.type else list(_angle_said(at, value))
            fields += [""] * (place + len(both) - len(fields))
            fields[place : place + len(both)] = both
    fields += keyed
    if frame.separator == SIGN:
        fields = [fields[0] if fields else "", *(x if x[:1] in ("+", "-") else f"+{x or 0}" for x in fields[1:])]
    inner = text or ("" if frame.separator == SIGN else frame.separator).join(fields)
    return frames.sealed(frame, inner.encode("ascii"))


def _in_columns(text: str, columns: tuple[int, int], value: float | str) -> str:
    width = columns[1] - columns[0] + 1
    said = value if isinstance(value, str) else _filled(value, width)
    if len(said) != width:
        raise ValueError(f"{value} does not fit {width} characters")
    text = text.ljust(columns[1] + 1, "0")
    return text[: columns[0]] + said + text[columns[1] + 1 :]
